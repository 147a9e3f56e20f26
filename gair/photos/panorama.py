"""Panoramas of 360 degrees: an ordinary view is cut out of an equirectangular picture.

In such a picture columns are headings and rows are elevations, evenly: twice as wide as high. What
a camera without distortion would see is the gnomonic projection of the sphere.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes
from gair.errors import UsageError

VIEW_DEG = 90.0
"""Width of a view, as of a wide lens of a phone."""
ASPECT = (4, 3)
"""Width to height of a view, as of most street photos."""
LEAST_WIDTH_PX = 256
"""Of what is taken for a panorama."""
_ROWS_AT_ONCE = 256


def looks_like_panorama(size_px: tuple[int, int]) -> bool:
    """Whether a picture is twice as wide as high, as those of the whole sphere are."""
    return size_px[0] >= LEAST_WIDTH_PX and has_panorama_shape(size_px)


def has_panorama_shape(size_px: tuple[int, int]) -> bool:
    """Whether a picture, however small, is twice as wide as high."""
    width, height = size_px
    return abs(width - 2 * height) <= 0.005 * width


def cut_view(
    panorama: npt.NDArray[np.uint8], heading_deg: float, view_deg: float = VIEW_DEG
) -> Bytes:
    """What a level camera sees that stands in the middle of a panorama.

    Args:
        panorama: (H, 2 H, 3) equirectangular: 360 degrees wide, 180 high, its horizon in the middle
            row.
        heading_deg: where the camera looks, degrees to the right of the panorama's middle column.
        view_deg: how wide it sees.

    Returns:
        (h, w, 3), w to h as :data:`ASPECT`, with as many pixels a degree in its middle as the
        panorama has; bilinear.

    Raises:
        UsageError: the heading is no number, or the view not from 1 to 150 degrees.
    """
    if not math.isfinite(heading_deg):
        raise UsageError(f"`heading` is {heading_deg}: give degrees to the right of the middle")
    if not 1 <= view_deg <= 150:
        raise UsageError(f"a view is {view_deg:g} degrees wide: it must be from 1 to 150")
    rows, columns, _ = panorama.shape
    half_width = math.tan(math.radians(view_deg) / 2)
    width = max(ASPECT[0], round(2 * half_width * columns / (2 * math.pi)))
    height = max(ASPECT[1], round(width * ASPECT[1] / ASPECT[0]))
    step = 2 * half_width / width  # of the plane at distance 1, between two pixels
    x = (np.arange(width) - (width - 1) / 2) * step
    view = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, _ROWS_AT_ONCE):
        bottom = min(height, top + _ROWS_AT_ONCE)
        y = ((height - 1) / 2 - np.arange(top, bottom))[:, None] * step  # up
        longitude = np.arctan2(x, 1.0) + math.radians(heading_deg)
        latitude = np.arctan2(y, np.hypot(x, 1.0))
        column = (longitude / (2 * math.pi) + 0.5) * columns - 0.5
        row = (0.5 - latitude / math.pi) * rows - 0.5
        view[top:bottom] = _bilinear(panorama, row, np.broadcast_to(column, row.shape))
    return view


def _bilinear(
    panorama: npt.NDArray[np.uint8], row: npt.NDArray[np.float64], column: npt.NDArray[np.float64]
) -> Bytes:
    """Colours at (h, w) places between pixels; the first column follows the last."""
    rows, columns, _ = panorama.shape
    row = np.clip(row, 0, rows - 1)
    above, left = np.floor(row).astype(np.int64), np.floor(column).astype(np.int64)
    down, right = (row - above)[..., None], (column - left)[..., None]
    below = np.minimum(above + 1, rows - 1)
    left, next_column = left % columns, (left + 1) % columns
    upper = panorama[above, left] * (1 - right) + panorama[above, next_column] * right
    lower = panorama[below, left] * (1 - right) + panorama[below, next_column] * right
    return np.asarray(np.rint(upper * (1 - down) + lower * down), dtype=np.uint8)
