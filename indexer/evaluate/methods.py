"""Methods that an evaluation compares: the index's own answer, parts of it, and baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Vectors
from gair.geo import haversine_m
from indexer.evaluate.baselines import BlindPicks, photo_density
from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.judge import Look, Outcomes, Ranking, judge_all, judge_everywhere_alike
from indexer.evaluate.metrics import KS, nearest_of_first
from indexer.evaluate.offset import noise_report, offset_report
from indexer.evaluate.probabilities import LEVELS
from indexer.evaluate.summary import (
    blind_numbers,
    error_numbers,
    method_numbers,
    recall_places,
)
from indexer.evaluate.task import Task
from indexer.ground.likeness import Comparison
from indexer.probability.conformal import region_mass
from indexer.probability.posterior import ScoreWeights
from indexer.search.token_reader import TokenReader

if TYPE_CHECKING:
    from indexer.probability.calibration import Calibration

Numbers = dict[str, Any]

CALIBRATE_FIRST = "not measured: calibrate first (python -m indexer calibrate)"
OWN_WEIGHTS = "not measured: the index is calibrated for other weights than were asked for"
NO_TOKEN_MAPS = "not measured: the index keeps no token maps"
NO_WEIGHT = "not measured: reference photos have no weight in the answer"
NOT_THOROUGH = "not measured: it takes minutes, pass --thorough"
ANSWER, IMAGERY, LOCATION, DENSITY, BLIND = "answer", "imagery", "location", "density", "blind"
WITHOUT_GROUND, GROUND, NEAREST_PHOTO = "without_ground", "ground", "nearest_photo"
"""The answer without reference photos, these alone, and the place of the one most alike."""
CENTRE = "centre"
"""The answer's places at the centres of their cells."""
_PHOTOS_AT_ONCE = 64
OTHER_MODES = ("nili", "bilinear", "mean")
"""How token maps are read by the index, or in a baseline."""


def judge_methods(
    task: Task, look: Look | None = None
) -> tuple[dict[str, Outcomes], dict[str, str]]:
    """Outcomes of every method that can be measured, and why others cannot.

    Args:
        task: what is judged.
        look: looks at the answer's posteriors, where there are any.
    """
    space, index = task.space, task.space.index
    missing: dict[str, str] = {}
    answer, imagery, location = rankings_of(task)
    rankings = {ANSWER: replace(answer, look=look), IMAGERY: imagery, LOCATION: location}
    rankings |= ground_rankings(answer)
    alike = [key for key in (IMAGERY, LOCATION) if rankings[key] == answer.bare]
    different = {key: ranking for key, ranking in rankings.items() if key not in alike}
    outcomes = _judged(task, different, index.rs.scores)
    outcomes |= {key: outcomes[ANSWER].at_centres for key in alike}
    if answer.refine is None:
        missing[CENTRE] = NO_TOKEN_MAPS
    for mode in other_modes(index.manifest.query_mode):
        if index.tokens is None:
            missing[mode] = NO_TOKEN_MAPS
            continue
        reader = TokenReader(space.index, space.model, mode=mode)  # type: ignore[arg-type]
        z = reader.localized(space.index.cells.lonlat_deg)
        z[np.isnan(z).any(axis=1)] = -1.0
        outcomes |= _judged(task, {mode: answer.bare}, lambda s, z=z: s @ z.T)  # type: ignore[misc]
    if space.ground is not None:
        outcomes[NEAREST_PHOTO] = judge_nearest_photo(task)
        if GROUND not in rankings:
            missing[WITHOUT_GROUND] = missing[GROUND] = NO_WEIGHT
    if space.calibration is None:
        missing[DENSITY] = CALIBRATE_FIRST
    else:
        cells, places = space.field, space.calibration.photo_lonlat_deg
        p, _ = photo_density(cells.lonlat_deg, cells.area_m2, places)
        outcomes[DENSITY] = judge_everywhere_alike(task.judge, p, task.truths)
    return outcomes, missing


def judge_answer(task: Task) -> Outcomes:
    """Outcomes of the index's own answer alone."""
    answer, _, _ = rankings_of(task)
    return _judged(task, {ANSWER: answer}, task.space.index.rs.scores)[ANSWER]


def _judged(
    task: Task, rankings: dict[str, Ranking], rs_scores: Callable[[Vectors], Vectors]
) -> dict[str, Outcomes]:
    weighed = any(ranking.reads_location(task.space) for ranking in rankings.values())

    def scores_of(s: Vectors) -> tuple[Vectors, Vectors]:
        rs = rs_scores(s)
        return rs, task.space.index.location.scores(s) if weighed else np.zeros_like(rs)

    threads, quiet = task.options.threads, task.options.quiet
    return judge_all(task.judge, rankings, scores_of, task.truths, threads=threads, quiet=quiet)


def other_modes(query_mode: str) -> list[str]:
    """The modes of reading a token map that an index is compared with."""
    return [mode for mode in OTHER_MODES if mode != query_mode]


