"""SatCLIP's location encoder: spherical harmonics under a SIREN (MIT, arXiv 2311.17179).

The checkpoints are those of https://huggingface.co/microsoft/SatCLIP-ViT16-L40 and its siblings,
which store how many degrees the harmonics have. Facts of https://github.com/microsoft/satclip: the
harmonics are taken at longitude + 180 and latitude + 90 degrees, without the Condon-Shortley phase,
and those of order 0 are larger by a factor pi than orthonormal ones (its generated formulas have
``sqrt((2 l + 1) / 4 * pi)``); the weights were learned with that, so it is kept.
"""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gair.arrays import Floats
from gair.errors import CheckpointError
from gair.info import ModelInfo
from training.finetune.encoders.encoder import Encoder, fetched

HUB_ID, FILE = "microsoft/SatCLIP-ViT16-L40", "satclip-vit16-l40.ckpt"
FIRST_FREQUENCY = 30.0
"""Factor inside the first sine; 1 in the others (SIREN, https://arxiv.org/abs/2006.09661)."""
_LAYER = re.compile(r".*nnet\.(layers\.\d+|last_layer)\.(weight|bias)")


def harmonics(lonlat_deg: Tensor, degrees: int) -> Tensor:
    """Real spherical harmonics of degrees below ``degrees``, (N, 2) to (N, degrees ** 2)."""
    phi = torch.deg2rad(lonlat_deg[:, 0] + 180)
    theta = torch.deg2rad(lonlat_deg[:, 1] + 90)
    cos, sin = torch.cos(theta), torch.sin(theta)
    values: dict[tuple[int, int], Tensor] = {}
    along = torch.full_like(cos, math.sqrt(1 / (4 * math.pi)))  # normalised P_m^m
    for m in range(degrees):
        if m:
            along = along * sin * math.sqrt((2 * m + 1) / (2 * m))
        # P_m^m comes from the order before it; from there the recursion over the degree l at fixed
        # order m, P_l^m = a (cos P_(l-1)^m - b P_(l-2)^m), is stable and stays normalised.
        below, here = torch.zeros_like(cos), along
        for degree in range(m, degrees):
            if degree > m:
                a = math.sqrt((4 * degree**2 - 1) / (degree**2 - m**2))
                b = math.sqrt(((degree - 1) ** 2 - m**2) / (4 * (degree - 1) ** 2 - 1))
                below, here = here, a * (cos * here - b * below)
            if m:
                values[degree, m] = math.sqrt(2) * here * torch.cos(m * phi)
                values[degree, -m] = math.sqrt(2) * here * torch.sin(m * phi)
            else:
                values[degree, 0] = math.pi * here
    orders = [(degree, m) for degree in range(degrees) for m in range(-degree, degree + 1)]
    return torch.stack([values[order] for order in orders], dim=1)


class SatClip(nn.Module):
    """Harmonics, then linear layers with sines between them; computed in float64, as published."""

    def __init__(self, degrees: int, sizes: list[tuple[int, int]]) -> None:
        super().__init__()
        self.degrees = degrees
        self.layers = nn.ModuleList(nn.Linear(n, out, dtype=torch.float64) for out, n in sizes)

    def forward(self, lonlat_deg: Tensor) -> Tensor:
        """(N, 2) degrees to (N, width)."""
        x = harmonics(lonlat_deg, self.degrees)
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number + 1 < len(self.layers):
                x = torch.sin(x * (1.0 if number else FIRST_FREQUENCY))
        return x.float()


def satclip_encoder(source: str = "") -> Encoder[Floats]:
    """SatCLIP's location encoder, (N, 2) degrees to (N, 256).

    Args:
        source: a checkpoint; empty for the ViT16-L40 of the hub.

    Raises:
        ModelError: there is none.
        CheckpointError: it holds other tensors.
    """
    path = fetched(source, HUB_ID, FILE)
    layers = _layers(path)
    degrees = math.isqrt(layers[0][0].shape[1])
    if degrees**2 != layers[0][0].shape[1]:
        raise CheckpointError(
            f"the first layer of {path} takes {layers[0][0].shape[1]} numbers, no square: its "
            "positions are not spherical harmonics"
        )
    model = SatClip(degrees, [tuple(weight.shape) for weight, _ in layers])  # type: ignore[misc]
    with torch.no_grad():
        for layer, (weight, bias) in zip(model.layers, layers, strict=True):
            layer.weight.copy_(weight)  # type: ignore[operator]
            layer.bias.copy_(bias)  # type: ignore[operator]
    info = ModelInfo("SatCLIP", "MIT", trained=True, source=str(path))
    prepare = functools.partial(torch.as_tensor, dtype=torch.float64)
    return Encoder(info, len(layers[-1][1]), model.eval(), prepare, model)


def _layers(path: Path) -> list[tuple[Tensor, Tensor]]:
    """(weight, bias) of each layer, in order."""
    from gair.checkpoints.checkpoint import read_torch_checkpoint

    loaded = read_torch_checkpoint(path)
    state: Any = loaded.get("state_dict", loaded)
    tensors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if match := _LAYER.fullmatch(str(name)):
            tensors.setdefault(match[1], {})[match[2]] = tensor
    hidden = sorted((n for n in tensors if n != "last_layer"), key=lambda n: int(n.split(".")[1]))
    order = [*hidden, "last_layer"]
    if not hidden or any(set(tensors.get(n, {})) != {"weight", "bias"} for n in order):
        raise CheckpointError(
            f"{path} is not a SatCLIP checkpoint: it lacks the layers of its nnet"
        )
    layers = [(tensors[name]["weight"].double(), tensors[name]["bias"].double()) for name in order]
    for before, after in zip(layers, layers[1:], strict=False):
        if after[0].shape[1] != len(before[1]):
            raise CheckpointError(
                f"the layers of {path} do not fit: {after[0].shape} after {before[0].shape}"
            )
    return layers
