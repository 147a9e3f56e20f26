"""Street-view and location pipeline: an encoder under a linear map, for numbers or classes.

*probe*: the encoder is frozen, and a linear map on its standardised vectors is solved for by
scikit-learn's ridge and logistic regression, its regularisation chosen on a part of the training
labels that is held out. *finetune*: encoder and
linear map are fitted together. *scratch* is *finetune* from random weights.

The paper fine-tunes g for socio-economic indicators and perception (regression) and for view
direction and platform (classification), and freezes e for MOSAIKS' numbers of places
(https://doi.org/10.1038/s41467-021-24638-z): R2 on places that were not fitted. Classes of places
(land or sea, a country) are learned the same way; the species prior is in
:mod:`training.finetune.species`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gair.arrays import Floats, Ints
from gair.errors import DatasetError
from training.finetune import metrics
from training.finetune.encoders.encoder import Encoder, Photos, embed
from training.finetune.fitting import Budget, fit, hold_out
from training.finetune.tasks import Mode

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
    return min(maps, key=lambda each: _loss_aside(each, aside, goal, torch.from_numpy(spread)))


def _ridges(x: Floats, targets: Floats) -> Iterator[tuple[Floats, Floats]]:
    """(D, T) weights and (T,) biases for each strength."""
    from sklearn.linear_model import Ridge

    for strength in RIDGES:
        ridge = Ridge(alpha=strength).fit(x, targets)
        yield ridge.coef_.reshape(-1, x.shape[1]).T.copy(), np.atleast_1d(ridge.intercept_)


def _logistic_path(x: Floats, labels: Ints, outputs: int) -> Iterator[tuple[Floats, Floats]]:
    """(D, C) weights and (C,) biases, each strength started from the next stronger one."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

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


def _loss_aside(candidate: LinearMap, aside: Examples, goal: Goal, spread: Tensor) -> float:
    out = candidate(aside[0])
    if goal == "regression":
        missed = out - torch.from_numpy(np.asarray(aside[1], np.float64))
        value = float((missed / spread).square().mean())
    else:
        value = float(F.cross_entropy(out, torch.from_numpy(np.asarray(aside[1], np.int64))))
    return value if math.isfinite(value) else math.inf


Inputs = TypeVar("Inputs", bound=Any)

_AT_ONCE = 64
CHOOSE_SHARE = 0.2
"""Share of the training labels that choices are made on."""


@dataclass(frozen=True)
class Labelled(Generic[Inputs]):
    """Inputs and their labels."""

    inputs: Inputs
    """A sequence of photos, or (N, 2) places."""
    targets: npt.NDArray[Any]
    """(N, T) numbers to be regressed on, or (N,) class numbers."""

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise DatasetError(f"{len(self.inputs)} inputs have {len(self.targets)} labels")

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: Ints) -> Inputs:
        """A part of the inputs, as encoders take them."""
        if isinstance(self.inputs, np.ndarray):
            return cast(Inputs, self.inputs[rows])
        return cast(Inputs, [self.inputs[int(row)] for row in rows])

    def batches(self, rows: Ints | None = None) -> Iterator[Inputs]:
        """The inputs, or a part of them, a batch at a time; each is read when it is asked for."""
        rows = np.arange(len(self)) if rows is None else rows
        for start in range(0, len(rows), _AT_ONCE):
            yield self.take(rows[start : start + _AT_ONCE])


@dataclass(frozen=True)
class SupervisedData(Generic[Inputs]):
    """A task whose answers are numbers or classes."""

    goal: Goal
    names: tuple[str, ...]
    """Of the targets, or of the classes."""
    train: Labelled[Inputs]
    test: Labelled[Inputs]

    @property
    def outputs(self) -> int:
        """Numbers that the head gives."""
        return len(self.names)


PhotoData = SupervisedData[Photos]
PlaceData = SupervisedData[Floats]


class Head(nn.Module):
    """An encoder's module with a linear map on it, so that one optimiser sees both."""

    def __init__(self, encoder: Encoder[Any], outputs: int, seed: int) -> None:
        super().__init__()
        self.body = encoder.module
        self.linear = nn.Linear(encoder.width, outputs)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.linear.weight.normal_(0, encoder.width**-0.5, generator=generator)
            self.linear.bias.zero_()


@dataclass(frozen=True)
class Vectors:
    """What a frozen encoder makes of a task's inputs."""

    train: Tensor
    """(N, width)."""
    test: Tensor
    """(M, width)."""


