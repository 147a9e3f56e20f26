"""Chance shown beside a place: calibrated, never certain, with its interval.

How sure a calibration can be is bounded by the photos it rests on. A chance is never more than
n / (n + 1) of n of them: after n successes in n tries, the next one may still fail. Its interval is
that of a beta distribution with as many photos as the group that the confidence curve was bent on
(:mod:`indexer.probability.confidence`).

Places of one answer are disjoint, so that their chances cannot add up to more than one: those of
the further places give way to that of the best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats
from indexer.probability.confidence import GROUPS, Curve, fit_confidence

WIDEST_SHARE = 1 / 3
"""A disc that holds more of what was searched says nothing, and no chance of it is given."""
INTERVAL = 0.95
"""Of the beta distribution."""


def most_sure(photos: int) -> float:
    """The highest chance that so many photos allow to state."""
    return photos / (photos + 1)


def beta_interval(chance: npt.ArrayLike, photos: int) -> tuple[Floats, Floats]:
    """The middle :data:`INTERVAL` of what a stated chance may be.

    Args:
        chance: (...) probabilities.
        photos: that the calibration rests on; a fifth of them are like the photo in question.

    Returns:
        (...) lower and upper ends, around the chance.
    """
    from scipy.special import betaincinv  # here, because every search imports this file

    stated = np.asarray(chance, dtype=np.float64)
    alike = photos / GROUPS
    # Jeffreys' half a success and half a failure keep both ends inside (0, 1).
    inside, outside = stated * alike + 0.5, (1 - stated) * alike + 0.5
    low = betaincinv(inside, outside, (1 - INTERVAL) / 2)
    high = betaincinv(inside, outside, (1 + INTERVAL) / 2)
    return np.minimum(low, stated), np.maximum(high, stated)


def disjoint(chances: Floats, most: float) -> Floats:
    """Chances of (k,) disjoint places, best first: falling, and no more than ``most`` in all.

    The first keeps its own; the others share what it leaves, in proportion.
    """
    if not len(chances):
        return chances
    falling = np.minimum.accumulate(np.minimum(chances, most))
    rest, left = falling[1:].sum(), most - falling[0]
    if rest > left:
        falling[1:] *= left / rest
    return falling


@dataclass(frozen=True)
class PlaceCurves:
    """From the posterior mass of a place's disc to the chance that it holds the truth."""

    radius_m: float
    """Of the discs: the merge radius that an index suggests."""
    best: Curve
    """Of the first place."""
    further: Curve
    """Of all others, in one: of a disc that is not the best, the mass says all."""

    def chances(self, masses: Floats) -> Floats:
        """(k,) masses of disjoint places, best first, to their (k,) chances."""
        return np.concatenate([self.best.chance(masses[:1]), self.further.chance(masses[1:])])


def fit_place_curves(radius_m: float, mass: Floats, inside: Bools) -> PlaceCurves | None:
    """The curves of an index.

    Args:
        radius_m: of the discs.
        mass: (P, K) of the discs of each photo's first places; NaN where it has fewer.
        inside: (P, K) which of them hold the truth.

    Returns:
        None where no photo has a second place.
    """
    there = np.isfinite(mass)
    if not there[:, 1:].any():
        return None
    best = fit_confidence(mass[:, 0], inside[:, 0])
    return PlaceCurves(
        radius_m, best, fit_confidence(mass[:, 1:][there[:, 1:]], inside[:, 1:][there[:, 1:]])
    )
