"""Measures the answers of an index, and nothing else, with chance beside them.

These are the numbers that :func:`indexer.evaluate.evaluate.evaluate` has for its row *answer*, from
the same code, without baselines, tests of coordinates and figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from indexer.evaluate.baselines import blind_picks
from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.methods import judge_answer
from indexer.evaluate.options import EvaluateOptions
from indexer.evaluate.summary import blind_numbers, method_numbers
from indexer.evaluate.task import check_calibration_photos, make_task

if TYPE_CHECKING:
    from indexer.evaluate.judge import Outcomes
    from indexer.evaluate.task import Task
    from indexer.photos.vectors import PhotoVectors
    from indexer.search.space import SearchSpace

Numbers = dict[str, Any]


@dataclass(frozen=True, eq=False)
class MeasuredAnswers:
    """What became of some photos, and what chance makes of them."""

    task: Task
    outcomes: Outcomes
    """Of all listed photos, in their order."""
    numbers: Numbers
    """From :func:`indexer.evaluate.summary.method_numbers`."""
    chance: Numbers
    """The same of a cell, or of several, picked blindly."""

    @property
    def outside(self) -> int:
        """How many photos that could be judged were taken in no cell of the index."""
        return len(self.task.truths.rows) - len(self.task.inside)


def measure_answers(
    space: SearchSpace, photos: PhotoVectors, options: EvaluateOptions | None = None
) -> MeasuredAnswers:
    """Judge what a search answers about photos.

    Args:
        space: the index.
        photos: listed photos with their vectors and places; what has none counts as not found.
        options: weights, seed and resamples; slices and tests are not made.

    Raises:
        UsageError: the calibration rests on some of the photos, or a weight makes no sense.
    """
    options = options or EvaluateOptions()
    options.query.check()
    task = make_task(space, photos, options)
    check_calibration_photos(task)
    outcomes = judge_answer(task)
    drawn = Resamples(photos.place_of_photo, resamples=options.resamples, seed=options.seed)
    truth = task.truths.lonlat_deg[task.truths.rows]
    picks = blind_picks(truth, space.field.lonlat_deg, task.scale.radii_m)
    outside = len(task.truths.rows) - len(task.inside)
    return MeasuredAnswers(
        task,
        outcomes,
        method_numbers(outcomes, task.scale, drawn),
        blind_numbers(picks, task.failed, task.scale, outside),
    )
