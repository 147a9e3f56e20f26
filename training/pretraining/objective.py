"""Objective of the training: GAIR's encoders, the temperature, frozen teachers where there are any.

:class:`Objective` makes embeddings of a batch; :func:`training.pretraining.step.train_step` makes
losses and gradients of them.

A batch has some frames and, in each, a number of photos of its own. ``Gair.localize`` takes the
same number in every frame; :func:`read_at_points` takes a flat list instead, so nothing is padded
and the cost follows the photos. Values and gradients are the same.
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
from gair.encoders.inr import Nili, weighted_sums
from gair.errors import UsageError
from gair.losses import TEMPERATURE, at_least_float32
from gair.model import Gair

if TYPE_CHECKING:
    from training.dataset.batches.batch import Batch

TEMPERATURE_RANGE = (0.01, 1.0)
"""Where a learnable temperature is kept; below, single wrong negatives dominate the gradient (CLIP,
https://arxiv.org/abs/2103.00020, section 2.5, has the same lower end)."""
_CUBIC = -0.75
"""Parameter of the cubic kernel, that of ``torch.nn.functional.grid_sample``."""


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
    location_temperature: float = 0.0
    """Of the softmax of the losses with locations; 0: the same one."""
    mask_near_m: float = 0.0
    """Places this near to a photo are none of its negatives; 0: only its own location is none."""
    stop_location_gradient: bool = False
    """Whether the losses with locations train the location encoder alone."""
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
        self.model = model
        self.options = options
        self.log_temperature = _log_temperature("temperature", options)
        # There only where it is asked for, so that other checkpoints stay as they are.
        self.log_location_temperature = (
            _log_temperature("location_temperature", options)
            if options.location_temperature
            else None
        )
        taught = ("street_view", "remote_sensing") if options.distill_weight else ()
        self.teachers = nn.ModuleDict(
            {name: copy.deepcopy(getattr(model, name)) for name in taught}
        )
        self.teachers.requires_grad_(False)
        if checkpoint_activations:
            # Recompute each block in the backward pass instead of keeping what is inside; there is
            # no dropout anywhere, so no random state to keep.
            for block in (*model.street_view.segments, *model.remote_sensing.segments):
                block.forward = functools.partial(
                    checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False
                )

    @property
    def temperature(self) -> Tensor:
        """Of the softmax, a scalar."""
        return self.log_temperature.exp()

    @property
    def location_temperature(self) -> Tensor:
        """Of the softmax of the losses with locations, a scalar."""
        own = self.log_location_temperature
        return self.temperature if own is None else own.exp()

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Keep learnable temperatures in their range; to be called after an optimiser's step."""
        low, high = TEMPERATURE_RANGE
        for log_temperature in (self.log_temperature, self.log_location_temperature):
            if log_temperature is not None and log_temperature.requires_grad:
                log_temperature.clamp_(math.log(low), math.log(high))

    def embed(self, batch: Batch) -> Embeddings:
        """Embeddings of a batch, differentiable; each frame is encoded once.

        Under autocast the towers run in half precision; coordinates and phases never do.
        """
        pooled, s = self.model.street_view.pooled_and_embedding(batch.photos)
        token_maps = at_least_float32(self.model.encode_remote_sensing(batch.frames))
        xy = batch.xy.to(token_maps.dtype)
        z = read_at_points(
            self.model.inr, token_maps, batch.frame_of_photo, xy, self.options.rs_query
        )
        distilled = bool(self.teachers)
        return Embeddings(
            s=at_least_float32(s),
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


def _log_temperature(name: str, options: ObjectiveOptions) -> nn.Parameter:
    low, high = TEMPERATURE_RANGE
    start = float(getattr(options, name))
    if options.learnable_temperature and not low <= start <= high:
        raise UsageError(f"{name} is {start}: a learnable one starts from {low} to {high}")
    return nn.Parameter(torch.tensor(math.log(start)), requires_grad=options.learnable_temperature)


def _mean_tokens(token_maps: Tensor, batch: Batch) -> Tensor:
    return token_maps.mean(dim=(1, 2))[batch.frame_of_photo]  # (F, h, w, D) to (B, D)


def read_at_points(
    inr: Nili, token_maps: Tensor, frame_of_point: Tensor, xy: Tensor, mode: QueryMode
) -> Tensor:
    """The vectors z at points of frames, not normalised.

    NILI is taken at the points: it runs its decoder once a point, where convolving the frames would
    run it once a token, and a batch has fewer photos than tokens (144 a frame in the release).

    Args:
        inr: the model's.
        token_maps: (F, h, w, D).
        frame_of_point: (P,) which frame each point lies in.
        xy: (P, 2) frame coordinates in [-1, 1].
        mode: ``nili`` or a baseline.

    Returns:
        (P, D).
    """
    if mode == "nili":
        return inr.at_points(token_maps, frame_of_point, xy)
    if mode == "mean":
        return token_maps.mean(dim=(1, 2))[frame_of_point]
    return interpolate_at_points(token_maps, frame_of_point, xy, mode)


def interpolate_at_points(
    token_maps: Tensor, frame_of_point: Tensor, xy: Tensor, mode: Literal["bilinear", "bicubic"]
) -> Tensor:
    """Plain interpolation of tokens: (F, h, w, D), (P,) and (P, 2) to (P, D)."""
    _, height, width, dim = token_maps.shape
    columns, column_weights = _taps(xy[:, 0], width, mode)  # (P, 2 or 4)
    rows, row_weights = _taps(xy[:, 1], height, mode)
    start = frame_of_point[:, None, None] * (height * width)  # (P, 1, 1), of each point's frame
    index = start + rows[:, :, None] * width + columns[:, None]  # (P, taps, taps)
    weight = row_weights[:, :, None] * column_weights[:, None]
    return weighted_sums(
        token_maps.reshape(-1, dim), index.flatten(1), weight.flatten(1).to(token_maps.dtype)
    )


def _taps(q: Tensor, count: int, mode: Literal["bilinear", "bicubic"]) -> tuple[Tensor, Tensor]:
    """Along one axis: the tokens (P, taps) that count for each coordinate, and their weights.

    Beyond the outer centres the outer tokens go on (``padding_mode="border"``).
    """
    # -1 and 1 are the outer edges of the outer tokens, whose centres are half a token further in
    # (align_corners=False): token i of n has its centre at q = (2 i + 1) / n - 1.
    at = ((q + 1) * count - 1) / 2
    low = at.floor()
    t = at - low  # (P,) in [0, 1)
    if mode == "bilinear":
        steps, weights = [0, 1], [1 - t, t]
    else:
        steps = [-1, 0, 1, 2]
        weights = [_cubic_far(1 + t), _cubic_near(t), _cubic_near(1 - t), _cubic_far(2 - t)]
    index = low.long()[:, None] + torch.tensor(steps, device=q.device)
    return index.clamp(0, count - 1), torch.stack(weights, dim=1)


def _cubic_near(d: Tensor) -> Tensor:
    """The kernel at distances up to 1."""
    return ((_CUBIC + 2) * d - (_CUBIC + 3)) * d * d + 1


def _cubic_far(d: Tensor) -> Tensor:
    """The kernel at distances from 1 to 2."""
    return ((_CUBIC * d - 5 * _CUBIC) * d + 8 * _CUBIC) * d - 4 * _CUBIC
