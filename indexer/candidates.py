"""From scores over cells to a short list of places that are really different places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.geo import haversine_m

_FIRST_LOOK = 1024
"""Cells sorted at first; more only if they merge into too few places."""


@dataclass(frozen=True)
class Place:
    """A cell and the nearby, lower-scored cells it stands for."""

    row: int
    merged: int
    spread_m: float


def distinct_places(
    scores: npt.NDArray[np.float32],
    lonlat_deg: npt.NDArray[np.float64],
    k: int,
    merge_radius_m: float,
) -> list[Place]:
    """The k best cells, no two of them within the merge radius.

    Cells are taken from the best down; one that lies within the radius of a better place is merged
    into the nearest such place. Equal scores go by row, so the answer never depends on chance.

    Args:
        scores: (N,) one score a cell.
        lonlat_deg: (N, 2) cell centres.
        k: how many places.
        merge_radius_m: great-circle metres.

    Returns:
        At most k places, best first; fewer only if all cells merged.
    """
    look = min(len(scores), max(_FIRST_LOOK, 16 * k))
    while True:
        places = _merge(_best_rows(scores, look), lonlat_deg, k, merge_radius_m)
        if len(places) == k or look == len(scores):
            return places
        look = min(len(scores), 8 * look)


def _best_rows(scores: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int64]:
    """Rows of the best scores, best first, ties by row."""
    rows = np.arange(len(scores))
    if count < len(scores):
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
        rows = np.flatnonzero(scores >= threshold)
    order = np.lexsort((rows, -scores[rows]))
    return np.asarray(rows[order])


def _merge(
    rows: npt.NDArray[np.int64],
    lonlat_deg: npt.NDArray[np.float64],
    k: int,
    merge_radius_m: float,
) -> list[Place]:
    points = lonlat_deg[rows]
    open_ = np.ones(len(rows), dtype=bool)
    peaks: list[int] = []
    # Pick peaks from the best down, each closing the cells around it ...
    for position in range(len(rows)):
        if len(peaks) == k:
            break
        if open_[position]:
            peaks.append(position)
            open_ &= haversine_m(points, points[position]) > merge_radius_m
    # ... then give every closed cell to its nearest peak.
    distance = np.stack([haversine_m(points, points[p]) for p in peaks])  # (peaks, cells)
    nearest = distance.argmin(axis=0)
    within = distance.min(axis=0) <= merge_radius_m
    places = []
    for number, peak in enumerate(peaks):
        mine = within & (nearest == number)
        mine[peak] = False
        spread = float(distance[number, mine].max()) if mine.any() else 0.0
        places.append(Place(int(rows[peak]), int(mine.sum()), spread))
    return places
