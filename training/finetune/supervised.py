"""Street-view and location pipeline: an encoder under a linear map, for numbers or classes.

*probe*: the encoder is frozen, and a linear map on its standardised vectors is solved for, its
regularisation chosen on a part of the training labels that is held out. *finetune*: encoder and
linear map are fitted together. *scratch* is *finetune* from random weights.

The paper fine-tunes g for socio-economic indicators and perception (regression) and for view
direction and platform (classification), and freezes e for MOSAIKS' numbers of places
(https://doi.org/10.1038/s41467-021-24638-z): R2 on places that were not fitted. Classes of places
(land or sea, a country) are learned the same way; the species prior is in
:mod:`training.finetune.species`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

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
from training.finetune.linear import Goal, LinearMap, solve_linear
from training.finetune.tasks import Mode

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
    train = embed(encoder, _Lazy(data.train), advance=advance)
    return Vectors(train, embed(encoder, _Lazy(data.test), advance=advance))


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


class _Lazy(Sequence[Any]):
    """The batches of a labelled set as a sequence, each read when it is asked for."""

    def __init__(self, labelled: Labelled[Any]) -> None:
        self._labelled = labelled

    def __len__(self) -> int:
        return -(-len(self._labelled) // _AT_ONCE)

    def __getitem__(self, number: Any) -> Any:  # noqa: ANN401
        if number >= len(self):
            raise IndexError(number)
        start = number * _AT_ONCE
        return self._labelled.take(np.arange(start, min(start + _AT_ONCE, len(self._labelled))))


def _outputs(encoder: Encoder[Any], head: Head, labelled: Labelled[Any], rows: Ints) -> Tensor:
    parts = [
        head.linear(encoder.encode(encoder.prepare(labelled.take(rows[start : start + _AT_ONCE]))))
        for start in range(0, len(rows), _AT_ONCE)
    ]
    return torch.cat(parts)


def _scaled(data: SupervisedData[Any], fitted: Ints) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Labels as the loss wants them, and the way back to the task's units."""
    if data.goal == "classification":
        return torch.from_numpy(np.asarray(data.train.targets, dtype=np.int64)), lambda out: out
    targets = torch.from_numpy(np.asarray(data.train.targets, dtype=np.float32))
    mean, sd = targets[fitted].mean(0), targets[fitted].std(0).clamp_min(1e-6)
    return (targets - mean) / sd, lambda out: out * sd + mean


def _loss(goal: Goal, out: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(out, labels) if goal == "regression" else F.cross_entropy(out, labels)
