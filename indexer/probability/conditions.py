"""Conditions of a photo against the calibration photos': unlike them, nothing is promised.

Each condition (:data:`gair.photos.conditions.NAMES`, and the look: the photo's vector) has a
*distance*: to the nearest few calibration photos in that condition alone, round the clock and the
year where it goes round. Distances of calibration photos are measured to photos of other places, as
a new photo's are, and give each condition its scale. Light and colours have one more distance
*together*, that of Mahalanobis to their mean (:mod:`gair.photos.together`): a picture in snow is as
bright as some others, and has as little texture as some, but none that bright has so little.

Some looks are *taught* on altered calibration photos (:mod:`gair.photos.taught`): fog,
snow, an enlargement, a part of a picture. A photo's score of each is one more distance. Distances
and looks flag as many photos by mistake: the scale of the looks is set so.

The *deviation* of a photo is its largest distance in units of these scales. It is compared with the
calibration photos' own deviations: one threshold for all conditions together, which at most 5 % of
new places' photos exceed if they are like the calibration photos (split conformal,
:func:`indexer.probability.conformal.one_a_place`).

What a photo does not state, such as a date, is not compared: nor is it where fewer than
:data:`FEWEST_STATED` calibration photos state it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats, Ints
from gair.photos.conditions import COLOURS, COMPARED, LIGHT, NAMES
from gair.photos.taught import Altered, Taught, fit_taught
from gair.photos.texture import TEXTURE
from gair.photos.together import Usual, fit_usual
from indexer.probability.cautions import Caution
from indexer.probability.conformal import conformal_mass, one_a_place, place_weights

LOOK = "overall look"
"""The condition that is the photo's vector; it comes last."""
TOGETHER = "light and colours together"
"""The condition that is the numbers of light and colours, as they go with each other."""
ALL_NAMES = (*NAMES, TOGETHER, LOOK)
NEAREST = 5
"""Calibration photos that a distance is measured to."""
FEWEST_STATED = 50
"""Calibration photos that must state a condition, or it is not compared."""
FLAGGED = 0.05
"""At most this share of photos like the calibration photos is taken for unlike them."""

_PERIOD = {"date": 365.25, "hour": 24.0}
_FINEST = (0.02, 0.01, 0.005, 0.005, 21.0, 1.0, 0.1, 0.02, 0.1, 0.01)
"""Of :data:`ALL_NAMES`: a smaller distance is none, however alike calibration photos are, and no
scale is smaller. The focal length's is of its logarithm."""
_SCALE_SHARE = 0.95
_AT_ONCE = 256
_ARRAYS = ("values", "middle", "scale", "deviations", "labels", "mean", "whitening")
_TAUGHT = ("mean", "weights")
_VOTES = 15
"""Calibration photos that say which condition a photo looks like."""


