"""Numbers that say whether an index's probabilities can be believed.

Three groups of photos count: *listed* are all; *judged* are those with a vector and a place, where
a place outside the index makes every region miss; *inside* are those whose true cell is in the
index.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Bools, Floats, Ints, Vectors
from indexer.evaluate.bootstrap import Measured, Resamples, as_json
from indexer.evaluate.judge import Outcomes
from indexer.probability.decisions import LARGER, SURE, WITHIN, learn_rule
from indexer.probability.reliability import (
    area_under_risk,
    auroc,
    binomial_interval,
    calibration_error,
    calibration_error_by_luck,
    log_losses,
    reliability,
    risk_coverage,
)
from indexer.search.scored import evidence

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors
    from indexer.probability.calibration import Calibration
    from indexer.search.space import SearchSpace

Numbers = dict[str, Any]

LEVELS = (0.5, 0.9)
"""Of regions."""
SURENESS = (0.1, 0.3)
"""Probabilities of the best place that part answers which are less sure from surer ones."""
RATES = (0.05, 0.1, 0.2)
"""Shares of wrong answers that decisions are measured for."""

_CURVE_POINTS = 200

_FEWEST_ANSWERED = 20
"""Photos where the curve of risk begins."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows of the photos that count."""

    judged: Ints
    inside: Ints


def calibration_numbers(
    outcomes: Outcomes,
    groups: Groups,
    confidence: Floats,
    radii_m: Sequence[float],
    drawn: Resamples,
) -> Numbers:
    """Confidence, regions and likelihood of calibrated answers.

    Args:
        outcomes: with ``disc_mass`` of ``radii_m`` and ``covered`` of :data:`LEVELS`.
        groups: which photos.
        confidence: (P, R) that was stated of all photos; NaN where there was no answer.
        radii_m: that confidences are given for.
        drawn: resamples of all photos.
    """
    masses = outcomes.disc_mass[groups.judged]
    error_m = outcomes.error_m[groups.judged]
    of_judged = drawn.of(groups.judged)
    within = {
        f"{radius_m:g}": _confidence_numbers(
            confidence[groups.judged, column], masses[:, column], error_m <= radius_m, of_judged
        )
        for column, radius_m in enumerate(radii_m)
    }
    return {
        "measured": True,
        "photos_judged": len(groups.judged),
        "photos_inside": len(groups.inside),
        "confidence_within": within,
        "regions": [_region_numbers(outcomes, groups, i, drawn) for i in range(len(LEVELS))],
    }


def _confidence_numbers(
    confidence: Floats, mass: Floats, right: Bools, drawn: Resamples
) -> Numbers:
    if not len(confidence):
        return {"measured": False, "why": "no photo could be judged"}
    return {
        "measured": True,
        "said": as_json(float(confidence.mean())),
        "right": drawn.mean(right).to_json(),
        "ece": drawn.measure(lambda w: calibration_error(confidence, right, weights=w)).to_json(),
        "ece_by_luck": as_json(calibration_error_by_luck(confidence, seed=drawn.seed)),
        "disc_mass_said": as_json(float(mass.mean())),
        "disc_mass_ece": drawn.measure(
            lambda w: calibration_error(mass, right, weights=w)
        ).to_json(),
        "reliability": _groups_json(confidence, right, drawn.place),
        "disc_mass_reliability": _groups_json(mass, right, drawn.place),
    }


def _groups_json(confidence: Floats, right: Bools, place: Ints) -> Numbers:
    diagram = dataclasses.asdict(reliability(confidence, right, place=place))
    return {name: values.tolist() for name, values in diagram.items()}


def _region_numbers(outcomes: Outcomes, groups: Groups, number: int, drawn: Resamples) -> Numbers:
    area_m2 = outcomes.region_m2[groups.judged, number]
    return {
        "level": LEVELS[number],
        "covered": share_of(outcomes.covered[groups.judged, number], drawn.of(groups.judged)),
        "covered_inside": share_of(
            outcomes.covered[groups.inside, number], drawn.of(groups.inside)
        ),
        "median_km2": as_json(float(np.median(area_m2)) / 1e6 if len(area_m2) else np.nan),
    }


def coverage_by(
    labels: Sequence[str], outcomes: Outcomes, judged: Ints, drawn: Resamples
) -> list[Numbers]:
    """How often regions hold the truth, for each label of (P,) photos.

    Args:
        labels: of all photos; empty text for those that are left out.
        outcomes: with ``covered`` of :data:`LEVELS`.
        judged: which of them were judged.
        drawn: resamples of all photos.
    """
    names = np.array(labels, dtype=object)[judged]
    rows = []
    for name in sorted(set(labels)):
        taken = judged[names == name]
        if not name or not len(taken):
            continue
        of_label = drawn.of(taken)
        held = [
            {"level": level, **share_of(outcomes.covered[taken, number], of_label)}
            for number, level in enumerate(LEVELS)
        ]
        rows.append({"value": name, "photos": len(taken), "covered": held})
    return rows


def sureness_labels(sureness: Floats) -> list[str]:
    """What each of (P,) answers is counted under by the probability of its best place."""
    ends = (0.0, *SURENESS, 1.0)
    said = [f"{100 * low:g} to {100 * high:g} %" for low, high in itertools.pairwise(ends)]
    return [
        said[int(np.searchsorted(SURENESS, value, side="right"))] if np.isfinite(value) else ""
        for value in sureness
    ]


