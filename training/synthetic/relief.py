"""Relief of a city: gentle hills that sink to its river."""

from __future__ import annotations

import numpy as np

from training.synthetic.noise import Reals, SmoothField

SLOPE_LIMIT = 0.08
"""Steepest slope of the terrain."""
_SCALES_M = {1800.0: 1.0, 600.0: 0.25}
_VALLEY_M = 500.0


def draw_relief(rng: np.random.Generator, side_m: float, step_m: float, bank_m: Reals) -> Reals:
    """Heights of the terrain at points ``step_m`` apart.

    Args:
        rng: of the hills.
        side_m: length of the square city's side.
        step_m: a whole part of it.
        bank_m: (n, n) distance to the river's bank at the points, negative in the water.

    Returns:
        (n, n) float32 metres above the river, n = side_m / step_m + 1; nowhere steeper than
        :data:`SLOPE_LIMIT`, level in the river.
    """
    at = np.arange(round(side_m / step_m) + 1, dtype=np.float32) * np.float32(step_m)
    hills = SmoothField(rng, side_m, _SCALES_M)(at[None, :], at[:, None])
    valley = np.clip((bank_m - np.float32(2 * step_m)) / np.float32(_VALLEY_M), 0, 1)
    hills = hills * valley * valley * (3 - 2 * valley)
    steepest = float(rng.uniform(0.25, 0.9)) * SLOPE_LIMIT
    return np.asarray(hills * np.float32(steepest / max(_steepest(hills, step_m), 1e-6)))


def height_at(relief_m: Reals, step_m: float, x_m: Reals, y_m: Reals) -> Reals:
    """Height of the terrain at points of one shape, bilinear."""
    limit = relief_m.shape[0] - 2
    column = np.clip((x_m / step_m).astype(np.int64), 0, limit)
    row = np.clip((y_m / step_m).astype(np.int64), 0, limit)
    east = np.clip(x_m / np.float32(step_m) - column, 0, 1).astype(np.float32)
    south = np.clip(y_m / np.float32(step_m) - row, 0, 1).astype(np.float32)
    north_m = relief_m[row, column] * (1 - east) + relief_m[row, column + 1] * east
    south_m = relief_m[row + 1, column] * (1 - east) + relief_m[row + 1, column + 1] * east
    return np.asarray(north_m * (1 - south) + south_m * south, dtype=np.float32)


def _steepest(relief_m: Reals, step_m: float) -> float:
    # In a bilinear square each slope lies between those of its two edges.
    east = np.abs(np.diff(relief_m, axis=1)) / np.float32(step_m)
    south = np.abs(np.diff(relief_m, axis=0)) / np.float32(step_m)
    east = np.maximum(east[:-1], east[1:])
    south = np.maximum(south[:, :-1], south[:, 1:])
    return float(np.hypot(east, south).max())