@dataclass(frozen=True, eq=False)
class CalibratedConditions:
    """What the calibration photos were like, and how far another may be from that."""

    values: npt.NDArray[np.float32]
    """(n, C) of calibration photos, the first of :attr:`gair.photos.conditions.Conditions.values`,
    :data:`gair.photos.conditions.COMPARED` of them; NaN where one does not say."""
    middle: Floats
    """(A + K,) the middle distance in each of :data:`ALL_NAMES`, then the middle score of each
    taught look; NaN: not compared."""
    scale: Floats
    """(A + K,) how far the 95 % quantile is above it; of looks, more or less (:func:`_evened`)."""
    deviations: Floats
    """(K,) of the calibration photos, one a place, ascending."""
    labels: Ints
    """(n,) the condition that their list names, as a row of ``named``; -1 for none."""
    usual: Usual
    """What light and colours together usually are."""
    named: tuple[str, ...] = ()
    """Conditions that the list names, such as ``day`` and ``night``."""
    taught: Taught | None = None
    """Looks that altered photos taught; None where none did, and in files from before."""

    @property
    def all_names(self) -> tuple[str, ...]:
        """(A + K,) of all that is compared."""
        return ALL_NAMES + (() if self.taught is None else self.taught.names)

    @property
    def mean(self) -> Floats:
        """Of ``usual``, for the file."""
        return self.usual.mean

    @property
    def whitening(self) -> Floats:
        """Of ``usual``, for the file."""
        return self.usual.whitening

    def guess(self, values: Floats, passed_over: Bools | None = None) -> Ints:
        """The named condition that photos look like, by a vote of those alike in the pixels.

        Args:
            values: (P, C) of the photos.
            passed_over: (P, n) calibration photos that may not vote.

        Returns:
            (P,) rows of ``named``; -1 where fewer than two are named, or a photo says nothing.
        """
        guessed = np.full(len(values), -1)
        voting = np.isfinite(self.values[:, :LIGHT]).all(axis=1) & (self.labels >= 0)
        if len(self.named) < 2 or not voting.any():
            return guessed
        light, labels = self.values[voting, :LIGHT].astype(np.float64), self.labels[voting]
        spread = np.maximum(light.std(axis=0), _FINEST[:LIGHT])
        for row in np.flatnonzero(np.isfinite(values[:, :LIGHT]).all(axis=1)).tolist():
            apart = (((light - values[row, :LIGHT]) / spread) ** 2).sum(axis=1)
            if passed_over is not None:
                apart[passed_over[row, voting]] = np.inf
            nearest = np.argsort(apart, kind="stable")[:_VOTES]
            votes = labels[nearest[np.isfinite(apart[nearest])]]
            if len(votes):
                guessed[row] = np.bincount(votes).argmax()
        return guessed

    def looks_like(self, values: Floats) -> str:
        """The named condition that all of (P, C) photos look like; empty where they do not."""
        rows = np.unique(self.guess(values))
        return self.named[rows[0]] if len(rows) == 1 and rows[0] >= 0 else ""

    def unlike(self, values: Floats, likeness: Floats) -> tuple[str, ...]:
        """The conditions in which photos of one place are unlike the calibration photos.

        Args:
            values: (M, C) of the photos.
            likeness: (M,) their mean cosines with calibration photos, as
                :func:`indexer.probability.out_of_index.nearest_cosine` gives them.

        Returns:
            Those of :attr:`all_names` in which any of the photos is; empty where all are alike, and
            where too few places were measured to say. Of several photos, each is allowed less
            (Bonferroni).
        """
        own = _distances(values, self.values, np.zeros((len(values), len(self.values)), np.bool_))
        together = self.usual.distance(light_and_colours(values))
        distances = _stacked(own, together, likeness)
        if self.taught is not None:
            looks = self.taught.scores(pixel_values(values))
            distances = np.column_stack([distances, looks])
        limit = conformal_mass(self.deviations, 1 - FLAGGED / max(1, len(values)))
        deviations = (distances - self.middle) / self.scale
        beyond = np.flatnonzero((deviations > limit).any(axis=0)).tolist()  # NaN never is
        return tuple(self.all_names[column] for column in beyond)

    def unstated(self, values: Floats) -> tuple[str, ...]:
        """The conditions that are compared, but that one of (M, C) photos does not state."""
        stated = self.stated
        silent = [bool(np.isnan(values[:, column]).any()) for column in range(len(NAMES))]
        pairs = zip(NAMES, silent, strict=True)
        return tuple(name for name, says_not in pairs if says_not and name in stated)

    @property
    def stated(self) -> tuple[str, ...]:
        """The conditions that are compared."""
        pairs = zip(self.all_names, np.isfinite(self.middle), strict=True)
        return tuple(name for name, compared in pairs if compared)

    def arrays(self) -> dict[str, Any]:
        """The arrays of its file, by name."""
        arrays = {f"conditions_{name}": getattr(self, name) for name in _ARRAYS}
        if self.taught is not None:
            arrays |= {f"taught_{name}": getattr(self.taught, name) for name in _TAUGHT}
        return arrays

    @classmethod
    def from_arrays(
        cls,
        names: Sequence[str],
        arrays: dict[str, Any],
        named: Sequence[str] = (),
        taught: Sequence[str] = (),
    ) -> CalibratedConditions | None:
        """The same again; None where other conditions were measured than these.

        Args:
            names: of the conditions that were measured.
            arrays: of the file.
            named: by the list.
            taught: looks that were taught; none in files from before there were any.

        Raises:
            ValueError: the arrays do not fit together.
            KeyError: one is missing.
        """
        if tuple(names) != ALL_NAMES:
            return None
        values, middle, scale, deviations, labels, mean, whitening = (
            arrays[f"conditions_{name}"] for name in _ARRAYS
        )
        if values.shape[1:] != (COMPARED,):
            raise ValueError("conditions of different length")
        if {middle.shape, scale.shape} != {(len(ALL_NAMES) + len(taught),)}:
            raise ValueError("conditions of different length")
        if mean.shape != (LIGHT + COLOURS,) or whitening.shape != (LIGHT + COLOURS,) * 2:
            raise ValueError("colours of different length")
        usual = Usual(mean, whitening)
        looks = None
        if taught:
            looks = Taught(tuple(taught), *(arrays[f"taught_{name}"] for name in _TAUGHT))
            if looks.weights.shape != (LIGHT + COLOURS + TEXTURE, len(taught)):
                raise ValueError("taught looks of different length")
        return cls(values, middle, scale, deviations, labels, usual, tuple(named), looks)


