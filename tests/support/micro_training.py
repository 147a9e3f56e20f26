"""A model of a few thousand weights and batches for it: training steps that take milliseconds."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gair.config import GairConfig
from gair.encoders.initial import initial_state
from gair.info import ModelInfo
from gair.model import Gair
from training.dataset.batches.batch import Batch
from training.pretraining.distributed import (
    Ranks,
    any_rank,
    broadcast_weights,
    start_ranks,
    stop_ranks,
)
from training.pretraining.objective import Objective, ObjectiveOptions
from training.pretraining.step import LocationQueue, StepLosses, train_step

MICRO = GairConfig(
    dim=16,
    sv_image_px=32,
    sv_width=24,
    sv_depth=2,
    sv_heads=2,
    rs_frame_px=32,
    rs_depth=2,
    rs_heads=2,
    location_sigmas=(1.0, 16.0),
    location_frequencies=8,
    location_hidden=16,
)
CONV_STEM: dict[str, Any] = {
    "stem": "conv",
    "sv_channels": (6, 8, 12),
    "sv_residuals": (1, 0, 1),
    "sv_depth": 1,
    "rs_channels": (6, 8, 10),
    "rs_residuals": (1, 0, 2),
}
"""Changes that give :func:`micro_model` convolutional stems."""
ALONE = Ranks(0, 1, torch.device("cpu"))


def micro_model(seed: int = 0, **changes: Any) -> Gair:
    config = dataclasses.replace(MICRO, **changes)
    model = Gair.without_weights(config, ModelInfo("micro", "none", trained=False, source="made"))
    model.load_state_dict(initial_state(model.state_dict(), config, seed), assign=True)
    return model


def micro_batch(
    photos_of_frames: tuple[int, ...] = (3, 1, 2, 2),
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Batch:
    """Frames with differing numbers of photos; some photos lie on the very edge."""
    generator = torch.Generator().manual_seed(seed)
    count = sum(photos_of_frames)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1

    xy = uniform(count, 2)
    xy[0], xy[-1] = torch.tensor([1.0, -1.0]), torch.tensor([0.99, 0.2])
    return Batch(
        photos=uniform(count, 3, 32, 32).to(dtype),
        frames=uniform(len(photos_of_frames), 10, 32, 32).to(dtype),
        frame_of_photo=torch.repeat_interleave(torch.tensor(photos_of_frames)),
        xy=xy.to(dtype),
        lonlat_deg=uniform(count, 2) * torch.tensor([179.0, 80.0]),
        photo_index=torch.arange(count),
        epoch=0,
        number=0,
    )


def share(batch: Batch, rank: int, world: int) -> Batch:
    """What one rank sees of a batch: its rows, and the frames they need."""
    size = len(batch.photos) // world
    rows = slice(rank * size, (rank + 1) * size)
    frames, frame_of_photo = batch.frame_of_photo[rows].unique(return_inverse=True)
    return Batch(
        photos=batch.photos[rows],
        frames=batch.frames[frames],
        frame_of_photo=frame_of_photo,
        xy=batch.xy[rows],
        lonlat_deg=batch.lonlat_deg[rows],
        photo_index=batch.photo_index[rows],
        epoch=batch.epoch,
        number=batch.number,
    )


def filled_queue(size: int = 12, count: int = 7) -> LocationQueue:
    queue = LocationQueue(size)
    queue.push(micro_batch((count,), seed=99).lonlat_deg)
    return queue


@dataclasses.dataclass(frozen=True)
class Case:
    """One step to be computed, here or on ranks."""

    options: ObjectiveOptions
    dtype: torch.dtype = torch.float64
    chunks: int = 1
    model: dict[str, Any] = dataclasses.field(default_factory=dict)
    spread: float = 1.0
    """What the photos' coordinates are multiplied by: near 0 they lie together."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a step left behind."""

    losses: dict[str, float]
    gradients: dict[str, Tensor]
    queue: Tensor


def objective_of(case: Case) -> Objective:
    return Objective(micro_model(**case.model), case.options).to(case.dtype)


def run_case(case: Case, ranks: Ranks = ALONE, steps: int = 2) -> Result:
    """Some steps without an optimiser; the gradients are the last one's."""
    objective, queue = objective_of(case), filled_queue()
    if case.options.distill_weight:  # away from the teachers, where the gradient is not zero
        with torch.no_grad():
            for name, parameter in objective.model.named_parameters():
                parameter.mul_(1.1 if name.endswith("weight") else 1.0)
    losses: StepLosses | None = None
    for step in range(steps):
        batch = micro_batch(seed=step, dtype=case.dtype)
        batch = dataclasses.replace(batch, lonlat_deg=batch.lonlat_deg * case.spread)
        losses = train_step(
            objective,
            share(batch, ranks.rank, ranks.world),
            queue,
            ranks,
            chunks=case.chunks,
        )
    assert losses is not None
    return Result(
        losses.floats(),
        {n: p.grad.clone() for n, p in objective.named_parameters() if p.grad is not None},
        queue.lonlat_deg.clone(),
    )


def run_rank(rank: int, world: int, port: int, cases: dict[str, Case], folder: Path) -> None:
    """The entry of a spawned process: all cases, results into a file of this rank."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    ranks = start_ranks("cpu")
    results = {name: run_case(case, ranks) for name, case in cases.items()}
    torch.save({n: dataclasses.asdict(r) for n, r in results.items()}, folder / f"{rank}.pt")
    model = micro_model(seed=rank)
    broadcast_weights(model)
    agreed = {
        "one of them": any_rank(rank == 1, ranks),
        "none": any_rank(False, ranks),
        "weights": model.fingerprint(),
    }
    (folder / f"{rank}.json").write_text(json.dumps(agreed))
    stop_ranks()
