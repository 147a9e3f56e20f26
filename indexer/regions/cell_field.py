"""Neighbourhoods of cells, and sums over them.

Distances are great-circle metres; cells are found by a k-d tree over points of the unit sphere, so
nothing is special at the antimeridian or the poles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, vstack
from scipy.spatial import KDTree

from gair.arrays import Bools, Floats, Ints
from gair.geo import EARTH_RADIUS_M

BLUR_REACH = 3.0
"""A Gaussian neighbourhood ends at this many standard deviations."""

_GROUPS_A_DISC = 256
"""Groups of neighbours in a disc: fewer have longer rims, more take longer to go through."""
_GROUP_CELLS = (16, 512)
"""The smallest and the largest such group."""
_PAIRS_AT_ONCE = 2_000_000
"""Pairs of cells whose distance is looked at together: 16 MB an array."""
_ROUNDING = 1e-9
"""Of a distance: what is that near the limit is looked at cell by cell."""
_COSINE_ROUNDING = 1e-14
"""Of the cosine of two points of the unit sphere."""
_POINTS_AT_ONCE = 4096
"""Points whose neighbours are looked up together: few enough to stay in the cache."""


def unit_vectors(lonlat_deg: npt.ArrayLike) -> Floats:
    """(N, 2) degrees to (N, 3) points of the unit sphere."""
    lon, lat = np.radians(np.asarray(lonlat_deg, dtype=np.float64).reshape(-1, 2)).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def chord_of(arc_m: float) -> float:
    """The straight line, in Earth radii, between the ends of a great-circle arc."""
    return float(2 * np.sin(min(arc_m / EARTH_RADIUS_M, np.pi) / 2))


def spacing_m(area_m2: Floats) -> float:
    """Mean distance between the centres of neighbouring cells of (N,) areas."""
    return float(np.sqrt(area_m2.mean() * 2 / np.sqrt(3)))


@dataclass(frozen=True, eq=False)
class Discs:
    """Which cells lie in each of some discs, row by row."""

    matrix: csr_array
    """(C, N), 1 where the centre of cell n lies within the radius of disc c."""

    def sums(self, values: npt.NDArray[np.floating]) -> Floats:
        """What the cells of each disc add up to: (P, N) to (P, C)."""
        return np.asarray(self.matrix @ np.asarray(values, dtype=np.float64).T).T

    def rows(self, disc: int) -> Ints:
        """The cells of one disc, ascending."""
        start, end = self.matrix.indptr[disc : disc + 2]
        return np.sort(self.matrix.indices[start:end]).astype(np.int64)


class CellField:
    """The cells of an index as points and areas; safe to share between threads."""

    def __init__(self, lonlat_deg: Floats, area_m2: Floats) -> None:
        """Take (N, 2) centres and (N,) areas."""
        self.lonlat_deg = lonlat_deg
        self.area_m2 = area_m2
        self._tree = KDTree(unit_vectors(lonlat_deg))

    def __len__(self) -> int:
        return len(self.area_m2)

    @property
    def spacing_m(self) -> float:
        """Mean distance between the centres of neighbouring cells."""
        return spacing_m(self.area_m2)

    def nearest(self, lonlat_deg: npt.ArrayLike) -> tuple[Ints, Floats]:
        """The nearest centre to each of (Q, 2) points: rows and metres."""
        chord, row = self._tree.query(unit_vectors(lonlat_deg))
        return np.asarray(row, dtype=np.int64), arc_m(np.asarray(chord))

    def discs(self, lonlat_deg: npt.ArrayLike, radius_m: float) -> Discs:
        """The cells around each of (C, 2) points."""
        blocks = []
        for near in self._near(unit_vectors(lonlat_deg), radius_m):
            near.data[:] = 1.0
            blocks.append(near)
        return Discs(self._stacked(blocks))

    def chords(self, lonlat_deg: npt.ArrayLike, radius_m: float) -> csr_array:
        """Chords of the unit sphere from (C, 2) points to the cells within a radius: (C, N).

        Cells of a point ascend. Pairs farther apart are not stored, pairs at 0 are.
        """
        near = self._stacked(list(self._near(unit_vectors(lonlat_deg), radius_m)))
        near.sort_indices()
        return near

    def disc_cells(self, radius_m: float) -> float:
        """About how many cells lie within a radius of one."""
        return min(float(len(self)), np.pi * radius_m**2 / float(self.area_m2.mean()) + 1)

    def disc_sums(self, values: npt.NDArray[np.floating], radius_m: float) -> Floats:
        """What the cells around each cell add up to, (P, N) to (P, N), without the pairs in memory.

        As :meth:`Discs.sums` of :meth:`discs` around every cell, for radii that hold so many cells
        that their pairs would not fit. Cells are taken in groups of neighbours: what lies within
        the radius of all of a group is added up once, and only those at the rim are looked at cell
        by cell.
        """
        of_cells = np.asarray(values, dtype=np.float64)
        reach, points = chord_of(radius_m), np.asarray(self._tree.data)
        inside = self.disc_cells(radius_m)
        size = int(np.clip(inside / _GROUPS_A_DISC, *_GROUP_CELLS))
        near_all = inside > len(self) / 8  # then the tree saves nothing
        everything = np.arange(len(self))
        sums = np.empty_like(of_cells)
        for start in range(0, len(self), size):
            group = np.asarray(self._tree.indices[start : start + size])
            centre = points[group].mean(axis=0)
            # Chords are straight lines in space, so the triangle inequality holds for them.
            wide = float(np.linalg.norm(points[group] - centre, axis=1).max()) * (1 + _ROUNDING)
            near = everything
            if not near_all:
                at_most = (reach + wide) * (1 + _ROUNDING)
                near = np.asarray(self._tree.query_ball_point(centre, at_most), dtype=np.int64)
            away = np.linalg.norm(points[near] - centre, axis=1)
            within = away < (reach - wide) * (1 - _ROUNDING)
            rim = near[~within & (away <= (reach + wide) * (1 + _ROUNDING))]
            sums[:, group] = of_cells[:, near[within]].sum(axis=1)[:, None]
            step = max(1, _PAIRS_AT_ONCE // len(group))
            for first in range(0, len(rim), step):
                some = rim[first : first + step]
                inner = _within(points[group], points[some], reach).astype(np.float64)
                sums[:, group] += of_cells[:, some] @ inner.T
        return sums

    def blur(self, spread_m: float) -> csr_array | None:
        """A matrix that averages cells over a Gaussian neighbourhood, by area.

        Args:
            spread_m: standard deviation, metres.

        Returns:
            (N, N), rows add up to 1; None where the spread is 0 or so small that nothing changes.
        """
        if spread_m <= 0:
            return None
        blocks = []
        for near in self._near(np.asarray(self._tree.data), BLUR_REACH * spread_m):
            weight = np.exp(-0.5 * (arc_m(near.data) / spread_m) ** 2)
            weight *= self.area_m2[near.indices]
            # Sums a row: reduceat needs rows that are not empty, and each cell is near itself.
            total = np.add.reduceat(weight, near.indptr[:-1])
            near.data[:] = weight / np.repeat(total, np.diff(near.indptr))
            blocks.append(near)
        matrix = self._stacked(blocks)
        return matrix if matrix.nnz > len(self) else None

    def _near(self, points: Floats, radius_m: float) -> Iterator[csr_array]:
        """Some of (C, 3) points after the others: their chords to the cells within a radius."""
        for start in range(0, len(points), _POINTS_AT_ONCE):
            yield chords_within(points[start : start + _POINTS_AT_ONCE], self._tree, radius_m)

    def _stacked(self, blocks: list[csr_array]) -> csr_array:
        return vstack(blocks, format="csr") if blocks else csr_array((0, len(self)))


def _within(some: Floats, others: Floats, reach: float) -> Bools:
    """Which of (G, 3) and (B, 3) points of the unit sphere are within a chord: (G, B)."""
    # A product is much quicker than differences; where it rounds too much, these decide.
    cosines, limit = some @ others.T, 1 - reach**2 / 2
    inner = cosines >= limit
    row, column = np.nonzero(np.abs(cosines - limit) < _COSINE_ROUNDING)
    inner[row, column] = ((some[row] - others[column]) ** 2).sum(axis=1) <= reach**2
    return np.asarray(inner)


def chords_within(points: Floats, tree: KDTree, radius_m: float) -> csr_array:
    """Chords between (r, 3) points of the unit sphere and those of a tree within a radius: (r, n).

    Pairs farther apart are not stored.
    """
    pairs = KDTree(points).sparse_distance_matrix(tree, chord_of(radius_m), output_type="ndarray")
    where = (pairs["i"].astype(np.int32), pairs["j"].astype(np.int32))
    return csr_array((pairs["v"], where), shape=(len(points), tree.n))


def arc_m(chord: Floats) -> Floats:
    """Metres along the sphere between points that are chords of the unit sphere apart."""
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.clip(chord / 2, 0.0, 1.0)))