def fit_conditions(
    values: Floats,
    likeness: Floats,
    place: Ints,
    labels: Sequence[str] = (),
    altered: Mapping[str, Altered] | None = None,
) -> CalibratedConditions:
    """Learn what calibration photos are like.

    Args:
        values: (P, C) of the photos; NaN where one does not say.
        likeness: (P,) mean cosine of each with photos of other places.
        place: (P,) which of them are of one place.
        labels: (P,) the condition that the list names; empty text for none.
        altered: look to altered photos, their numbers as :func:`pixel_values` gives them; None
            teaches nothing.
    """
    named = tuple(sorted({label for label in labels if label}))
    rows = [named.index(label) if label else -1 for label in labels or [""] * len(values)]
    kept = np.asarray(values[:, :COMPARED], dtype=np.float32)
    own = _distances(values, kept, place[:, None] == place)
    usual, together = fit_usual(light_and_colours(values), place)
    distances = _stacked(own, together, likeness)
    distances[:, np.isfinite(distances).sum(axis=0) < FEWEST_STATED] = np.nan
    times = place_weights(place)
    middle, scale = _scaled(distances, times)
    scale = np.maximum(scale, _FINEST)  # NaN stays NaN
    deviation = _largest((distances - middle) / scale)
    taught, looks = fit_taught(pixel_values(values), place, altered or {})
    if taught is not None:
        middles, scales = _scaled(looks, times)
        scales *= _evened(deviation, _largest((looks - middles) / scales), times)
        deviation = np.maximum(deviation, _largest((looks - middles) / scales))
        middle, scale = np.append(middle, middles), np.append(scale, scales)
    deviations = one_a_place(deviation, place, above=True)
    return CalibratedConditions(
        *(kept, middle, scale, deviations, np.array(rows), usual, named, taught)
    )


def _scaled(distances: Floats, times: Floats) -> tuple[Floats, Floats]:
    """Of (P, A) distances the (A,) middle ones, and how far their 95 % quantiles are above them."""
    middle = np.array([_quantile(column, 0.5, times) for column in distances.T])
    high = np.array([_quantile(column, _SCALE_SHARE, times) for column in distances.T])
    return middle, high - middle


def _largest(deviations: Floats) -> Floats:
    """(P,) of (P, A), as far as they are known."""
    return np.asarray(np.where(np.isfinite(deviations), deviations, -np.inf).max(axis=1))


def _evened(deviation: Floats, looks: Floats, times: Floats) -> float:
    """What scales of looks are multiplied by, so that distances and looks flag as many photos.

    Args:
        deviation: (P,) by all distances.
        looks: (P,) the same by all looks.
        times: (P,) how much each counts.
    """
    at = 1 - FLAGGED / 2
    reached = [_quantile(values, at, times) for values in (looks, deviation)]
    ratio = reached[0] / reached[1]
    return float(ratio) if np.isfinite(ratio) and ratio > 0 else 1.0


