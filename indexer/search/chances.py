"""Chances beside the places of an answer: one calibrated number for every place shown.

All of them hold for the point that is shown, and if the photo was taken in the index at all; that
it was not has a share of its own (:mod:`indexer.probability.open_world`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gair.arrays import Floats
from indexer.probability.cautions import Caution
from indexer.probability.chances import WIDEST_SHARE, beta_interval
from indexer.probability.confidence import expit, logit
from indexer.search.answer import Answer, Confidence
from indexer.search.scored import confidences
from indexer.search.space import SearchSpace

BEST_ONLY = Caution(
    "calibrated before chances of further places were: those of the best guess stand in for them; "
    "calibrate again with python -m indexer calibrate",
    "calibrated_for_best_only",
)
OWN_RADIUS = Caution(
    "a merge radius of your own: chances of places were measured at the one the index suggests",
    "own_merge_radius",
)


def with_chances(
    space: SearchSpace, p: Floats, before: Floats, refined: bool, photos: int, answer: Answer
) -> Answer:
    """An answer with the chances of its places, and how near its best guess is.

    Args:
        space: of a calibrated index.
        p: (N,) posterior.
        before: (N,) what was known before the photo was looked at, adding up to 1.
        refined: whether refined points were calibrated, and are shown; else chances are those of
            the centres of cells.
        photos: of the one place, copies left out.
        answer: with its final points.
    """
    candidates = answer.candidates
    if not candidates:
        return answer
    points = np.array(
        [c.shown_lonlat_deg if refined else (c.lon_deg, c.lat_deg) for c in candidates]
    )
    near = _near(space, p, before, points[:1], refined, photos)
    places = _places(space, p, before, points, answer.merge_radius_m, refined, near, photos)
    told = [c for c in near if c.chance_level <= WIDEST_SHARE]
    half_m = next((c.radius_m for c in near if c.probability >= 0.5), None)
    return replace(
        answer,
        candidates=tuple(
            replace(candidate, **chance)
            for candidate, chance in zip(candidates, places, strict=True)
        ),
        confidence=tuple(told),
        error_m=half_m or answer.error_m,
    )


def _near(
    space: SearchSpace, p: Floats, before: Floats, best: Floats, refined: bool, photos: int
) -> list[Confidence]:
    """How likely the best guess, (1, 2), is within each calibrated radius."""
    calibration = space.calibration
    assert calibration is not None
    (likely,) = confidences(space, p[None], best, refined=refined, photos=photos)
    (level,) = space.masses_within(before[None], best, calibration.radii_m)
    low, high = beta_interval(likely, calibration.independent_of(photos))
    columns = (likely.tolist(), low.tolist(), high.tolist(), np.minimum(level, 1.0).tolist())
    return [
        Confidence(radius_m, chance, (low_end, high_end), by_luck)
        for radius_m, chance, low_end, high_end, by_luck in zip(
            calibration.radii_m, *columns, strict=True
        )
    ]


def _places(
    space: SearchSpace,
    p: Floats,
    before: Floats,
    points: Floats,
    radius_m: float,
    refined: bool,
    near: list[Confidence],
    photos: int,
) -> list[dict[str, Any]]:
    """Fields of each candidate: its chance, the interval and the chance level."""
    calibration = space.calibration
    assert calibration is not None
    each, known_before = (np.broadcast_to(values, (len(points), len(p))) for values in (p, before))
    masses = space.masses_within(each, points, [radius_m])[:, 0]
    levels = np.minimum(space.masses_within(known_before, points, [radius_m])[:, 0], 1.0)
    chances = calibration.place_chances(masses, radius_m, refined=refined)
    shift = calibration.shift_of(photos, radius_m)
    chances[:1] = expit(logit(chances[:1]) + shift) if shift else chances[:1]
    # The best place within this radius is no likelier than within a larger one, nor less so than
    # within a smaller one; the others are no likelier than it.
    least = max((c.probability for c in near if c.radius_m <= radius_m), default=0.0)
    most = min((c.probability for c in near if c.radius_m >= radius_m), default=1.0)
    chances[0] = min(max(chances[0], least), most)
    chances = calibration.disjoint(chances)
    low, high = beta_interval(chances, calibration.independent_of(photos))
    return [
        {}
        if level > WIDEST_SHARE
        else {
            "probability": float(chance),
            "interval": (float(low_end), float(high_end)),
            "chance_level": float(level),
        }
        for chance, low_end, high_end, level in zip(chances, low, high, levels, strict=True)
    ]


def chance_cautions(space: SearchSpace, radius_m: float, refined: bool) -> tuple[Caution, ...]:
    """What to know of the chances of places at a radius."""
    calibration = space.calibration
    assert calibration is not None
    if calibration.knows_places(radius_m, refined=refined):
        return ()
    suggested = calibration.knows_places(space.merge_radius_m, refined=refined)
    return (OWN_RADIUS,) if suggested else (BEST_ONLY,)
