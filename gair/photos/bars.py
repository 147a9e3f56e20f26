"""Black bars around a picture, of films, screens and editors: looked for, and cut off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

MOST_BLACK = 24
"""Largest value of a channel that counts as black: JPEG leaves bars not quite 0."""
LEAST_SHARE = 0.02
"""Of the height or width, that a bar takes at least."""
MOST_SHARE = 0.45
"""That a bar takes at most: a picture that is black to half of it is a dark one."""
_BLACK_SHARE = 0.995
_EDGE_STEP = 12.0
"""Least rise of the mean from the bar to the picture: a night sky fades in."""
_NEAR_PX = 8  # JPEG smears an edge over a block


def picture_box(image: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the picture within its bars; the whole image without bars.

    Args:
        image: RGB.
    """
    width, height = image.size
    rims = [(0, 0, width, 1), (0, height - 1, width, height)]
    rims += [(0, 0, 1, height), (width - 1, 0, width, height)]
    if not any(_is_black(np.asarray(image.crop(rim)).max(axis=2).reshape(1, -1)) for rim in rims):
        return 0, 0, width, height  # most photos: looked at in a moment
    brightest = np.asarray(image).max(axis=2)
    top, bottom = _bars(brightest)
    left, right = _bars(brightest[top : image.height - bottom].T)
    return left, top, width - right, height - bottom


def has_bars(image: Image.Image) -> bool:
    """Whether there are any."""
    return picture_box(image) != (0, 0, *image.size)


def without_bars(image: Image.Image) -> Image.Image:
    """The picture alone; the image itself where it has no bars."""
    box = picture_box(image)
    return image if box == (0, 0, *image.size) else image.crop(box)


def _bars(brightest: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """How many rows at the beginning and at the end of (H, W) are bars."""
    black = _is_black(brightest)
    if black.all():
        return 0, 0
    means = brightest.mean(axis=1)
    first, last = (_bar(rows, mean) for rows, mean in ((black, means), (black[::-1], means[::-1])))
    return first, last


def _is_black(brightest: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which rows of (H, W) are black but for a few pixels."""
    return np.asarray((brightest <= MOST_BLACK).mean(axis=1) >= _BLACK_SHARE)


def _bar(black: npt.NDArray[np.bool_], means: npt.NDArray[np.float64]) -> int:
    """How many rows from the beginning are a bar; 0 for what is none."""
    rows = int(black.argmin())
    if not LEAST_SHARE * len(black) <= rows <= MOST_SHARE * len(black):
        return 0
    step = means[rows : rows + _NEAR_PX].max() - means[max(0, rows - 2) : rows].mean()
    return rows if step >= _EDGE_STEP else 0
