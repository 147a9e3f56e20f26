"""All that changes while a run trains, and how it goes into a checkpoint and out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gair.errors import TrainingError
from training.pretraining.checkpointing import Checkpoint

if TYPE_CHECKING:
    from training.dataset.batches.loader import PairLoader
    from training.pretraining.ema import Ema
    from training.pretraining.location_queue import LocationQueue
    from training.pretraining.objective import Objective


@dataclass
class TrainingState:
    """A run between two steps."""

    objective: Objective
    optimizer: torch.optim.Optimizer
    queue: LocationQueue
    loader: PairLoader
    ema: Ema | None = None
    step: int = 0
    """Optimiser steps done."""
    seconds: float = 0.0
    """Spent training, over all resumptions; validation and checkpoints included."""
    best: dict[str, float] = field(default_factory=dict)
    """Metrics of the best validation and its ``step``; empty before the first."""
    last: dict[str, float] = field(default_factory=dict)
    """Metrics of the newest validation and its ``step``."""

    def to_checkpoint(self) -> Checkpoint:
        """Everything that a resumed run needs to go on as if it had not stopped."""
        tensors = {"model": dict(self.objective.state_dict())}
        state: dict[str, Any] = {
            "optimizer": self.optimizer.state_dict(),
            "queue": self.queue.state_dict(),
            "loader": self.loader.state_dict(),
            "random": _random_state(),
            "seconds": self.seconds,
            "best": self.best,
            "last": self.last,
        }
        if self.ema is not None:
            averages = self.ema.state_dict()
            tensors["ema"] = averages.pop("average")
            state["ema"] = averages
        return Checkpoint(self.step, tensors, state)

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same run.

        Raises:
            TrainingError: it is of another run.
        """
        tensors, state = checkpoint.tensors, checkpoint.state
        try:
            self.objective.load_state_dict(tensors["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.queue.load_state_dict(state["queue"])
            self.loader.load_state_dict(state["loader"])
            if self.ema is not None:
                self.ema.load_state_dict({**state["ema"], "average": tensors["ema"]})
            _set_random_state(state["random"])
            self.seconds, self.best, self.last = state["seconds"], state["best"], state["last"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise TrainingError(
                f"the checkpoint of step {checkpoint.step} does not fit this run: {reason}"
            ) from error
        self.step = checkpoint.step

    def weights(self) -> dict[str, Tensor]:
        """The model's weights to validate and export: the averaged ones where there are any."""
        if self.ema is not None:
            averages: dict[str, Tensor] = self.ema.state_dict()["average"]
            return averages
        return dict(self.objective.model.state_dict())


def _random_state() -> dict[str, Tensor]:
    """Of the generators that torch shares; the batches have generators of their own."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_random_state(state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
