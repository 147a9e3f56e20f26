"""Terrain: its height, and the distance to the kerb, read between points of their rasters."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from training.synthetic.compiled import inlined
from training.synthetic.street.stage import Stage


@inlined
def _bilinear(raster: npt.NDArray[Any], column: float, row: float) -> float:
    """A raster's value between its points; beyond its edge, that of the edge."""
    column = min(max(column, 0.0), raster.shape[1] - 1.001)
    row = min(max(row, 0.0), raster.shape[0] - 1.001)
    c, r = int(column), int(row)
    fx, fy = column - c, row - r
    north = raster[r, c] * (1 - fx) + raster[r, c + 1] * fx
    south = raster[r + 1, c] * (1 - fx) + raster[r + 1, c + 1] * fx
    return float(north * (1 - fy) + south * fy)


@inlined
def relief_at(stage: Stage, x: float, y: float) -> float:
    """Height of the terrain at a point, bilinear; beyond the city's edge it goes on level."""
    return _bilinear(stage.relief, x * 0.05, y * 0.05)


@inlined
def kerb_at(kerb: npt.NDArray[np.int8], x: float, y: float) -> float:
    """Distance into the carriageway at a point, metres, bilinear between pixels."""
    return _bilinear(kerb, x * 0.4 - 0.5, y * 0.4 - 0.5) * 0.1
