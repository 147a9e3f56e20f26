"""Places of answers about held-out photos: the mass of their discs, and which hold the truth.

The best guess alone is examined in :mod:`indexer.calibrate.held_out`; here it is every place that
an answer refines, because each is shown with a chance of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gair.arrays import Bools, Floats
from gair.geo import haversine_m
from indexer.calibrate.held_out import HeldOut
from indexer.probability.posterior import ScoreWeights
from indexer.search.places import first_rows
from indexer.search.query import Query
from indexer.search.ranking import MOST_REFINED, ground_readings, refine_options
from indexer.search.refine import Refining, refined_points
from indexer.search.scored import posteriors, scores_for
from indexer.search.space import SearchSpace

MOST_PHOTOS = 400
"""Photos whose places are examined: refining all places costs as much as a search."""


@dataclass(frozen=True, eq=False)
class Places:
    """Discs of the first places of each photo."""

    mass: Floats
    """(P, K) posterior mass; NaN where a photo has fewer places."""
    inside: Bools
    """(P, K) whether the photo was taken in the disc."""


def examine_places(
    space: SearchSpace, weights: ScoreWeights, photos: HeldOut
) -> tuple[Places, Places | None]:
    """Look at the places of the first :data:`MOST_PHOTOS` photos.

    Args:
        space: the cells.
        weights: that were fitted on other photos.
        photos: whose place is known, in no order that matters.

    Returns:
        Around the centres of cells; and around refined points, or None where the index has no
        token maps.
    """
    count, radius_m = min(len(photos), MOST_PHOTOS), space.merge_radius_m
    near = space.discs(weights.apart_radii * radius_m).matrix
    options = refine_options(space, Query(), weights)
    centre, refined = _room_for(count), None if space.reader is None else _room_for(count)
    for block in space.blocks(count):
        block = slice(block.start, min(block.stop, count))
        s = photos.s[block]
        scores = scores_for(space, s, weights)
        ground = space.ground_evidence(s, scores, weights, photos.own(block))
        p = posteriors(space, *scores, weights, ground=ground)
        around = space.place_mass(p)
        rows = first_rows(around, near, MOST_REFINED)
        centres = [space.field.lonlat_deg[of_photo] for of_photo in rows]
        _look(centre, space, p, centres, photos.lonlat_deg[block], block.start)
        if refined is None or space.reader is None:
            continue
        each = zip(s, centres, ground_readings(ground, len(s)), strict=True)
        refinings = [Refining(photo, points, options, said) for photo, points, said in each]
        shown = refined_points(space.reader, refinings)
        _look(refined, space, p, shown, photos.lonlat_deg[block], block.start)
    return centre, refined


def _room_for(count: int) -> Places:
    shape = (count, MOST_REFINED)
    return Places(np.full(shape, np.nan), np.zeros(shape, dtype=np.bool_))


def _look(
    into: Places, space: SearchSpace, p: Floats, points: list[Floats], truth: Floats, start: int
) -> None:
    for number, (masses, places, true) in enumerate(zip(p, points, truth, strict=True)):
        each = np.broadcast_to(masses, (len(places), len(masses)))
        discs = space.masses_within(each, places, [space.merge_radius_m])[:, 0]
        into.mass[start + number, : len(places)] = discs
        away_m = haversine_m(places, true)
        into.inside[start + number, : len(places)] = away_m <= space.merge_radius_m
