"""Ranking of places from the scores of a photo, or of several of one place: an answer.

The answer is first *drafted*, with the centres of cells as its places. Drafts of many photos are
then *finished* together: their places are refined in one pass over the token maps, and what is said
of the best guess is said of its refined point.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Floats, Ints, Vectors
from gair.errors import UsageError
from indexer.ground.likelihood import GroundEvidence, GroundKernel
from indexer.ground.nearby import photos_near
from indexer.probability.cautions import Caution
from indexer.probability.conformal import FEWEST_IN_GROUP
from indexer.probability.posterior import ScoreWeights, apart_radii_of, same_place, shared_by
from indexer.regions.cells import cell_hex
from indexer.search.answer import BY_IMAGERY_ALONE, CELLS_ONLY, NO_CONTENT, Answer, Candidate
from indexer.search.chances import chance_cautions, with_chances
from indexer.search.decide import check_decidable, decider
from indexer.search.outlines import RegionMaker
from indexer.search.places import distinct_places
from indexer.search.query import Query
from indexer.search.refine import (
    GroundReading,
    Refined,
    RefineOptions,
    Refining,
    refine_each,
    refined_points,
)
from indexer.search.scored import Scored, joint_posterior, likeness_mass, prior_shares, standing_of
from indexer.search.space import SearchSpace

if TYPE_CHECKING:
    from indexer.probability.calibration import Calibration
    from indexer.search.token_reader import TokenReader


REGION_LEVELS = (0.5, 0.9)
"""Levels of the regions that every answer has."""
MOST_REFINED = 5
"""Places that are refined, from the best down."""
_REFINED_AT_ONCE = 32
"""Photos whose best guesses are refined in one pass."""
OWN_WEIGHTS = Caution(
    "weights of your own: the index is calibrated for others, so scores rank places and are not "
    "probabilities",
    "own_weights",
)
WITH_PRIOR = Caution(
    "a prior was given: regions and confidences were measured without one and hold as far as it "
    "is right",
    "prior",
)
CENTRE_ONLY = Caution(
    "calibrated before refined points were: confidences hold for the centre of the best cell, not "
    "for its refined point; calibrate again with python -m indexer calibrate",
    "calibrated_for_centres",
)
_SINGLE = (
    "several photos of one place: regions and confidences were measured on single photos, and "
)
TOGETHER = Caution(
    f"{_SINGLE}how much further photos add on synthetic cities: the calibration had too few places "
    "with several photos",
    "several_photos",
)


WithPhotos = Callable[[Answer], Answer]
"""The same with the reference photos near its places."""
WithChances = Callable[[Answer], Answer]
"""An answer with its final points to the same with the chances of its places."""


@dataclass(frozen=True, eq=False)
class _Weighed:
    """Every cell, weighed as the query asks."""

    rs: Vectors
    """(N,) mean cosine over the photos."""
    location: Vectors
    """(N,) the same."""
    fused: Vectors
    """(N,) all of it, weighted."""
    ground: GroundEvidence | None
    """What reference photos say of each photo; None where they have no weight."""
    radius_m: float
    """Of a place."""
    p: Floats | None
    """(N,) probabilities; None where scores are all there is."""
    order_by: Floats
    """(N,) what places are ranked by: probability, or likeness, within the radius of each cell."""
    divisor: float
    """Of the sum over the photos, for what they share: 1 for one photo."""

    @property
    def ground_ratio(self) -> Vectors | None:
        """(N,) mean log ratio of the reference photos over the photos."""
        return None if self.ground is None else self.ground.log_ratios.mean(axis=0)


@dataclass(frozen=True, eq=False)
class Draft:
    """An answer whose places are still the centres of cells."""

    answer: Answer
    reader: TokenReader | None = None
    """What reads between the cells; None where that is not asked for, or cannot be done."""
    refining: Refining | None = None
    """What to read there; None with the reader."""
    with_chances: WithChances | None = None
    """What gives refined places their chances; None where the answer has them, or none."""
    with_photos: WithPhotos | None = None
    """What lists reference photos near places; None where they have no weight."""

    def refined(self, places: Sequence[Refined]) -> Answer:
        """The answer with finer points for its first places."""
        first = [
            replace(candidate, refined_lonlat_deg=(place.lon_deg, place.lat_deg))
            for candidate, place in zip(self.answer.candidates, places, strict=False)
        ]
        answer = replace(self.answer, candidates=(*first, *self.answer.candidates[len(first) :]))
        return answer if self.with_chances is None else self.with_chances(answer)

    def told(self, answer: Answer) -> Answer:
        """An answer with its final points, and the reference photos near them."""
        return answer if self.with_photos is None else self.with_photos(answer)


def finished(drafts: Sequence[Draft]) -> list[Answer]:
    """The answers of drafts; those of one index are refined together."""
    by_reader: dict[TokenReader, list[int]] = {}
    answers = [draft.answer for draft in drafts]
    for number, draft in enumerate(drafts):
        if draft.reader is not None:
            by_reader.setdefault(draft.reader, []).append(number)
    for reader, numbers in by_reader.items():
        refinings = [r for n in numbers if (r := drafts[n].refining) is not None]
        for number, places in zip(numbers, refine_each(reader, refinings), strict=True):
            answers[number] = drafts[number].refined(places)
    return [draft.told(answer) for draft, answer in zip(drafts, answers, strict=True)]


def draft_of(space: SearchSpace, scored: Scored, query: Query) -> Draft:
    """The answer about one place, but for refining it.

    Raises:
        UsageError: a decision is asked for that the index cannot give.
    """
    check_decidable(space, query)
    _check_condition(space, query)
    weighed = _weigh(space, scored, query)
    answer = _unrefined(space, scored, query, weighed)
    refines = query.refine and space.reader is not None and bool(answer.candidates)
    chances = None
    if weighed.p is not None:
        answer, chances = _believed(space, scored, query, weighed, answer, refines)
    photos = None if weighed.ground is None else functools.partial(_with_photos, weighed.ground)
    if not refines:
        return Draft(answer, with_photos=photos)
    # Scores of several photos add up, and so do their vectors.
    s = (scored.s.sum(axis=0) / weighed.divisor).astype(np.float32)
    centres = np.array([(c.lon_deg, c.lat_deg) for c in answer.candidates[:MOST_REFINED]])
    ground = _reading(weighed.ground, weighed.divisor)
    refining = Refining(s, centres, refine_options(space, query), ground)
    return Draft(answer, space.reader, refining, chances, photos)


def _with_photos(ground: GroundEvidence, answer: Answer) -> Answer:
    """The answer with the reference photos near each of its places."""
    places = [candidate.shown_lonlat_deg for candidate in answer.candidates]
    listed = photos_near(ground, np.array(places).reshape(-1, 2), answer.merge_radius_m)
    each = zip(answer.candidates, listed, strict=True)
    return replace(answer, candidates=tuple(replace(c, ground_photos=near) for c, near in each))


def _reading(ground: GroundEvidence | None, divisor: float) -> GroundReading | None:
    """What refining reads of the reference photos, of all photos of one place together."""
    if ground is None:
        return None
    return GroundReading(lambda points: ground.at(points) / divisor, ground.kernel.kernel_m)


def ground_readings(ground: GroundEvidence | None, photos: int) -> list[GroundReading | None]:
    """The same of each of so many photos by itself."""
    if ground is None:
        return [None] * photos
    return [_reading(of_photo, 1.0) for of_photo in ground.one_by_one()]


def refine_options(
    space: SearchSpace, query: Query, weights: ScoreWeights | None = None
) -> RefineOptions:
    """How a search refines: to the mean place under the likelihood, which was measured as best.

    Args:
        space: the cells.
        query: how they are weighed.
        weights: instead of those of the space's calibration, where they are still being measured.
    """
    weights = weights or query.score_weights(space.calibration)
    # No farther than half way to the next place, so that no two climb to one point.
    radius_m = max(_apart_m(space, query, weights), space.field.spacing_m) / 2
    if weights is not None:
        own = weights.rs_weight, weights.location_weight
        return RefineOptions(*own, radius_m, "mean", ground_weight=weights.ground_weight)
    sharpness = 1 / space.model.config.temperature
    given = query.weights(space)
    return RefineOptions(given.rs, given.location, radius_m, "mean", sharpness, given.ground)


def shown_points(
    space: SearchSpace,
    s: Vectors,
    rows: Ints,
    options: RefineOptions,
    ground: GroundEvidence | None = None,
    of_photo: Ints | None = None,
) -> Floats:
    """Guesses about photos as a search shows them.

    Args:
        space: the cells.
        s: (P, D) vectors of photos, each of a place of its own.
        rows: (R,) cells that :func:`draft_of` names for them.
        options: from :func:`refine_options`.
        ground: of these photos; None where reference photos have no weight.
        of_photo: (R,) the photo of each row; None for row after row.

    Returns:
        (R, 2) refined points; centres where the index has no token maps.
    """
    centres = space.index.cells.lonlat_deg[rows]
    if space.reader is None:
        return centres
    points = np.empty_like(centres)
    readings = ground_readings(ground, len(s))
    photos = np.arange(len(rows)) if of_photo is None else of_photo
    for start in range(0, len(rows), _REFINED_AT_ONCE):
        block = slice(start, start + _REFINED_AT_ONCE)
        each = zip(photos[block].tolist(), centres[block], strict=True)
        refinings = [Refining(s[n], centre[None], options, readings[n]) for n, centre in each]
        points[block] = np.concatenate(refined_points(space.reader, refinings))
    return points


def shown_together(
    space: SearchSpace,
    s: Vectors,
    row: int,
    options: RefineOptions,
    divisor: float,
    ground: GroundEvidence | None = None,
) -> Floats:
    """The best guess about several photos of one place as a search shows it, (2,).

    Args:
        space: the cells.
        s: (M, D) vectors of the photos.
        row: their best cell.
        options: from :func:`refine_options`.
        divisor: of the sum over the photos.
        ground: of these photos; None where reference photos have no weight.
    """
    centre = space.index.cells.lonlat_deg[row]
    if space.reader is None:
        return np.asarray(centre)
    joint = (s.sum(axis=0) / divisor).astype(np.float32)
    refining = Refining(joint, centre[None], options, _reading(ground, divisor))
    return np.asarray(refined_points(space.reader, [refining])[0][0])


def _radius_m(space: SearchSpace, query: Query) -> float:
    """Of a place."""
    return space.merge_radius_m if query.merge_radius_m is None else query.merge_radius_m


def _apart_m(space: SearchSpace, query: Query, weights: ScoreWeights | None) -> float:
    """How far places must be apart: as far as when their chances were measured."""
    return apart_radii_of(weights) * _radius_m(space, query)


def _unrefined(space: SearchSpace, scored: Scored, query: Query, weighed: _Weighed) -> Answer:
    weights = query.weights(space)
    model = space.index.manifest.model
    gps = [photo.gps_lonlat_deg for photo in scored.photos if photo.gps_lonlat_deg is not None]
    return Answer(
        photo=scored.photos[0].name,
        candidates=_candidates(space, query, weighed),
        index=space.index.name,
        build=space.index.manifest.build,
        cells_searched=len(space.index.cells),
        rs_weight=weights.rs,
        location_weight=weights.location,
        ground_weight=weights.ground if weighed.ground is not None else None,
        weights_by=weights.source,
        model=model.name,
        model_licence=model.licence,
        trained=model.trained,
        runtime=space.runtime,
        attribution=space.attribution,
        warnings=_warnings(space, query, scored),
        photo_gps_lonlat_deg=gps[0] if gps else None,
        merge_radius_m=weighed.radius_m,
        photos=scored.names,
        photo_sha256=scored.sha256,
        prior="" if query.prior is None else query.prior.description,
        taken_at=query.taken_at or scored.captured_at,
    )


def _weigh(space: SearchSpace, scored: Scored, query: Query) -> _Weighed:
    score_weights = query.score_weights(space.calibration)
    weights = query.weights(space)
    radius_m = _radius_m(space, query)
    rs, location = scored.rs.mean(axis=0), scored.location.mean(axis=0)
    fused = weights.rs * rs + weights.location * location
    ground = None
    if weights.ground:
        kernel = GroundKernel.of(space.weights)
        ground = space.ground_read(scored.s, scored.cosines, kernel, scored.left_out)
    if ground is not None:
        fused = fused + np.float32(weights.ground) * ground.log_ratios.mean(axis=0)
    log_weight = None if query.prior is None else query.prior.log_weight
    p = None
    if score_weights is not None:
        p, divisor = joint_posterior(space, scored, score_weights, log_weight, ground)
        order_by = space.place_mass(p[None], radius_m)[0]
    else:
        each = weights.rs * scored.rs + weights.location * scored.location
        if ground is not None:
            each = each + np.float32(weights.ground) * ground.log_ratios
        divisor = shared_by(each, space.log_prior, space.least_shared)
        if log_weight is not None:  # scores cannot be weighed with a prior, only left out
            each = np.where(np.isfinite(log_weight), each, -np.inf).astype(np.float32)
        order_by = likeness_mass(space, same_place(each, divisor), radius_m)[0]
    return _Weighed(rs, location, fused, ground, radius_m, p, order_by, divisor)


def _candidates(space: SearchSpace, query: Query, weighed: _Weighed) -> tuple[Candidate, ...]:
    by = weighed.order_by
    apart_m = _apart_m(space, query, query.score_weights(space.calibration))
    places = distinct_places(by, space.index.cells.lonlat_deg, query.k, apart_m)
    cells, ratio = space.index.cells, weighed.ground_ratio
    return tuple(
        Candidate(
            rank=rank,
            lon_deg=float(cells.lonlat_deg[place.row, 0]),
            lat_deg=float(cells.lonlat_deg[place.row, 1]),
            h3_cell=cell_hex(int(cells.h3[place.row])),
            row=place.row,
            score=float(weighed.fused[place.row]),
            rs_score=float(weighed.rs[place.row]),
            location_score=float(weighed.location[place.row]),
            ground_score=None if ratio is None else float(ratio[place.row]),
            merged_cells=place.merged,
            merged_within_m=place.spread_m,
        )
        for rank, place in enumerate(places, start=1)
        if by[place.row] > (0 if weighed.p is not None else -np.inf)
    )


def _believed(
    space: SearchSpace,
    scored: Scored,
    query: Query,
    weighed: _Weighed,
    answer: Answer,
    refines: bool,
) -> tuple[Answer, WithChances | None]:
    """The answer of a calibrated index: how far to believe it.

    With it comes what gives its places their chances once they are refined; None where it has them.
    """
    calibration, p = space.calibration, weighed.p
    assert calibration is not None
    assert p is not None
    standing = standing_of(space, scored, query.elsewhere_prior, weighed.ground)
    promised = query.prior is None and len(scored.photos) == 1 and standing.alike
    promised = promised and not space.sampled and not calibration.doubt
    around = weighed.order_by
    if weighed.radius_m != space.merge_radius_m:
        around = space.place_mass(p[None])[0]
    named, looks_like = query.condition or "", standing.looks_like
    masses = calibration.masses_of(float(around.max()), named=named, guessed=looks_like)
    region = _regions(space, p, masses, promised, standing.refused)
    warnings = (*standing.cautions, *answer.warnings)
    of_refined = refines and bool(calibration.refined_confidence)
    if refines and not of_refined:
        warnings = (*warnings, CENTRE_ONLY)
    warnings = (*warnings, *calibration.cautions, *_pooled(calibration, named))
    warnings = (*warnings, *chance_cautions(space, answer.merge_radius_m, of_refined))
    half = region(0.5)
    answer = replace(
        answer,
        calibrated=True,
        temperature=calibration.weights.temperature,
        regions=tuple(region(level).summary() for level in REGION_LEVELS),
        membership=standing.membership,
        elsewhere=standing.elsewhere,
        unlike=standing.unlike,
        given=standing.given,
        error_m=math.sqrt(half.km2 * 1e6 / math.pi),
        calibration=calibration.basis,
        warnings=warnings,
        posterior=p,
        make_region=region,
    )
    before = prior_shares(space, None if query.prior is None else query.prior.log_weight)
    chances = functools.partial(with_chances, space, p, before, of_refined, len(scored.photos))
    decide = decider(space, scored, query, p, answer)

    def final(answer: Answer) -> Answer:
        return chances(answer) if decide is None else decide(chances(answer))

    return (answer, final) if of_refined else (final(answer), None)


def _check_condition(space: SearchSpace, query: Query) -> None:
    """Refuse a condition that no calibration photo was taken under.

    Raises:
        UsageError: there is no such condition.
    """
    if query.condition is None:
        return
    grouped = None if space.calibration is None else space.calibration.grouped_masses
    names = () if grouped is None else grouped.names
    if query.condition not in names:
        there = f"one of {', '.join(names)}" if names else "none was measured by condition"
        raise UsageError(
            f"`condition` {query.condition!r} is none of the calibration of index "
            f"{space.index.name!r} ({there}): calibrate with photos of it, named in a column "
            "`condition`, or leave it out"
        )


def _pooled(calibration: Calibration, condition: str) -> tuple[Caution, ...]:
    """What to know where a named condition has too few places for regions of its own."""
    grouped = calibration.grouped_masses
    if not condition or grouped is None or grouped.knows(condition):
        return ()
    text = f"regions are those of all calibration photos: too few places of {condition!r}"
    return (Caution(f"{text} were measured at ({FEWEST_IN_GROUP} are needed)", "condition_pooled"),)


def _regions(
    space: SearchSpace, p: Floats, masses: Floats, promised: bool, refused: bool
) -> RegionMaker:
    cells = space.index.cells
    return RegionMaker(p, cells.h3, space.area_m2, cells.area_m2, masses, promised, refused)


def _warnings(space: SearchSpace, query: Query, scored: Scored) -> tuple[str, ...]:
    texts = [*space.warnings, *scored.cautions]
    calibrated = query.score_weights(space.calibration) is not None
    if scored.shows_nothing and not calibrated:  # where it is, this comes with the promises
        texts.insert(0, NO_CONTENT)
    if query.weights(space).source == "default":
        texts.append(BY_IMAGERY_ALONE)
    if query.refine and space.lacks_decoder:
        texts.append(CELLS_ONLY)
    if space.calibration is not None:
        if query.score_weights(space.calibration) is None:
            texts.append(OWN_WEIGHTS)
        elif query.prior is not None:
            texts.append(WITH_PRIOR)
        elif len(scored.photos) > 1:
            texts.append(_together(space.calibration))
    return tuple(texts)


def _together(calibration: Calibration) -> Caution:
    """What to know of an answer about several photos."""
    if (shared := calibration.shared) is None:
        return TOGETHER
    measured = f"on {shared.photos:,} photos of {shared.places:,} places"
    errors = f"(they share {shared.least:.0%} of their errors or more)"
    text = f"{_SINGLE}how much further photos add {measured} {errors}"
    if shared.chance_shifts:
        text = (
            f"several photos of one place: regions were measured on single photos; chances, and "
            f"how much further photos add, {measured} {errors}"
        )
    return Caution(text, TOGETHER.code)
