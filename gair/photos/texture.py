"""Texture of a picture: numbers by which haze, falling snow and a cut are told from other places.

A picture of another street has other colours, and as much texture from edge to edge as all others.
Fog takes texture and dark pixels away where things are far, which is around the horizon; flakes are
small bright specks everywhere; a part of a picture lacks the sky, and its grain is coarser. So most
numbers are told of :data:`BANDS` of the picture, from its upper edge down, and the specks by size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

BANDS = 8
"""Bands of the picture."""
TEXTURE = 6 * BANDS + 29
"""Numbers of :func:`texture_of`."""

_EDGE = 0.06
"""A step of luminance from pixel to pixel, down a column, that ends the sky."""
_WHITE, _PALE, _GREY = 0.6, 0.12, 0.08
"""The least smallest channel of white, and the most chroma of white and of grey."""
_SPECKS_PX = (3, 5, 9)
_BRIGHTER = (0.08, 0.15)
"""By how much specks exceed what is around them."""
_LUMINANCE_SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_CHROMA_SHARES = (0.25, 0.5, 0.75, 0.9, 0.98)
_FEW_PIXELS = 50
"""What the sky's mean is pulled to 0 by, where there is hardly any."""


def texture_of(grid: npt.NDArray[np.floating], luminance: npt.NDArray[np.floating]) -> list[float]:
    """Texture of a picture.

    Args:
        grid: (H, W, 3) RGB, 0 to 1.
        luminance: (H, W).

    Returns:
        Of each band, from the upper edge down: log of the mean step of luminance along a row, mean
        of the smallest channel, mean of its least within 7 x 7 pixels (what is dark there has no
        haze before it), mean and 90 % quantile of the chroma, deviation of the luminance. Then of
        the *sky*, all pixels of a column above its first edge: its share, chroma and luminance. The
        shares of white in the lower and the upper half, and of grey in the lower half and in all.
        Of *specks* of up to 3, 5 and 9 pixels: log of their mean luminance over what is around
        them, and logs of the shares of pixels of which all channels are brighter; of dark ones of
        up to 5 pixels the log of their mean. Quantiles of luminance and of chroma.
    """
    red, green, blue = np.moveaxis(grid, -1, 0)  # one by one: ten times as fast as along the axis
    dark = np.minimum(np.minimum(red, green), blue)
    chroma = np.maximum(np.maximum(red, green), blue) - dark
    step = np.abs(np.diff(luminance, axis=1, append=luminance[:, -1:]))
    least = extreme_within(dark, 7, np.minimum)
    numbers: list[float] = []
    for band in np.array_split(np.arange(len(grid)), BANDS):
        rows = slice(band[0], band[-1] + 1)
        numbers += [np.log(step[rows].mean() + 1e-3), dark[rows].mean(), least[rows].mean()]
        numbers += [chroma[rows].mean(), np.quantile(chroma[rows], 0.9), luminance[rows].std()]
    edge = np.abs(np.diff(luminance, axis=0, prepend=luminance[:1])) > _EDGE
    sky = np.cumsum(edge, axis=0) == 0
    pixels = sky.sum() + _FEW_PIXELS
    numbers += [sky.mean(), (chroma * sky).sum() / pixels, (luminance * sky).sum() / pixels]
    half = len(grid) // 2
    white, grey = (dark > _WHITE) & (chroma < _PALE), chroma < _GREY
    numbers += [white[half:].mean(), white[:half].mean(), grey[half:].mean(), grey.mean()]
    both = np.stack([luminance, dark])
    for size in _SPECKS_PX:
        over_luminance, brighter = both - _opened(both, size)
        numbers.append(np.log(over_luminance.mean() + 1e-4))
        numbers += [np.log((brighter > by).mean() + 1e-3) for by in _BRIGHTER]
    numbers.append(np.log((_closed(dark, 5) - dark).mean() + 1e-4))
    numbers += [*np.quantile(luminance, _LUMINANCE_SHARES), *np.quantile(chroma, _CHROMA_SHARES)]
    return [float(number) for number in numbers]


def extreme_within(
    values: npt.NDArray[np.floating], size: int, extreme: np.ufunc
) -> npt.NDArray[np.floating]:
    """The least or largest of ``size`` x ``size`` values around each of (..., H, W).

    The size is odd and at least 3. It is what ``scipy.ndimage.minimum_filter`` and
    ``maximum_filter`` give, mirrored beyond the edges: some whole-array steps are ten times as fast
    as their walk along each line.
    """
    half = size // 2
    for axis in (-2, -1):
        run = np.swapaxes(values, axis, 0)  # the axis first; a view
        run = np.concatenate([run[half - 1 :: -1], run, run[: -half - 1 : -1]])
        width = 1  # of the windows that ``run`` has the extremes of, by their first value
        while width < size:
            step = min(width, size - width)
            run, width = extreme(run[:-step], run[step:]), width + step
        values = np.swapaxes(run, axis, 0)
    return values


def _opened(values: npt.NDArray[np.floating], size: int) -> npt.NDArray[np.floating]:
    """Without what is brighter than all around it and smaller than the size."""
    return extreme_within(extreme_within(values, size, np.minimum), size, np.maximum)


def _closed(values: npt.NDArray[np.floating], size: int) -> npt.NDArray[np.floating]:
    """Without what is darker."""
    return extreme_within(extreme_within(values, size, np.maximum), size, np.minimum)
