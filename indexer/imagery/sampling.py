"""Pixels in memory to the grid of a frame, bilinearly, with gaps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def bilinear(values: npt.NDArray[np.uint16], column: Doubles, row: Doubles, gap: int) -> Floats:
    """Values at places between pixels.

    Of the four pixels around a place those that are gaps are left out and the others count for
    more, as in GDAL.

    Args:
        values: (B, H, W), a pixel being a gap in all bands or in none.
        column: (...) places in pixels from the left edge; 0.5 is the first pixel's centre.
        row: (...) the same from the top.
        gap: the value of a gap. Outside of the values all is a gap.

    Returns:
        (B, ...) with NaN where there is nothing around.
    """
    bands, height, width = values.shape
    left, top = np.floor(column - 0.5).astype(np.intp), np.floor(row - 0.5).astype(np.intp)
    right_share = (column - 0.5 - left).astype(np.float32)
    lower_share = (row - 0.5 - top).astype(np.float32)
    flat = values.reshape(bands, height * width)
    total = np.zeros((bands, *column.shape), dtype=np.float32)
    weights = np.zeros(column.shape, dtype=np.float32)
    for down, vertical in ((0, 1 - lower_share), (1, lower_share)):
        for across, horizontal in ((0, 1 - right_share), (1, right_share)):
            r, c = top + down, left + across
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            at = np.where(inside, r * width + c, 0)
            found = flat[:, at]  # (B, ...)
            weight = np.where(inside & (found[0] != gap), vertical * horizontal, np.float32(0))
            total += found * weight
            weights += weight
    weights[weights < 1e-6] = np.nan
    return np.asarray(total / weights)
