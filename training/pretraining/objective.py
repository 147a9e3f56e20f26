"""What is minimised: GAIR's encoders, the temperature, and frozen teachers where there are any.

:class:`Objective` makes embeddings of a batch; :func:`training.pretraining.step.train_step` makes losses and
gradients of them.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gair.config import QueryMode
from gair.errors import UsageError
from gair.losses import TEMPERATURE, at_least_float32
from gair.model import Gair
from training.pretraining.token_queries import read_at_points

if TYPE_CHECKING:
    from training.dataset.batches.batch import Batch

TEMPERATURE_RANGE = (0.01, 1.0)
"""Where a learnable temperature is kept; below, single wrong negatives dominate the gradient (CLIP,
https://arxiv.org/abs/2103.00020, section 2.5, has the same lower end)."""


@dataclass(frozen=True)
class ObjectiveOptions:
    """Switches of the objective; the defaults are the paper's, but for gathering."""

    rs_query: QueryMode = "nili"
    """How a frame is read at a photo's point."""
    losses: Literal["both", "incl", "secl"] = "both"
    """Which losses count."""
    gather: bool = True
    """Whether the photos of all ranks are negatives of one another, or those of a rank only."""
    in_batch_locations: bool = False
    """Whether the other photos' locations are negatives, beside the queue's."""
    learnable_temperature: bool = False
    """Whether the temperature is learnt."""
    temperature: float = TEMPERATURE
    """Of the softmax; where a learnable one starts."""
    distill_weight: float = 0.0
    """Of the distillation of each image tower from its initial self; 0 is off."""
    queue_size: int = 4096
    """Locations in the queue."""


@dataclass(frozen=True)
class Embeddings:
    """Of a batch of B photos, not normalised, float32 or better."""

    s: Tensor
    """(B, D) street views."""
    z: Tensor
    """(B, D) imagery at the photos' points."""
    l: Tensor  # noqa: E741
    """(B, D) locations."""
    g: Tensor | None = None
    """(B, sv_width) pooled street views before the projection, if they are distilled."""
    f: Tensor | None = None
    """(B, D) mean token of each photo's frame, if it is distilled."""

    def tensors(self) -> list[Tensor]:
        """All there are, in a fixed order."""
        return [t for t in (self.s, self.z, self.l, self.g, self.f) if t is not None]


class Objective(nn.Module):
    """A model in training.

    The model's weights have to be in place: where there is distillation, the teachers are frozen
    copies of its image towers as they are now.
    """

    def __init__(
        self, model: Gair, options: ObjectiveOptions, *, checkpoint_activations: bool = False
    ) -> None:
        super().__init__()
        low, high = TEMPERATURE_RANGE
        if options.learnable_temperature and not low <= options.temperature <= high:
            raise UsageError(
                f"temperature is {options.temperature}: a learnable one starts from {low} to {high}"
            )
        self.model = model
        self.options = options
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(options.temperature)),
            requires_grad=options.learnable_temperature,
        )
        self.teachers = nn.ModuleDict()
        if options.distill_weight:
            self.teachers = nn.ModuleDict(
                {
                    "street_view": copy.deepcopy(model.street_view),
                    "remote_sensing": copy.deepcopy(model.remote_sensing),
                }
            ).requires_grad_(False)
        if checkpoint_activations:
            _checkpoint_blocks(model)

    @property
    def temperature(self) -> Tensor:
        """Of the softmax, a scalar."""
        return self.log_temperature.exp()

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Keep a learnable temperature in its range; to be called after a step of the optimiser."""
        if self.log_temperature.requires_grad:
            low, high = TEMPERATURE_RANGE
            self.log_temperature.clamp_(math.log(low), math.log(high))

    def embed(self, batch: Batch) -> Embeddings:
        """Embeddings of a batch, differentiable; each frame is encoded once.

        Under autocast the towers run in half precision; coordinates and phases never do.
        """
        tower = self.model.street_view
        pooled = tower.pooled(batch.photos)
        token_maps = at_least_float32(self.model.encode_remote_sensing(batch.frames))
        xy = batch.xy.to(token_maps.dtype)
        z = read_at_points(
            self.model.inr, token_maps, batch.frame_of_photo, xy, self.options.rs_query
        )
        distilled = bool(self.teachers)
        return Embeddings(
            s=at_least_float32(tower.projection(pooled)),
            z=at_least_float32(z),
            l=self.model.encode_location(batch.lonlat_deg, normalize=False),
            g=at_least_float32(pooled) if distilled else None,
            f=_mean_tokens(token_maps, batch) if distilled else None,
        )

    @torch.no_grad()
    def teach(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the teachers make of a batch: g and f of :class:`Embeddings`."""
        sees = cast(Callable[[Tensor], Tensor], self.teachers["street_view"].pooled)
        token_maps = at_least_float32(self.teachers["remote_sensing"](batch.frames))
        return at_least_float32(sees(batch.photos)), _mean_tokens(token_maps, batch)


def _mean_tokens(token_maps: Tensor, batch: Batch) -> Tensor:
    return token_maps.mean(dim=(1, 2))[batch.frame_of_photo]


def _checkpoint_blocks(model: Gair) -> None:
    """Recompute each transformer block in the backward pass instead of keeping what is inside."""
    towers = (model.street_view.vit.blocks, model.remote_sensing.blocks)
    for block in (block for tower in towers for block in cast(nn.ModuleList, tower)):
        block.forward = functools.partial(  # no dropout anywhere, so no random state to keep
            checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False
        )