def rankings_of(task: Task) -> tuple[Ranking, Ranking, Ranking]:
    """How the answer, the imagery alone and the location alone rank cells.

    The answer is what a search gives, with its options. The two baselines are judged at the centres
    of cells; with a calibration they keep its temperature and spread, with all weight on one.
    """
    calibration = task.calibration
    if calibration is None:
        own = task.options.query.weights(task.space)
        answer = Ranking(own.rs, own.location, refine=task.refine, ground_weight=own.ground)
        return answer, Ranking(1.0, 0.0), Ranking(0.0, 1.0)
    weights = calibration.weights
    total = weights.rs_weight + weights.location_weight
    answer = Ranking(
        weights.rs_weight,
        weights.location_weight,
        weights,
        refine=task.refine,
        radii_m=calibration.radii_m,
        around_shown=task.refined_confidence,
        levels=LEVELS,
        masses=_masses_of(task, calibration),
    )
    imagery, location = (
        Ranking(rs, location, ScoreWeights(rs, location, weights.spread_m))
        for rs, location in ((total, 0.0), (0.0, total))
    )
    return answer, imagery, location


def ground_rankings(answer: Ranking) -> dict[str, Ranking]:
    """The answer without reference photos, and these alone; nothing where they have no weight."""
    if not answer.reads_ground:
        return {}
    if answer.weights is None:
        without = replace(answer, ground_weight=0.0)
        return {WITHOUT_GROUND: without, GROUND: Ranking(0.0, 0.0, ground_weight=1.0)}
    weights = answer.weights
    alone = weights.ground_alone
    return {
        WITHOUT_GROUND: replace(answer, weights=replace(weights, ground_weight=0.0)),
        GROUND: Ranking(0.0, 0.0, alone),
    }


def judge_nearest_photo(task: Task) -> Outcomes:
    """Judge the places of the reference photos most alike, as place recognition answers.

    There are no cells in it, so nothing is said of their ranks.
    """
    ground, truths = task.space.ground, task.truths
    assert ground is not None
    outcomes = Outcomes.failed(len(truths.s), Ranking(0.0, 0.0))
    photos = ground.comparison.photos
    comparison = Comparison(photos, nearest=max(KS), sample=0, one_by_one=True)
    for start in range(0, len(truths.rows), _PHOTOS_AT_ONCE):
        rows = truths.rows[start : start + _PHOTOS_AT_ONCE]
        likenesses = comparison.likenesses(truths.s[rows], task.own(rows))
        for row, likeness in zip(rows.tolist(), likenesses, strict=True):
            places = photos.lonlat_deg[likeness.rows]
            if not len(places):
                continue
            away_m = np.asarray(haversine_m(places, truths.lonlat_deg[row])).reshape(1, -1)
            outcomes.near_places_m[row] = nearest_of_first(away_m, KS)[0]
            outcomes.near_centres_m[row] = outcomes.near_places_m[row]
            outcomes.error_m[row] = away_m[0, 0]
            outcomes.shown_lonlat_deg[row] = places[0]
    return outcomes


def _masses_of(task: Task, calibration: Calibration) -> Callable[[float, int], tuple[float, ...]]:
    """What regions need, as a search draws them: by sureness, and by the look of each photo."""
    conditions = calibration.conditions
    guessed = np.full(len(task.photos), -1)
    if conditions is not None and conditions.named:
        guessed = conditions.guess(task.photos.condition_values)

    def masses(sureness: float, row: int) -> tuple[float, ...]:
        name = "" if conditions is None or guessed[row] < 0 else conditions.named[guessed[row]]
        of_photo = calibration.masses_of(sureness, guessed=name)
        return tuple(region_mass(of_photo, level) for level in LEVELS)

    return masses


def method_rows(
    task: Task,
    outcomes: dict[str, Outcomes],
    missing: dict[str, str],
    picks: BlindPicks,
    drawn: Resamples,
) -> list[Numbers]:
    """The numbers of every method, the index's own first; or why there are none."""
    modes = other_modes(task.space.index.manifest.query_mode)
    judged = {**outcomes, CENTRE: outcomes[ANSWER].at_centres}
    rows: list[Numbers] = []
    of_ground = () if task.space.ground is None else (WITHOUT_GROUND, GROUND, NEAREST_PHOTO)
    for key in (ANSWER, CENTRE, *of_ground, IMAGERY, LOCATION, *modes, DENSITY):
        if key in missing:
            rows.append({"key": key, "measured": False, "why": missing[key]})
        else:
            numbers = _numbers_of(key, judged[key], task, drawn)
            rows.append({"key": key, "measured": True, "numbers": numbers})
    outside = len(task.truths.rows) - len(task.inside)
    blind = blind_numbers(picks, task.failed, task.scale, outside)
    rows.append({"key": BLIND, "measured": True, "numbers": blind})
    return rows


def _numbers_of(key: str, outcomes: Outcomes, task: Task, drawn: Resamples) -> Numbers:
    if key == NEAREST_PHOTO:  # places alone, and no cells
        numbers = error_numbers(outcomes.error_m, task.scale, drawn)
        numbers["recall_places"] = recall_places(outcomes, task.scale, drawn)
        return numbers
    return method_numbers(outcomes, task.scale, drawn)


def coordinate_tests(task: Task) -> dict[str, Numbers]:
    """The offset test and the noise test by their keys in a report; or why there are none."""
    why = "" if task.options.thorough else NOT_THOROUGH
    if task.space.index.tokens is None:
        why = NO_TOKEN_MAPS
    if not why and not len(task.truths.rows):
        why = "not measured: no photo could be judged"
    if why:
        return {key: {"measured": False, "why": why} for key in ("offset", "noise")}
    return {
        "offset": offset_report(task.space, task.truths, task.options.seed),
        "noise": noise_report(task.space, task.truths, task.options.seed),
    }
