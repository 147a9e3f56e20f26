"""A linear map from vectors to answers, solved for: ridge and logistic regression."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

RIDGES = tuple(10.0**e for e in range(-3, 5))
"""Strengths of the ridge that are tried, on standardised features."""
DECAYS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Strengths of the logistic regression's penalty that are tried."""
_ITERATIONS = 40

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
    """
    vectors = fitted[0].double()
    mean, sd = vectors.mean(0), vectors.std(0)
    sd = torch.where(sd > 1e-9, sd, torch.ones_like(sd))
    standard = (vectors - mean) / sd
    if goal == "regression":
        found = _ridges(standard, fitted[1])
        spread = np.std(np.asarray(fitted[1], dtype=np.float64), axis=0)
        spread = np.where(spread > 0, spread, 1)
    else:
        found, spread = _logistic_path(standard, fitted[1], outputs), np.ones(1)
    maps = [LinearMap(mean, sd, weight, bias) for weight, bias in found]
    return min(maps, key=lambda one: _loss(one, aside, goal, torch.from_numpy(spread)))


def _ridges(x: Tensor, targets: npt.NDArray[Any]) -> list[tuple[Tensor, Tensor]]:
    """One solution a strength, all from one decomposition."""
    y = torch.from_numpy(np.asarray(targets, dtype=np.float64))
    bias = y.mean(0)
    u, s, vt = torch.linalg.svd(x, full_matrices=False)
    turned = u.T @ (y - bias)
    return [(vt.T @ ((s / (s.square() + ridge))[:, None] * turned), bias) for ridge in RIDGES]


def _logistic_path(
    x: Tensor, labels: npt.NDArray[Any], outputs: int
) -> list[tuple[Tensor, Tensor]]:
    """Solutions from the strongest penalty to the weakest, each started from the one before."""
    y = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    x = x.float()  # twice as fast, and the penalty keeps the problem well conditioned
    weight = torch.zeros(x.shape[1], outputs, requires_grad=True)
    bias = torch.zeros(outputs, requires_grad=True)
    found = []
    for decay in reversed(DECAYS):
        _minimise(x, y, weight, bias, decay)
        found.append((weight.detach().double(), bias.detach().double()))
    return found


def _minimise(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, decay: float) -> None:
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe", tolerance_grad=1e-6
    )

    def closure() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(x @ weight + bias, y) + decay / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(closure)  # type: ignore[no-untyped-call]


def _loss(one: LinearMap, aside: Examples, goal: Goal, spread: Tensor) -> float:
    out = one(aside[0])
    if goal == "regression":
        missed = out - torch.from_numpy(np.asarray(aside[1], np.float64))
        value = float((missed / spread).square().mean())
    else:
        value = float(F.cross_entropy(out, torch.from_numpy(np.asarray(aside[1], np.int64))))
    return value if math.isfinite(value) else math.inf
