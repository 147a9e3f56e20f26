"""From scores over cells to a short list of places that are really different places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.geo import haversine_m

APART_RADII = 2.0
"""Likely places are this many merge radii apart, so that no cell is in the discs of two."""

_FIRST_LOOK = 1024
"""Cells sorted at first; more only if they merge into too few places."""


@dataclass(frozen=True)
class Place:
    """A cell and the nearby, lower-scored cells it stands for."""

    row: int
    merged: int
    spread_m: float


def distinct_places(
    scores: npt.NDArray[np.floating],
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


def _best_rows(scores: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.int64]:
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
    nearest_m = np.full(len(rows), np.inf)  # from each cell to its nearest peak ...
    owner = np.full(len(rows), -1)  # ... and which one that is
    peaks: list[int] = []
    for position in range(len(rows)):
        if len(peaks) == k:
            break
        if nearest_m[position] > merge_radius_m:
            distance_m = haversine_m(points, points[position])
            closer = distance_m < nearest_m  # of two equally near peaks, the better one
            nearest_m[closer] = distance_m[closer]
            owner[closer] = len(peaks)
            peaks.append(position)
    within = nearest_m <= merge_radius_m
    members = np.bincount(owner[within], minlength=len(peaks))
    spread_m = np.zeros(len(peaks))
    np.maximum.at(spread_m, owner[within], nearest_m[within])
    return [
        Place(int(rows[peak]), int(members[number]) - 1, float(spread_m[number]))
        for number, peak in enumerate(peaks)
    ]
