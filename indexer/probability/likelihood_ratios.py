"""Likelihood ratios calibrate the score of a claim into the weight of its evidence.

The *score* of a claim is the log odds of its disc under the posterior, over those by area alone
(:attr:`indexer.probability.claims.Standing.log_ratio`). A :class:`RatioCurve` turns it into

    P(score | the photo was taken there) / P(score | an alternative)

for a stated alternative (:data:`ALTERNATIVES`). It is a logistic of the score, bent where claims
are many, fitted to true claims and to false ones of that kind about photos whose place is known,
where each place counts once. All true claims together count as much as all false ones: else, of two
thousand true and three hundred false ones, the curve would be bent where there are true claims, and
straight where the ratio is settled. A ratio beyond what as many places can show is cut off: of n
places, none above n or below 1/n.

A :class:`PairRatio` does the same for two photos: the score is the cosine of their vectors, and
the alternative that they were taken at different places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats, Ints
from indexer.probability.confidence import Curve, fit_curve
from indexer.probability.conformal import place_weights
from indexer.probability.reliability import auroc

RANDOM = "random"
LOOKALIKE = "lookalike"
ELSEWHERE = "elsewhere"

ALTERNATIVES: dict[str, str] = {
    RANDOM: "somewhere else in the index",
    LOOKALIKE: "at another place whose imagery looks like this one's",
    ELSEWHERE: "outside the index, like the photos from elsewhere that it was calibrated with",
}
"""What a ratio compares with "the photo was taken there", and how people read it."""

FEWEST_PLACES = 20
"""Places with claims of each kind that a curve needs."""
MOST_GROUPS = 12
"""Groups of claims whose shares bend a curve."""

_PLACES_A_GROUP = 20
"""There are fewer groups where they would have fewer places of each kind."""

SAME_PLACE_M = 200.0
"""Photos taken as near as this to each other are of one place, where pairs are asked about."""


@dataclass(frozen=True)
class RatioCurve:
    """Scores of claims to likelihood ratios, for one radius and one alternative."""

    curve: Curve
    """Score to the logit of "it is a true one" among all that were fitted."""
    true_places: int
    """Places whose photos true claims were about."""
    false_places: int
    limit: float
    """The largest ratio, and one over the smallest."""
    balanced: bool = False
    """Whether both kinds counted as much as each other in the fit; False in files from before."""

    def log_ratio(self, score: npt.ArrayLike) -> Floats:
        """(...) scores to (...) natural logarithms of ratios; more score never means less."""
        odds = 0.0 if self.balanced else np.log(self.true_places / self.false_places)
        logs = self.curve.logit_of(np.asarray(score, dtype=np.float64)) - odds
        most = np.log(self.limit)
        return np.asarray(np.clip(logs, -most, most), dtype=np.float64)


RatioCurves = dict[str, dict[float, RatioCurve]]
"""Alternative to radius in metres to curve."""


def fit_ratio(
    true: Floats, true_place: Ints, false: Floats, false_place: Ints
) -> RatioCurve | None:
    """The curve for scores of (n,) true and (m,) false claims; NaN are left out.

    Args:
        true: of claims about photos that were taken there.
        true_place: (n,) which of these photos are of one place: each place counts once.
        false: of claims that are false in one way.
        false_place: (m,) the same of their photos.

    Returns:
        None where there are claims of one kind at fewer than :data:`FEWEST_PLACES` places.
    """
    kept = [
        (scores[rows], place[rows])
        for scores, place in ((true, true_place), (false, false_place))
        for rows in [np.isfinite(scores)]
    ]
    places = [len(np.unique(place)) for _, place in kept]
    if min(places) < FEWEST_PLACES:
        return None
    true_places, false_places = places
    fewer = min(places)
    times = np.concatenate(
        [place_weights(at) * fewer / many for (_, at), many in zip(kept, places, strict=True)]
    )
    scores = np.concatenate([of_kind for of_kind, _ in kept])
    groups = int(np.clip(fewer // _PLACES_A_GROUP, 1, MOST_GROUPS))
    group = _of_equal_weight(scores, times, groups)
    curve = fit_curve(scores, np.arange(len(scores)) < len(kept[0][0]), times, group)
    return RatioCurve(curve, true_places, false_places, float(fewer), balanced=True)


def _of_equal_weight(scores: Floats, times: Floats, groups: int) -> Ints:
    """Groups of (n,) scores that count (n,) times, of about equal weight: (n,) from 0, rising."""
    wanted = np.arange(1, groups) / groups
    edges = np.quantile(scores, wanted, weights=times, method="inverted_cdf")
    return np.searchsorted(np.unique(edges), scores, side="left").astype(np.int64)


@dataclass(frozen=True)
class PairRatio:
    """Cosines of two photos to the ratio of "of one place" to "of different places"."""

    radius_m: float
    """Photos as near as this to each other are of one place."""
    pairs: int
    """Pairs of one place that were measured."""
    places: int
    """Places that these are of."""
    other_pairs: int
    """Pairs of different places that were measured."""
    other_places: int
    """Places that the first photos of these are of."""
    middle: float = 0.0
    """Mean cosine of pairs of different places."""
    scale: float = 1.0
    """Their standard deviation."""
    auroc: float | None = None
    """How often a pair of one place has the higher cosine; 0.5 is chance. None with the ratio."""
    ratio: RatioCurve | None = None
    """Of (cosine - middle) / scale; None where the places are too few."""

    def log_ratio(self, cosine: npt.ArrayLike) -> Floats:
        """(...) cosines to (...) natural logarithms of ratios; only where there is a curve."""
        assert self.ratio is not None
        return self.ratio.log_ratio((np.asarray(cosine, np.float64) - self.middle) / self.scale)


def fit_pairs(
    same: Floats, same_place: Ints, other: Floats, other_place: Ints, radius_m: float = SAME_PLACE_M
) -> PairRatio:
    """The ratio for cosines of (n,) pairs of one place and (m,) pairs of different places.

    Args:
        same: cosines of photos of one place.
        same_place: (n,) which pairs are of one place: each place counts once.
        other: cosines of photos of different places.
        other_place: (m,) the place of the first photo of each.
        radius_m: what is one place.
    """
    places, other_places = (len(np.unique(place)) for place in (same_place, other_place))
    counted = PairRatio(radius_m, len(same), places, len(other), other_places)
    if min(places, other_places) < FEWEST_PLACES or not other.std():
        return counted
    middle, scale = float(other.mean()), float(other.std())
    times = (place_weights(same_place)[None], place_weights(other_place)[None])
    return replace(
        counted,
        middle=middle,
        scale=scale,
        auroc=float(auroc(same, other, *times)[0]),
        # As a curve expects it where nothing speaks against it: a unit is a nat.
        ratio=fit_ratio((same - middle) / scale, same_place, (other - middle) / scale, other_place),
    )


def pairs_from_json(values: dict[str, Any]) -> PairRatio:
    """The inverse of ``asdict``.

    Raises:
        ValueError: a curve has more knots than shifts, or fewer.
    """
    ratio = values["ratio"]
    return PairRatio(**values | {"ratio": None if ratio is None else _ratio_of(ratio)})


def crossed_log_ratios(true: Floats, false: Floats) -> tuple[Floats, Floats]:
    """Log ratios of (n,) true and (m,) false claims, each half by a curve of the other.

    Args:
        true: scores, each about a photo of a place of its own.
        false: the same; those of one place have the same number, if they have any.

    Returns:
        Those that are numbers; empty where claims are too few.
    """
    halves = (slice(0, None, 2), slice(1, None, 2))
    logs: tuple[list[Floats], list[Floats]] = ([], [])
    for half, others in (halves, halves[::-1]):
        of_others = [(s[others], np.arange(len(s[others]))) for s in (true, false)]
        curve = fit_ratio(*of_others[0], *of_others[1])
        if curve is None:
            return np.empty(0), np.empty(0)
        for into, scores in zip(logs, (true[half], false[half]), strict=True):
            into.append(curve.log_ratio(scores[np.isfinite(scores)]))
    return np.concatenate(logs[0]), np.concatenate(logs[1])


def curves_json(curves: Mapping[str, Mapping[float, RatioCurve]]) -> list[list[Any]]:
    """Curves as plain JSON types: alternative, radius and fields of each."""
    return [
        [alternative, radius_m, asdict(curve)]
        for alternative, of_radius in sorted(curves.items())
        for radius_m, curve in sorted(of_radius.items())
    ]


def curves_from_json(rows: list[list[Any]]) -> RatioCurves:
    """The inverse of :func:`curves_json`.

    Raises:
        ValueError: a curve has more knots than shifts, or fewer.
    """
    curves: RatioCurves = {}
    for alternative, radius_m, fields in rows:
        curves.setdefault(str(alternative), {})[float(radius_m)] = _ratio_of(fields)
    return curves


def _ratio_of(fields: dict[str, Any]) -> RatioCurve:
    return RatioCurve(
        Curve.from_fields(fields["curve"]),
        int(fields["true_places"]),
        int(fields["false_places"]),
        float(fields["limit"]),
        bool(fields.get("balanced", False)),
    )
