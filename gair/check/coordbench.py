"""Row of CoordBench: what the released location encoder scored there, and whether a model does.

CoordBench (https://huggingface.co/datasets/taylor-geospatial/CoordBench) asks frozen encoders of
coordinates for 78 numbers and classes of places. ``python -m training.finetune --task coordbench``
measures a row; the authors of MIND (https://github.com/taylor-geospatial/mind) published that of
the released GAIR, a mean over five assignments of places to folds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gair.errors import UsageError
from gair.inputs.documents import json_of

TASK = "coordbench"
BLOCKS_DEG = (0, 2, 10, 20, 40)
"""Sides of the blocks of places that are held out together; 0 for places at random."""
FOLD_SEEDS = 5
"""Assignments to folds, numbered from 0, that a published number is the mean of."""
TOLERANCE = {"R2": 0.02, "accuracy": 0.01}
"""Largest differences that arithmetic may cause: the folds are the same ones."""

Goal = Literal["regression", "classification"]


def metric_name(goal: Goal, block_deg: int) -> str:
    """The name of a column, such as ``R2 10 deg``."""
    score = "R2" if goal == "regression" else "accuracy"
    return f"{score} {f'{block_deg} deg' if block_deg else 'random'}"


METRICS = tuple(
    metric_name(goal, block_deg)
    for goal in ("regression", "classification")
    for block_deg in BLOCKS_DEG
)
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "R2 random": {"GAIR": 0.427, "MIND+CP": 0.643},
    "R2 2 deg": {"GAIR": 0.274, "MIND+CP": 0.508},
    "R2 10 deg": {"GAIR": -0.055, "MIND+CP": 0.356},
    "R2 20 deg": {"GAIR": -0.090, "MIND+CP": 0.315},
    "R2 40 deg": {"GAIR": -0.322, "MIND+CP": 0.184},
    "accuracy random": {"GAIR": 0.603},
    "accuracy 10 deg": {"GAIR": 0.517},
}
"""Column to model to score, of the numbers that are known here."""


@dataclass(frozen=True)
class RowComparison:
    """A measured row beside the published one."""

    scores: Mapping[str, float]
    """Column to mean over the seeds."""
    published: Mapping[str, float]

    @property
    def misses(self) -> tuple[str, ...]:
        """Columns that differ by more than :data:`TOLERANCE`, or that are not finite."""
        return tuple(
            metric
            for metric, theirs in self.published.items()
            if not abs(self.scores[metric] - theirs) <= TOLERANCE[metric.split()[0]]
        )

    @property
    def reproduces(self) -> bool:
        """Whether no column misses."""
        return not self.misses

    def lines(self) -> list[str]:
        """A table for a terminal, and a verdict."""
        lines = ["CoordBench: ours (published)"]
        for metric, theirs in self.published.items():
            ours = self.scores[metric]
            lines.append(f"  {metric:<16} {ours:8.3f} ({theirs:6.3f})")
        allowed = " and ".join(f"{value} of {score}" for score, value in TOLERANCE.items())
        if self.reproduces:
            lines.append(f"reproduces the published row of CoordBench (tolerance {allowed})")
        else:
            lines.append(
                f"does not reproduce the published row of CoordBench (tolerance {allowed}): "
                f"{', '.join(self.misses)}"
            )
        return lines


def compare_row(path: Path, fingerprint: str) -> RowComparison:
    """The row of a model in a file of results, beside that of the released GAIR.

    Args:
        path: ``transfer.json`` as ``python -m training.finetune --task coordbench`` writes it.
        fingerprint: of the model that is checked; the row must be of the same weights.

    Raises:
        UsageError: there is no such file, it has no such row, or the row is of other seeds.
    """
    scores = _row_scores(path, fingerprint)
    if len(scores) != FOLD_SEEDS:
        raise UsageError(
            f"the row in {path} is of {len(scores)} seeds and the published one of {FOLD_SEEDS}: "
            f"measure it with --seeds {FOLD_SEEDS}"
        )
    published = {metric: of_models["GAIR"] for metric, of_models in PUBLISHED.items()}
    try:
        means = {metric: _mean([seed[metric] for seed in scores]) for metric in published}
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path} is no result of CoordBench ({error!r}): {_REMEDY}") from error
    return RowComparison(means, published)


_REMEDY = f"run python -m training.finetune --task {TASK} --data DIR --seeds {FOLD_SEEDS}"


def _row_scores(path: Path, fingerprint: str) -> Sequence[Mapping[str, Any]]:
    if not path.is_file():
        raise UsageError(f"no file {path}: {_REMEDY} and name its transfer.json")
    try:
        tasks = json_of(path.read_text())["tasks"]
        rows = [row for task in tasks if task.get("task") == TASK for row in task["rows"]]
        own = [row["scores"] for row in rows if row.get("fingerprint") == fingerprint]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no file of results ({error!r}): {_REMEDY}") from error
    if not own or not own[0]:
        raise UsageError(f"{path} has no row of CoordBench with this model's weights: {_REMEDY}")
    scores: Sequence[Mapping[str, Any]] = own[0]
    return scores


def _mean(values: Sequence[float | None]) -> float:
    """The mean; NaN where a score was not finite, which the file says by null."""
    return (
        math.nan if None in values else math.fsum(v for v in values if v is not None) / len(values)
    )
