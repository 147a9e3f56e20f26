"""Test of whether a photo is from an index at all: a posterior adds up to 1 for any photo.

Two things tell such photos apart, each in standard deviations of the calibration photos:

* the *evidence*: how well any place of the index explains the photo, the log of the mean of
  exp(weighted scores) over the area;
* the *likeness*: the mean cosine with the ten nearest calibration photos. A calibration photo's
  neighbours are from elsewhere: not of its own place, and not within 100 m, as a new photo's are.

Their sum is compared with that of the calibration photos: the p-value is the share of their places
that are at least as strange. A photo of another place of the same kind gets less than 0.05 in at
most 5 % of cases (split conformal, :func:`indexer.probability.conformal.one_a_place`). How often a
photo from elsewhere gets more is another question; it is measured on photos from elsewhere, if
there are some.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats, Halves, Ints, Scores
from gair.errors import UsageError
from indexer.probability.conformal import one_a_place, place_weights
from indexer.probability.open_world import BayesFactor, fit_bayes_factor
from indexer.probability.posterior import ScoreWeights, weighted_scores
from indexer.probability.reliability import auroc
from indexer.regions.cell_field import chord_of, unit_vectors

NEAREST = 10
"""Photos that likeness looks at."""
MOST_PHOTOS = 10_000
"""Photos that are kept to compare with: 15 MB at 768 dimensions."""

NEAR_M = 100.0
"""Photos as near as this show the same things."""

_AT_ONCE = 256


@dataclass(frozen=True)
class Membership:
    """Whether a photo is from the index at all."""

    p_value: float
    """Share of the calibration photos that look at least as strange."""
    level: float
    """Below this a photo counts as not of the index: so many that are of it are refused."""
    in_index: bool
    """False, too, where there is nothing to see in the photo."""
    miss_rate: float | None
    """Share of foreign photos that were taken for photos of the index when this was measured; None
    if it never was."""


@dataclass(frozen=True, eq=False)
class OutOfIndexTest:
    """Looks of an index's own photos, and how strange another may be before it is refused."""

    s: Halves
    """(n, D) vectors of calibration photos."""
    evidence: tuple[float, float]
    """Mean and standard deviation."""
    likeness: tuple[float, float]
    """Mean and standard deviation."""
    scores: Floats
    """(m,) of calibration photos, one a place, ascending: the lower, the stranger."""
    level: float
    """A photo whose p-value is below this is not from the index."""
    miss_rate: float | None = None
    """Measured share of photos from elsewhere that are not noticed; None: not measured."""
    auroc: float | None = None
    """How well the score ranks photos of the index before others; None: not measured."""
    elsewhere: int = 0
    """Photos from elsewhere that these rest on."""
    bayes_factor: BayesFactor | None = None
    """How much more likely a score is among photos from elsewhere; None: not measured."""

    def score(self, s: Scores, evidence: Floats) -> Floats:
        """How much photos look like the index's: (P, D) vectors and (P,) evidence to (P,)."""
        return self._sum(evidence, nearest_cosine(s, self.s))

    def p_value(self, score: npt.ArrayLike) -> Floats:
        """The share of calibration photos that are at least as strange."""
        stranger = np.searchsorted(self.scores, np.asarray(score), side="right")
        return np.asarray((1 + stranger) / (1 + len(self.scores)), dtype=np.float64)

    def abstain(self, score: npt.ArrayLike) -> Bools:
        """Which photos are not from this index, as far as can be told."""
        return np.asarray(self.p_value(score) < self.level)

    def _sum(self, evidence: Floats, likeness: Floats) -> Floats:
        return _standard(evidence, self.evidence) + _standard(likeness, self.likeness)


def evidence_of(
    rs: Scores,
    location: Scores,
    weights: ScoreWeights,
    area_m2: Floats,
    ground: Scores | None = None,
) -> Floats:
    """How well any place explains each photo: (P, N) scores to (P,) nats."""
    weighted = weighted_scores(rs, location, weights, ground)
    best = weighted.max(axis=1)
    weighted -= best[:, None]
    return np.asarray(best + np.log(np.exp(weighted, out=weighted) @ (area_m2 / area_m2.sum())))


