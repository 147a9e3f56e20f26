"""Error rates of an index on photos that nothing was fitted on, as a calibration reports them.

Where a number depends on the photos it is measured on, each half of them is judged by the other's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gair.arrays import Bools, Floats, Ints
from indexer.calibrate.held_out import CONFIDENCE_RADII_M, Findings, HeldOut, region_areas_m2
from indexer.probability.claims import share_as_bad, share_as_good
from indexer.probability.confidence import fit_confidence
from indexer.probability.conformal import conformal_mass
from indexer.probability.posterior import ScoreWeights
from indexer.probability.reliability import calibration_error
from indexer.probability.verdicts import CONSISTENT, UNLIKELY, rate_name, verdict_of
from indexer.search.space import SearchSpace

_REGIONS = 200
"""Photos whose regions are measured."""
_LEVELS = (0.5, 0.9)


def measure(
    space: SearchSpace, weights: ScoreWeights, photos: HeldOut, findings: Findings
) -> dict[str, float]:
    """What the held-out photos say, by name; of best guesses, the points that people are shown."""
    share = space.field.area_m2 / space.field.area_m2.sum()
    shown = findings.shown
    measured = {
        "nll": float(findings.nll.mean()),
        "nll_chance": float(-np.log(share[photos.truth_row]).mean()),
        "median_miss_m": float(np.median(shown.miss_m)),
    }
    for level in _LEVELS:
        name = f"{100 * level:g}"
        mass = conformal_mass(findings.masses, level)
        area_m2 = region_areas_m2(space, weights, photos.s[:_REGIONS], mass)
        measured[f"region_km2_{name}"] = float(np.median(area_m2)) / 1e6
        measured[f"region_share_{name}"] = float(np.median(area_m2) / space.field.area_m2.sum())
        held = _crossed(_coverage(findings.masses, level), len(photos))
        measured[f"coverage_{name}"] = float(held.mean())
    for radius_m in CONFIDENCE_RADII_M:
        inside = shown.miss_m <= radius_m
        likely = _crossed(_confidence(shown.disc_mass[radius_m], inside), len(photos))
        measured[f"within_{radius_m:g}m"] = float(inside.mean())
        measured[f"ece_{radius_m:g}m"] = float(calibration_error(likely, inside)[0])
    for radius_m, true in findings.true_claims.items():
        false = finite(findings.false_claims[radius_m])
        for rate, value in verdict_rates(true, false).items():
            measured[rate_name(rate, radius_m)] = value
    return measured


def _crossed(judge: Callable[[Ints, Ints], Floats], count: int) -> Floats:
    """Judge each half of the photos by the other half: (P,)."""
    judged = np.empty(count)
    halves = np.arange(0, count, 2), np.arange(1, count, 2)
    for half, others in (halves, halves[::-1]):
        judged[half] = judge(half, others)
    return judged


def _coverage(masses: Floats, level: float) -> Callable[[Ints, Ints], Floats]:
    def judge(half: Ints, others: Ints) -> Floats:
        return (masses[half] <= conformal_mass(masses[others], level)).astype(float)

    return judge


def _confidence(mass: Floats, inside: Bools) -> Callable[[Ints, Ints], Floats]:
    def judge(half: Ints, others: Ints) -> Floats:
        return fit_confidence(mass[others], inside[others]).chance(mass[half])

    return judge


def verdict_rates(true: Floats, false: Floats) -> dict[str, float]:
    """How often true and false claims get each verdict, each judged by the others.

    Args:
        true: (n,) share of places elsewhere that do as well, of true claims.
        false: (m,) the same of false ones.
    """
    rates = {}
    for name, shares in (("true", true), ("false", false)):
        as_bad = share_as_bad(shares, np.sort(true))
        as_good = share_as_good(shares, np.sort(false))
        if name == "true":
            as_bad = _others_only(as_bad)
        else:
            as_good = _others_only(as_good)
        verdicts = [verdict_of(*three) for three in zip(shares, as_good, as_bad, strict=True)]
        for word in (UNLIKELY, CONSISTENT):
            rates[f"{name}_{word}"] = verdicts.count(word) / max(len(verdicts), 1)
    return rates


def _others_only(p_values: Floats) -> Floats:
    """Conformal p-values of claims among themselves, each without the claim it is about."""
    count = len(p_values)
    return (p_values * (1 + count) - 1) / max(count, 1)


def finite(values: Floats) -> Floats:
    """Those that are numbers, ascending."""
    return np.sort(values[np.isfinite(values)])
