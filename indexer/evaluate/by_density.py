"""Evaluation by reference photos: how good answers are with them and without, by their density.

Photos are sorted by how many reference photos stand around the place where they were taken, those
left out as their own evidence not counted, down to none at all. In each group the answer is put
beside the same without reference photos, imagery alone, and the place of the nearest reference
photo in the space of looks, which is how place recognition answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Bools, Floats, Ints
from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.judge import Outcomes
from indexer.evaluate.methods import ANSWER, IMAGERY, NEAREST_PHOTO, WITHOUT_GROUND
from indexer.evaluate.probabilities import LEVELS, share_of
from indexer.evaluate.summary import slice_numbers
from indexer.probability.reliability import calibration_error
from indexer.regions.cell_field import chord_of, unit_vectors

if TYPE_CHECKING:
    from indexer.evaluate.task import Task

Numbers = dict[str, Any]

AROUND_M = 500.0
"""Reference photos within this distance are around a place."""
PER_KM2 = (0.0, 3.0, 8.0, 16.0, 32.0)
"""Where groups of density begin, photos a square kilometre; the first has none at all."""
_METHODS = (ANSWER, WITHOUT_GROUND, IMAGERY, NEAREST_PHOTO)


def photos_around(task: Task) -> Floats:
    """Reference photos a square kilometre around each listed photo, (P,); NaN of failed ones."""
    assert task.space.ground is not None
    references = task.space.ground.comparison.photos
    truths = task.truths
    around = np.full(len(truths.s), np.nan)
    places = unit_vectors(truths.lonlat_deg[truths.rows])
    own = task.own(truths.rows)
    assert own is not None
    near = references.tree.query_ball_point(places, chord_of(AROUND_M))
    counts = [len(np.setdiff1d(rows, left_out)) for rows, left_out in zip(near, own, strict=True)]
    around[truths.rows] = np.array(counts) / (np.pi * (AROUND_M / 1000) ** 2)
    return around


def density_report(task: Task, outcomes: dict[str, Outcomes], drawn: Resamples) -> Numbers:
    """The numbers of each group of density that has photos, and of all together.

    Args:
        task: of an index with reference photos.
        outcomes: of methods by name.
        drawn: resamples of all photos.
    """
    assert task.space.ground is not None
    assert task.truths.left_out is not None
    around = photos_around(task)
    rows = [_group(task, outcomes, drawn, "all", task.truths.rows)]
    ends = (*PER_KM2[1:], np.inf)
    names = [f"under {PER_KM2[1]:g}"]
    names += [f"{a:g} to {b:g}" for a, b in zip(PER_KM2[1:], PER_KM2[2:], strict=False)]
    names += [f"{PER_KM2[-1]:g} or more"]
    groups = {"none": around == 0}
    for name, begin, end in zip(names, PER_KM2, ends, strict=True):
        groups[name] = (around > 0) & (around >= begin) & (around < end)
    for name, inside in groups.items():
        if inside.any():
            rows.append(_group(task, outcomes, drawn, name, np.flatnonzero(inside)))
    left_out = task.truths.left_out
    return {
        "measured": True,
        "reference_photos": len(task.space.ground.comparison.photos),
        "around_m": AROUND_M,
        "apart_m": left_out.apart_m,
        "left_out": left_out.counts,
        "left_out_of_photos": left_out.photos,
        "rows": rows,
    }


def _group(
    task: Task, outcomes: dict[str, Outcomes], drawn: Resamples, name: str, rows: Ints
) -> Numbers:
    numbers: Numbers = {"photos_a_km2": name, "photos": len(rows)}
    numbers["methods"] = {
        key: slice_numbers(outcomes[key], rows, task.scale, drawn)
        for key in _METHODS
        if key in outcomes
    }
    calibration, answer = task.calibration, outcomes[ANSWER]
    if calibration is None:
        return numbers
    numbers["regions"] = [
        {"level": level, "covered": share_of(answer.covered[rows, number], drawn.of(rows))}
        for number, level in enumerate(LEVELS)
    ]
    said = calibration.confidences(answer.disc_mass[rows], refined=task.refined_confidence)
    numbers["confidence"] = {
        f"{radius_m:g}": _confidence(
            said[:, column], answer.error_m[rows] <= radius_m, drawn.of(rows)
        )
        for column, radius_m in enumerate(calibration.radii_m)
    }
    return numbers


def _confidence(said: Floats, right: Bools, drawn: Resamples) -> Numbers:
    return {
        "said": float(said.mean()),
        "right": float(right.mean()),
        "ece": drawn.measure(lambda w: calibration_error(said, right, weights=w)).to_json(),
    }
