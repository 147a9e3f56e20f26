"""Ratios of claims: curves from the scores of true and false claims, and what they cost.

Places count, not photos: a photo of a place with m of them counts 1 / m in a fit, and costs are
measured on one photo a place, each half of the places by a curve of the other.
"""

from __future__ import annotations

import numpy as np

from gair.arrays import Floats, Ints, Vectors
from indexer.probability.claims import RADII_M
from indexer.probability.known_claims import TRUE, KnownClaims, draw_claims_anywhere
from indexer.probability.likelihood_ratios import (
    ELSEWHERE,
    LOOKALIKE,
    RANDOM,
    RatioCurves,
    crossed_log_ratios,
    fit_ratio,
)
from indexer.probability.posterior import ScoreWeights
from indexer.probability.ratio_cost import cllr, least_cllr
from indexer.search.scored import posterior_blocks
from indexer.search.space import SearchSpace

_DRAWS = 400

Placed = tuple[Floats, Ints]
"""(n,) scores of claims, and (n,) the place that each claim's photo is of."""


class ClaimScores:
    """Scores of true claims and of each kind of false ones, by radius."""

    def __init__(self, claims: dict[float, dict[str, KnownClaims]], place: Ints) -> None:
        """Take the claims about (P,) photos of these places, which were looked at."""
        self.true: dict[float, Placed] = {r: (c[TRUE].score, place) for r, c in claims.items()}
        self.false: dict[str, dict[float, Placed]] = {
            kind: {r: (c[kind].score, place) for r, c in claims.items()}
            for kind in (RANDOM, LOOKALIKE)
        }

    def add_elsewhere(self, scores: dict[float, Floats], place: Ints) -> None:
        """Take the claims about (Q,) photos from elsewhere, of these places of their own."""
        self.false[ELSEWHERE] = {radius_m: (s, place) for radius_m, s in scores.items()}

    def curves(self) -> RatioCurves:
        """Curves of each alternative and radius for which there are places enough."""
        curves: RatioCurves = {}
        for alternative, by_radius in self.false.items():
            for radius_m, false in by_radius.items():
                if (curve := fit_ratio(*self.true[radius_m], *false)) is not None:
                    curves.setdefault(alternative, {})[radius_m] = curve
        return curves

    def costs(self) -> dict[str, float]:
        """Cost of the ratios, bits, the low end of its 95 % interval, and its least, by name."""
        measured = {}
        for alternative, by_radius in self.false.items():
            for radius_m, false in by_radius.items():
                logs = crossed_log_ratios(_one_each(self.true[radius_m]), _one_each(false))
                if len(logs[0]) and len(logs[1]):
                    name = f"{alternative}_{radius_m:g}m"
                    measured[f"cllr_{name}"] = float(cllr(*logs)[0])
                    measured[f"cllr_low_{name}"] = low_cllr(*logs)
                    measured[f"least_cllr_{name}"] = least_cllr(*logs)
        return measured


def low_cllr(true: Floats, false: Floats) -> float:
    """The low end of the 95 % interval of the cost: claims of each kind are drawn again.

    Args:
        true: (n,) log ratios of true claims, one a place.
        false: (m,) the same of false ones.
    """
    rng = np.random.default_rng(0)
    drawn = [
        rng.multinomial(len(logs), np.full(len(logs), 1 / len(logs)), _DRAWS)
        for logs in (true, false)
    ]
    return float(np.quantile(cllr(true, false, *drawn), 0.025))


def _one_each(claims: Placed) -> Floats:
    """The score of the first photo of each place."""
    scores, place = claims
    return scores[np.unique(place, return_index=True)[1]]


def scores_elsewhere(
    space: SearchSpace, weights: ScoreWeights, s: Vectors, seed: int
) -> dict[float, Floats]:
    """Scores of claims anywhere in the index about (Q, D) photos that are not from it.

    Returns:
        Radius to (Q,) scores, as of :class:`indexer.probability.known_claims.KnownClaims`.
    """
    rng = np.random.default_rng((seed, 1))
    claims = draw_claims_anywhere(space, len(s), RADII_M, rng)
    for block, p in posterior_blocks(space, s, weights):
        for of_radius in claims.values():
            of_radius.look(space.field, p, block)
    return {radius_m: of_radius.score for radius_m, of_radius in claims.items()}
