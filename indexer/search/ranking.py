"""From the scores of a photo, or of several of one place, to an answer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Floats, Vectors
from indexer.probability.out_of_index import evidence_of
from indexer.probability.posterior import (
    SHARED_ERRORS,
    ScoreWeights,
    area_log_prior,
    log_likelihood,
    posterior,
    same_place,
)
from indexer.regions.cells import cell_hex
from indexer.search.answer import (
    NOT_IN_INDEX,
    Answer,
    Candidate,
    Confidence,
    Membership,
)
from indexer.search.outlines import Region, make_region
from indexer.search.places import APART_RADII, Place, distinct_places
from indexer.search.query import Query
from indexer.search.refine import Refined, RefineOptions, Refining, refine_each

if TYPE_CHECKING:
    from gair.photos.photo import Photo
    from indexer.search.geolocator import Geolocator
    from indexer.search.token_reader import TokenReader


REGION_LEVELS = (0.5, 0.9)
"""Levels of the regions that every answer has."""
MOST_REFINED = 5
"""Places that are refined, from the best down."""
OWN_WEIGHTS = (
    "weights of your own: the index is calibrated for others, so scores rank places and are not "
    "probabilities"
)
WITH_PRIOR = (
    "a prior was given: regions and confidences were measured without one and hold as far as it "
    "is right"
)
TOGETHER = (
    "several photos of one place: regions and confidences were measured on single photos, and how "
    "much further photos add on synthetic cities"
)


@dataclass(frozen=True, eq=False)
class Seen:
    """The photos of one place as the model sees them."""

    photos: tuple[Photo, ...]
    """M photos."""
    s: Vectors
    """(M, D)."""

    def one_by_one(self) -> Sequence[Seen]:
        """Each photo for itself."""
        return [Seen((photo,), self.s[[n]]) for n, photo in enumerate(self.photos)]

    @staticmethod
    def together(found: Sequence[Seen]) -> Seen:
        """One place, of which each is a photo or several; scored if all of them are."""
        photos = tuple(photo for one in found for photo in one.photos)
        s = np.concatenate([one.s for one in found])
        scored = [one for one in found if isinstance(one, Scored)]
        if len(scored) < len(found):
            return Seen(photos, s)
        rs = np.concatenate([one.rs for one in scored])
        return Scored(photos, s, rs, np.concatenate([one.location for one in scored]))


@dataclass(frozen=True, eq=False)
class Scored(Seen):
    """The same, scored against every cell."""

    rs: Vectors
    """(M, N) cosines of the imagery."""
    location: Vectors
    """(M, N) cosines of the location embeddings."""

    def one_by_one(self) -> Sequence[Scored]:
        """Each photo for itself."""
        return [
            Scored((photo,), self.s[[n]], self.rs[[n]], self.location[[n]])
            for n, photo in enumerate(self.photos)
        ]


def cell_posterior(
    geo: Geolocator, scored: Scored, score_weights: ScoreWeights, log_prior: Floats | None = None
) -> Floats:
    """(N,) how likely each cell is, by all the photos together."""
    likelihoods = log_likelihood(
        scored.rs, scored.location, score_weights, geo.blur(score_weights.spread_m)
    )
    if len(scored.s) > 1:
        likelihoods = same_place(likelihoods)
    prior = area_log_prior(geo.area_m2)
    if log_prior is not None:
        prior = prior + log_prior
    return np.asarray(posterior(likelihoods, prior)[0])


@dataclass(frozen=True, eq=False)
class _Weighed:
    """Every cell, weighed as the query asks."""

    rs: Vectors
    """(N,) mean cosine over the photos."""
    location: Vectors
    """(N,) the same."""
    fused: Vectors
    """(N,) both, weighted."""
    radius_m: float
    """Of a place."""
    p: Floats | None
    """(N,) probabilities; None where scores are all there is."""
    place_mass: Floats | None
    """(N,) probability within the radius of each cell."""

    @property
    def apart_m(self) -> float:
        """How far places must be apart: so far that no cell is in the discs of two."""
        return self.radius_m if self.p is None else APART_RADII * self.radius_m

    @property
    def order_by(self) -> Floats | Vectors:
        """(N,) what places are ranked by."""
        return self.fused if self.place_mass is None else self.place_mass


@dataclass(frozen=True, eq=False)
class Draft:
    """An answer whose places are still the centres of cells."""

    answer: Answer
    reader: TokenReader | None = None
    """What reads between the cells; None where that is not asked for, or cannot be done."""
    refining: Refining | None = None
    """What to read there; None with the reader."""

    def refined(self, places: Sequence[Refined]) -> Answer:
        """The answer with finer points for its first places."""
        found = [
            replace(candidate, refined_lonlat_deg=(place.lon_deg, place.lat_deg))
            for candidate, place in zip(self.answer.candidates, places, strict=False)
        ]
        return replace(self.answer, candidates=(*found, *self.answer.candidates[len(found) :]))


def finished(drafts: Sequence[Draft]) -> list[Answer]:
    """The answers of drafts; those of one index are refined together."""
    by_reader: dict[TokenReader, list[int]] = {}
    answers = [draft.answer for draft in drafts]
    for number, draft in enumerate(drafts):
        if draft.reader is not None:
            by_reader.setdefault(draft.reader, []).append(number)
    for reader, numbers in by_reader.items():
        asked = [one for n in numbers if (one := drafts[n].refining) is not None]
        for number, places in zip(numbers, refine_each(reader, asked), strict=True):
            answers[number] = drafts[number].refined(places)
    return answers


def draft_of(geo: Geolocator, scored: Scored, query: Query) -> Draft:
    """The answer about one place, but for refining it."""
    weighed = _weigh(geo, scored, query)
    answer = _unrefined(geo, scored, query, weighed)
    if not query.refine or geo.reader is None or not answer.candidates:
        return Draft(answer)
    # No farther than half way to the next place, so that no two climb to one point.
    options = _options(geo, query, max(weighed.apart_m, geo.field.spacing_m) / 2)
    # Scores of several photos add up, and so do their vectors.
    s = scored.s.sum(axis=0) / len(scored.s) ** SHARED_ERRORS
    centres = [(c.lon_deg, c.lat_deg) for c in answer.candidates[:MOST_REFINED]]
    return Draft(answer, geo.reader, Refining(s, np.array(centres), options))


def _unrefined(geo: Geolocator, scored: Scored, query: Query, weighed: _Weighed) -> Answer:
    rs_weight, location_weight = query.weights(geo.calibration)
    gps = [photo.gps_lonlat_deg for photo in scored.photos if photo.gps_lonlat_deg is not None]
    answer = Answer(
        photo=scored.photos[0].name,
        candidates=_candidates(geo, query, weighed),
        index=geo.index.name,
        build=geo.index.manifest.build,
        cells_searched=len(geo.index.cells),
        rs_weight=rs_weight,
        location_weight=location_weight,
        model=geo.model_name,
        model_licence=geo.model_licence,
        trained=geo.trained,
        attribution=geo.attribution,
        warnings=_warnings(geo, query, scored),
        photo_gps_lonlat_deg=gps[0] if gps else None,
        merge_radius_m=weighed.radius_m,
        photos=tuple(photo.name for photo in scored.photos),
        prior="" if query.prior is None else query.prior.description,
    )
    if weighed.p is None:
        return answer
    return _with_belief(geo, scored, query, weighed.p, answer)


def _weigh(geo: Geolocator, scored: Scored, query: Query) -> _Weighed:
    score_weights = query.score_weights(geo.calibration)
    rs_weight, location_weight = query.weights(geo.calibration)
    radius_m = geo.merge_radius_m if query.merge_radius_m is None else query.merge_radius_m
    rs, location = scored.rs.mean(axis=0), scored.location.mean(axis=0)
    fused = rs_weight * rs + location_weight * location
    log_weight = None if query.prior is None else query.prior.log_weight
    p = place_mass = None
    if score_weights is not None:
        p = cell_posterior(geo, scored, score_weights, log_weight)
        place_mass = geo.discs(radius_m).sums(geo.each_cell(p)[None])[0]
    elif log_weight is not None:  # scores cannot be weighed with a prior, only left out
        fused = np.where(np.isfinite(log_weight), fused, -np.inf).astype(np.float32)
    return _Weighed(rs, location, fused, radius_m, p, place_mass)


def _candidates(geo: Geolocator, query: Query, weighed: _Weighed) -> tuple[Candidate, ...]:
    by = weighed.order_by
    places = distinct_places(by, geo.index.cells.lonlat_deg, query.k, weighed.apart_m)
    return tuple(
        _candidate(geo, rank, place, weighed)
        for rank, place in enumerate(places, start=1)
        if by[place.row] > (0 if weighed.p is not None else -np.inf)
    )


def _with_belief(
    geo: Geolocator, scored: Scored, query: Query, p: Floats, answer: Answer
) -> Answer:
    """The answer of a calibrated index: how far to believe it."""
    assert geo.calibration is not None
    promised = query.prior is None and len(scored.photos) == 1
    region = functools.partial(_region, geo, p, promised)
    membership = membership_of(geo, scored)
    warnings = answer.warnings if membership.in_index else (NOT_IN_INDEX, *answer.warnings)
    return replace(
        answer,
        calibrated=True,
        temperature=geo.calibration.weights.temperature,
        confidence=_confidence(geo, p, answer.candidates[0].row),
        regions=tuple(region(level).summary() for level in REGION_LEVELS),
        membership=membership,
        warnings=warnings,
        posterior=p,
        make_region=region,
    )


def _options(geo: Geolocator, query: Query, radius_m: float) -> RefineOptions:
    """The mean place under the likelihood: nearer to the truth than the best point, as measured."""
    score_weights = query.score_weights(geo.calibration)
    if score_weights is not None:
        return RefineOptions(
            score_weights.rs_weight,
            score_weights.location_weight,
            radius_m=radius_m,
            estimate="mean",
        )
    return RefineOptions(
        *query.weights(geo.calibration),
        radius_m=radius_m,
        estimate="mean",
        sharpness=1 / geo.model.config.temperature,
    )


def _candidate(geo: Geolocator, rank: int, place: Place, weighed: _Weighed) -> Candidate:
    cells, row = geo.index.cells, place.row
    lon_deg, lat_deg = (float(v) for v in cells.lonlat_deg[row])
    mass = weighed.place_mass
    return Candidate(
        rank=rank,
        lon_deg=lon_deg,
        lat_deg=lat_deg,
        h3_cell=cell_hex(int(cells.h3[row])),
        row=row,
        score=float(weighed.fused[row]),
        rs_score=float(weighed.rs[row]),
        location_score=float(weighed.location[row]),
        merged_cells=place.merged,
        spread_m=place.spread_m,
        probability=None if mass is None else min(1.0, float(mass[row])),
    )


def _confidence(geo: Geolocator, p: Floats, row: int) -> tuple[Confidence, ...]:
    """How likely the best guess is within each calibrated radius; more for a larger one."""
    assert geo.calibration is not None
    best = geo.index.cells.lonlat_deg[[row]]
    found, least = [], 0.0
    for radius_m in sorted(geo.calibration.confidence):
        mass = geo.field.discs(best, radius_m).sums(geo.each_cell(p)[None])[0, 0]
        least = max(least, float(geo.calibration.confidence_within(mass, radius_m)))
        found.append(Confidence(radius_m, least))
    return tuple(found)


def _region(geo: Geolocator, p: Floats, promised: bool, level: float) -> Region:
    assert geo.calibration is not None
    mass = geo.calibration.region_mass(level)
    cells = replace(geo.index.cells, area_m2=geo.area_m2)
    return make_region(p, cells, level, mass, promised)


def membership_of(geo: Geolocator, scored: Scored) -> Membership:
    """Whether the photos are of this index; of several, the strangest one decides."""
    assert geo.calibration is not None
    known, score_weights = geo.calibration.out_of_index, geo.calibration.weights
    evidence = evidence_of(scored.rs, scored.location, score_weights, geo.area_m2)
    p_values = known.p_value(known.score(scored.s, evidence))
    p_value = min(1.0, float(p_values.min()) * len(p_values))
    return Membership(p_value, known.level, p_value >= known.level, known.miss_rate)


def _warnings(geo: Geolocator, query: Query, scored: Scored) -> tuple[str, ...]:
    found = list(geo.warnings)
    if geo.calibration is not None:
        if query.score_weights(geo.calibration) is None:
            found.append(OWN_WEIGHTS)
        elif query.prior is not None:
            found.append(WITH_PRIOR)
        elif len(scored.photos) > 1:
            found.append(TOGETHER)
    return tuple(found)
