"""The optimiser and the learning rate of the paper.

AdamW (https://arxiv.org/abs/1711.05101) with betas 0.9 and 0.95 and weight decay 0.05, none of it
on biases, norms and other vectors; a linear warm-up and half a cosine (arXiv 2503.16683).
"""

from __future__ import annotations

import math

import torch
from torch import nn

from gair.errors import UsageError

PAPER_BETAS = (0.9, 0.95)
PAPER_WEIGHT_DECAY = 0.05
PAPER_LR_PER_256 = 1.5e-6
"""Peak learning rate for each 256 photos of a step."""
PAPER_EPOCHS = 300
PAPER_WARMUP_EPOCHS = 10

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


def base_lr_for(batch: int) -> float:
    """The paper's peak learning rate for a number of photos a step, all ranks together."""
    return PAPER_LR_PER_256 * batch / 256


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
