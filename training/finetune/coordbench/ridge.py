"""Ridge regression of CoordBench, its strength chosen inside each training part.

Vectors are standardised by the training part; a channel that hardly varies there counts nothing.
The intercept has no penalty. Classes are a regression on one column each, and the largest answer
names the class. One decomposition of the channels' products serves all strengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gair.arrays import Floats, Floats32, Ints
from gair.check.coordbench import Goal
from training.finetune.coordbench.folds import random_folds

RIDGES = tuple(10.0 ** (half / 2) for half in range(-8, 13))
"""Strengths that are tried, from 1e-4 to 1e6."""
FLAT_SD = 1e-4
"""Channels whose deviation is at most this count nothing."""
_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class Solved:
    """Maps of all strengths from vectors to answers."""

    mean: Floats
    """(D,)."""
    per_sd: Floats
    """(D,) one over the deviation; 0 for flat channels."""
    axes: Floats
    """(D, D) eigenvectors of the channels' products, in columns."""
    squares: Floats
    """(D,) their eigenvalues."""
    along: Floats
    """(D, T) products of channels and answers, along the axes."""
    middle: Floats
    """(T,) mean of the answers."""

    def rotated(self, vectors: Floats32) -> Floats:
        """(N, D) vectors, standardised and along the axes, for :meth:`answer`."""
        standard = (vectors.astype(np.float64) - self.mean) * self.per_sd
        along_axes: Floats = standard @ self.axes
        return along_axes

    def answer(self, rotated: Floats, ridge: float) -> Floats:
        """(N, T) answers of the map of one strength."""
        answers: Floats = rotated @ (self.along / (self.squares + ridge)[:, None]) + self.middle
        return answers


def solve(vectors: Floats32, answers: Floats) -> Solved:
    """The maps that fit (N, D) vectors to (N, T) answers."""
    channels = vectors.astype(np.float64)
    mean, middle = channels.mean(axis=0), answers.mean(axis=0)
    sd = channels.std(axis=0, ddof=1) if len(channels) > 1 else np.zeros(channels.shape[1])
    varies = sd > FLAT_SD
    per_sd = np.where(varies, 1 / np.where(varies, sd, 1), 0)
    standard = (channels - mean) * per_sd
    squares, axes = np.linalg.eigh(standard.T @ standard)
    along = axes.T @ (standard.T @ (answers - middle))
    return Solved(mean, per_sd, axes, squares, along, middle)


def score(goal: Goal, truth: Floats, answers: Floats) -> Floats:
    """(T,) R2 of each target about the mean of these places; or (1,) share of right classes."""
    if goal == "classification":
        return np.array([(answers.argmax(axis=1) == truth.argmax(axis=1)).mean()])
    missed = ((truth - answers) ** 2).sum(axis=0)
    spread = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    r2: Floats = 1 - missed / np.maximum(spread, _NO_SPREAD)
    return r2


def held_out_scores(
    goal: Goal,
    vectors: Floats32,
    answers: Floats,
    outer: Sequence[Ints],
    *,
    blocks: bool,
    seed: int,
) -> Floats:
    """(T,) mean score over the folds, each answered by maps that were solved without it.

    Args:
        goal: numbers or classes.
        vectors: (N, D).
        answers: (N, T).
        outer: rows of each fold; at least two.
        blocks: whether they are blocks of places: then the strength is chosen on the other folds
            in turn, where there are two or more, else on five parts drawn at random.
        seed: of those parts.
    """
    scores = []
    for number, held_out in enumerate(outer):
        others = [fold for other, fold in enumerate(outer) if other != number]
        pool = np.sort(np.concatenate(others))
        inner = others if blocks and len(others) >= 2 else random_folds(pool, seed)
        ridges = _best_ridges(goal, vectors, answers, inner)
        solved = solve(vectors[pool], answers[pool])
        rotated = solved.rotated(vectors[held_out])
        by_ridge = {r: solved.answer(rotated, r) for r in set(ridges)}
        if goal == "classification":
            scores.append(score(goal, answers[held_out], by_ridge[ridges[0]]))
            continue
        chosen = [by_ridge[ridge][:, target] for target, ridge in enumerate(ridges)]
        scores.append(score(goal, answers[held_out], np.stack(chosen, axis=1)))
    mean: Floats = np.mean(scores, axis=0)
    return mean


def _best_ridges(
    goal: Goal, vectors: Floats32, answers: Floats, folds: Sequence[Ints]
) -> list[float]:
    """For each target the strength with the best mean over the folds, the weakest of equals."""
    by_fold = []
    for number, held_out in enumerate(folds):
        rest = [fold for other, fold in enumerate(folds) if other != number]
        rows = np.concatenate(rest)
        solved = solve(vectors[rows], answers[rows])
        rotated = solved.rotated(vectors[held_out])
        truth = answers[held_out]
        by_fold.append([score(goal, truth, solved.answer(rotated, r)) for r in RIDGES])
    means = np.mean(by_fold, axis=0)  # (ridges, targets)
    return [RIDGES[best] for best in means.argmax(axis=0)]
