"""Inputs of an evaluation: options, photos, cells, and what they can be judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Bools, Ints, Vectors
from gair.errors import UsageError
from indexer.evaluate.judge import Judge, Truths
from indexer.evaluate.metrics import WORLDWIDE_M, cell_floor_m, shown_radii, span_m
from indexer.evaluate.options import EvaluateOptions
from indexer.evaluate.summary import Scale
from indexer.ground.left_out import own_references
from indexer.search.ranking import refine_options

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors
    from indexer.probability.calibration import Calibration
    from indexer.search.refine import RefineOptions
    from indexer.search.space import SearchSpace

SAME = 1 - 1e-6
"""Cosine of two vectors of one photo: the calibration keeps half precision."""

_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Task:
    """What all steps need."""

    space: SearchSpace
    photos: PhotoVectors
    options: EvaluateOptions
    truths: Truths
    judge: Judge
    scale: Scale
    span_m: float
    notes: list[str] = field(default_factory=list)

    @property
    def calibration(self) -> Calibration | None:
        """What makes probabilities; None where there is none, or not for the weights asked for."""
        calibration = self.space.calibration
        return calibration if self.options.query.score_weights(calibration) else None

    @property
    def refine(self) -> RefineOptions | None:
        """How the answer's places are refined; None where they are shown at centres of cells."""
        query = self.options.query
        return refine_options(self.space, query) if query.refine and self.space.reader else None

    @property
    def refined_confidence(self) -> bool:
        """Whether confidences are of refined points: older calibrations know only centres."""
        return bool(self.calibration and self.calibration.refined_confidence and self.refine)

    @property
    def inside(self) -> Ints:
        """Rows of the photos whose true cell is in the index."""
        rows = self.truths.rows
        return rows[self.truths.cell_row[rows] >= 0]

    def own(self, rows: Ints) -> Sequence[Ints] | None:
        """Of each of (n,) photos, the reference photos that are no evidence of it."""
        left_out = self.truths.left_out
        return None if left_out is None else left_out.taken(rows).rows

    @property
    def failed(self) -> int:
        """How many photos could not be judged."""
        return len(self.truths.s) - len(self.truths.rows)


def make_task(space: SearchSpace, photos: PhotoVectors, options: EvaluateOptions) -> Task:
    """Find the cells that the photos were taken in, and what the cells can be judged by."""
    cells = space.field
    rows = np.flatnonzero(photos.usable)
    cell_row = np.full(len(photos), -1, dtype=np.int64)
    if len(rows):
        cell_row[rows] = space.cell_row(photos.lonlat_deg[rows])
    left_out = None
    if space.ground is not None:
        references = space.ground.comparison.photos
        of_usable = own_references(references, photos.taken(rows), options.ground_apart_m)
        left_out = of_usable.spread(rows, len(photos))
    floor_m, reach_m = cell_floor_m(cells.area_m2), span_m(cells.lonlat_deg)
    scale = Scale(
        radii_m=tuple(shown_radii(floor_m)),
        cells=len(cells),
        area_m2=float(cells.area_m2.sum()),
        worldwide=reach_m > WORLDWIDE_M,
    )
    return Task(
        space=space,
        photos=photos,
        options=options,
        truths=Truths(photos.s, photos.lonlat_deg, cell_row, rows, left_out),
        judge=Judge(space),
        scale=scale,
        span_m=reach_m,
        notes=[left_out.said] if left_out is not None else [],
    )


def check_judged(task: Task, hint: str = "") -> None:
    """Refuse photos of which none can be judged.

    Raises:
        UsageError: there is none with a vector and a place; it says why, and the hint.
    """
    if len(task.truths.rows):
        return
    reasons = [f"{count:,} {why}" for why, count in sorted(task.photos.left_out().items())]
    raise UsageError(
        f"none of {len(task.photos):,} photos can be judged ({', '.join(reasons)}): give photos "
        f"that can be read and have coordinates{f'; {hint}' if hint else ''}"
    )


def check_calibration_photos(task: Task) -> int:
    """How many photos the calibration rests on; the task notes them.

    Raises:
        UsageError: there are some, and the options do not allow them.
    """
    calibration = task.space.calibration
    if calibration is None:
        return 0
    count = int(in_calibration(calibration, task.photos.s).sum())
    if count and not task.options.allow_calibration_photos:
        raise UsageError(
            f"{count:,} of {len(task.photos):,} photos were used to calibrate index "
            f"{task.space.index.name!r} and would flatter it: evaluate others, or pass "
            "`allow_calibration_photos`"
        )
    if count:
        task.notes.append(
            f"{count:,} of the photos were used to calibrate the index: the numbers flatter it"
        )
    return count


def in_calibration(calibration: Calibration, s: Vectors) -> Bools:
    """Which of (P, D) vectors are of photos that the calibration keeps: (P,); False for NaN.

    Photos are recognised by their vectors; copies in another file format are not.
    """
    kept = calibration.out_of_index.s.astype(np.float32)
    kept /= np.linalg.norm(kept, axis=1, keepdims=True)
    same = np.zeros(len(s), dtype=bool)
    readable = np.flatnonzero(np.isfinite(s).all(axis=1))
    for start in range(0, len(readable), _AT_ONCE):
        rows = readable[start : start + _AT_ONCE]
        same[rows] = (s[rows] @ kept.T).max(axis=1) >= SAME
    return same