def nearest_cosine(
    s: Scores, photos: Scores, passed_over: Callable[[slice], Bools] | None = None
) -> Floats:
    """Mean cosine with the :data:`NEAREST` most alike photos.

    Args:
        s: (P, D) unit vectors.
        photos: (n, D) to compare with.
        passed_over: a block of the P photos to (B, n): which of ``photos`` each may not be compared
            with; at least one must be left.
    """
    others = np.asarray(photos, dtype=np.float32)
    count = min(NEAREST, len(others))
    likeness = np.empty(len(s))
    for start in range(0, len(s), _AT_ONCE):
        block = slice(start, start + _AT_ONCE)
        cosine = np.asarray(s[block], dtype=np.float32) @ others.T
        if passed_over is not None:
            cosine[passed_over(block)] = -np.inf
        best = np.partition(cosine, len(others) - count, axis=1)[:, len(others) - count :]
        counted = np.isfinite(best)
        total = np.where(counted, best, 0).sum(axis=1, dtype=np.float64)
        likeness[block] = total / counted.sum(axis=1)
    return likeness


@dataclass(frozen=True, eq=False)
class Whereabouts:
    """Where photos were taken, to tell those that show the same things."""

    lonlat_deg: Floats
    """(P, 2)."""
    place: Ints
    """(P,) which are of one place."""

    @classmethod
    def apart(cls, count: int) -> Whereabouts:
        """Photos far from each other, each of a place of its own."""
        return cls(np.zeros((count, 0)), np.arange(count))

    def same(self, rows: Ints, others: Ints) -> Bools:
        """Which of (n,) others are of the place of each of (P,) photos, or within 100 m: (P, n).

        Where that leaves none, only those of the place are; and where that leaves none, itself.
        """
        of_place = self.place[rows][:, None] == self.place[others]
        same = of_place.copy()
        if self.lonlat_deg.shape[1]:
            cosine = unit_vectors(self.lonlat_deg[rows]) @ unit_vectors(self.lonlat_deg[others]).T
            same |= cosine >= 1 - chord_of(NEAR_M) ** 2 / 2
        for left, instead in ((same, of_place), (same, rows[:, None] == others)):
            none = left.all(axis=1)
            same[none] = instead[none]
        return np.asarray(same)


def check_level(level: float) -> None:
    """Refuse a level that is no share."""
    if not 0 <= level < 1:
        raise UsageError(f"`level` {level:g}: it is a share of photos, 0 to less than 1")


def fit_out_of_index(
    s: Scores,
    held_back: Ints,
    evidence: Floats,
    whereabouts: Whereabouts | None = None,
    *,
    level: float = 0.05,
    seed: int = 0,
) -> OutOfIndexTest:
    """Learn what calibration photos look like.

    Args:
        s: (P, D) vectors of all of them.
        held_back: (m,) which of them were not used to fit the weights: p-values rest on these.
        evidence: (m,) of those.
        whereabouts: of the P photos; each by itself if None.
        level: share of the index's own photos that may be refused.
        seed: chooses :data:`MOST_PHOTOS` to compare with where there are more.

    Raises:
        UsageError: the level is no share, or there is nothing to compare with.
    """
    check_level(level)
    if len(s) < 2 or not len(held_back):
        raise UsageError(f"{len(s)} photos are too few to know what photos of the index look like")
    kept = kept_rows(len(s), seed)
    where = whereabouts or Whereabouts.apart(len(s))
    photos = np.asarray(s[kept], dtype=np.float16)
    likeness = nearest_cosine(
        s[held_back], photos, lambda block: where.same(held_back[block], kept)
    )
    place = where.place[held_back]
    times = place_weights(place)
    moments = _moments(evidence, times), _moments(likeness, times)
    blank = OutOfIndexTest(photos, *moments, np.empty(0), level)
    scores = one_a_place(blank._sum(evidence, likeness), place, above=False)
    return replace(blank, scores=scores)


def kept_rows(count: int, seed: int) -> Ints:
    """Which of so many photos are kept to compare with, ascending."""
    rows = np.arange(count)
    if count > MOST_PHOTOS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_PHOTOS, replace=False))
    return rows


def with_elsewhere(test: OutOfIndexTest, s: Scores, evidence: Floats) -> OutOfIndexTest:
    """The same, with error rates measured on photos from elsewhere: (Q, D) and (Q,)."""
    scores = test.score(s, evidence)
    missed = float((~test.abstain(scores)).mean())
    ranked = float(auroc(test.scores, scores)[0])
    factor = fit_bayes_factor(test.scores, scores)
    return replace(test, miss_rate=missed, auroc=ranked, elsewhere=len(scores), bayes_factor=factor)


def _moments(values: Floats, weight: Floats) -> tuple[float, float]:
    mean = float(np.average(values, weights=weight))
    spread = float(np.sqrt(np.average((values - mean) ** 2, weights=weight)))
    return mean, spread if spread > 0 else 1.0


def _standard(values: Floats, moments: tuple[float, float]) -> Floats:
    return (np.asarray(values, dtype=np.float64) - moments[0]) / moments[1]
