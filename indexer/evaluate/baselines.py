"""Baselines of an answer: a cell picked blindly, and the density of photos.

Blind picks need no draw: what is expected of them is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats, Ints
from gair.geo import EARTH_RADIUS_M
from indexer.regions.cell_field import chord_of, unit_vectors

BIN_M = 10.0
"""Distances of blind picks are known to half of this."""

_BLOCK_NUMBERS = 1 << 20
"""Numbers of a (photos, cells) matrix that are held at once; they stay in the cache."""


@dataclass(frozen=True, eq=False)
class BlindPicks:
    """How far cells are from P photos, all of them alike."""

    near: Ints
    """(P, R) how many cells are within each radius."""
    cells: int
    counts: Ints
    """(H,) how many of all pairs are in each bin of :data:`BIN_M` metres."""
    mean_m: Floats
    """(P,) mean distance."""

    def quantile_m(self, share: float, failed: int = 0) -> float:
        """The distance that a share of picks does not exceed; failed photos are infinitely far."""
        reached = np.cumsum(self.counts)
        photos = len(self.near)
        wanted = share * self.cells * (photos + failed) * (1 - 1e-12)
        if not len(reached) or reached[-1] < wanted:
            return float("inf")
        return (float(np.searchsorted(reached, wanted)) + 0.5) * BIN_M

    def share_within(self, distance_m: Floats, failed: int = 0) -> Floats:
        """Share of picks within some distances, (A,) to (A,), to half a bin."""
        pairs = max(1, self.cells * (len(self.near) + failed))
        reached = np.concatenate([[0], np.cumsum(self.counts)]) / pairs
        edges = np.arange(len(reached)) * BIN_M
        return np.asarray(np.interp(distance_m, edges, reached))

    def found(self, k: int) -> Floats:
        """The chance that one of k different blind picks is near: (P, R)."""
        return found_by_chance(self.near, self.cells, k)


def blind_picks(
    photo_lonlat_deg: Floats, cell_lonlat_deg: Floats, radii_m: Sequence[float]
) -> BlindPicks:
    """Count how far all cells are from all photos.

    Args:
        photo_lonlat_deg: (P, 2) the truth.
        cell_lonlat_deg: (C, 2).
        radii_m: what counts as near; an edge is near.
    """
    near = np.zeros((len(photo_lonlat_deg), len(radii_m)), dtype=np.int64)
    mean = np.zeros(len(photo_lonlat_deg))
    counts = np.zeros(0, dtype=np.int64)
    chords = [(chord_of(radius_m) * (1 + 1e-9)) ** 2 for radius_m in radii_m]
    for block, chord_squared in squared_chords(photo_lonlat_deg, cell_lonlat_deg):
        for column, limit in enumerate(chords):
            near[block, column] = np.count_nonzero(chord_squared <= limit, axis=1)
        arc_m = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(chord_squared / 4, 1.0)))
        mean[block] = arc_m.mean(axis=1)
        binned = np.bincount((arc_m / BIN_M).astype(np.int64).ravel(), minlength=len(counts))
        binned[: len(counts)] += counts  # a farther pair of this block may have made it longer
        counts = binned
    return BlindPicks(near, len(cell_lonlat_deg), counts, mean)


def squared_chords(
    photo_lonlat_deg: Floats, cell_lonlat_deg: Floats
) -> Iterator[tuple[slice, Floats]]:
    """Squared straight distances on the unit sphere, (P, C), some photos at a time.

    One matrix product instead of four trigonometric functions a pair; right to 0.2 m, and far
    better from 50 m on.
    """
    photos, cells = unit_vectors(photo_lonlat_deg), unit_vectors(cell_lonlat_deg)
    step = max(1, _BLOCK_NUMBERS // max(1, len(cells)))
    if not len(cells):
        return
    for start in range(0, len(photos), step):
        block = slice(start, start + step)
        yield block, np.clip(2 - 2 * (photos[block] @ cells.T), 0.0, 4.0)


def found_by_chance(near: npt.ArrayLike, count: int, k: int) -> Floats:
    """The chance that one of k different picks of N cells is one of m: 1 - C(N - m, k) / C(N, k).

    Args:
        near: (...) m.
        count: N.
        k: all N are picked where there are fewer.
    """
    m = np.asarray(near, dtype=np.float64)
    missed = np.ones(m.shape)
    for picked in range(min(k, count)):  # the next pick misses, given that all before did
        missed *= np.maximum(count - m - picked, 0) / (count - picked)
    return 1 - missed


def photo_density(
    cell_lonlat_deg: Floats, area_m2: Floats, photo_lonlat_deg: Floats
) -> tuple[Floats, float]:
    """Where photos are usually taken: a Gaussian kernel on each of some photos.

    The kernel's standard deviation is Scott's: the photos' own in the plane, over the sixth root of
    their number (https://doi.org/10.1002/9780470316849).

    Args:
        cell_lonlat_deg: (N, 2).
        area_m2: (N,).
        photo_lonlat_deg: (M, 2), one or more; NaN is passed over.

    Returns:
        (N,) probabilities of the cells, and the standard deviation in metres.
    """
    placed = photo_lonlat_deg[np.isfinite(photo_lonlat_deg).all(axis=1)]
    spots, times = np.unique(unit_vectors(placed), axis=0, return_counts=True)
    share = times / times.sum()
    # 1 - |mean|^2 is the summed variance of unit vectors, of which the tangent plane has two axes.
    spread = float(np.sqrt(max(1 - ((share @ spots) ** 2).sum(), 0.0) / 2))
    # Photos of one spot have no spread; a cell's own size is the least that can be told apart.
    least = float(np.sqrt(area_m2.mean())) / EARTH_RADIUS_M
    bandwidth = max(spread * len(placed) ** (-1 / 6), least)
    density = np.full(len(cell_lonlat_deg), 1e-12)  # nowhere is impossible
    cells = unit_vectors(cell_lonlat_deg)
    step = max(1, _BLOCK_NUMBERS // max(1, len(spots)))
    for start in range(0, len(cells), step):
        block = slice(start, start + step)
        chord_squared = np.clip(2 - 2 * (cells[block] @ spots.T), 0.0, 4.0)
        density[block] += np.exp(-0.5 * chord_squared / bandwidth**2) @ share
    p = density * area_m2
    return p / p.sum(), bandwidth * EARTH_RADIUS_M
