"""Initial weights: the same on every machine for the same seed.

Each tensor is drawn by a generator of its own, seeded by the seed and the tensor's name, so a model
with one more layer keeps the values of all others. NumPy draws them: torch's truncated normal gives
other last digits when memory happens to be aligned otherwise, and an index is tied to the exact
weights that made it.

====================================  ======================================
tensor                                drawn from
====================================  ======================================
class token, position embedding       normal, 0.02
weights of linear layers and patches  normal, 1 / sqrt(inputs)
hidden layers of the location MLPs    normal, sqrt(2 / inputs), as ReLU needs
hidden layers of NILI's decoder       the same; its last or only layer is a linear layer
frequencies of a capsule (frozen)     normal, its sigma
convolutions before a ReLU            the same
norm weights; norm biases and biases  1; 0
mean and sd of the input              0; 1, until the data's are known
last layers of residual blocks        0 with a convolutional stem, so that these blocks start as the
                                      identity; else as other linear layers
====================================  ======================================
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
from torch import Tensor

from gair.config import GairConfig

_RESIDUAL_OUTPUTS = (".out.weight", ".proj.weight", ".fc2.weight")
"""Ends the names of the last layers of residual convolutions, attention and MLPs."""


def initial_state(shapes: dict[str, Tensor], config: GairConfig, seed: int) -> dict[str, Tensor]:
    """Weights for a model that has none.

    Args:
        shapes: the model's state dict; only names and shapes are used.
        config: of the model.
        seed: not negative.

    Returns:
        A state dict of float32 tensors.
    """
    return {name: _drawn(name, tuple(t.shape), config, seed) for name, t in shapes.items()}


def _drawn(name: str, shape: tuple[int, ...], config: GairConfig, seed: int) -> Tensor:
    if config.stem == "conv" and name.endswith(_RESIDUAL_OUTPUTS):
        return torch.zeros(shape)
    sd = _standard_deviation(name, shape, config)
    if sd == 0:
        return torch.ones(shape) if name.endswith(("weight", "input_sd")) else torch.zeros(shape)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    values = rng.standard_normal(shape, dtype=np.float32)
    values *= np.float32(sd)
    return torch.from_numpy(values)


def _standard_deviation(name: str, shape: tuple[int, ...], config: GairConfig) -> float:
    """Of the normal distribution a tensor is drawn from; 0 for constants."""
    if name.endswith(("cls_token", "pos_embed")):
        return 0.02
    if name.endswith("frequencies"):
        return config.location_sigmas[int(name.split(".")[-2])]
    if not name.endswith("weight") or len(shape) < 2:
        return 0.0
    gain = (
        2.0
        if ".layers." in name or ".conv.weight" in name or _is_hidden_of_nili(name, config)
        else 1.0
    )
    return math.sqrt(gain / math.prod(shape[1:]))


def _is_hidden_of_nili(name: str, config: GairConfig) -> bool:
    """``inr.decoder.N.weight`` of a layer that a ReLU follows; N counts the ReLUs too."""
    *stem, layer, _ = name.split(".")
    return stem == ["inr", "decoder"] and int(layer) < 2 * len(config.inr_hidden)
