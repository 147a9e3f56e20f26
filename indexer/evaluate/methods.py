"""Methods that an evaluation compares: the index's own answer, parts of it, and baselines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Vectors
from indexer.evaluate.baselines import BlindPicks, photo_density
from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.judge import Outcomes, Ranking, judge_all, judge_everywhere_alike
from indexer.evaluate.offset import noise_report, offset_report
from indexer.evaluate.probabilities import LEVELS
from indexer.evaluate.summary import blind_numbers, method_numbers
from indexer.evaluate.task import Task
from indexer.probability.posterior import ScoreWeights
from indexer.search.token_reader import TokenReader

if TYPE_CHECKING:
    pass

Numbers = dict[str, Any]

CALIBRATE_FIRST = "not measured: calibrate first (python -m indexer calibrate)"
OWN_WEIGHTS = "not measured: the index is calibrated for other weights than were asked for"
NO_TOKEN_MAPS = "not measured: the index keeps no token maps"
NOT_THOROUGH = "not measured: it takes minutes, pass --thorough"
ANSWER, IMAGERY, LOCATION, DENSITY, BLIND = "answer", "imagery", "location", "density", "blind"
CENTRE = "centre"
"""The answer's places at the centres of their cells."""
OTHER_MODES = ("nili", "bilinear", "mean")
"""How token maps are read by the index, or in a baseline."""


def judge_methods(task: Task) -> tuple[dict[str, Outcomes], dict[str, str]]:
    """Outcomes of every method that can be measured, and why others cannot."""
    space, index = task.space, task.space.index
    missing: dict[str, str] = {}
    answer, imagery, location = rankings_of(task)
    rankings = {ANSWER: answer, IMAGERY: imagery, LOCATION: location}
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
        z = np.nan_to_num(reader.localized(space.index.cells.lonlat_deg), nan=-1.0)
        outcomes |= _judged(task, {mode: answer.bare}, lambda s, z=z: s @ z.T)  # type: ignore[misc]
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
    weighed = any(ranking.location_weight for ranking in rankings.values())

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
        answer = Ranking(own.rs, own.location, refine=task.refine)
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
        masses=tuple(calibration.region_mass(level) for level in LEVELS),
    )
    imagery, location = (
        Ranking(rs, location, ScoreWeights(rs, location, weights.spread_m))
        for rs, location in ((total, 0.0), (0.0, total))
    )
    return answer, imagery, location


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
    for key in (ANSWER, CENTRE, IMAGERY, LOCATION, *modes, DENSITY):
        if key in missing:
            rows.append({"key": key, "measured": False, "why": missing[key]})
        else:
            numbers = method_numbers(judged[key], task.scale, drawn)
            rows.append({"key": key, "measured": True, "numbers": numbers})
    outside = len(task.truths.rows) - len(task.inside)
    blind = blind_numbers(picks, task.failed, task.scale, outside)
    rows.append({"key": BLIND, "measured": True, "numbers": blind})
    return rows


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
