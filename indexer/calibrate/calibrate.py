"""Calibration of an index on photos whose place is known.

Photos are split once, by a seed. A small part fits the three numbers that turn scores into a
posterior (:mod:`indexer.calibrate.fit_posterior`); everything with a promise (regions, confidences,
claims, membership) rests on the others, on which nothing was fitted before.

Of what is measured on those, some depends on the photos it is measured on: there each half of them
is judged by the other's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Bools, Floats, Ints
from gair.errors import UsageError
from indexer.calibrate.fit_posterior import FEWEST_PHOTOS, MOST_PHOTOS, fit_score_weights
from indexer.calibrate.held_out import (
    CONFIDENCE_RADII_M,
    Findings,
    Guesses,
    HeldOut,
    examine,
    region_areas_m2,
)
from indexer.calibrate.places import Places, examine_places
from indexer.index.manifest import utc_now
from indexer.probability.calibration import SCHEMA_VERSION, Calibration
from indexer.probability.chances import (
    PlaceCurves,
    disjoint,
    fit_place_curves,
    most_sure,
)
from indexer.probability.claims import share_as_bad, share_as_good
from indexer.probability.confidence import Curve, fit_confidence
from indexer.probability.conformal import conformal_mass
from indexer.probability.out_of_index import (
    OutOfIndexTest,
    check_level,
    fit_out_of_index,
    with_elsewhere,
)
from indexer.probability.posterior import ScoreWeights
from indexer.probability.reliability import calibration_error
from indexer.probability.verdicts import CONSISTENT, UNLIKELY, rate_name, verdict_of
from indexer.search.scored import evidence
from indexer.search.space import SearchSpace

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors

FEWEST_USABLE = 50
"""Photos taken in the index that a calibration needs."""
OUTSIDE_INDEX = "taken outside the index"

_FIT_SHARE = 0.4
_FIT_ENTRIES = 60_000_000
"""Photos times cells of a fit: 240 MB for each of two arrays of scores."""
_REGIONS = 200
"""Photos whose regions are measured."""
_LEVELS = (0.5, 0.9)


def calibrate(
    space: SearchSpace,
    vectors: PhotoVectors,
    *,
    level: float = 0.05,
    out_of_index: PhotoVectors | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> Calibration:
    """Measure how far an index's answers can be believed.

    Args:
        space: the index.
        vectors: photos with known places, drawn like those that will be asked about.
        level: share of the index's own photos that may be refused as not from the index.
        out_of_index: photos from elsewhere, to measure how many of those are noticed.
        seed: of the split and of the claims.
        quiet: no progress.

    Raises:
        UsageError: fewer than :data:`FEWEST_USABLE` photos can be used.
    """
    check_level(level)
    rows, truth, left_out = _usable(space, vectors)
    s, lonlat = vectors.s[rows], vectors.lonlat_deg[rows]
    order = np.random.default_rng(seed).permutation(len(rows))
    most = max(FEWEST_PHOTOS, min(MOST_PHOTOS, _FIT_ENTRIES // len(space.field)))
    count = min(most, int(_FIT_SHARE * len(rows)))
    fitted, held = np.sort(order[:count]), np.sort(order[count:])
    scores = space.scores(s[fitted])
    weights = fit_score_weights(*scores, space.field, truth[fitted], quiet=quiet)
    photos = HeldOut(s[held], lonlat[held], truth[held])
    findings = examine(space, weights, photos, seed=seed, quiet=quiet)
    membership = fit_out_of_index(s, held, findings.evidence, level=level, seed=seed)
    if out_of_index is not None:
        membership = _with_elsewhere(space, weights, membership, out_of_index, left_out)
    measured = {"photos_fitted": float(count), "photos_held_back": float(len(held))}
    measured |= measure(space, weights, photos, findings)
    places = examine_places(space, weights, photos)
    measured |= measure_places(places[1] or places[0])
    placed = np.isfinite(vectors.lonlat_deg).all(axis=1)
    return Calibration(
        schema_version=SCHEMA_VERSION,
        build=space.index.manifest.build,
        model_fingerprint=space.index.manifest.model.fingerprint,
        created_utc=utc_now(),
        photos=len(rows),
        left_out=left_out,
        weights=weights,
        masses=np.sort(findings.masses),
        confidence=_curves(findings.centre),
        refined_confidence={} if findings.refined is None else _curves(findings.refined),
        place_curves=_place_curves(space, places[0]),
        refined_place_curves=_place_curves(space, places[1]),
        out_of_index=membership,
        claims={radius_m: np.sort(shares) for radius_m, shares in findings.true_claims.items()},
        false_claims={r: finite(shares) for r, shares in findings.false_claims.items()},
        photo_lonlat_deg=vectors.lonlat_deg[placed],
        measured=measured,
    )


def _curves(guesses: Guesses) -> dict[float, Curve]:
    return {
        radius_m: fit_confidence(mass, guesses.miss_m <= radius_m)
        for radius_m, mass in guesses.disc_mass.items()
    }


def _place_curves(space: SearchSpace, places: Places | None) -> PlaceCurves | None:
    if places is None:
        return None
    return fit_place_curves(space.merge_radius_m, places.mass, places.inside)


def measure_places(places: Places) -> dict[str, float]:
    """How far the chances of places are from what happened, each half judged by the other."""
    said, held = [], []
    halves = slice(0, None, 2), slice(1, None, 2)
    for half, others in (halves, halves[::-1]):
        curves = fit_place_curves(0.0, places.mass[others], places.inside[others])
        if curves is None:
            return {}
        there = np.isfinite(places.mass[half])
        most = most_sure(len(places.mass[others]))
        for mass, inside, kept in zip(places.mass[half], places.inside[half], there, strict=True):
            said.append(disjoint(curves.chances(mass[kept]), most))
            held.append(inside[kept])
    chances, inside = np.concatenate(said), np.concatenate(held)
    return {"ece_places": float(calibration_error(chances, inside)[0])}


def _usable(space: SearchSpace, vectors: PhotoVectors) -> tuple[Ints, Ints, dict[str, int]]:
    """Rows of the photos taken in the index, their cells, and how many others there are."""
    rows = np.flatnonzero(vectors.usable)
    truth = space.cell_row(vectors.lonlat_deg[rows])
    left_out = dict(vectors.left_out())
    if outside := int((truth < 0).sum()):
        left_out[OUTSIDE_INDEX] = outside
    inside = truth >= 0
    if inside.sum() < FEWEST_USABLE:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items()))
        raise UsageError(
            f"{inside.sum()} of {len(vectors):,} photos can be used to calibrate"
            f"{f' ({reasons})' if reasons else ''}, and at least {FEWEST_USABLE} are needed: add "
            "photos with coordinates inside the index"
        )
    return rows[inside], truth[inside], left_out


def _with_elsewhere(
    space: SearchSpace,
    weights: ScoreWeights,
    test: OutOfIndexTest,
    photos: PhotoVectors,
    left_out: dict[str, int],
) -> OutOfIndexTest:
    """Measure the test on photos from elsewhere; those from the index are counted, not used."""
    readable = np.isfinite(photos.s).all(axis=1)
    placed = np.isfinite(photos.lonlat_deg).all(axis=1)
    inside = np.zeros(len(photos), dtype=np.bool_)
    inside[placed] = space.cell_row(photos.lonlat_deg[placed]) >= 0
    counts = {"cannot be read": ~readable, "taken in the index": readable & inside}
    for reason, rows in counts.items():
        if rows.any():
            left_out[f"from elsewhere: {reason}"] = int(rows.sum())
    s = photos.s[readable & ~inside]
    if not len(s):
        raise UsageError(
            f"none of {len(photos):,} photos from elsewhere can be used: they cannot be read, or "
            "were taken in the index"
        )
    return with_elsewhere(test, s, evidence(space, s, weights))


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
