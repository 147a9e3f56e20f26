"""An exponential moving average of the weights, to be validated and exported instead of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gair.errors import TrainingError, UsageError


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

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Overwrite a model's weights with the averages."""
        model.load_state_dict(self._average)

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs; the tensors are not copied."""
        return {"updates": self.updates, "average": dict(self._average)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the averages of the same model."""
        stored: dict[str, Tensor] = state["average"]
        odd = sorted(set(stored).symmetric_difference(self._average))
        if odd:
            raise TrainingError(f"the stored weight averages are of another model: {odd[0]}")
        for name, tensor in self._average.items():
            tensor.copy_(stored[name])
        self.updates = int(state["updates"])
