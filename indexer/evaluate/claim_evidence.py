"""Evidence of claims, measured: are likelihood ratios calibrated, and do they tell claims apart?

About each photo of the index a true claim and false ones are drawn
(:mod:`indexer.probability.known_claims`), and the ratios that calibration gives them are judged:
their cost in bits (Cllr), the least that it could be after PAV, and the data of two figures. A
*calibration plot* has the ratios that were given across and those of PAV up; where they are
calibrated they lie on the diagonal. A *Tippett plot* has, for each ratio, the share of true and of
false claims that get at least that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Floats, Ints, Vectors
from indexer.evaluate.bootstrap import Measured, Resamples
from indexer.ground.left_out import LeftOut
from indexer.probability.calibration import AGAIN
from indexer.probability.known_claims import (
    TRUE,
    KnownClaims,
    draw_claims,
    draw_claims_anywhere,
    look_at_all,
)
from indexer.probability.likelihood_ratios import ALTERNATIVES, ELSEWHERE, RatioCurve
from indexer.probability.posterior import ScoreWeights
from indexer.probability.ratio_cost import cllr, least_cllr, pav_log_ratios, tippett
from indexer.search.scored import posterior_blocks

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors
    from indexer.probability.calibration import Calibration
    from indexer.search.space import SearchSpace

Numbers = dict[str, Any]

Claims = dict[float, dict[str, KnownClaims]]
"""By radius and kind."""

FEWEST = 20
"""Claims of each kind that are judged."""

_STEPS = 81
"""Points of a curve."""
_MISLEADING = 10.0
"""A ratio of so much for the wrong side is counted."""


@dataclass(frozen=True, eq=False)
class Located:
    """Photos whose place is known."""

    s: Vectors
    """(P, D)."""
    lonlat_deg: Floats
    """(P, 2)."""
    cell_row: Ints
    """(P,) the cells they were taken in."""
    left_out: LeftOut | None = None
    """The reference photos that are no evidence of each; None where there are none."""


def evidence_report(
    space: SearchSpace,
    photos: Located,
    outside: PhotoVectors | None,
    drawn: Resamples,
    looked_at: Claims | None = None,
) -> Numbers:
    """How good the likelihood ratios of a calibrated index are.

    Args:
        space: of the index.
        photos: taken in it, and not calibrated with.
        outside: photos from elsewhere; None if there are none.
        drawn: resamples of the photos.
        looked_at: the claims about them of :func:`claims_about`, where they were looked at before.
    """
    calibration = space.calibration
    if calibration is None:
        return {"measured": False, "why": "not measured: calibrate first"}
    curves = calibration.likelihood_ratios
    if not curves:
        return {"measured": False, "why": f"not measured: {AGAIN}"}
    if len(photos.s) < FEWEST:
        why = (
            f"not measured: {len(photos.s)} photos were taken in the index, and {FEWEST} are needed"
        )
        return {"measured": False, "why": why}
    radii_m = _radii_m(calibration)
    claims = looked_at
    if claims is None:
        claims = claims_about(space, photos, drawn.seed)
        _look(space, calibration.weights, photos.s, each_claim(claims), photos.left_out)
    scores = {r: {kind: c.score for kind, c in kinds.items()} for r, kinds in claims.items()}
    drawn_of = dict.fromkeys((TRUE, *ALTERNATIVES), drawn)
    if outside is not None:
        rows = np.flatnonzero(np.isfinite(outside.s).all(axis=1))
        foreign = _scores_elsewhere(
            space, calibration.weights, outside.s[rows], radii_m, drawn.seed
        )
        for radius_m in radii_m:
            scores[radius_m][ELSEWHERE] = foreign[radius_m]
        drawn_of[ELSEWHERE] = Resamples(
            outside.place_of_photo[rows], resamples=len(drawn.weights), seed=drawn.seed + 1
        )
    judged = [
        numbers
        for name in ALTERNATIVES
        for radius_m, curve in sorted(curves.get(name, {}).items())
        if name in scores[radius_m]
        and (numbers := _judged(name, radius_m, curve, scores[radius_m], drawn_of)) is not None
    ]
    if not judged:
        return {"measured": False, "why": "not measured: the index has no room for false claims"}
    return {"measured": True, "photos": len(photos.s), "rows": judged}


def _judged(
    name: str,
    radius_m: float,
    curve: RatioCurve,
    scores: dict[str, Floats],
    drawn: dict[str, Resamples],
) -> Numbers | None:
    """The numbers of one alternative and radius; None where claims are too few."""
    kinds = (TRUE, name)
    kept = [np.flatnonzero(np.isfinite(scores[kind])) for kind in kinds]
    true, false = (
        curve.log_ratio(scores[kind][rows]) for kind, rows in zip(kinds, kept, strict=True)
    )
    if min(len(true), len(false)) < FEWEST:
        return None
    # Claims about one photo are drawn together; photos from elsewhere on their own.
    times = [drawn[kind].weights[:, rows] for kind, rows in zip(kinds, kept, strict=True)]
    fewer = min((drawn[kind] for kind in kinds), key=lambda of_kind: of_kind.places)
    low, high = fewer.ends(cllr(true, false, *times))
    cost = Measured(float(cllr(true, false)[0]), float(low), float(high))
    wrong = np.log(_MISLEADING)
    return {
        "alternative": name,
        "against": ALTERNATIVES[name],
        "radius_m": radius_m,
        "true_claims": len(true),
        "false_claims": len(false),
        "limit": curve.limit,
        "cllr": cost.to_json(),
        "least_cllr": least_cllr(true, false),
        "median_true": float(np.exp(np.median(true))),
        "median_false": float(np.exp(np.median(false))),
        "true_misled": float((true <= -wrong).mean()),
        "false_misled": float((false >= wrong).mean()),
        "calibration": _calibration_curve(true, false),
        "tippett": _tippett_curves(true, false, curve.limit),
    }


def _calibration_curve(true: Floats, false: Floats) -> Numbers:
    """Powers of ten that were said, and those that PAV finds; where both are finite."""
    said = np.concatenate([true, false])
    order = np.argsort(said, kind="stable")
    fitted = np.concatenate(pav_log_ratios(true, false))[order]
    finite = np.flatnonzero(np.isfinite(fitted))
    shown = np.unique(np.linspace(0, max(0, len(finite) - 1), 2 * _STEPS).astype(int))
    rows = finite[shown] if len(finite) else finite
    ten = np.log(10)
    return {"said": (said[order][rows] / ten).tolist(), "pav": (fitted[rows] / ten).tolist()}


def _tippett_curves(true: Floats, false: Floats, limit: float) -> Numbers:
    at = np.linspace(-np.log(limit), np.log(limit), _STEPS)
    return {
        "at": (at / np.log(10)).tolist(),
        "true": tippett(true, at).tolist(),
        "false": tippett(false, at).tolist(),
    }


def claims_about(space: SearchSpace, photos: Located, seed: int) -> Claims:
    """Claims about each photo, not looked at yet; none where the index has no curves for them."""
    calibration = space.calibration
    if calibration is None or not calibration.likelihood_ratios or len(photos.s) < FEWEST:
        return {}
    rng = np.random.default_rng((seed, 4))
    alike = space.alike(photos.cell_row)
    return {
        radius_m: draw_claims(space, photos.lonlat_deg, radius_m, alike, rng)
        for radius_m in _radii_m(calibration)
    }


def each_claim(claims: Claims) -> list[KnownClaims]:
    """All of them, those of one radius one after another."""
    return [claim for of_radius in claims.values() for claim in of_radius.values()]


def _radii_m(calibration: Calibration) -> list[float]:
    """The radii that there are curves for, ascending."""
    curves = calibration.likelihood_ratios
    return sorted({radius_m for of_radius in curves.values() for radius_m in of_radius})


def _scores_elsewhere(
    space: SearchSpace, weights: ScoreWeights, s: Vectors, radii_m: list[float], seed: int
) -> dict[float, Floats]:
    """Scores of claims anywhere in the index about photos that are not from it, by radius."""
    rng = np.random.default_rng((seed, 5))
    claims = draw_claims_anywhere(space, len(s), radii_m, rng)
    _look(space, weights, s, list(claims.values()))
    return {radius_m: of_radius.score for radius_m, of_radius in claims.items()}


def _look(
    space: SearchSpace,
    weights: ScoreWeights,
    s: Vectors,
    claims: list[KnownClaims],
    left_out: LeftOut | None = None,
) -> None:
    own = None if left_out is None else left_out.rows
    for block, p in posterior_blocks(space, s, weights, own):
        look_at_all(claims, space.field, p, block)
