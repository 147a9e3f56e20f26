"""Calibration of an index on photos whose place is known.

Photos are split once, by a seed, and by place (:mod:`indexer.photos.groups`): photos of one place
stay together. A small part fits the three numbers that turn scores into a posterior
(:mod:`indexer.calibrate.fit_posterior`); everything with a promise (regions, confidences, claims,
membership) rests on the others, on which nothing was fitted before. Whatever is counted, a place
counts once, however many photos it has.

Of what is measured on those, some depends on the photos it is measured on: there each half of their
places is judged by the other's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Bools, Floats, Ints, Vectors
from gair.errors import UsageError
from indexer.calibrate.claim_ratios import ClaimScores, scores_elsewhere
from indexer.calibrate.conditions import conditions_of
from indexer.calibrate.fit_ground import fit_ground
from indexer.calibrate.fit_posterior import FEWEST_PHOTOS, MOST_PHOTOS, fit_score_weights
from indexer.calibrate.held_out import (
    CONFIDENCE_RADII_M,
    Findings,
    Guesses,
    HeldOut,
    examine,
    region_areas_m2,
    trials_of,
)
from indexer.calibrate.pairs import compare_pairs
from indexer.calibrate.places import Places, examine_places
from indexer.calibrate.several import fit_shared
from indexer.ground.left_out import LeftOut, own_references
from indexer.ground.options import APART_M
from indexer.index.manifest import utc_now
from indexer.photos.altered import AlteredPhotos
from indexer.photos.groups import numbered
from indexer.photos.swapped import EXCHANGED, swapped, swapped_said
from indexer.probability.basis import FEWEST_PLACES, GroundBasis
from indexer.probability.calibration import SCHEMA_VERSION, Calibration
from indexer.probability.chances import (
    PlaceCurves,
    disjoint,
    fit_place_curves,
    most_sure,
)
from indexer.probability.claims import share_as_bad, share_as_good
from indexer.probability.confidence import Curve, fit_confidence
from indexer.probability.conformal import (
    GroupedMasses,
    conformal_mass,
    one_a_place,
    place_weights,
)
from indexer.probability.known_claims import TRUE
from indexer.probability.likelihood_ratios import RANDOM
from indexer.probability.out_of_index import (
    Whereabouts,
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
FEWEST_HELD = 3
"""Places that must be left to measure on. It takes :data:`FEWEST_PLACES` to promise anything."""
OUTSIDE_INDEX = "taken outside the index"
NOTHING_SEEN = "nothing to see in the photo"

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
    altered: AlteredPhotos | None = None,
    ground_apart_m: float = APART_M,
    base: ScoreWeights | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> Calibration:
    """Measure how far an index's answers can be believed.

    Args:
        space: the index.
        vectors: photos with known places, drawn like those that will be asked about.
        level: share of the index's own photos that may be refused as not from the index.
        out_of_index: photos from elsewhere, to measure how many of those are noticed.
        altered: some of the photos, altered, to teach how fog, snow and cuts look; None: they are
            not told.
        ground_apart_m: reference photos as near as this to a photo are no evidence of it, like
            its copies and its sequence, which never are; metres.
        base: weights of the same index without reference photos, where the same photos calibrated
            it by the same seed before; None: they are fitted.
        seed: of the split and of the claims.
        quiet: no progress.

    Raises:
        UsageError: fewer than :data:`FEWEST_USABLE` photos can be used.
    """
    check_level(level)
    rows, truth, left_out = _usable(space, vectors)
    s, lonlat = vectors.s[rows], vectors.lonlat_deg[rows]
    place = vectors.place_of_photo[rows]
    most = max(FEWEST_PHOTOS, min(MOST_PHOTOS, _FIT_ENTRIES // len(space.field)))
    fitted, held = split_by_place(place, min(most, int(_FIT_SHARE * len(rows))), seed)
    scores, times = space.scores(s[fitted]), place_weights(place[fitted])
    weights = base or fit_score_weights(
        *scores, space.field, truth[fitted], times=times, quiet=quiet
    )
    own = _own_references(space, vectors.taken(rows), ground_apart_m)
    if space.ground is not None and own is not None:
        weights = fit_ground(
            scores,
            space.field,
            truth[fitted],
            weights,
            space.ground,
            space.ground.comparison.likenesses(s[fitted], own.taken(fitted).rows),
            times=times,
            seed=seed,
            quiet=quiet,
        )
    of_held = place[held]
    photos = HeldOut(s[held], lonlat[held], truth[held], None if own is None else own.taken(held))
    findings = examine(space, weights, photos, seed=seed, quiet=quiet)
    where = Whereabouts(lonlat, place)
    membership = fit_out_of_index(s, held, findings.evidence, where, level=level, seed=seed)
    labels = [vectors.photos[row].condition for row in rows.tolist()]
    values = vectors.condition_values[rows]
    taught = None if altered is None else altered.among(rows)
    conditions, named, guessed = conditions_of(values, labels, s, where, membership, seed, taught)
    grouped = GroupedMasses(
        *(findings.masses, findings.sureness, of_held),
        *(named[held], guessed[held], conditions.named),
    )
    scores_of = ClaimScores(findings.claims, of_held)
    if out_of_index is not None:
        foreign, of_foreign = _from_elsewhere(space, out_of_index, left_out)
        membership = with_elsewhere(membership, foreign, evidence(space, foreign, weights))
        scores_of.add_elsewhere(scores_elsewhere(space, weights, foreign, seed), of_foreign)
    measured = {"photos_fitted": float(len(fitted)), "photos_held_back": float(len(held))}
    measured["places_held_back"] = float(len(np.unique(of_held)))
    measured |= measure(space, weights, photos, findings, grouped)
    first = first_of_each(of_held)[: len(np.unique(of_held))]  # one photo a place
    places = examine_places(space, weights, photos.taken(first))
    measured |= measure_places(places[1] or places[0])
    measured |= scores_of.costs()
    placed = np.isfinite(vectors.lonlat_deg).all(axis=1)
    centre, refined = (
        {} if guesses is None else _curves(guesses, of_held)
        for guesses in (findings.centre, findings.refined)
    )
    return Calibration(
        schema_version=SCHEMA_VERSION,
        build=space.index.manifest.build,
        model_fingerprint=space.index.manifest.model.fingerprint,
        created_utc=utc_now(),
        photos=len(rows),
        left_out=left_out,
        weights=weights,
        masses=one_a_place(findings.masses, of_held, above=True),
        confidence=centre,
        refined_confidence=refined,
        place_curves=_place_curves(space, places[0]),
        refined_place_curves=_place_curves(space, places[1]),
        out_of_index=membership,
        claims={
            radius_m: one_a_place(of_radius[TRUE].p_elsewhere, of_held, above=True)
            for radius_m, of_radius in findings.claims.items()
        },
        false_claims={
            radius_m: one_a_place(*finite(of_radius[RANDOM].p_elsewhere, of_held), above=False)
            for radius_m, of_radius in findings.claims.items()
        },
        likelihood_ratios=scores_of.curves(),
        photo_lonlat_deg=vectors.lonlat_deg[placed],
        trials=trials_of(findings, of_held, seed),
        measured=measured,
        places=len(np.unique(place)),
        conditions=conditions,
        grouped_masses=grouped,
        ground=None if own is None else _ground_basis(space, own),
        shared=fit_shared(space, weights, photos, of_held, refined or centre, seed),
        pairs=compare_pairs(vectors.taken(rows), place, seed),
    )


def _own_references(space: SearchSpace, photos: PhotoVectors, apart_m: float) -> LeftOut | None:
    """The reference photos that are no evidence of each photo; None where the index has none."""
    if space.ground is None:
        return None
    return own_references(space.ground.comparison.photos, photos, apart_m)


def _ground_basis(space: SearchSpace, own: LeftOut) -> GroundBasis:
    assert space.ground is not None
    photos = space.ground.comparison.photos
    return GroundBasis(
        len(photos), photos.manifest.content_sha256, own.apart_m, own.counts, own.photos
    )


def split_by_place(place: Ints, count: int, seed: int) -> tuple[Ints, Ints]:
    """Rows to fit weights on, at most so many, and all others, ascending; no place is in both.

    Args:
        place: (P,) which photos are of one place.
        count: how many to fit on, but for the places that :data:`FEWEST_PHOTOS` take.
        seed: shuffles the places.

    Raises:
        UsageError: the places are too few.
    """
    number = numbered(place)
    size = np.bincount(number)
    order = np.random.default_rng(seed).permutation(len(size))
    reached = np.cumsum(size[order])
    needed = int(np.searchsorted(reached, min(FEWEST_PHOTOS, count))) + 1
    first = max(needed, int(np.searchsorted(reached, count, side="right")))
    if len(size) - first < FEWEST_HELD:
        raise UsageError(
            f"{len(place):,} photos are of {len(size):,} places, too few to fit on some and "
            f"measure on others: add photos of other streets, {FEWEST_PLACES} places or more"
        )
    fitted = np.isin(number, order[:first])
    return np.flatnonzero(fitted), np.flatnonzero(~fitted)


def _curves(guesses: Guesses, place: Ints) -> dict[float, Curve]:
    times = place_weights(place)
    return {
        radius_m: fit_confidence(mass, guesses.miss_m <= radius_m, times)
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
    rows = np.flatnonzero(vectors.usable & vectors.shows_something)
    truth = space.cell_row(vectors.lonlat_deg[rows])
    left_out = dict(vectors.left_out())
    if blank := int((vectors.usable & ~vectors.shows_something).sum()):
        left_out[NOTHING_SEEN] = blank
    exchanged = swapped(space.cell_row, vectors)[rows]
    for reason, some in ((OUTSIDE_INDEX, ~exchanged), (EXCHANGED, exchanged)):
        if outside := int((some & (truth < 0)).sum()):
            left_out[reason] = outside
    inside = truth >= 0
    if inside.sum() < FEWEST_USABLE:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items()))
        raise UsageError(
            f"{inside.sum()} of {len(vectors):,} photos can be used to calibrate"
            f"{f' ({reasons})' if reasons else ''}, and at least {FEWEST_USABLE} are needed: add "
            "photos with coordinates inside the index"
            f"{f'; {hint}' if (hint := swapped_said(space.cell_row, vectors)) else ''}"
        )
    return rows[inside], truth[inside], left_out


def _from_elsewhere(
    space: SearchSpace, photos: PhotoVectors, left_out: dict[str, int]
) -> tuple[Vectors, Ints]:
    """Vectors and places of the photos from elsewhere; those of the index are only counted."""
    readable = np.isfinite(photos.s).all(axis=1)
    placed = np.isfinite(photos.lonlat_deg).all(axis=1)
    inside = np.zeros(len(photos), dtype=np.bool_)
    inside[placed] = space.cell_row(photos.lonlat_deg[placed]) >= 0
    counts = {"cannot be read": ~readable, "taken in the index": readable & inside}
    for reason, rows in counts.items():
        if rows.any():
            left_out[f"from elsewhere: {reason}"] = int(rows.sum())
    foreign = readable & ~inside
    if not foreign.any():
        raise UsageError(
            f"none of {len(photos):,} photos from elsewhere can be used: they cannot be read, or "
            "were taken in the index"
        )
    return photos.s[foreign], photos.place_of_photo[foreign]


def measure(
    space: SearchSpace,
    weights: ScoreWeights,
    photos: HeldOut,
    findings: Findings,
    grouped: GroupedMasses,
) -> dict[str, float]:
    """What the held-out photos say, by name; of best guesses, the points that people are shown.

    Args:
        space: the cells.
        weights: that were fitted on other photos.
        photos: whose place is known.
        findings: about them.
        grouped: masses that their regions need, and their places: each place counts once.
    """
    place = grouped.place
    share = space.field.area_m2 / space.field.area_m2.sum()
    shown, times = findings.shown, place_weights(place)
    measured = {
        "nll": float(np.average(findings.nll, weights=times)),
        "nll_chance": float(np.average(-np.log(share[photos.truth_row]), weights=times)),
        "median_miss_m": _median(shown.miss_m, times),
    }
    drawn = first_of_each(place)[:_REGIONS]
    for level in _LEVELS:
        name = f"{100 * level:g}"
        mass = _masses(grouped, grouped.taken(drawn), level)
        area_m2 = region_areas_m2(space, weights, photos.taken(drawn), mass)
        measured[f"region_km2_{name}"] = float(np.median(area_m2)) / 1e6
        measured[f"region_share_{name}"] = float(np.median(area_m2) / space.field.area_m2.sum())
        held = _crossed(_coverage(grouped, level), place)
        measured[f"coverage_{name}"] = float(np.average(held, weights=times))
    for radius_m in CONFIDENCE_RADII_M:
        inside = shown.miss_m <= radius_m
        likely = _crossed(_confidence(shown.disc_mass[radius_m], inside, times), place)
        measured[f"within_{radius_m:g}m"] = float(np.average(inside, weights=times))
        error = calibration_error(likely, inside, weights=times[None])
        measured[f"ece_{radius_m:g}m"] = float(error[0])
    for radius_m, of_radius in findings.claims.items():
        true, false = (finite(of_radius[kind].p_elsewhere, place) for kind in (TRUE, RANDOM))
        for rate, value in verdict_rates(true, false).items():
            measured[rate_name(rate, radius_m)] = value
    return measured


def _median(values: Floats, times: Floats) -> float:
    """The middle of (P,) values that count (P,) times; between two, their mean."""
    order = np.argsort(values)
    reached = np.cumsum(times[order]) / times.sum()
    middle = [np.searchsorted(reached, 0.5 + off) for off in (-1e-9, 1e-9)]
    return float(values[order][middle].mean())


def first_of_each(place: Ints) -> Ints:
    """Rows in such an order that each place comes once before any comes twice."""
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    nth = np.empty(len(place), dtype=np.int64)
    nth[order] = np.arange(len(place)) - np.repeat(starts, np.diff([*starts, len(place)]))
    return np.argsort(nth, kind="stable")


def _crossed(judge: Callable[[Ints, Ints], Floats], place: Ints) -> Floats:
    """Judge each half of the places by the other half: (P,), one a photo."""
    judged = np.empty(len(place))
    odd = numbered(place) % 2
    halves = np.flatnonzero(odd == 0), np.flatnonzero(odd)
    for half, others in (halves, halves[::-1]):
        judged[half] = judge(half, others)
    return judged


def _coverage(grouped: GroupedMasses, level: float) -> Callable[[Ints, Ints], Floats]:
    def judge(half: Ints, others: Ints) -> Floats:
        masses = _masses(grouped.taken(others), asked := grouped.taken(half), level)
        return (asked.mass <= masses).astype(float)

    return judge


def _masses(measured: GroupedMasses, asked: GroupedMasses, level: float) -> Floats:
    """What regions of photos need by the look of them, as measured on others: (P,)."""
    names = ["" if row < 0 else asked.names[row] for row in asked.guessed.tolist()]
    return np.array(
        [
            conformal_mass(measured.of(sureness, guessed=name), level)
            for sureness, name in zip(asked.sureness.tolist(), names, strict=True)
        ]
    )


def _confidence(mass: Floats, inside: Bools, times: Floats) -> Callable[[Ints, Ints], Floats]:
    def judge(half: Ints, others: Ints) -> Floats:
        return fit_confidence(mass[others], inside[others], times[others]).chance(mass[half])

    return judge


Claims = tuple[Floats, Ints]
"""(n,) share of places elsewhere that do as well as each claim, and (n,) the place of its photo."""


def verdict_rates(true: Claims, false: Claims) -> dict[str, float]:
    """How often true and false claims get each verdict, each judged by those of other places.

    Args:
        true: claims that are true.
        false: claims that are not.
    """
    rates = {}
    as_bad_as = one_a_place(*true, above=True)
    as_good_as = one_a_place(*false, above=False)
    for name, (shares, place) in (("true", true), ("false", false)):
        if name == "true":
            as_bad, as_good = _among(-shares, place), share_as_good(shares, as_good_as)
        else:
            as_bad, as_good = share_as_bad(shares, as_bad_as), _among(shares, place)
        verdicts = [verdict_of(*three) for three in zip(shares, as_good, as_bad, strict=True)]
        times = place_weights(place)
        for word in (UNLIKELY, CONSISTENT):
            got = times[[verdict == word for verdict in verdicts]].sum()
            rates[f"{name}_{word}"] = float(got / max(times.sum(), 1))
    return rates


def _among(values: Floats, place: Ints) -> Floats:
    """Conformal p-values among (n,) values themselves: the share of places at or below each.

    Photos of the same place are not compared, and the place itself counts as one.
    """
    if not len(values):
        return values
    times = place_weights(place)
    below = _weight_at_or_below(values, times, values)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        below[rows] -= _weight_at_or_below(values[rows], times[rows], values[rows])
    return (1 + np.round(below, 9)) / len(starts)  # sums of 1 / m: a share of 5 % is 5 %


def _weight_at_or_below(values: Floats, times: Floats, at: Floats) -> Floats:
    order = np.argsort(values)
    reached = np.concatenate([[0.0], np.cumsum(times[order])])
    return np.asarray(reached[np.searchsorted(values[order], at, side="right")])


def finite(values: Floats, place: Ints) -> Claims:
    """Those that are numbers, and their places."""
    rows = np.isfinite(values)
    return values[rows], place[rows]
