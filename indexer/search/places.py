"""Distinct places from scores over cells: the best cells that are not near a better one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gair.arrays import Floats, Ints
from gair.geo import haversine_m
from indexer.regions.highest import highest_rows

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
    lonlat_deg: Floats,
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
    for rows in _more_and_more(scores, k):
        places = _merge(rows, lonlat_deg, k, merge_radius_m)
        if len(places) == k:
            break
    return places


def first_rows(scores: npt.NDArray[np.floating], near: csr_array, k: int) -> list[Ints]:
    """The rows that :func:`distinct_places` names for each photo, from neighbours known before.

    For many photos, whose places are at the same distance: see :meth:`SearchSpace.discs`.

    Args:
        scores: (P, N) higher is better; equal ones go by row.
        near: (N, N) which cells are within the merge radius of each, itself among them.
        k: how many places.

    Returns:
        Of each photo at most k rows, best first.
    """
    start = near.indptr.tolist()
    neighbour = near.indices.astype(np.intp)  # NumPy would turn each slice into this
    return [_first_rows(of_photo, start, neighbour, k) for of_photo in scores]


def _first_rows(
    scores: npt.NDArray[np.floating], start: list[int], neighbour: Ints, k: int
) -> Ints:
    # The same memory twice: one row is looked up in the bytes, and many are marked in the array.
    taken = bytearray(len(scores))
    marks = np.frombuffer(taken, dtype=np.uint8)
    places: list[int] = []
    done = 0
    for rows in _more_and_more(scores, k):
        for row in rows[done:].tolist():  # more rows begin with those before
            if taken[row]:
                continue
            places.append(row)
            if len(places) == k:
                return np.array(places, dtype=np.int64)
            marks[neighbour[start[row] : start[row + 1]]] = 1
        done = len(rows)
    return np.array(places, dtype=np.int64)


def _more_and_more(scores: npt.NDArray[np.floating], k: int) -> Iterator[Ints]:
    """Rows of the best scores, best first: some at first, then ever more, at last all."""
    look = min(len(scores), max(_FIRST_LOOK, 16 * k))
    yield highest_rows(scores, look)
    while look < len(scores):
        look = min(len(scores), 8 * look)
        yield highest_rows(scores, look)


def _merge(
    rows: Ints,
    lonlat_deg: Floats,
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