def share_of(hits: Bools, drawn: Resamples) -> Numbers:
    """A share of (P,) photos: binomial where each is of a place of its own, else resampled."""
    if not len(hits):
        return {"value": as_json(np.nan), "photos": 0, "places": 0}
    if drawn.places == drawn.photos:
        low, high = (float(end) for end in binomial_interval(hits.sum(), len(hits)))
    else:
        (share,) = drawn.shares(hits[:, None])
        low, high = share.low, share.high
    return {
        "value": float(hits.mean()),
        "low": as_json(low),
        "high": as_json(high),
        "photos": len(hits),
        "places": drawn.places,
    }


def likelihood_numbers(log_ps: dict[str, Floats], inside: Resamples) -> Numbers:
    """Mean NLL of the true cells under some posteriors, each (P,) of photos inside, in nats."""
    return {name: inside.mean(log_losses(log_p)).to_json() for name, log_p in log_ps.items()}


def selection_numbers(
    outcomes: Outcomes,
    confidence: Floats,
    radii_m: Sequence[float],
    drawn: Resamples,
) -> Numbers:
    """Risk against coverage over all listed photos; what has no answer comes last and is wrong."""
    numbers: Numbers = {}
    for column, radius_m in enumerate(radii_m):
        stated = np.nan_to_num(confidence[:, column], nan=-np.inf)
        loss = (~(outcomes.error_m <= radius_m)).astype(np.float64)
        coverage, risk = risk_coverage(stated, loss)
        first = min(_FEWEST_ANSWERED, len(loss)) - 1  # of fewer, the risk is luck
        shown = np.unique(np.linspace(first, len(loss) - 1, _CURVE_POINTS).astype(int))
        perfect = area_under_risk(-loss, loss)
        numbers[f"{radius_m:g}"] = {
            "aurc": drawn.measure(partial(area_under_risk, stated, loss)).to_json(),
            "aurc_at_random": float(loss.mean()),
            "aurc_at_best": float(perfect[0]),
            "coverage": coverage[shown].tolist(),
            "risk": risk[shown].tolist(),
        }
    return numbers


def decision_numbers(
    outcomes: Outcomes, groups: Groups, calibration: Calibration, drawn: Resamples
) -> Numbers:
    """How often rules of decision answer with a disc, and how often such answers are wrong.

    Args:
        outcomes: with ``disc_mass`` of the calibration's radii around the points that are shown.
        groups: which photos; those that were not judged get no answer.
        calibration: whose held-out places the rules are learnt on.
        drawn: resamples of all photos.
    """
    trials = calibration.trials
    if trials is None or trials.radii_m != calibration.radii_m:
        return {"measured": False, "why": "the calibration is older than decisions"}
    masses, error_m = outcomes.disc_mass[groups.judged], outcomes.error_m[groups.judged]
    rows = []
    for rate in RATES:
        for within_m in trials.radii_m:
            rule = learn_rule(trials, rate, within_m)
            within, larger_m = rule.answers(masses)
            of_kind = {}
            for kind, radius_m in (
                (WITHIN, np.where(within, within_m, np.nan)),
                (LARGER, larger_m),
            ):
                chosen = np.flatnonzero(np.isfinite(radius_m))
                wrong = error_m[chosen] > radius_m[chosen]
                of_kind[kind] = {
                    "answered": len(chosen) / max(1, len(outcomes.error_m)),
                    "wrong": share_of(wrong, drawn.of(groups.judged[chosen])),
                }
            rows.append({"max_error_rate": rate, "within_m": within_m, **of_kind})
    return {"measured": True, "places": len(trials), "sure": SURE, "rows": rows}


def outside_report(
    space: SearchSpace,
    inside: Vectors,
    outside: PhotoVectors | None,
    drawn: Resamples,
    left_out: Sequence[Ints] | None = None,
    nats: Floats | None = None,
) -> dict[str, Any]:
    """How well photos of the index are told from photos of elsewhere.

    Args:
        space: of a calibrated index, or there is nothing to tell them by.
        inside: (P, D) vectors of photos whose true cell is in the index.
        outside: photos from elsewhere; None if there are none.
        drawn: resamples of the photos inside.
        left_out: of each photo inside, the reference photos that are no evidence of it.
        nats: how well any place explains each photo inside, where that is known.
    """
    calibration = space.calibration
    if outside is None:
        return {"measured": False, "why": "not measured: no photos from elsewhere were given"}
    if calibration is None:
        return {"measured": False, "why": "not measured: calibrate first"}
    readable = np.flatnonzero(np.isfinite(outside.s).all(axis=1))
    others, place = outside.s[readable], outside.place_of_photo[readable]
    elsewhere = Resamples(place, resamples=len(drawn.weights), seed=drawn.seed + 1)
    out_of_index = calibration.out_of_index
    if nats is None:
        nats = evidence(space, inside, calibration.weights, left_out)
    own = out_of_index.score(inside, nats)
    foreign = out_of_index.score(others, evidence(space, others, calibration.weights))
    return {
        "measured": True,
        "photos_inside": len(own),
        "photos_elsewhere": len(foreign),
        "unreadable": len(outside) - len(foreign),
        "auroc": outside_numbers(own, foreign, drawn, elsewhere),
        "level": out_of_index.level,
        "own_refused": share_of(out_of_index.abstain(own), drawn),
        "elsewhere_noticed": share_of(out_of_index.abstain(foreign), elsewhere),
    }


def outside_numbers(
    inside: Floats, outside: Floats, of_inside: Resamples, of_outside: Resamples
) -> Numbers:
    """How well a score parts (P,) photos of the index from (Q,) others: the AUROC."""
    if not len(inside) or not len(outside):
        return {"value": as_json(np.nan)}
    fewer = min(of_inside, of_outside, key=lambda drawn: drawn.places)
    low, high = fewer.ends(auroc(inside, outside, of_inside.weights, of_outside.weights))
    value = float(auroc(inside, outside)[0])
    return Measured(value, float(low), float(high)).to_json()
