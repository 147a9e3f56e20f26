"""The input pipeline beside the towers that it feeds, one after the other on the same cores."""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import time
from pathlib import Path

import torch
from measuring import report
from repository import REPOSITORY

from gair.config import preset
from gair.model import Gair
from training.dataset.batches.batch import Batch, LoaderOptions
from training.dataset.batches.loader import PairLoader
from training.dataset.shards import ShardedDataset

sys.path += [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]
from batch_loss import gair_loss  # noqa: E402
from tiny_dataset import write_tiny_dataset  # noqa: E402

BATCH_PHOTOS = 32
BATCHES = 16
ROUNDS = 3
WORKERS = 2
WANTED_RATIO = 3


def test_input_against_the_tiny_towers(tmp_path: Path) -> None:
    """Photos of 640 x 480 from JPEG, frames of 96 px, a footprint for each four photos."""
    folder = write_tiny_dataset(
        tmp_path / "data",
        places=32,
        photos_per_place=32,
        footprints_per_place=4,
        splits=["train"],
        photo_px=(640, 480),
        grain=10,
        frame_px=96,
    )
    dataset = ShardedDataset.open(folder)
    jpeg_kb = sum(len(dataset.photo_jpeg(n)) for n in range(32)) / 32e3
    options = LoaderOptions(batch_photos=BATCH_PHOTOS, photos_per_footprint=4, workers=WORKERS)
    model = Gair.untrained("tiny").train()
    input_s, towers_s = [], []
    for _ in range(ROUNDS):
        seconds, batches = _input(dataset, options)
        input_s.append(seconds)
        towers_s.append(_towers(model, batches))
    input_per_s = BATCH_PHOTOS / statistics.median(input_s)
    towers_per_s = BATCH_PHOTOS / statistics.median(towers_s)
    ratio = input_per_s / towers_per_s
    report(
        f"photos of 640 x 480 ({jpeg_kb:.0f} kB), batches of {BATCH_PHOTOS}, "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads",
        f"input, {WORKERS} workers            {input_per_s:7.0f} photos/s",
        f"tiny towers, there and back {towers_per_s:7.0f} photos/s   "
        f"input is {ratio:.1f}x (wanted {WANTED_RATIO}x)",
    )
    assert ratio >= WANTED_RATIO


def _input(dataset: ShardedDataset, options: LoaderOptions) -> tuple[float, list[Batch]]:
    """Seconds a batch once the workers run, and a few batches."""
    loader = PairLoader(dataset, options, preset("tiny"))
    ahead = WORKERS * options.prefetch
    batches = list(itertools.islice(loader, 2 * ahead))  # start, and what was made ahead
    since = time.perf_counter()
    for _ in range(BATCHES):
        next(loader)
    seconds = (time.perf_counter() - since) / BATCHES
    loader.close()
    return seconds, batches[:2]


def _towers(model: Gair, batches: list[Batch]) -> float:
    """Seconds a batch of the forward and backward pass of all three encoders."""
    _step(model, batches[0])
    since = time.perf_counter()
    for batch in batches:
        _step(model, batch)
    return (time.perf_counter() - since) / len(batches)


def _step(model: Gair, batch: Batch) -> None:
    model.zero_grad()
    s = model.encode_street_view(batch.photos)
    token_maps = model.encode_remote_sensing(batch.frames)[batch.frame_of_photo]
    z = model.localize(token_maps, batch.xy[:, None])[:, 0]
    own = model.encode_location(batch.lonlat_deg.float())
    gair_loss(s, z, own, own[:0]).total.backward()