def light_and_colours(values: Floats) -> Floats:
    """Those of (P, C) conditions that go together: (P, L)."""
    return np.asarray(np.column_stack([values[:, :LIGHT], values[:, len(NAMES) : COMPARED]]))


def pixel_values(values: Floats) -> Floats:
    """Those of (P, C) conditions that are of the pixels, which looks are taught on: (P, L)."""
    return np.asarray(np.column_stack([values[:, :LIGHT], values[:, len(NAMES) :]]))


def _stacked(own: Floats, together: Floats, likeness: Floats) -> Floats:
    """(P, A) distances in the order of :data:`ALL_NAMES`."""
    apart = 1 - np.asarray(likeness, dtype=np.float64)
    return np.column_stack([own, together, apart])


def _distances(values: Floats, photos: npt.NDArray[np.float32], passed_over: Bools) -> Floats:
    """Mean distance in each of :data:`NAMES` to the nearest photos: (P, C) and (n, C) to (P, c).

    What is below :data:`_FINEST` is none, and what is above is less by that. ``passed_over`` is
    (P, n). NaN where a photo does not say, or none of the others does.
    """
    distances = np.full((len(values), len(NAMES)), np.nan)
    for column, name in enumerate(NAMES):
        own, others = (np.asarray(v[:, column], dtype=np.float64) for v in (values, photos))
        if name == "focal length":
            own, others = np.log(own), np.log(others)
        for start in range(0, len(values), _AT_ONCE):
            block = slice(start, start + _AT_ONCE)
            apart = np.abs(own[block, None] - others)
            if name in _PERIOD:
                apart = np.minimum(apart, _PERIOD[name] - apart)
            apart[passed_over[block]] = np.nan
            nearest = np.sort(apart, axis=1)[:, :NEAREST]  # NaN comes last
            there = np.isfinite(nearest)
            with np.errstate(invalid="ignore"):
                mean = np.where(there, nearest, 0).sum(axis=1) / there.sum(axis=1)
            distances[block, column] = np.maximum(mean - _FINEST[column], 0)
    return distances


def _quantile(values: Floats, share: float, times: Floats) -> float:
    """The smallest of those (n,) numbers that are known that a share of their weight reaches."""
    rows = np.flatnonzero(np.isfinite(values))
    if not len(rows):
        return np.nan
    order = rows[np.argsort(values[rows], kind="stable")]
    reached = np.cumsum(times[order])
    return float(values[order][np.searchsorted(reached, share * reached[-1] * (1 - 1e-9))])


def unlike_caution(names: Sequence[str]) -> Caution:
    """What is said of a photo that is unlike the calibration photos in some conditions."""
    looks, compared = _parted(names)
    look = f"it looks like {in_words(looks)}, and " if looks else ""
    theirs = "the calibration photos, which chances and regions were measured on"
    if compared:
        are = "is" if len(compared) == 1 else "are"
        unlike = f"its {in_words(compared)} {are} unlike those of {theirs}"
    else:
        unlike = f"{theirs}, do not"
    return Caution(f"nothing is promised of this photo: {look}{unlike}", "unlike_calibration")


def unlike_said(names: Sequence[str]) -> str:
    """The same in a clause that begins with the photo."""
    looks, compared = _parted(names)
    said = [f"looks like {in_words(looks)}"] if looks else []
    said += [f"is unlike the calibration photos in its {in_words(compared)}"] if compared else []
    return f"the photo {' and '.join(said)}"


def supposed(names: Sequence[str]) -> str:
    """What chances hold under, where a photo is unlike in some conditions, in a clause."""
    looks, compared = _parted(names)
    said = [*looks, *([f"its {in_words(compared)}"] if compared else [])]
    return f"if {in_words(said)} made no difference"


def _parted(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Taught looks, and conditions that are compared."""
    compared = [name for name in names if name in ALL_NAMES]
    return [name for name in names if name not in ALL_NAMES], compared


def in_words(names: Sequence[str]) -> str:
    """Names in a sentence: ``brightness, contrast and hour``."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
