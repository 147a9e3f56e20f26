"""Squares that the street-view encoder sees of photos, made by NumPy alone.

The same recipe as :func:`gair.preprocess.street_view_pixels`, which has torch compute it, for
processes that do without torch. The two differ by rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from gair.arrays import Bytes, Floats32, Ints
from gair.errors import PhotoError

SV_MEAN = (135.47184384, 142.28621995, 145.12271992)
"""Mean of Streetscape1M's photos, RGB in 0..255 (GAIR release, street-view preprocessing)."""
SV_SD = (59.19978436, 59.35279219, 72.02295734)
"""Standard deviation of the same."""


def photo_squares(photos: Sequence[Bytes], image_px: int = 224) -> Floats32:
    """Photos to the input of the street-view encoder.

    Args:
        photos: arrays (H, W, 3), uint8, RGB, upright; sizes may differ.
        image_px: side of the square.

    Returns:
        (B, 3, image_px, image_px).

    Raises:
        PhotoError: an array of another shape or type.
    """
    mean = np.array(SV_MEAN, dtype=np.float32)[:, None, None]
    sd = np.array(SV_SD, dtype=np.float32)[:, None, None]
    for photo in photos:
        check_rgb(photo)
    return np.stack([(_squeezed(photo, image_px) - mean) / sd for photo in photos])


def check_rgb(photo: Bytes) -> None:
    """Refuse what is no photo.

    Raises:
        PhotoError: an array of another shape or type than (H, W, 3), uint8.
    """
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
        raise PhotoError(
            f"a photo has shape {photo.shape} and type {photo.dtype}; "
            "expected (height, width, 3), uint8, RGB"
        )


def _squeezed(photo: Bytes, side: int) -> Floats32:
    """(H, W, 3) to (3, side, side), bicubic without anti-aliasing, 0..255."""
    height, width, _ = photo.shape
    (rows, row_weight), (columns, column_weight) = taps(height, side), taps(width, side)
    seen = photo[rows.reshape(-1)[:, None], columns.reshape(-1)].astype(np.float32)
    by_tap = seen.reshape(side, 4, side, 4, 3)
    # i, j: row and column of the result; a, b: their four taps; c: channel.
    lines = np.einsum("iajbc,jb->iajc", by_tap, column_weight)
    return np.asarray(np.einsum("iajc,ia->cij", lines, row_weight))


@functools.lru_cache(32)
def taps(source_px: int, side: int) -> tuple[Ints, Floats32]:
    """Which four pixels along an axis each result looks at, (side, 4), and their weights.

    The kernel is Keys' with a = -0.75, as torch and OpenCV have it; beyond the edge the last pixel
    counts (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html).
    """
    scale = np.float32(source_px) / np.float32(side)
    at = scale * (np.arange(side, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    first = np.floor(at)
    near = (at - first).astype(np.float64)[:, None]  # distance to the second tap
    away = np.abs(near - np.array([-1.0, 0.0, 1.0, 2.0]))
    a = -0.75
    inner = ((a + 2) * away - (a + 3)) * away**2 + 1
    outer = ((away - 5) * away + 8) * away * a - 4 * a
    weight = np.where(away <= 1, inner, outer).astype(np.float32)
    index = first.astype(np.int64)[:, None] + np.array([-1, 0, 1, 2])
    return np.clip(index, 0, source_px - 1), weight
