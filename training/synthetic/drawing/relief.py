"""Relief of a city: gentle hills that sink to its river."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.synthetic.noise import Reals, SmoothField
from training.synthetic.world import RELIEF_STEP_M

Singles = npt.NDArray[np.float32]

SLOPE_LIMIT = 0.08
"""Steepest slope of the terrain."""
_SCALES_M = {1800.0: 1.0, 600.0: 0.25}
_VALLEY_M = 500.0


def draw_relief(rng: np.random.Generator, side_m: float, bank_m: Reals) -> Singles:
    """Heights of the terrain at points :data:`~training.synthetic.world.RELIEF_STEP_M` apart.

    Args:
        rng: of the hills.
        side_m: length of the square city's side.
        bank_m: (n, n) distance to the river's bank at the points, negative in the water.

    Returns:
        (n, n) float32 metres above the river, n = side_m / RELIEF_STEP_M + 1; nowhere steeper than
        :data:`SLOPE_LIMIT`, level in the river.
    """
    at = np.arange(round(side_m / RELIEF_STEP_M) + 1, dtype=np.float32) * np.float32(RELIEF_STEP_M)
    hills = SmoothField(rng, side_m, _SCALES_M)(at[None, :], at[:, None])
    valley = np.clip((bank_m - np.float32(2 * RELIEF_STEP_M)) / np.float32(_VALLEY_M), 0, 1)
    hills = hills * valley * valley * (3 - 2 * valley)
    steepest = float(rng.uniform(0.25, 0.9)) * SLOPE_LIMIT
    gain = np.float32(steepest / max(_steepest(hills), 1e-6))
    return np.asarray(hills * gain, dtype=np.float32)


def height_at(relief_m: Reals, x_m: Reals, y_m: Reals) -> Reals:
    """Height of the terrain at points of one shape, bilinear."""
    limit = relief_m.shape[0] - 2
    column = np.clip((x_m / RELIEF_STEP_M).astype(np.int64), 0, limit)
    row = np.clip((y_m / RELIEF_STEP_M).astype(np.int64), 0, limit)
    east = np.clip(x_m / np.float32(RELIEF_STEP_M) - column, 0, 1).astype(np.float32)
    south = np.clip(y_m / np.float32(RELIEF_STEP_M) - row, 0, 1).astype(np.float32)
    north_m = relief_m[row, column] * (1 - east) + relief_m[row, column + 1] * east
    south_m = relief_m[row + 1, column] * (1 - east) + relief_m[row + 1, column + 1] * east
    return np.asarray(north_m * (1 - south) + south_m * south, dtype=np.float32)


def _steepest(relief_m: Reals) -> float:
    # In a bilinear square each slope lies between those of its two edges.
    east = np.abs(np.diff(relief_m, axis=1)) / np.float32(RELIEF_STEP_M)
    south = np.abs(np.diff(relief_m, axis=0)) / np.float32(RELIEF_STEP_M)
    east = np.maximum(east[:-1], east[1:])
    south = np.maximum(south[:, :-1], south[:, 1:])
    return float(np.hypot(east, south).max())
