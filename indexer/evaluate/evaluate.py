"""The recipe of an evaluation: vectors, what became of each photo, numbers.

:func:`evaluate` returns what ``report.json`` holds: plain JSON types, every figure's data included.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.errors import UsageError
from indexer.evaluate.baselines import blind_picks
from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.heading import heading, photo_rows
from indexer.evaluate.judge import Outcomes
from indexer.evaluate.methods import (
    ANSWER,
    BLIND,
    CALIBRATE_FIRST,
    DENSITY,
    OWN_WEIGHTS,
    judge_ways,
    method_rows,
    offset_test,
)
from indexer.evaluate.metrics import cell_floor_m
from indexer.evaluate.out_of_index import known_photos, outside_report
from indexer.evaluate.probabilities import (
    Groups,
    calibration_numbers,
    likelihood_numbers,
    selection_numbers,
)
from indexer.evaluate.slices import slice_tables
from indexer.evaluate.summary import area_curves, error_curves
from indexer.evaluate.task import EvaluateOptions, Task, make_task

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors
    from indexer.search.geolocator import Geolocator

Numbers = dict[str, Any]


def evaluate(
    geolocator: Geolocator,
    photos: PhotoVectors,
    options: EvaluateOptions | None = None,
    *,
    outside: PhotoVectors | None = None,
) -> Numbers:
    """Everything that an evaluation reports.

    Args:
        geolocator: the index and its model.
        photos: listed photos with their vectors and places.
        options: what to evaluate.
        outside: photos that were not taken in the index's region.

    Raises:
        UsageError: the calibration rests on some of the photos, or a weight makes no sense.
    """
    options = options or EvaluateOptions()
    options.query.check()
    since = time.perf_counter()
    task = make_task(geolocator, photos, options)
    known = _check_calibration_photos(task)
    outcomes, missing = judge_ways(task)
    picks = blind_picks(
        task.truths.lonlat_deg[task.truths.rows], task.judge.field.lonlat_deg, task.scale.radii_m
    )
    drawn = Resamples(len(photos), resamples=options.resamples, seed=options.seed)
    report = _heading(task, known)
    report["notes"] = task.notes
    report["methods"] = method_rows(task, outcomes, missing, picks, drawn)
    report["calibration"] = _calibration(task, outcomes, drawn)
    report["out_of_index"] = outside_report(
        geolocator, photos.s[task.inside], outside, seed=options.seed, resamples=options.resamples
    )
    report["slices"] = slice_tables(
        photos.photos, outcomes[ANSWER], task.scale, options.slice_by, options.seed
    )
    report["offset"] = offset_test(task)
    inside_share = len(task.inside) / max(1, len(photos))
    report["figures"] = {
        "error": error_curves(outcomes, picks, task.failed, task.span_m),
        "area": area_curves(outcomes, task.scale, inside_share),
        "photos": photo_rows(photos, outcomes[ANSWER], task.truths, task.judge.field.lonlat_deg),
    }
    report["made"]["seconds"] = round(time.perf_counter() - since, 1)
    return report


def _check_calibration_photos(task: Task) -> int:
    """How many photos the calibration rests on; refuses any unless they are allowed."""
    calibration = task.geolocator.calibration
    if calibration is None:
        return 0
    count = int(known_photos(calibration, task.photos.s).sum())
    if count and not task.options.allow_calibration_photos:
        raise UsageError(
            f"{count:,} of {len(task.photos):,} photos were used to calibrate index "
            f"{task.geolocator.index.name!r} and would flatter it: evaluate others, or pass "
            "--allow-calibration-photos"
        )
    if count:
        task.notes.append(
            f"{count:,} of the photos were used to calibrate the index: the numbers flatter it"
        )
    return count


def _heading(task: Task, known: int) -> Numbers:
    """What was evaluated; how much of it could be."""
    report = heading(task.geolocator, task.photos, task.options)
    report["index"] |= _index_facts(task)
    report["photos"] |= {
        "judged": len(task.truths.rows),
        "outside_the_index": len(task.truths.rows) - len(task.inside),
        "used_for_calibration": known,
    }
    return report


def _index_facts(task: Task) -> Numbers:
    cells = task.judge.field
    floor_m = cell_floor_m(cells.area_m2)
    return {
        "area_km2": task.scale.area_m2 / 1e6,
        "spacing_m": cells.spacing_m,
        "floor_m": floor_m,
        "span_m": task.span_m,
        "worldwide": task.scale.worldwide,
        "radii_m": list(task.scale.radii_m),
        "merge_radius_m": task.judge.merge_radius_m,
        "bbox_wsen_deg": task.geolocator.index.manifest.region["bbox_wsen_deg"],
    }


def _calibration(task: Task, outcomes: dict[str, Outcomes], drawn: Resamples) -> Numbers:
    calibration, options = task.calibration, task.options
    if calibration is None:
        why = OWN_WEIGHTS if task.geolocator.calibration else CALIBRATE_FIRST
        return {"measured": False, "why": why}
    answer, inside = outcomes[ANSWER], task.inside
    radii_m: Sequence[float] = tuple(sorted(calibration.confidence))
    numbers = calibration_numbers(
        answer,
        Groups(task.truths.rows, inside),
        calibration,
        radii_m,
        seed=options.seed,
        resamples=options.resamples,
    )
    share = task.judge.field.area_m2 / task.scale.area_m2
    numbers["nll"] = likelihood_numbers(
        {
            ANSWER: answer.log_p[inside],
            DENSITY: outcomes[DENSITY].log_p[inside],
            BLIND: np.log(share[task.truths.cell_row[inside]]),
        },
        seed=options.seed,
        resamples=options.resamples,
    )
    numbers["selection"] = selection_numbers(answer, calibration, radii_m, drawn)
    numbers["photos"] = calibration.photos
    numbers["created_utc"] = calibration.created_utc
    numbers["sharpness"] = dataclasses.asdict(calibration.weights)
    return numbers
