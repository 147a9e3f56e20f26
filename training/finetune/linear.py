"""Linear maps from vectors to labels, solved for: scikit-learn's ridge and logistic regression."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from gair.arrays import Floats, Ints
from gair.errors import TrainingError

try:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge
except ImportError as error:
    raise TrainingError(
        "scikit-learn is not installed: pip install 'gair-geolocator[finetune]'"
    ) from error

RIDGES = tuple(10.0**e for e in range(-3, 5))
"""Strengths of the ridge that are tried, on standardised features."""
DECAYS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Strengths of the logistic regression's penalty that are tried."""
_ITERATIONS, _TOLERANCE = 100, 1e-5

Goal = Literal["regression", "classification"]
Examples = tuple[Tensor, npt.NDArray[Any]]
"""(N, D) vectors and their labels."""


@dataclass(frozen=True)
class LinearMap:
    """``(x - mean) / sd @ weight + bias``; standardised as it was fitted."""

    mean: Tensor
    sd: Tensor
    weight: Tensor
    """(D, outputs)."""
    bias: Tensor

    def __call__(self, vectors: Tensor) -> Tensor:
        """(N, D) to (N, outputs)."""
        return (vectors.double() - self.mean) / self.sd @ self.weight + self.bias


def solve_linear(fitted: Examples, aside: Examples, *, goal: Goal, outputs: int) -> LinearMap:
    """The map that does best on the examples aside, of those fitted with several strengths.

    Targets of a regression count alike there, whatever their units.

    Args:
        fitted: what the maps are solved on.
        aside: what the strength is chosen on.
        goal: numbers (N, outputs) or classes (N,) as labels.
        outputs: how many numbers or classes.
    """
    vectors = fitted[0].double()
    mean, sd = vectors.mean(0), vectors.std(0)
    sd = torch.where(sd > 1e-9, sd, torch.ones_like(sd))
    standard = ((vectors - mean) / sd).numpy()
    if goal == "regression":
        solutions = _ridges(standard, np.asarray(fitted[1], dtype=np.float64))
        spread = np.std(np.asarray(fitted[1], dtype=np.float64), axis=0)
        spread = np.where(spread > 0, spread, 1)
    else:
        labels = np.asarray(fitted[1], dtype=np.int64)
        solutions, spread = _logistic_path(standard, labels, outputs), np.ones(1)
    maps = [
        LinearMap(mean, sd, torch.from_numpy(weight), torch.from_numpy(bias))
        for weight, bias in solutions
    ]
    return min(maps, key=lambda candidate: _loss(candidate, aside, goal, torch.from_numpy(spread)))


def _ridges(x: Floats, targets: Floats) -> Iterator[tuple[Floats, Floats]]:
    """(D, T) weights and (T,) biases for each strength."""
    for strength in RIDGES:
        ridge = Ridge(alpha=strength).fit(x, targets)
        yield ridge.coef_.reshape(-1, x.shape[1]).T.copy(), np.atleast_1d(ridge.intercept_)


def _logistic_path(x: Floats, labels: Ints, outputs: int) -> Iterator[tuple[Floats, Floats]]:
    """(D, C) weights and (C,) biases, each strength started from the next stronger one."""
    # scikit-learn knows the classes that it is shown; one that happens to be among the examples
    # aside only is shown, as every class is, by a row of no weight.
    classes = max(outputs, 2)
    x = np.concatenate([x, np.zeros((classes, x.shape[1]))]).astype(np.float32)
    weights = np.repeat([1.0, 0.0], [len(labels), classes])
    shown = np.concatenate([labels, np.arange(classes)])
    model = LogisticRegression(warm_start=True, max_iter=_ITERATIONS, tol=_TOLERANCE)
    # Of two classes it fits only the difference v of their weights, -v/2 and v/2: their squares
    # add up to v^2 / 2, so the same penalty of the mean loss is half as much of v^2.
    share = 0.5 if classes == 2 else 1.0
    for decay in reversed(DECAYS):
        model.C = 1 / (share * decay * len(labels))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a weak penalty, never the best
            model.fit(x, shown, sample_weight=weights)
        weight, bias = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
        if classes == 2:
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        yield weight[:outputs].T.copy(), bias[:outputs].copy()


def _loss(candidate: LinearMap, aside: Examples, goal: Goal, spread: Tensor) -> float:
    out = candidate(aside[0])
    if goal == "regression":
        missed = out - torch.from_numpy(np.asarray(aside[1], np.float64))
        value = float((missed / spread).square().mean())
    else:
        value = float(F.cross_entropy(out, torch.from_numpy(np.asarray(aside[1], np.int64))))
    return value if math.isfinite(value) else math.inf
