"""Correlation of photos of one place: how much of their errors they share at least.

The log-likelihoods of M photos of one place are added up and divided by 1 + (M - 1) rho
(:mod:`indexer.probability.posterior`), rho being the correlation of their maps, or a floor if that
is more. The floor is fitted where places have several photos: it is the largest under which the
true cells are as probable as under the best one, but for what chance explains (the profile
likelihood's 95 % interval, whose upper end is the cautious one). It is fitted on places that
nothing else was fitted on, a few photos of each that stand within 30 m of its first: photos farther
apart are of one street, and not of the one place that people mean.

The cautious floor makes maps flatter than what the photos say together is right. Regions are then
larger than they need be; chances are mended: on the same places, each radius gets what is to be
added to the logit of a single photo's chance (by most likelihood, with a normal prior around
nothing).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gair.arrays import Floats, Ints, Scores
from gair.geo import haversine_m
from indexer.calibrate.held_out import HeldOut
from indexer.ground.likelihood import GroundEvidence
from indexer.probability.confidence import Curve, expit
from indexer.probability.posterior import (
    ScoreWeights,
    SharedErrors,
    log_likelihood,
    map_correlation,
    posterior,
    same_place,
    shared_by,
)
from indexer.regions.cell_field import chord_of, unit_vectors
from indexer.search.query import Query
from indexer.search.ranking import refine_options, shown_together
from indexer.search.scored import ratios_of, scores_for
from indexer.search.space import SearchSpace

FEWEST_PLACES = 30
"""Places with several photos that a floor is fitted on; with fewer the usual one is used."""
SPOT_M = 30.0
"""Photos as near as this are of one spot."""
MOST_PLACES = 200
"""Places that are looked at."""
MOST_PHOTOS = 4
"""Photos of a place that are looked at."""
FLOORS = tuple(round(0.05 * step, 2) for step in range(21))
"""Floors that are tried."""

_EARNED_NATS = 1.92
"""Half the 95th percentile of a chi-squared variable with one degree of freedom."""
_LEAST = np.finfo(np.float64).tiny


def fit_shared(
    space: SearchSpace,
    weights: ScoreWeights,
    photos: HeldOut,
    place: Ints,
    curves: Mapping[float, Curve],
    seed: int,
) -> SharedErrors | None:
    """The floor and the shifts of chances; None where too few places have several photos.

    Args:
        space: the cells.
        weights: that were fitted on other photos.
        photos: P of them, whose place is known.
        place: (P,) which of them are of one place.
        curves: radius in metres to the chances of single photos, at the points that are shown.
        seed: chooses places and photos where there are more than are looked at.
    """
    together = several_of_each(photos.lonlat_deg, place, seed)
    if len(together) < FEWEST_PLACES:
        return None
    nats = np.zeros(len(FLOORS))
    for rows in together:
        maps, truth = _maps(space, weights, photos.taken(rows))[0], photos.truth_row[rows]
        alike = map_correlation(maps, space.log_prior)
        nats += [_nats(maps, space.log_prior, max(floor, alike), truth) for floor in FLOORS]
    floor = FLOORS[int(np.flatnonzero(nats >= nats.max() - _EARNED_NATS)[-1])]
    discs = [_discs(space, weights, photos.taken(rows), floor, sorted(curves)) for rows in together]
    mass, inside = (np.array(column) for column in zip(*discs, strict=True))
    shifts = tuple(
        (radius_m, fit_shift(curves[radius_m].logit_at(mass[:, n]), inside[:, n]))
        for n, radius_m in enumerate(sorted(curves))
    )
    return SharedErrors(floor, len(together), sum(len(rows) for rows in together), shifts)


def fit_shift(logits: Floats, inside: Floats) -> float:
    """What to add to the logits of chances, so that they are those of what happened.

    Args:
        logits: (n,) of places.
        inside: (n,) the share of each place's photos that came true.
    """
    from scipy.optimize import brentq

    # The slope of the log-likelihood and of a standard normal's log density; it only falls.
    def slope(shift: float) -> float:
        return float((inside - expit(logits + shift)).sum() - shift)

    most = len(logits) + 1.0
    return float(brentq(slope, -most, most))


def _discs(
    space: SearchSpace,
    weights: ScoreWeights,
    photos: HeldOut,
    floor: float,
    radii_m: Sequence[float],
) -> tuple[Floats, Floats]:
    """Around the best guess of the photos of one place: (R,) masses, and (R,) shares inside."""
    maps, ground = _maps(space, weights, photos)
    divisor = shared_by(maps, space.log_prior, floor)
    p = posterior(same_place(maps, divisor), space.log_prior)
    best = int(space.place_mass(p)[0].argmax())
    options = refine_options(space, Query(), weights)
    shown = shown_together(space, photos.s, best, options, divisor, ground)
    away_m = haversine_m(shown, photos.lonlat_deg)
    inside = (away_m[:, None] <= np.array(radii_m)).mean(axis=0)
    return space.masses_within(p, shown[None], radii_m)[0], inside


def _nats(maps: Scores, log_prior: Floats, rho: float, truth_row: Ints) -> float:
    """Mean log probability of the true cells of the photos of one place."""
    divisor = 1.0 + (len(maps) - 1) * min(1.0, rho)
    p = posterior(same_place(maps, divisor), log_prior)[0]
    return float(np.log(np.maximum(p[truth_row], _LEAST)).mean())


def several_of_each(lonlat_deg: Floats, place: Ints, seed: int) -> list[Ints]:
    """Rows of the photos of each place that has several near each other, :data:`MOST_PHOTOS` each.

    Args:
        lonlat_deg: (P, 2).
        place: (P,).
        seed: chooses.
    """
    rng = np.random.default_rng(seed)
    points, reach = unit_vectors(lonlat_deg), chord_of(SPOT_M)
    order = rng.permutation(len(place))
    together = []
    for number in rng.permutation(np.unique(place)).tolist():
        rows = order[place[order] == number]
        near = rows[np.linalg.norm(points[rows] - points[rows[0]], axis=1) <= reach]
        if len(near) > 1:
            together.append(near[:MOST_PHOTOS])
    return together[:MOST_PLACES]


def _maps(
    space: SearchSpace, weights: ScoreWeights, photos: HeldOut
) -> tuple[Scores, GroundEvidence | None]:
    """(M, N) log-likelihoods of the photos of one place, and what reference photos say of them."""
    scores = scores_for(space, photos.s, weights)
    ground = space.ground_evidence(photos.s, scores, weights, photos.own())
    maps = log_likelihood(*scores, weights, space.blur(weights.spread_m), ratios_of(ground))
    return maps, ground
