"""Standardised bands: the statistics of the frames, and their way into the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from micro_training import CONV_STEM, micro_model
from tiny_dataset import write_tiny_dataset

from gair.preprocess import remote_sensing_pixels
from training.dataset.shards import ShardedDataset
from training.pretraining.input_statistics import LEAST_SD, frame_statistics, standardise_bands


@pytest.mark.parametrize("stem", [{}, CONV_STEM])
@torch.no_grad()
def test_an_encoder_sees_standardised_bands(stem: dict[str, Any]) -> None:
    before, after = micro_model(**stem).double(), micro_model(**stem).double()
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(2, 10, 32, 32, generator=generator, dtype=torch.float64)
    mean = torch.rand(10, generator=generator)
    sd = torch.rand(10, generator=generator) / 3 + 0.01
    told = standardise_bands(after, mean, sd)
    assert f"means {mean.min():.3f} to {mean.max():.3f}" in told
    standardised = (pixels - mean.double()[:, None, None]) / sd.double()[:, None, None]
    torch.testing.assert_close(
        after.encode_remote_sensing(pixels), before.encode_remote_sensing(standardised)
    )
    assert not torch.allclose(
        after.encode_remote_sensing(pixels), before.encode_remote_sensing(pixels)
    )


def test_statistics_are_those_of_the_frames(tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path)
    dataset = ShardedDataset.open(tmp_path, "train")
    mean, sd = frame_statistics(dataset, 32, seed=0)
    again = frame_statistics(dataset, 32, seed=0)
    assert torch.equal(mean, again[0])
    assert torch.equal(sd, again[1])
    frames = [
        remote_sensing_pixels(dataset.frame_dn(footprint, date)[None], 32)[0].numpy()
        for footprint, dates in enumerate(dataset.dates)
        for date in range(len(dates))
    ]
    bands = np.stack(frames).swapaxes(0, 1).reshape(10, -1)
    spread = bands.std(axis=1)
    assert (np.abs(mean.numpy() - bands.mean(axis=1)) < 0.3 * spread + 1e-6).all()
    assert sd.numpy() == pytest.approx(np.maximum(spread, LEAST_SD), rel=0.3)
