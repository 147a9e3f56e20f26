"""Places that photos were taken at: which photos of a list belong together.

Photos of one street are alike in their place, their light and their camera, so a hundred of them
tell little more than ten. What is counted must therefore be places, not photos. Photos are of one
place that are

* of one *sequence*, where the list names sequences;
* of one *drive*: each taken within a minute and 500 m of another, by clocks that both photos carry;
* or near each other: linked by steps of at most 100 m (single linkage). Where photos are so many
  that such steps lead through a whole town, it is cut into discs of that radius.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from gair.arrays import Floats, Ints
from gair.geo import EARTH_RADIUS_M
from indexer.probability.out_of_index import NEAR_M
from indexer.regions.cell_field import chord_of, unit_vectors

if TYPE_CHECKING:
    from indexer.photos.listing import ListedPhoto

DRIVE_M = 500.0
"""The longest way between two photos of a drive."""
DRIVE_S = 60.0
"""The longest pause between two photos of a drive."""

_WIDEST_M = 4 * NEAR_M
"""Linked photos farther apart than this are more than one place."""


def places_of(photos: Sequence[ListedPhoto], lonlat_deg: Floats) -> Ints:
    """The place of each photo.

    Args:
        photos: P listed photos.
        lonlat_deg: (P, 2) where they were taken; NaN where that is unknown. Such a photo is of a
            place of its own, unless its sequence is named.

    Returns:
        (P,) numbers from 0, in the order in which places are first listed.
    """
    return place_numbers(
        [photo.sequence for photo in photos], [photo.captured_at for photo in photos], lonlat_deg
    )


def place_numbers(
    sequences: Sequence[str], captured_at: Sequence[str | None], lonlat_deg: Floats
) -> Ints:
    """The same of what is known of P photos: their sequences, moments and (P, 2) places."""
    place = np.arange(len(sequences))
    names = np.array(sequences, dtype=np.str_)
    named = np.flatnonzero(names != "")
    _, first, of_name = np.unique(names[named], return_index=True, return_inverse=True)
    place[named] = named[first][of_name]
    rest = np.flatnonzero((names == "") & np.isfinite(lonlat_deg).all(axis=1))
    points = unit_vectors(lonlat_deg[rest])
    drive = _drives(points, np.array([clock_seconds(captured_at[row]) for row in rest.tolist()]))
    place[rest] = rest[drive]
    single = np.bincount(drive, minlength=len(rest))[drive] == 1
    place[rest[single]] = rest[single][_near(points[single])]
    return numbered(place)


def numbered(labels: Ints) -> Ints:
    """(P,) labels as numbers from 0, in the order in which they come first."""
    _, first, of_label = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[of_label].astype(np.int64)


def clock_seconds(captured_at: str | None) -> float:
    """A moment since 1970; NaN for a day without a clock, or a clock that was never set."""
    try:
        moment = datetime.fromisoformat(captured_at or "")
    except ValueError:
        return float("nan")
    if moment.time() == time(0):
        return float("nan")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _drives(points: Floats, seconds: Floats) -> Ints:
    """The first photo, by its clock, of each photo's drive: (Q, 3) and (Q,) to (Q,) rows."""
    drive = np.arange(len(points))
    timed = np.flatnonzero(np.isfinite(seconds))
    if len(timed) < 2:
        return drive
    # One tree of time and place: within the unit cube of minute and 500 m, then exactly.
    scaled = points[timed] / chord_of(DRIVE_M)
    both = np.column_stack([scaled, (seconds[timed] - seconds[timed].min()) / DRIVE_S])
    pairs = KDTree(both).query_pairs(1.0, p=np.inf, output_type="ndarray")
    away = np.linalg.norm(scaled[pairs[:, 0]] - scaled[pairs[:, 1]], axis=1)
    drive[timed] = timed[_components(pairs[away <= 1], len(timed))]
    return drive


def _near(points: Floats) -> Ints:
    """One photo, the same for all of a place, that stands for each: (Q, 3) to (Q,) rows."""
    if not len(points):
        return np.empty(0, dtype=np.int64)
    # In an order of their own, so that it does not matter how photos are listed.
    spots, first, of_spot = np.unique(points, axis=0, return_index=True, return_inverse=True)
    tree, reach = KDTree(spots), chord_of(NEAR_M)
    linked = _components(tree.query_pairs(reach, output_type="ndarray"), len(spots))
    order = np.argsort(linked, kind="stable")
    starts = np.flatnonzero(np.diff(linked[order], prepend=-1))
    span = np.maximum.reduceat(spots[order], starts) - np.minimum.reduceat(spots[order], starts)
    wide = np.linalg.norm(span, axis=1) * EARTH_RADIUS_M > _WIDEST_M
    place = linked.copy()
    place[np.isin(linked, linked[order[starts[wide]]])] = -1
    for spot in np.flatnonzero(place < 0):
        if place[spot] < 0:
            disc = np.array(tree.query_ball_point(spots[spot], reach))
            place[disc[place[disc] < 0]] = spot
    return np.asarray(first[place][of_spot.reshape(-1)], dtype=np.int64)


def _components(pairs: Ints, count: int) -> Ints:
    """The first of those that pairs link to each of ``count``."""
    ones = np.ones(len(pairs), dtype=np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    return np.asarray(first[component], dtype=np.int64)
