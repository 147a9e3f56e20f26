"""Distances, recalls, ranks and searched area from answers and truths.

NumPy on plain arrays. Distances are great-circle metres on the mean sphere, and a radius includes
its edge (``<=``). An answer that failed is infinitely far away and stays in every denominator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats, Ints, Scores
from gair.errors import UsageError
from gair.geo import EARTH_RADIUS_M, haversine_m
from indexer.regions.cell_field import unit_vectors
from indexer.regions.highest import highest_rows

RADII_M = (50.0, 100, 200, 500, 1e3, 2e3, 5e3, 25e3, 200e3, 750e3, 2500e3)
"""How near counts as found; the last four are those of worldwide benchmarks, with 1 km."""

KS = (1, 10, 100)
"""How many of the best may be looked at."""

WORLDWIDE_M = 2500e3
"""An index that spans more than this is worldwide."""

_GEOSCORE_SCALE_M = 1492.7e3


def cell_floor_m(area_m2: Floats) -> float:
    """From the centre of a mean cell to its corner: within less, even the right cell may not be.

    A cell is taken for a regular hexagon. A square cell's corner is side / sqrt(2) away, which is
    the least radius that is reported for square cells elsewhere
    (https://github.com/fferflo/statewide-visual-geolocalization).
    """
    return math.sqrt(2 * float(np.mean(area_m2)) / (3 * math.sqrt(3)))


def shown_radii(floor_m: float, radii_m: Sequence[float] = RADII_M) -> list[float]:
    """The radii that cells of some size can be judged by."""
    return [radius_m for radius_m in radii_m if radius_m >= floor_m]


def span_m(lonlat_deg: Floats) -> float:
    """How far cells reach: twice the farthest one's distance from their centre of mass, (N, 2)."""
    x, y, z = unit_vectors(lonlat_deg).mean(axis=0)
    if math.hypot(x, y, z) < 1e-9:  # they surround the globe
        return math.pi * EARTH_RADIUS_M
    centre = np.degrees([math.atan2(y, x), math.atan2(z, math.hypot(x, y))])
    return 2 * float(haversine_m(lonlat_deg, centre).max())


def geoscores(error_m: Floats) -> Floats:
    """5000 exp(-error / 1492.7 km), the score of worldwide benchmarks: (P,) to (P,); 0 if failed.

    Ten kilometres off still score 4967, so it says nothing about an index of a city.
    """
    return np.asarray(5000 * np.exp(-error_m / _GEOSCORE_SCALE_M))


def within(distance_m: Floats, radii_m: Sequence[float]) -> Bools:
    """Whether each of (P,) distances is within each radius: (P, R); NaN is not."""
    return np.asarray(distance_m[:, None] <= np.asarray(radii_m)[None])


def rank_distances(
    scores: Scores,
    photo_lonlat_deg: Floats,
    cell_lonlat_deg: Floats,
    k: int,
    *,
    seed: int = 0,
    numbers: npt.ArrayLike | None = None,
    highest: Sequence[Ints] | None = None,
) -> Floats:
    """How far the best cells of each photo are from the truth.

    Cells of equal score come in a random order that depends on the seed and the photo's number
    only. Where a whole frame has one vector, the order of rows would favour one of its corners.

    Args:
        scores: (P, C), higher is better.
        photo_lonlat_deg: (P, 2) the truth.
        cell_lonlat_deg: (C, 2).
        k: how many of the best cells.
        seed: of the order among equals.
        numbers: (P,) the photos' numbers, where these are some of more; 0, 1, 2, ... if None.
        highest: of each photo, k or more of the best from :func:`highest_rows`, if at hand.

    Returns:
        (P, k) metres, best cell first; infinite where there are fewer than k cells, or where a
        photo has a score that is not a number.

    Raises:
        UsageError: the shapes do not agree, or k is less than 1.
    """
    if scores.shape != (len(photo_lonlat_deg), len(cell_lonlat_deg)) or k < 1:
        raise UsageError(
            f"scores have shape {scores.shape} for {len(photo_lonlat_deg)} photos and "
            f"{len(cell_lonlat_deg)} cells, k is {k}: expected (photos, cells) and k from 1"
        )
    order_of = np.arange(len(scores)) if numbers is None else np.asarray(numbers)
    distances = np.full((len(scores), k), np.inf)
    if not len(cell_lonlat_deg):
        return distances
    photos = np.flatnonzero(~np.isnan(scores.max(axis=1)))
    best = np.empty((len(photos), min(k, len(cell_lonlat_deg))), dtype=np.int64)
    for number, photo in enumerate(photos.tolist()):
        row = scores[photo]
        first = (highest_rows(row, k) if highest is None else highest[photo])[: k + 1]
        falling = row[first]
        if (falling[1:] < falling[:-1]).all():  # no two are equal: nothing is left to chance
            best[number] = first[:k]
        else:
            best[number] = _best(row, k, np.random.default_rng([seed, int(order_of[photo])]))
    away_m = haversine_m(cell_lonlat_deg[best], photo_lonlat_deg[photos][:, None])
    distances[photos, : best.shape[1]] = away_m
    return distances


def _best(row: Scores, k: int, rng: np.random.Generator) -> Ints:
    """The k highest of (C,) scores, highest first, equals in random order."""
    cells = np.arange(len(row))
    if k < len(row):
        threshold = np.partition(row, len(row) - k)[len(row) - k]
        above, equal = np.flatnonzero(row > threshold), np.flatnonzero(row == threshold)
        if len(equal) > k - len(above):
            equal = rng.choice(equal, size=k - len(above), replace=False)
        cells = np.concatenate([above, equal])
    order = np.lexsort((rng.random(len(cells)), -row[cells]))
    return np.asarray(cells[order], dtype=np.int64)


def nearest_of_first(distance_m: Floats, ks: Sequence[int]) -> Floats:
    """The nearest of the first k, for each k: (P, K) distances in order of rank to (P, len(ks)).

    Where there are fewer than k, the nearest of all.
    """
    if not distance_m.shape[1]:
        return np.full((len(distance_m), len(ks)), np.inf)
    nearest = np.minimum.accumulate(distance_m, axis=1)
    return nearest[:, [min(k, nearest.shape[1]) - 1 for k in ks]]


def rank_and_area(
    scores: Scores, area_m2: Floats, truth_row: Ints, highest: Sequence[Ints] | None = None
) -> tuple[Floats, Floats]:
    """How many cells, and how much area, are looked at until the true cell is.

    Cells are looked at from the best score down. Cells of one score come in any order: what is
    given is the mean over all orders.

    Args:
        scores: (P, N), higher is better.
        area_m2: (N,).
        truth_row: (P,) the true cell; -1 where it is not in the index.
        highest: of each photo, some of the best from :func:`highest_rows`, if at hand: where the
            true cell is among them, no others are looked at.

    Returns:
        (P,) ranks, 1 for the best, and (P,) square metres, the true cell's own included; infinite
        where the true cell is not in the index.
    """
    rank, area = np.full(len(scores), np.inf), np.full(len(scores), np.inf)
    for photo in np.flatnonzero(truth_row >= 0).tolist():
        row, own = scores[photo], truth_row[photo]
        # The mean over all orders: half of the equal cells come before the true one.
        cells = np.empty(0, dtype=np.int64) if highest is None else highest[photo]
        if len(cells) and row[own] >= row[cells[-1]]:
            cells = np.sort(cells)  # sums of areas are rounded as those of all cells are
            better, equal = cells[row[cells] > row[own]], cells[row[cells] == row[own]]
        else:
            better, equal = np.flatnonzero(row > row[own]), np.flatnonzero(row == row[own])
        others = len(equal) - 1
        rank[photo] = 1 + len(better) + others / 2
        area[photo] = area_m2[better].sum() + area_m2[own]
        if others:
            area[photo] += (area_m2[equal].sum() - area_m2[own]) / 2
    return rank, area


def recall_by_area(searched_km2: Floats, at_km2: Sequence[float] | Floats) -> Floats:
    """Share of photos whose true cell is among the best cells of each area: (P,), (A,) to (A,).

    Recall against area, as in https://arxiv.org/abs/2407.13862.
    """
    ranked = np.sort(searched_km2)
    count = np.searchsorted(ranked, np.asarray(at_km2, dtype=np.float64), side="right")
    return np.asarray(count / max(1, len(ranked)), dtype=np.float64)
