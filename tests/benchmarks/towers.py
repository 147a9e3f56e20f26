"""A model in training and a made-up batch: the step, the bare towers beside it, and their FLOPs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from gair.config import GairConfig
from gair.model import Gair
from training.dataset.batches.batch import Batch
from training.pretraining.distributed import Ranks
from training.pretraining.loop import clip
from training.pretraining.objective import Objective, ObjectiveOptions
from training.pretraining.optim import make_optimizer
from training.pretraining.step import LocationQueue, StepLosses, train_step


@dataclass(frozen=True)
class Trial:
    """What is trained, on what."""

    preset: str
    """Of the model."""
    photos: int
    """Of one step."""
    photos_per_frame: int
    """Photos that share a frame."""
    options: ObjectiveOptions
    """Of the objective."""
    autocast: torch.dtype | None = None
    """Half precision of the towers."""
    device: str = "cpu"
    """Where it is trained."""


class Towers:
    """A trial that can be run."""

    def __init__(self, trial: Trial) -> None:
        self.trial, self.device = trial, torch.device(trial.device)
        model = Gair.untrained(trial.preset).train()
        self.config = model.config
        self.objective = Objective(model, trial.options).to(self.device)
        self.optimizer = make_optimizer(self.objective, lr=1e-6)
        self.queue = LocationQueue(trial.options.queue_size, self.device)
        self.queue.push(places(trial.options.queue_size, self.device))
        self.batch = made_batch(self.config, trial.photos, trial.photos_per_frame, self.device)
        self._back: list[Tensor] = []

    def bare(self) -> None:
        """Forward and backward of the three encoders, each from a gradient that is there already.

        No point is read, no loss is computed and no queue is encoded.
        """
        self.objective.zero_grad(set_to_none=True)
        model, batch = self.objective.model, self.batch
        half = self.trial.autocast
        with torch.autocast(self.device.type, half) if half else contextlib.nullcontext():
            outputs = [
                model.street_view(batch.photos),
                model.remote_sensing(batch.frames),
                model.location(batch.lonlat_deg),
            ]
        self._back = self._back or [torch.randn_like(output) for output in outputs]
        torch.autograd.backward(outputs, self._back)

    def step(self, chunks: int = 1) -> StepLosses:
        """A training step: losses and gradients."""
        ranks = Ranks(0, 1, self.device)
        half = self.trial.autocast
        return train_step(
            self.objective, self.batch, self.queue, ranks, chunks=chunks, autocast=half
        )

    def step_and_update(self) -> None:
        """A training step, its gradient clipped, and the optimiser's turn."""
        self.step()
        clip(self.objective.parameters(), 1.0)
        self.optimizer.step()

    def flops(self) -> float:
        """Of :meth:`bare`; a step adds about a hundredth, the reading of points and the losses."""
        return bare_flops(self.config, len(self.batch.photos), len(self.batch.frames))


def bare_flops(config: GairConfig, photos: int, frames: int) -> float:
    """Floating-point operations of the encoders' matrix products, forward and backward.

    A multiply-add is two. A transformer block of width d on n tokens has 24 n d^2 in its
    projections and MLP (x 4) and 4 n^2 d in its attention (PaLM, https://arxiv.org/abs/2204.02311,
    appendix B, counts the same way). The backward pass has twice the forward, but for the layers
    that read pixels and coordinates, which have no gradient: once. Norms, activations, softmax and
    whatever is computed a second time do not count.
    """
    if config.stem == "conv":
        (sv_first, sv_rest), (rs_first, rs_rest) = _convolutional_flops(config)
    else:
        (sv_first, sv_rest), (rs_first, rs_rest) = _patch_flops(config)
    hidden, capsules = config.location_hidden, len(config.location_sigmas)
    location_first = capsules * 2 * hidden * 2 * config.location_frequencies
    location_rest = capsules * 2 * hidden * (2 * hidden + config.dim)
    a_photo = 2.0 * (sv_first + location_first) + 3.0 * (sv_rest + location_rest)
    return photos * a_photo + frames * (2.0 * rs_first + 3.0 * rs_rest)


TowerFlops = tuple[tuple[float, float], tuple[float, float]]
"""Of one photo and of one frame, forward: the layer that reads pixels, and all others."""


def _patch_flops(config: GairConfig) -> TowerFlops:
    sv_patches = (config.sv_image_px // config.sv_patch_px) ** 2
    sv_first = 2 * sv_patches * 3 * config.sv_patch_px**2 * config.sv_width
    sv_rest = config.sv_depth * _block_flops(sv_patches + 1, config.sv_width)
    sv_rest += 2 * config.sv_width * (config.sv_width + config.dim)
    rs_patches = config.rs_grid**2
    rs_first = 2 * rs_patches * len(config.rs_bands) * config.rs_patch_px**2 * config.dim
    rs_rest = config.rs_depth * _block_flops(rs_patches, config.dim)
    return (sv_first, sv_rest), (rs_first, rs_rest)


def _convolutional_flops(config: GairConfig) -> TowerFlops:
    """As torch counts them."""
    model = Gair.with_random_weights(config, Gair.untrained("tiny").info, 0)
    photo = torch.zeros(1, 3, config.sv_image_px, config.sv_image_px)
    frame = torch.zeros(1, len(config.rs_bands), config.rs_frame_px, config.rs_frame_px)
    counted = []
    for tower, first, pixels in (
        (model.street_view, model.street_view.conv.trunk.stages[0][0], photo),
        (model.remote_sensing, model.remote_sensing.trunk.stages[0][0], frame),
    ):
        flops = []
        for module in (first, tower):
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                module(pixels)
            flops.append(float(counter.get_total_flops()))
        counted.append((flops[0], flops[1] - flops[0]))
    return counted[0], counted[1]


def _block_flops(tokens: int, width: int) -> int:
    return 24 * tokens * width**2 + 4 * tokens**2 * width


def places(count: int, device: torch.device) -> Tensor:
    """(N, 2) random degrees, float64."""
    unit = torch.rand(count, 2, dtype=torch.float64, device=device) * 2 - 1
    return unit * torch.tensor([180.0, 80.0], dtype=torch.float64, device=device)


def made_batch(
    config: GairConfig, photos: int, photos_per_frame: int, device: torch.device
) -> Batch:
    """Noise of the right shapes, on the device."""
    frame_of_photo = torch.arange(photos, device=device) // photos_per_frame
    frames, sv_px, rs_px = -(-photos // photos_per_frame), config.sv_image_px, config.rs_frame_px
    return Batch(
        photos=torch.randn(photos, 3, sv_px, sv_px, device=device),
        frames=torch.rand(frames, len(config.rs_bands), rs_px, rs_px, device=device),
        frame_of_photo=frame_of_photo,
        xy=torch.rand(photos, 2, device=device) * 2 - 1,
        lonlat_deg=places(photos, device),
        photo_index=torch.arange(photos),
        epoch=0,
        number=0,
    )
