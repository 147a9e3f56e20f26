"""Optimiser, learning rate and averaged weights.

AdamW (https://arxiv.org/abs/1711.05101) with betas 0.9 and 0.95 and weight decay 0.05, none of it
on biases, norms and other vectors; a linear warm-up and half a cosine (arXiv 2503.16683). The
average of the weights is an option of this project, not of the paper.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gair.errors import TrainingError, UsageError

PAPER_BETAS = (0.9, 0.95)
PAPER_WEIGHT_DECAY = 0.05

_NEVER_DECAYED = ("bias", "cls_token", "pos_embed", "log_temperature")


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: to matrices and kernels, not to tokens, norms or biases."""
    return parameter.dim() > 1 and not name.endswith(_NEVER_DECAYED)


def make_optimizer(
    module: nn.Module,
    *,
    lr: float,
    weight_decay: float = PAPER_WEIGHT_DECAY,
    betas: tuple[float, float] = PAPER_BETAS,
) -> torch.optim.AdamW:
    """AdamW over all weights that learn, in a group that decays and one that does not.

    Frozen weights (teachers, a fixed temperature) are in neither; the location encoder's
    frequencies are buffers and so are no weights at all.
    """
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups[decays(name, parameter)].append(parameter)
    fused = all(p.is_cuda for parameters in groups.values() for p in parameters)
    return torch.optim.AdamW(
        [
            {"params": groups[True], "weight_decay": weight_decay},
            {"params": groups[False], "weight_decay": 0.0},
        ],
        lr=lr,
        betas=betas,
        fused=fused,
    )


def lr_at(
    step: int, *, base_lr: float, warmup_steps: int, total_steps: int, min_lr: float = 0.0
) -> float:
    """The learning rate of a step, counted from 0.

    It rises linearly to ``base_lr``, reached in the last warm-up step, and falls along half a
    cosine to ``min_lr``, reached one step after the last.
    """
    if not 0 <= warmup_steps <= total_steps:
        raise UsageError(f"{warmup_steps} warm-up steps do not fit into {total_steps} steps")
    if step < warmup_steps:
        return base_lr * (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return min_lr + (base_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Let the next step use a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


class Ema:
    """Averaged copies of a model's weights.

    The decay of update t (from 0) is ``min(decay, (1 + t) / (10 + t))``, so the random weights of
    the beginning are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float = 0.9999) -> None:
        if not 0 <= decay < 1:
            raise UsageError(f"ema_decay is {decay}: it must be at least 0 and below 1")
        self.decay = decay
        self.updates = 0
        self._average = {name: t.detach().clone() for name, t in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move a little towards the model, after a step of the optimiser."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for name, tensor in model.state_dict().items():
            self._average[name].lerp_(tensor, 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs; the tensors are not copied."""
        return {"updates": self.updates, "average": dict(self._average)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the averages of the same model."""
        stored: dict[str, Tensor] = state["average"]
        differing = sorted(set(stored).symmetric_difference(self._average))
        if differing:
            raise TrainingError(f"the stored weight averages are of another model: {differing[0]}")
        for name, tensor in self._average.items():
            tensor.copy_(stored[name])
        self.updates = int(state["updates"])
