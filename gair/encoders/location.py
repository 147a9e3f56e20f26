"""Location encoder e: Equal Earth, Fourier features at several scales, one MLP a scale, a sum.

GeoCLIP's design (https://arxiv.org/abs/2309.16020, section 3.2) with a head of GAIR's width.

At sigma 256 a phase is some thousand radians: bfloat16 is off by whole turns there, TF32 by
radians. So phases are made without a matrix product, which is what autocast and
``torch.set_float32_matmul_precision`` change; the layers behind them may run in half precision.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from gair.config import GairConfig
from gair.geo import EARTH_RADIUS_M

EQUAL_EARTH_A = (1.340264, -0.081106, 0.000893, 0.003796)
"""Coefficients A1..A4 of the Equal Earth projection (Savric et al. 2018,
https://doi.org/10.1080/13658816.2018.1504949)."""

PROJECTION_SCALE = 66.50336
"""This over 180 brings x of longitude 180, latitude 0 to 1.000 (GeoCLIP, GAIR release).

Multiplied and divided in two steps: at sigma 256 another order shows in the fifth digit.
"""


def equal_earth(lonlat_deg: Tensor) -> Tensor:
    """Scaled Equal Earth coordinates: (..., 2) degrees to (..., 2), x in [-1, 1], y in +-0.4867.

    Longitude 180 on the equator gives x = 1.000, the pole y = 0.4867.
    """
    # Savric et al. 2018: with sin(theta) = sqrt(3) / 2 sin(lat),
    #   y = theta (A1 + A2 theta^2 + A3 theta^6 + A4 theta^8),
    #   x = 2 sqrt(3) lon cos(theta) / (3 dy/dtheta); the area of every region is kept.
    a1, a2, a3, a4 = EQUAL_EARTH_A
    lon, lat = torch.deg2rad(lonlat_deg).unbind(-1)
    theta = torch.asin(math.sqrt(3) / 2 * torch.sin(lat))
    slope = 9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1
    x = 2 * math.sqrt(3) * lon * torch.cos(theta) / (3 * slope)
    y = a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta
    return torch.stack([x, y], dim=-1) * PROJECTION_SCALE / 180


class Capsule(nn.Module):
    """One scale: frozen Gaussian frequencies, three ReLU layers, a linear head."""

    frequencies: Tensor

    def __init__(self, config: GairConfig, sigma: float) -> None:
        super().__init__()
        frequencies = torch.empty(config.location_frequencies, 2)  # (F, 2)
        if not frequencies.is_meta:  # there, even this much would import torch's compiler
            frequencies = frequencies.normal_() * sigma
        self.register_buffer("frequencies", frequencies)
        hidden = config.location_hidden
        self.layers = nn.Sequential(
            nn.Linear(2 * config.location_frequencies, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.head = nn.Linear(hidden, config.dim)

    def forward(self, xy: Tensor) -> Tensor:
        """(N, 2) projected coordinates to (N, D)."""
        x, y = (2 * math.pi * xy)[..., None].unbind(-2)  # (N, 1) each
        along_x, along_y = self.frequencies.unbind(-1)  # (F,) each
        # Element by element: a matrix product would be rounded to bfloat16 or TF32 (see above).
        phase = torch.addcmul(x * along_x, y, along_y)  # (N, F)
        features = torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)
        out: Tensor = self.head(self.layers(features))
        return out


class LocationEncoder(nn.Module):
    """(N, 2) longitude, latitude in degrees to (N, D), the sum over the capsules."""

    def __init__(self, config: GairConfig) -> None:
        super().__init__()
        self.capsules = nn.ModuleList(Capsule(config, s) for s in config.location_sigmas)

    @property
    def shortest_wave_m(self) -> float:
        """Of its features, along the equator in metres, where x = 1 lies pi Earth radii off."""
        per_unit = max(float(cast(Capsule, c).frequencies.norm(dim=1).max()) for c in self.capsules)
        return math.pi * EARTH_RADIUS_M / per_unit

    def forward(self, lonlat_deg: Tensor) -> Tensor:
        """Degrees of any float type in, (N, D) of the weights' type out, not normalised."""
        xy = equal_earth(lonlat_deg.to(cast(Capsule, self.capsules[0]).frequencies.dtype))
        return torch.stack([capsule(xy).to(xy.dtype) for capsule in self.capsules]).sum(0)
