"""Terrain: its height, and the distance to the kerb, read between points of their rasters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.synthetic.compiled import inlined
from training.synthetic.street.stage import Stage


@inlined
def relief_at(stage: Stage, x: float, y: float) -> float:
    """Height of the terrain at a point, bilinear; beyond the city's edge it goes on level."""
    relief = stage.relief
    gx = min(max(x * 0.05, 0.0), relief.shape[1] - 1.001)
    gy = min(max(y * 0.05, 0.0), relief.shape[0] - 1.001)
    c, r = int(gx), int(gy)
    fx, fy = gx - c, gy - r
    north = relief[r, c] * (1 - fx) + relief[r, c + 1] * fx
    south = relief[r + 1, c] * (1 - fx) + relief[r + 1, c + 1] * fx
    return float(north * (1 - fy) + south * fy)


@inlined
def kerb_at(kerb: npt.NDArray[np.int8], x: float, y: float) -> float:
    """Distance into the carriageway at a point, metres, bilinear between pixels."""
    last = kerb.shape[0] - 1.001
    gx, gy = min(max(x * 0.4 - 0.5, 0.0), last), min(max(y * 0.4 - 0.5, 0.0), last)
    c, r = int(np.floor(gx)), int(np.floor(gy))
    fx, fy = gx - c, gy - r
    north = kerb[r, c] * (1 - fx) + kerb[r, c + 1] * fx
    south = kerb[r + 1, c] * (1 - fx) + kerb[r + 1, c + 1] * fx
    return float(north * (1 - fy) + south * fy) * 0.1
