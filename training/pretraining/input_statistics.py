"""Standardised bands: a model's input scaled by the mean and spread of its data set's frames.

What :func:`gair.preprocess.remote_sensing_pixels` gives lies in [0, 1] with a small spread, and
encoders with random weights learn slowly from it. The statistics go into the weights, so
preprocessing, files and the release's layout stay as they are. It is an option of this project, not
of the paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gair.preprocess import remote_sensing_pixels

if TYPE_CHECKING:
    from gair.model import Gair
    from training.dataset.shards import ShardedDataset

FRAMES = 512
"""Most frames that the statistics are taken from."""
LEAST_SD = 1 / 255
"""Of a band, one of the steps its pixels come in: a band that never changes is not blown up."""
_STREAM = 13


def frame_statistics(dataset: ShardedDataset, frame_px: int, seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each band over random frames of a data set.

    Args:
        dataset: the split to train on.
        frame_px: side of the encoder's input.
        seed: of the choice of frames and dates.

    Returns:
        (bands,) each, float32, in units of the encoder's input.
    """
    rng = np.random.default_rng([seed, _STREAM])
    count = min(FRAMES, len(dataset.footprints))
    total, squares = np.zeros(()), np.zeros(())
    for footprint in np.sort(rng.choice(len(dataset.footprints), size=count, replace=False)):
        date = int(rng.integers(len(dataset.dates[footprint])))
        dn = dataset.frame_dn(int(footprint), date)
        pixels = remote_sensing_pixels(dn[None], frame_px)[0].double().numpy()
        total = total + pixels.mean(axis=(1, 2))
        squares = squares + np.square(pixels).mean(axis=(1, 2))
    mean = total / count
    sd = np.sqrt(np.maximum(squares / count - np.square(mean), LEAST_SD**2))
    return torch.from_numpy(mean).float(), torch.from_numpy(sd).float()


@torch.no_grad()
def standardise_bands(model: Gair, mean: Tensor, sd: Tensor) -> str:
    """Let an encoder with random weights see bands of mean 0 and standard deviation 1.

    A convolutional trunk keeps the statistics beside its weights. In a linear layer on patches they
    disappear: W (x - mean) / sd + b = (W / sd) x + (b - (W / sd) mean), exactly.

    Args:
        model: changed in place.
        mean: (bands,) of the encoder's input.
        sd: (bands,) of the same, above 0.

    Returns:
        A line for people.
    """
    tower = model.remote_sensing
    if tower.has_conv_stem:
        tower.trunk.input_mean.copy_(mean)
        tower.trunk.input_sd.copy_(sd)
    else:
        weight, bias = tower.patch_embed.weight, tower.patch_embed.bias
        # A patch is band-major: column b * p * p + (row, column in the patch).
        scaled = weight.double().view(len(weight), len(sd), -1) / sd.double()[:, None]
        bias.copy_(bias.double() - (scaled * mean.double()[:, None]).sum((1, 2)))
        weight.copy_(scaled.flatten(1))
    low, high = float(mean.min()), float(mean.max())
    return (
        f"bands standardised: means {low:.3f} to {high:.3f}, standard deviations "
        f"{float(sd.min()):.3f} to {float(sd.max()):.3f} of the encoder's input"
    )
