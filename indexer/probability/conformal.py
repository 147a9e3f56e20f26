"""Conformal regions: the smallest set of cells that holds the truth as often as it says.

A region of level 0.9 is filled with cells from the densest down (probability per area), so it is
the smallest one with its mass. How much mass that takes is not read off the posterior, which may be
over- or underconfident, but from photos whose place is known (split conformal prediction,
https://arxiv.org/abs/2107.07511): the mass that a region needs to reach the truth is measured on
each of n photos, and the ceil(0.9 (n + 1))-th smallest is used from then on. A new photo from the
same places as those is then inside with a probability of at least 0.9, whatever the model.

Photos of one place are alike: what is counted is places (:func:`one_a_place`).

Where :func:`mass_to_reach` of the truth is at most a mass, :func:`region_rows` of that mass holds
the truth; where the region holds it, the mass is more than what :func:`mass_to_reach` says without
the true cell itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gair.arrays import Floats, Ints
from gair.errors import UsageError

_ROUNDING = 1e-10
"""Sums of the same probabilities in another order differ by less than this share."""
_ROUNDED = 1e-7
"""Weights of places add up to whole numbers but for this."""


def density_order(p: Floats, area_m2: Floats) -> Ints:
    """Cells from the densest down: (..., N) probabilities and (N,) areas to rows; ties by row."""
    return np.argsort(-(p / area_m2), axis=-1, kind="stable")


def mass_to_reach(p: Floats, area_m2: Floats, truth_row: Ints) -> Floats:
    """How much mass a region has when it first holds the truth.

    Args:
        p: (P, N) posteriors.
        area_m2: (N,).
        truth_row: (P,) the true cell; -1 where it is not in the index.

    Returns:
        (P,) in (0, 1]; infinite where the truth is not in the index or has probability 0.
    """
    masses = np.full(len(p), np.inf)
    for photo in np.flatnonzero(truth_row >= 0):
        row = truth_row[photo]
        density = p[photo] / area_m2
        if density[row] > 0:
            before = density > density[row]
            before[: row + 1] |= density[: row + 1] == density[row]  # ties by row
            masses[photo] = p[photo, before].sum()
    return masses


def conformal_mass(masses: Floats, level: float) -> float:
    """The mass that regions of a level need.

    Args:
        masses: (n,) of :func:`mass_to_reach` for photos that were used for nothing else, each of
            a place of its own, or from :func:`one_a_place`.
        level: share of photos to cover, above 0 and up to 1.

    Returns:
        Infinite where n photos are too few for the level: then only the whole index will do.

    Raises:
        UsageError: there is no such share.
    """
    if not 0 < level <= 1:
        raise UsageError(f"`level` {level:g} is no share of photos: give one above 0 and up to 1")
    # The n + 1 of split conformal prediction counts the new photo; 0.55 * 20 is a little above 11.
    rank = math.ceil(level * (len(masses) + 1) - 1e-9)
    return float(np.sort(masses)[rank - 1]) if rank <= len(masses) else math.inf


def region_mass(masses: Floats, level: float) -> float:
    """The same for a level that people ask for: not every photo can be covered.

    Raises:
        UsageError: the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise UsageError(f"`level` {level:g}: it is a share of photos, between 0 and 1")
    return conformal_mass(masses, level)


def one_a_place(values: Floats, place: Ints, *, above: bool) -> Floats:
    """As many values as there are places, in which each place counts once.

    They stand for hierarchical conformal prediction (https://arxiv.org/abs/2306.06342): a photo of
    a place with m of them counts 1 / m, and a new place takes the weight of one. That holds for a
    random photo of a new place, however many photos each place has and however alike they are. Of
    K places, the k-th value is the smallest that k places' weight does not exceed, so that counts
    of these values are those of the weights, rounded to the safe side.

    Args:
        values: (n,) one a photo; infinity is a value like others.
        place: (n,) which photos are of one place.
        above: whether what is at or above a value will be counted, as in :func:`conformal_mass`,
            or what is at or below.

    Returns:
        (K,) ascending; all of the values where each photo is of a place of its own.
    """
    _, of_place, size = np.unique(place, return_inverse=True, return_counts=True)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(1 / size[of_place][order])
    wanted = np.arange(len(size)) + (1 - _ROUNDED if above else _ROUNDED)
    return np.asarray(values[order][np.searchsorted(reached, wanted)], dtype=np.float64)


def place_weights(place: Ints) -> Floats:
    """(n,) one over the number of photos of the same place."""
    _, of_place, size = np.unique(place, return_inverse=True, return_counts=True)
    return np.asarray(1 / size[of_place], dtype=np.float64)


def region_rows(p: Floats, area_m2: Floats, mass: float) -> Ints:
    """The fewest densest cells with at least a mass: (N,) to rows, densest first.

    Cells of probability 0 come in only where all others do not have the mass.
    """
    return nested_regions(p, area_m2, [mass])[0]


def nested_regions(p: Floats, area_m2: Floats, masses: Sequence[float]) -> list[Ints]:
    """:func:`region_rows` of several masses, the cells sorted once."""
    order = density_order(p, area_m2)
    reached = np.cumsum(p[order])
    positive = np.count_nonzero(p)
    regions = []
    for mass in masses:
        enough = int(np.searchsorted(reached, mass * (1 - _ROUNDING))) + 1
        # Cells too improbable to change the sum: the truth may be the last of them.
        same = int(np.searchsorted(reached, mass * (1 + _ROUNDING), side="right"))
        regions.append(order[: max(enough, min(same, positive))])
    return regions
