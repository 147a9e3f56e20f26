"""Loop that fits weights to labels: AdamW, a warm-up, half a cosine, the best on the way.

Batches depend on the seed only. The weights that did best on the validation labels are kept, so a
longer budget cannot do worse by overfitting alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gair.arrays import Ints
from gair.errors import TrainingError, UsageError
from gair.fields import check_range
from training.pretraining.optim import lr_at, make_optimizer, set_lr


@dataclass(frozen=True)
class Budget:
    """How long and how hard to fit; the same for every encoder that is compared."""

    steps: int = 300
    """Optimiser steps."""
    batch: int = 32
    """Examples of a step."""
    lr: float = 5e-4
    """Peak learning rate."""
    weight_decay: float = 0.05
    """AdamW's; biases and norms have none."""
    warmup_share: float = 0.1
    """Share of the steps in which the learning rate rises."""
    checks: int = 4
    """How often the validation labels are looked at, the last time at the end."""

    def __post_init__(self) -> None:
        check_range(self, 1, "steps", "batch", "checks")
        if not self.lr > 0 or not math.isfinite(self.lr):
            raise UsageError(f"the learning rate is {self.lr}: it must be above 0")


def fit(
    module: nn.Module,
    loss_of: Callable[[Ints], Tensor],
    count: int,
    budget: Budget,
    *,
    seed: int,
    score: Callable[[], float] | None = None,
    advance: Callable[[int], None] = lambda _steps: None,
) -> float:
    """Fit what of a module wants a gradient; it is left in evaluation mode.

    Args:
        module: changed in place.
        loss_of: the loss of some rows.
        count: how many rows there are.
        budget: how long.
        seed: of the order of the rows.
        score: higher is better, on rows that are not fitted, NaN is the worst; None keeps the last
            weights.
        advance: told of each step.

    Returns:
        The best score; NaN where there is none.

    Raises:
        TrainingError: there is nothing to fit, or the loss is not finite.
    """
    if not count:
        raise TrainingError("there is nothing to fit: no labelled example in the split train")
    optimizer = make_optimizer(module, lr=budget.lr, weight_decay=budget.weight_decay)
    rows = batches(count, budget.batch, seed)
    checks = {round(budget.steps * (i + 1) / budget.checks) for i in range(budget.checks)}
    best, best_state = -math.inf, None
    for step in range(budget.steps):
        module.train()
        set_lr(
            optimizer,
            lr_at(
                step,
                base_lr=budget.lr,
                warmup_steps=round(budget.warmup_share * budget.steps),
                total_steps=budget.steps,
            ),
        )
        loss = loss_of(next(rows))
        if not bool(torch.isfinite(loss)):
            raise TrainingError(f"the loss is {loss.item()} at step {step}: lower the rate (`lr`)")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        advance(1)
        if score is not None and step + 1 in checks:
            module.eval()
            result = score()
            result = -math.inf if math.isnan(result) else result
            if best_state is None or result > best:
                best, best_state = result, copy.deepcopy(module.state_dict())
    if best_state is not None:
        module.load_state_dict(best_state)
    module.eval()
    return best if score is not None else math.nan


def batches(count: int, size: int, seed: int) -> Iterator[Ints]:
    """Endless batches of row numbers: each pass over the rows is shuffled anew; all are full."""
    rng = np.random.default_rng([seed, 29])
    left = np.empty(0, dtype=np.int64)
    size = min(size, count)
    while True:
        while len(left) < size:
            left = np.concatenate([left, rng.permutation(count)])
        yield left[:size]
        left = left[size:]


def hold_out(count: int, share: float, seed: int) -> tuple[Ints, Ints]:
    """Rows to fit and rows to choose by, drawn by a seed; at least one of each.

    Raises:
        TrainingError: there are fewer than two rows.
    """
    if count < 2:
        raise TrainingError(f"{count} labelled examples: at least two are needed to fit and choose")
    order = np.random.default_rng([seed, 31]).permutation(count)
    aside = held_out_count(count, share)
    return np.sort(order[aside:]), np.sort(order[:aside])


def held_out_count(count: int, share: float) -> int:
    """How many of some rows are held out to choose by."""
    return min(max(1, round(count * share)), count - 1)
