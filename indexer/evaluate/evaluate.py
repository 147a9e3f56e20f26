"""Evaluates an index: vectors, what became of each photo, numbers.

:func:`evaluate` returns what ``report.json`` holds: plain JSON types, every figure's data included.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.info import library_versions
from indexer.evaluate.answers_seen import AnswersSeen
from indexer.evaluate.baselines import blind_picks
from indexer.evaluate.bootstrap import LEVEL, Resamples
from indexer.evaluate.by_density import density_report
from indexer.evaluate.claim_evidence import Located, evidence_report
from indexer.evaluate.judge import Outcomes
from indexer.evaluate.methods import (
    ANSWER,
    BLIND,
    CALIBRATE_FIRST,
    DENSITY,
    OWN_WEIGHTS,
    coordinate_tests,
    judge_methods,
    method_rows,
)
from indexer.evaluate.metrics import cell_floor_m
from indexer.evaluate.options import EvaluateOptions
from indexer.evaluate.probabilities import (
    Groups,
    calibration_numbers,
    coverage_by,
    decision_numbers,
    likelihood_numbers,
    outside_report,
    selection_numbers,
    sureness_labels,
)
from indexer.evaluate.stress import NOT_ASKED
from indexer.evaluate.summary import area_curves, error_curves, photo_rows, slice_tables
from indexer.evaluate.task import Task, check_calibration_photos, check_judged, make_task
from indexer.index.manifest import utc_now
from indexer.photos.swapped import swapped_said
from indexer.search.answer import BY_IMAGERY_ALONE
from indexer.search.ranking import CENTRE_ONLY

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors
    from indexer.search.space import SearchSpace

Numbers = dict[str, Any]

SCHEMA = "gair-evaluation"

SCHEMA_VERSION = 2
"""Raised when an old reader could misread a new report."""

_LIBRARIES = ("gair-geolocator", "numpy", "scipy", "torch", "faiss-cpu", "faiss-gpu", "h3")


def evaluate(
    space: SearchSpace,
    photos: PhotoVectors,
    options: EvaluateOptions | None = None,
    *,
    outside: PhotoVectors | None = None,
) -> Numbers:
    """Everything that an evaluation reports.

    Args:
        space: the index.
        photos: listed photos with their vectors and places.
        options: what to evaluate.
        outside: photos that were not taken in the index's region.

    Raises:
        UsageError: no photo can be judged, the calibration rests on some of them, or a weight makes
            no sense.
    """
    options = options or EvaluateOptions()
    options.query.check()
    since = time.perf_counter()
    task = make_task(space, photos, options)
    hint = swapped_said(space.cell_row, photos)
    check_judged(task, hint)
    task.notes.extend([hint] if hint else [])
    used_for_calibration = check_calibration_photos(task)
    if task.calibration and task.refine and not task.refined_confidence:
        task.notes.append(CENTRE_ONLY)
    if options.query.weights(space).source == "default":
        task.notes.append(BY_IMAGERY_ALONE)
    located = _located(task)
    seen = (
        None if task.calibration is None else AnswersSeen(space, located, task.inside, options.seed)
    )
    outcomes, missing = judge_methods(task, None if seen is None else seen.look)
    picks = blind_picks(
        task.truths.lonlat_deg[task.truths.rows], task.space.field.lonlat_deg, task.scale.radii_m
    )
    drawn = Resamples(photos.place_of_photo, resamples=options.resamples, seed=options.seed)
    report = _heading(task, used_for_calibration)
    report["notes"] = task.notes
    report["methods"] = method_rows(task, outcomes, missing, picks, drawn)
    report["calibration"] = _calibration(task, outcomes, drawn)
    report["out_of_index"] = outside_report(
        space,
        located.s,
        outside,
        drawn.of(task.inside),
        task.own(task.inside),
        None if seen is None else seen.nats,
    )
    # Whatever weights the answers have, likelihood ratios are those of the calibration.
    looked_at = None if seen is None else seen.claims
    report["claims"] = evidence_report(space, located, outside, drawn.of(task.inside), looked_at)
    report["slices"] = slice_tables(
        photos.photos, outcomes[ANSWER], task.scale, options.slice_by, drawn
    )
    report |= coordinate_tests(task)
    report["stress"] = {"measured": False, "why": NOT_ASKED}
    if space.ground is not None:
        report["ground"] = density_report(task, outcomes, drawn)
    inside_share = len(task.inside) / max(1, len(photos))
    report["figures"] = {
        "error": error_curves(outcomes, picks, task.failed, task.span_m),
        "area": area_curves(outcomes, task.scale, inside_share),
        "photos": photo_rows(photos, outcomes[ANSWER], task.truths),
    }
    report["made"]["seconds"] = round(time.perf_counter() - since, 1)
    return report


def _heading(task: Task, used_for_calibration: int) -> Numbers:
    """The part of a report that is no measurement, and how many of the photos could be judged."""
    space, options, scale = task.space, task.options, task.scale
    manifest, calibration = space.index.manifest, space.calibration
    weights = options.query.weights(space)
    scenes = manifest.imagery.get("scenes", [])
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "made": {
            "created_utc": utc_now(),
            "command": options.command,
            "seed": options.seed,
            "resamples": options.resamples,
            "interval": LEVEL,
            "versions": {"python": platform.python_version(), **library_versions(_LIBRARIES)},
        },
        "index": {
            "name": manifest.name,
            "build": manifest.build,
            "created_utc": manifest.created_utc,
            "region": manifest.region["name"],
            "cells": manifest.cells_indexed,
            "h3_resolution": manifest.h3_resolution,
            "query_mode": manifest.query_mode,
            "attribution": space.attribution,
            "imagery_dates": sorted(
                {str(when)[:10] for scene in scenes for when in scene.get("dates", [])}
            ),
            "warnings": list(manifest.warnings),
            "area_km2": scale.area_m2 / 1e6,
            "spacing_m": space.field.spacing_m,
            "floor_m": cell_floor_m(space.field.area_m2),
            "span_m": task.span_m,
            "worldwide": scale.worldwide,
            "radii_m": list(scale.radii_m),
            "merge_radius_m": space.merge_radius_m,
            "bbox_wsen_deg": manifest.region["bbox_wsen_deg"],
        },
        "model": dataclasses.asdict(manifest.model),
        "search": {
            "calibrated": options.query.score_weights(calibration) is not None,
            "rs_weight": weights.rs,
            "location_weight": weights.location,
            "weights_by": weights.source,
            **({} if space.ground is None else {"ground_weight": weights.ground}),
        },
        "photos": {
            "manifest": options.manifest,
            "listed": len(task.photos),
            "places": len(np.unique(task.photos.place_of_photo)),
            "failures": task.photos.left_out(),
            "judged": len(task.truths.rows),
            "outside_the_index": len(task.truths.rows) - len(task.inside),
            "used_for_calibration": used_for_calibration,
        },
    }


def _located(task: Task) -> Located:
    """The photos that were taken in the index."""
    rows, truths = task.inside, task.truths
    own = None if truths.left_out is None else truths.left_out.taken(rows)
    return Located(truths.s[rows], truths.lonlat_deg[rows], truths.cell_row[rows], own)


def _calibration(task: Task, outcomes: dict[str, Outcomes], drawn: Resamples) -> Numbers:
    calibration = task.calibration
    if calibration is None:
        why = OWN_WEIGHTS if task.space.calibration else CALIBRATE_FIRST
        return {"measured": False, "why": why}
    answer, inside = outcomes[ANSWER], task.inside
    confidence = calibration.confidences(answer.disc_mass, refined=task.refined_confidence)
    groups = Groups(task.truths.rows, inside)
    numbers = calibration_numbers(answer, groups, confidence, calibration.radii_m, drawn)
    share = task.space.field.area_m2 / task.scale.area_m2
    numbers["nll"] = likelihood_numbers(
        {
            ANSWER: answer.log_p[inside],
            DENSITY: outcomes[DENSITY].log_p[inside],
            BLIND: np.log(share[task.truths.cell_row[inside]]),
        },
        drawn.of(inside),
    )
    numbers["selection"] = selection_numbers(answer, confidence, calibration.radii_m, drawn)
    numbers["decisions"] = decision_numbers(answer, groups, calibration, drawn)
    numbers["regions_by"] = {
        name: coverage_by(labels, answer, groups.judged, drawn)
        for name, labels in (
            ("condition", [photo.condition for photo in task.photos.photos]),
            ("the best place has", sureness_labels(answer.sureness)),
        )
    }
    numbers["photos"] = calibration.photos
    numbers["places"] = calibration.places
    numbers["created_utc"] = calibration.created_utc
    numbers["sharpness"] = dataclasses.asdict(calibration.weights)
    return numbers
