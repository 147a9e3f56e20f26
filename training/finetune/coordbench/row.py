"""Row of CoordBench's table: R2 and accuracy of a frozen encoder, at random and by blocks.

As published: the score of a target is a mean over five folds, and an R2 below -1 counts as -1;
targets are averaged within their data set, and data sets with equal weight. Data sets that a size
of blocks does not divide anew are left out at that size.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch

from gair.arrays import Floats, Floats32
from gair.check.coordbench import BLOCKS_DEG, Goal, metric_name
from gair.errors import DatasetError, UsageError
from training.finetune.coordbench.folds import block_folds, counts_at, random_folds
from training.finetune.coordbench.ridge import held_out_scores
from training.finetune.coordbench.suite import Question, Suite, Table, questions_of
from training.finetune.encoders.encoder import Encoder, embed
from training.finetune.tasks import Mode

R2_FLOOR = -1.0
_AT_ONCE = 8192
_GOALS: tuple[Goal, ...] = ("regression", "classification")
Cohort = Mapping[tuple[str, int], bool]
"""Data set and block size to whether it counts there."""


def run(
    make: Callable[[int], Encoder[Floats]],
    suite: Suite,
    mode: Mode,
    seeds: Sequence[int],
    *,
    advance: Callable[[int], None] = lambda _count: None,
) -> list[dict[str, float]]:
    """The row of a frozen encoder, for each assignment to folds.

    Args:
        make: opens the encoder.
        suite: tables and targets.
        mode: ``probe``; the benchmark knows no other.
        seeds: of the folds.
        advance: told of targets that were scored, one for each block size and seed.

    Raises:
        UsageError: the encoder is to be fine-tuned.
    """
    if mode != "probe":
        raise UsageError("coordbench asks frozen encoders: leave out `mode` finetune and scratch:")
    encoder, cohort = make(0), cohort_of(suite, seeds)
    of_datasets: dict[tuple[int, Goal, int, str], list[float]] = defaultdict(list)
    for table in suite.tables:
        for question in questions_of(table, _vectors(encoder, table)):
            dataset, goal = question.targets[0].dataset, question.goal
            for seed in seeds:
                for block_deg in BLOCKS_DEG:
                    if cohort[dataset, block_deg]:
                        scores = _scores(question, block_deg, seed)
                        of_datasets[seed, goal, block_deg, dataset].extend(scores)
                    advance(len(question.targets))
    return [
        {
            metric_name(goal, block_deg): _mean_of_datasets(of_datasets, seed, goal, block_deg)
            for goal in _GOALS
            for block_deg in BLOCKS_DEG
        }
        for seed in seeds
    ]


def fits_of(suite: Suite, seeds: Sequence[int]) -> int:
    """How often :func:`run` advances, for a progress bar."""
    return len(suite.targets) * len(BLOCKS_DEG) * len(seeds)


def cohort_of(suite: Suite, seeds: Sequence[int]) -> Cohort:
    """Which data sets count at which block sizes, the same ones for every encoder."""
    return {
        (dataset, block_deg): counts_at(places, block_deg, seeds)
        for dataset, places in _places(suite)
        for block_deg in BLOCKS_DEG
    }


def described(suite: Suite, seeds: Sequence[int]) -> str:
    """What a row is a mean of, for the table's heading."""
    cohort = cohort_of(suite, seeds)
    goal_of_dataset = {target.dataset: target.goal for target in suite.targets}
    parts = []
    for goal, score in zip(_GOALS, ("R2", "accuracy"), strict=True):
        datasets = [name for name, of_dataset in goal_of_dataset.items() if of_dataset == goal]
        counts = [sum(cohort[name, block_deg] for name in datasets) for block_deg in BLOCKS_DEG]
        parts.append(f"{score} over {', '.join(map(str, counts))}")
    sizes = ", ".join(f"{block_deg}" for block_deg in BLOCKS_DEG[1:])
    return (
        f"{len(suite.targets)} targets of {len(goal_of_dataset)} data sets; folds at random, and "
        f"by blocks of {sizes} degrees: {'; '.join(parts)} data sets"
    )


def _places(suite: Suite) -> Iterator[tuple[str, Floats]]:
    """Each data set with its places, (N, 2)."""
    for table in suite.tables:
        for target in {target.dataset: target for target in table.targets}.values():
            yield target.dataset, table.lonlat_deg[target.rows]


def _vectors(encoder: Encoder[Floats], table: Table) -> Floats32:
    """(N, D) of a table's places."""
    places = table.lonlat_deg
    batches = (places[start : start + _AT_ONCE] for start in range(0, len(places), _AT_ONCE))
    with torch.inference_mode():
        vectors: Floats32 = embed(encoder, batches, advance=lambda _count: None).numpy()
    return vectors


def _scores(question: Question, block_deg: int, seed: int) -> list[float]:
    """Of each target, not below the floor."""
    has_answer = question.has_answer
    if block_deg:
        fold_of_place = block_folds(question.lonlat_deg, block_deg, seed)[has_answer]
        outer = [np.flatnonzero(fold_of_place == fold) for fold in np.unique(fold_of_place)]
    else:
        outer = random_folds(np.arange(int(has_answer.sum())), seed)
    if int(has_answer.sum()) - max(map(len, outer)) < 2:
        raise DatasetError(
            f"{question.targets[0].name} of {question.targets[0].dataset} is known in one block of "
            f"{block_deg} degrees alone, so nothing can be held out: download the data set again"
        )
    scores = held_out_scores(
        question.goal,
        question.vectors[has_answer],
        question.answers,
        outer,
        blocks=block_deg > 0,
        seed=seed,
    )
    return [max(R2_FLOOR, float(value)) for value in scores]


def _mean_of_datasets(
    of_datasets: Mapping[tuple[int, Goal, int, str], list[float]],
    seed: int,
    goal: Goal,
    block_deg: int,
) -> float:
    """The mean over data sets; NaN where none counts."""
    means = [
        float(np.mean(scores))
        for (of_seed, of_goal, of_block, _), scores in of_datasets.items()
        if (of_seed, of_goal, of_block) == (seed, goal, block_deg)
    ]
    return float(np.mean(means)) if means else math.nan