def run(
    make: Callable[[int], Encoder[Inputs]],
    data: SupervisedData[Inputs],
    mode: Mode,
    budget: Budget,
    seeds: Sequence[int],
    *,
    advance: Callable[[int], None] = lambda _count: None,
) -> list[dict[str, float]]:
    """The scores of an encoder, for each seed.

    Args:
        make: opens the encoder; its argument seeds random weights.
        data: photos or places, and labels.
        mode: ``probe`` or ``finetune``.
        budget: of a fine-tuning.
        seeds: of the choices, the head and the batches.
        advance: told of inputs embedded and steps made.
    """
    if mode == "probe":
        vectors = vectors_of(make(0), data, advance=advance)
        return probe(vectors, data, seeds)
    return [finetune(make(seed), data, budget, seed, advance=advance) for seed in seeds]


def vectors_of(
    encoder: Encoder[Inputs],
    data: SupervisedData[Inputs],
    *,
    advance: Callable[[int], None] = lambda _count: None,
) -> Vectors:
    """The vectors of all inputs; they serve for every task on the same inputs."""
    train = embed(encoder, data.train.batches(), advance=advance)
    return Vectors(train, embed(encoder, data.test.batches(), advance=advance))


def probe(
    vectors: Vectors, data: SupervisedData[Any], seeds: Sequence[int]
) -> list[dict[str, float]]:
    """The scores of a frozen encoder, for each seed; a seed draws what the choices are made on."""
    return [scores(data, solve(vectors.train, data, seed)(vectors.test)) for seed in seeds]


def solve(train: Tensor, data: SupervisedData[Any], seed: int) -> LinearMap:
    """The linear map from vectors of the training inputs to their labels."""
    fitted, aside = hold_out(len(data.train), CHOOSE_SHARE, seed)
    return solve_linear(
        (train[fitted], data.train.targets[fitted]),
        (train[aside], data.train.targets[aside]),
        goal=data.goal,
        outputs=data.outputs,
    )


def finetune(
    encoder: Encoder[Inputs],
    data: SupervisedData[Inputs],
    budget: Budget,
    seed: int,
    *,
    advance: Callable[[int], None] = lambda _steps: None,
) -> dict[str, float]:
    """The scores after fitting encoder and head together; the encoder is changed."""
    head = Head(encoder, data.outputs, seed)
    fitted, aside = hold_out(len(data.train), CHOOSE_SHARE, seed)
    scaled, to_units = _scaled(data, fitted)

    def loss_of(rows: Ints) -> Tensor:
        chosen = fitted[rows]
        out = head.linear(encoder.encode(encoder.prepare(data.train.take(chosen))))
        return _loss(data.goal, out, scaled[chosen])

    def score() -> float:
        with torch.inference_mode():
            out = _outputs(encoder, head, data.train, aside)
            return -float(_loss(data.goal, out, scaled[aside]))

    fit(head, loss_of, len(fitted), budget, seed=seed, score=score, advance=advance)
    with torch.inference_mode():
        out = _outputs(encoder, head, data.test, np.arange(len(data.test)))
    return scores(data, to_units(out))


def scores(data: SupervisedData[Any], out: Tensor) -> dict[str, float]:
    """The published metrics of the head's outputs on the test labels, (N, outputs)."""
    answers = out.double().numpy()
    truth = data.test.targets
    if data.goal == "regression":
        return {
            "R2": metrics.r2(truth, answers),
            "MAE": metrics.mae(truth, answers),
            "RMSE": metrics.rmse(truth, answers),
        }
    best = answers.argmax(axis=1)
    result = {
        "top-1": metrics.accuracy(truth, best),
        "macro F1": metrics.macro_f1(truth, best),
    }
    if data.outputs > 3:
        result["top-3"] = metrics.top_k(truth, answers, 3)
    return result


def _outputs(encoder: Encoder[Any], head: Head, labelled: Labelled[Any], rows: Ints) -> Tensor:
    parts = labelled.batches(rows)
    return torch.cat([head.linear(encoder.encode(encoder.prepare(part))) for part in parts])


def _scaled(data: SupervisedData[Any], fitted: Ints) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Labels as the loss wants them, and the way back to the task's units."""
    if data.goal == "classification":
        return torch.from_numpy(np.asarray(data.train.targets, dtype=np.int64)), lambda out: out
    targets = torch.from_numpy(np.asarray(data.train.targets, dtype=np.float32))
    mean, sd = targets[fitted].mean(0), targets[fitted].std(0).clamp_min(1e-6)
    return (targets - mean) / sd, lambda out: out * sd + mean


def _loss(goal: Goal, out: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(out, labels) if goal == "regression" else F.cross_entropy(out, labels)
