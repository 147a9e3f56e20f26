"""Methods that an evaluation compares: the index's own answer, parts of it, and baselines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Vectors
from indexer.evaluate.baselines import BlindPicks, photo_density
from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.judge import Outcomes, Ranking, judge_all, judge_everywhere_alike
from indexer.evaluate.offset import noise_report, offset_report, refined_errors
from indexer.evaluate.options import EvaluateOptions
from indexer.evaluate.probabilities import LEVELS
from indexer.evaluate.summary import blind_numbers, error_numbers, method_numbers
from indexer.evaluate.task import Task
from indexer.probability.posterior import ScoreWeights

if TYPE_CHECKING:
    from indexer.search.geolocator import Geolocator

Numbers = dict[str, Any]

CALIBRATE_FIRST = "not measured: calibrate first (python -m indexer calibrate)"
OWN_WEIGHTS = "not measured: the index is calibrated for other weights than were asked for"
NO_TOKEN_MAPS = "not measured: the index keeps no token maps"
NOT_THOROUGH = "not measured: it takes minutes, pass --thorough"
ANSWER, IMAGERY, LOCATION, DENSITY, BLIND = "answer", "imagery", "location", "density", "blind"
REFINED = "refined"
OTHER_MODES = ("nili", "bilinear", "mean")
"""How token maps are read by the index, or in a baseline."""


def judge_methods(task: Task) -> tuple[dict[str, Outcomes], dict[str, str]]:
    """Outcomes of every method that can be measured, and why others cannot."""
    index = task.geolocator.index
    missing: dict[str, str] = {}
    answer, imagery, location = rankings_of(task.geolocator, task.options)
    rankings = {ANSWER: answer, IMAGERY: imagery, LOCATION: location}
    alike = [key for key in (IMAGERY, LOCATION) if rankings[key] == _bare(answer)]
    different = {key: ranking for key, ranking in rankings.items() if key not in alike}
    outcomes = _judged(task, different, index.rs.scores)
    outcomes |= {key: outcomes[ANSWER] for key in alike}
    for mode in other_modes(index.manifest.query_mode):
        if index.tokens is None:
            missing[mode] = NO_TOKEN_MAPS
            continue
        z = _localized(task.geolocator, mode)
        outcomes |= _judged(task, {mode: _bare(answer)}, lambda s, z=z: s @ z.T)  # type: ignore[misc]
    calibration = task.geolocator.calibration
    if calibration is None:
        missing[DENSITY] = CALIBRATE_FIRST
    else:
        cells, places = task.judge.field, calibration.photo_lonlat_deg
        p, _ = photo_density(cells.lonlat_deg, cells.area_m2, places)
        outcomes[DENSITY] = judge_everywhere_alike(task.judge, p, task.truths)
    return outcomes, missing


def _judged(
    task: Task, rankings: dict[str, Ranking], rs_scores: Callable[[Vectors], Vectors]
) -> dict[str, Outcomes]:
    weighed = any(ranking.location_weight for ranking in rankings.values())

    def scores_of(s: Vectors) -> tuple[Vectors, Vectors]:
        rs = rs_scores(s)
        return rs, task.geolocator.index.location.scores(s) if weighed else np.zeros_like(rs)

    threads, quiet = task.options.threads, task.options.quiet
    return judge_all(task.judge, rankings, scores_of, task.truths, threads=threads, quiet=quiet)


def other_modes(query_mode: str) -> list[str]:
    """The modes of reading a token map that an index is compared with."""
    return [mode for mode in OTHER_MODES if mode != query_mode]


def _localized(geolocator: Geolocator, mode: str) -> Vectors:
    from indexer.search.token_reader import localized

    index = geolocator.index
    z = localized(index, geolocator.model, index.cells.lonlat_deg, mode)  # type: ignore[arg-type]
    return np.nan_to_num(z, nan=-1.0)


def rankings_of(
    geolocator: Geolocator, options: EvaluateOptions
) -> tuple[Ranking, Ranking, Ranking]:
    """How the answer, the imagery alone and the location alone rank cells.

    With a calibration the two baselines keep its temperature and spread, with all weight on one.
    """
    calibration, query = geolocator.calibration, options.query
    fitted = query.score_weights(calibration)
    if calibration is None or fitted is None:
        return Ranking(*query.weights(None)), Ranking(1.0, 0.0), Ranking(0.0, 1.0)
    total = fitted.rs_weight + fitted.location_weight
    answer = Ranking(
        fitted.rs_weight,
        fitted.location_weight,
        fitted,
        radii_m=tuple(sorted(calibration.confidence)),
        masses=tuple(calibration.region_mass(level) for level in LEVELS),
    )
    alone = [
        Ranking(rs, location, ScoreWeights(rs, location, fitted.spread_m))
        for rs, location in ((total, 0.0), (0.0, total))
    ]
    return answer, alone[0], alone[1]


def _bare(ranking: Ranking) -> Ranking:
    return Ranking(ranking.rs_weight, ranking.location_weight, ranking.sharpness)


def method_rows(
    task: Task,
    outcomes: dict[str, Outcomes],
    missing: dict[str, str],
    picks: BlindPicks,
    drawn: Resamples,
) -> list[Numbers]:
    """The numbers of every method, the index's own first; or why there are none."""
    modes = other_modes(task.geolocator.index.manifest.query_mode)
    rows: list[Numbers] = []
    for key in (ANSWER, IMAGERY, LOCATION, *modes, DENSITY):
        if key in missing:
            rows.append({"key": key, "measured": False, "why": missing[key]})
        else:
            numbers = method_numbers(outcomes[key], task.scale, drawn)
            rows.append({"key": key, "measured": True, "numbers": numbers})
    rows.insert(1, _refined_row(task, outcomes[ANSWER], drawn))
    outside = len(task.truths.rows) - len(task.inside)
    blind = blind_numbers(picks, task.failed, task.scale, outside)
    rows.append({"key": BLIND, "measured": True, "numbers": blind})
    return rows


def _refined_row(task: Task, answer: Outcomes, drawn: Resamples) -> Numbers:
    if why := _no_extras(task):
        return {"key": REFINED, "measured": False, "why": why}
    error_m = refined_errors(
        task.geolocator, task.options.query, answer, task.truths, quiet=task.options.quiet
    )
    numbers = error_numbers(error_m, task.scale, drawn)
    return {"key": REFINED, "measured": True, "numbers": numbers}


def coordinate_tests(task: Task) -> dict[str, Numbers]:
    """The offset test and the noise test by their keys in a report; or why there are none."""
    why = _no_extras(task)
    if not why and not len(task.truths.rows):
        why = "not measured: no photo could be judged"
    if why:
        return {key: {"measured": False, "why": why} for key in ("offset", "noise")}
    seed = task.options.seed
    return {
        "offset": offset_report(task.geolocator, task.truths, seed),
        "noise": noise_report(task.geolocator, task.truths, seed),
    }


def _no_extras(task: Task) -> str:
    """Why what takes minutes is not measured; empty if it is."""
    if task.geolocator.index.tokens is None:
        return NO_TOKEN_MAPS
    return "" if task.options.thorough else NOT_THOROUGH
