"""Conformal regions: the smallest set of cells that holds the truth as often as it says.

A region of level 0.9 is filled with cells from the densest down (probability per area), so it is
the smallest one with its mass. How much mass that takes is not read off the posterior, which may be
over- or underconfident, but from photos whose place is known (split conformal prediction,
https://arxiv.org/abs/2107.07511): the mass that a region needs to reach the truth is measured on
each of n photos, and the ceil(0.9 (n + 1))-th smallest is used from then on. A new photo from the
same places as those is then inside with a probability of at least 0.9, whatever the model.

Photos of one place are alike: what is counted is places (:func:`one_a_place`).

One mass for all photos holds on average over them, and no more: regions of answers that are sure of
their place then hold more than they say, and others less. So masses are measured within groups of
photos (:class:`GroupedMasses`; Mondrian conformal prediction, section 4.1 of the same): by how sure
the answer is, and by the condition of the photo where the calibration photos have several.

Where :func:`mass_to_reach` of the truth is at most a mass, :func:`region_rows` of that mass holds
the truth; where the region holds it, the mass is more than what :func:`mass_to_reach` says without
the true cell itself.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gair.arrays import Floats, Ints
from gair.errors import UsageError
from indexer.regions.highest import highest_rows

MOST_GROUPS = 5
"""Groups of how sure answers are."""
FEWEST_IN_GROUP = 60
"""Places that each group has at least; conditions with fewer are put together with all others."""

FIRST_LOOK = 1024
"""Cells that are sorted at first for a region."""

_ROUNDING = 1e-10
"""Sums of the same probabilities in another order differ by less than this share."""
_ROUNDED = 1e-7
"""Weights of places add up to whole numbers but for this."""


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


def nested_regions(
    p: Floats, area_m2: Floats, masses: Sequence[float], densest: Ints | None = None
) -> list[Ints]:
    """:func:`region_rows` of several masses, the cells sorted once.

    Args:
        p: (N,).
        area_m2: (N,).
        masses: of the regions.
        densest: some of the densest cells, from :func:`highest_rows`, where they are at hand.
    """
    # A region holds few of the cells as a rule: so many are sorted, and more where they lack mass.
    most, look = max(masses) * (1 + _ROUNDING), FIRST_LOOK
    order = highest_rows(p / area_m2, look) if densest is None else densest
    while True:
        reached = np.cumsum(p[order])
        if len(order) == len(p) or reached[-1] > most:
            break
        look *= 8
        order = highest_rows(p / area_m2, look)
    positive = np.count_nonzero(p)
    regions = []
    for mass in masses:
        enough = int(np.searchsorted(reached, mass * (1 - _ROUNDING))) + 1
        # Cells too improbable to change the sum: the truth may be the last of them.
        same = int(np.searchsorted(reached, mass * (1 + _ROUNDING), side="right"))
        regions.append(order[: max(enough, min(same, positive))])
    return regions


@dataclass(frozen=True, eq=False)
class GroupedMasses:
    """Masses that regions need, by the condition of photos and by how sure their answers are."""

    mass: Floats
    """(m,) of :func:`mass_to_reach` for photos that were used for nothing else."""
    sureness: Floats
    """(m,) posterior mass of the best place of each."""
    place: Ints
    """(m,) which of them are of one place."""
    named: Ints
    """(m,) the condition that the list names, as a row of ``names``; -1 for none."""
    guessed: Ints
    """(m,) the condition that each looks like; -1 for none."""
    names: tuple[str, ...] = ()
    """Of conditions."""

    def of(self, sureness: float, *, named: str = "", guessed: str = "") -> Floats:
        """The masses of photos like one, one a place, ascending.

        Args:
            sureness: posterior mass of its best place.
            named: its condition, as somebody says; empty where nobody does.
            guessed: the condition that it looks like; used where none is named.
        """
        key = named, "" if named else guessed
        if key not in self._kept:
            self._kept[key] = self._by_sureness(self._of_condition(named, guessed))
        edges, masses = self._kept[key]
        return masses[int(np.searchsorted(edges, sureness, side="right"))]

    @functools.cached_property
    def _kept(self) -> dict[tuple[str, str], tuple[Floats, list[Floats]]]:
        """What :meth:`_by_sureness` gave of each condition that was asked for."""
        return {}

    def _by_sureness(self, rows: Ints) -> tuple[Floats, list[Floats]]:
        """Where groups of some photos begin, but for the first, and the masses of each group."""
        sureness, place = self.sureness[rows], self.place[rows]
        groups = min(MOST_GROUPS, max(1, len(np.unique(place)) // FEWEST_IN_GROUP))
        edges = _edges(sureness, place_weights(place), groups)
        group = np.searchsorted(edges, sureness, side="right")
        masses = []
        for number in range(len(edges) + 1):
            mass = one_a_place(self.mass[rows][group == number], place[group == number], above=True)
            mass.flags.writeable = False  # many answers share it
            masses.append(mass)
        return edges, masses

    def knows(self, condition: str) -> bool:
        """Whether so many places of a condition were measured at that it has masses of its own."""
        if condition not in self.names:
            return False
        of_condition = self.named == self.names.index(condition)
        return len(np.unique(self.place[of_condition])) >= FEWEST_IN_GROUP

    def taken(self, rows: Ints) -> GroupedMasses:
        """Those of some photos."""
        return GroupedMasses(
            self.mass[rows],
            self.sureness[rows],
            self.place[rows],
            self.named[rows],
            self.guessed[rows],
            self.names,
        )

    def _of_condition(self, named: str, guessed: str) -> Ints:
        """Rows of photos of a condition; all of them where there are too few."""
        everything = np.arange(len(self.mass))
        of_photo, name = (self.named, named) if named else (self.guessed, guessed)
        if name not in self.names:
            return everything
        rows = np.flatnonzero(of_photo == self.names.index(name))
        return rows if len(np.unique(self.place[rows])) >= FEWEST_IN_GROUP else everything


def _edges(values: Floats, times: Floats, groups: int) -> Floats:
    """Where groups of (n,) values with as much weight each begin, but for the first: ascending.

    There are fewer where values are equal; each group has a value.
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(times[order]) / times.sum()
    wanted = np.arange(1, groups) / groups
    edges = np.unique(values[order][np.searchsorted(reached, wanted + _ROUNDED, side="right")])
    return np.asarray(edges[edges > values.min()])
