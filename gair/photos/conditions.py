"""Conditions that a photo was taken under: its light, season and camera, and if it shows anything.

Brightness, contrast, sharpness and greenness are measured on as many pixels as the model looks at,
spread over the photo in the same way (:mod:`gair.preprocess`), black bars on all. So are the
numbers of its *colours and texture*: what they are in the whole and in its upper, middle and lower
third. Each says little by itself, since another place has other colours; how they go together
tells a picture in snow or a part of a picture from others. Finer numbers of its texture
(:mod:`gair.photos.texture`) are for what was taught on altered pictures. The date, the
hour and the focal length are what the camera wrote, where it wrote them. None of it is used to find
a place: it tells whether a photo is like those that an index was calibrated on.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, time
from typing import TYPE_CHECKING

import numpy as np

from gair.photos.bars import picture_box
from gair.photos.exif import captured_at, focal_length_mm
from gair.photos.texture import TEXTURE, texture_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

    from gair.arrays import Floats

NAMES = (
    *("brightness", "contrast", "sharpness", "greenness", "date", "hour", "focal length"),
    "share of black bars",
)
"""Of the conditions, in the order of :attr:`Conditions.values`, whose first so many they are."""
LIGHT = 4
"""The first so many are of the pixels, which every photo states."""
THIRDS = 3
"""Bands of the picture, from its upper edge down, that colours and texture are told of."""
COLOURS = 7 + 6 * THIRDS
"""Numbers of colours and texture, the next of :attr:`Conditions.values`."""
COMPARED = len(NAMES) + COLOURS
"""The first so many are what a photo is compared in; the rest, :data:`TEXTURE`, is for what was
taught."""

SIDE_PX = 224
"""Pixels are taken from a square grid of this side, as in the model's recipe."""
LEAST_SIDE_PX = 16
"""A photo with a shorter side shows nothing."""
LEAST_CONTRAST = 2 / 255
"""A photo whose colours all vary by less than this shows nothing, such as a black one."""

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Conditions:
    """What a photo was taken under; NaN for what it does not say."""

    brightness: float
    """Mean luminance, 0 to 1."""
    contrast: float
    """Standard deviation of the luminance."""
    sharpness: float
    """Mean step of luminance between neighbouring pixels of the grid."""
    greenness: float
    """Mean of how much green exceeds the mean of red and blue, as far as it does; 0 to 1."""
    day_of_year: float = np.nan
    """1 to 366."""
    hour: float = np.nan
    """0 to 24, by the clock of the camera."""
    focal_length_mm: float = np.nan
    """As on a frame of 36 x 24 mm."""
    bars: float = 0.0
    """Share of the photo that black bars around the picture take."""
    nothing: str = ""
    """Why there is nothing to see in the photo; empty where there is something."""
    colours: tuple[float, ...] = (np.nan,) * COLOURS
    """:data:`COLOURS` numbers of colours and texture: :func:`colours_of`."""
    texture: tuple[float, ...] = (np.nan,) * TEXTURE
    """:data:`gair.photos.texture.TEXTURE` finer ones: :func:`gair.photos.texture.texture_of`."""

    @property
    def values(self) -> Floats:
        """(C,) numbers: those of :data:`NAMES` in their order, the colours, the texture."""
        named = (getattr(self, field.name) for field in fields(self)[: len(NAMES)])
        return np.array([*named, *self.colours, *self.texture], dtype=np.float64)

    @classmethod
    def of_values(cls, values: Floats, nothing: str = "") -> Conditions:
        """The same from (C,) :attr:`values`."""
        numbers = [float(value) for value in values]
        brightness, contrast, sharpness, greenness, *tagged = numbers[: len(NAMES)]
        day_of_year, hour, focal_mm, bars = tagged
        light = (brightness, contrast, sharpness, greenness)
        colours, texture = tuple(numbers[len(NAMES) : COMPARED]), tuple(numbers[COMPARED:])
        return cls(*light, day_of_year, hour, focal_mm, bars, nothing, colours, texture)


def measure(rgb: Image.Image, tagged: Image.Image | None = None) -> Conditions:
    """The conditions of a photo.

    Args:
        rgb: its pixels, mode RGB.
        tagged: the image that carries its EXIF tags; None where there are no tags.
    """
    grid = np.asarray(rgb.resize((SIDE_PX, SIDE_PX), 0), dtype=np.float32) / 255  # 0: nearest
    grey = grid @ _LUMINANCE
    excess = grid[..., 1] - (grid[..., 0] + grid[..., 2]) / 2
    left, top, right, bottom = picture_box(rgb)
    day_of_year = hour = focal_mm = np.nan
    if tagged is not None:
        day_of_year, hour = day_and_hour(captured_at(tagged))
        focal_mm = focal_length_mm(tagged) or np.nan
    return Conditions(
        brightness=float(grey.mean()),
        contrast=float(grey.std()),
        sharpness=float(np.abs(np.diff(grey, axis=1)).mean()),
        greenness=float(np.maximum(excess, 0).mean()),
        day_of_year=day_of_year,
        hour=hour,
        focal_length_mm=focal_mm,
        bars=1 - (right - left) * (bottom - top) / (rgb.width * rgb.height),
        nothing=_nothing(rgb.size, max(float(grid[..., c].std()) for c in range(3))),
        colours=tuple(colours_of(grid)),
        texture=tuple(texture_of(grid, grey)),
    )


def colours_of(grid: npt.NDArray[np.floating]) -> list[float]:
    """Colours and texture of a picture.

    Args:
        grid: (H, W, 3) RGB, 0 to 1.

    Returns:
        Mean step of luminance between neighbours down a column; mean and deviation of the chroma
        (largest less smallest channel), of red less green, and of yellow less blue; then of each
        of :data:`THIRDS` mean luminance, chroma, step along a row, yellow less blue, red less
        green, and deviation of the luminance.
    """
    red, green, blue = np.moveaxis(grid, -1, 0)
    grey = grid @ _LUMINANCE
    # Channel by channel: NumPy takes thirty times longer over an axis of three.
    chroma = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    redness, yellowness = red - green, (red + green) / 2 - blue
    numbers = [np.abs(np.diff(grey, axis=0)).mean()]
    numbers += [of(kind) for kind in (chroma, redness, yellowness) for of in (np.mean, np.std)]
    for band in np.array_split(np.arange(len(grid)), THIRDS):
        numbers += [grey[band].mean(), chroma[band].mean()]
        numbers += [np.abs(np.diff(grey[band], axis=1)).mean(), yellowness[band].mean()]
        numbers += [redness[band].mean(), grey[band].std()]
    return [float(number) for number in numbers]


def _nothing(size_px: tuple[int, int], contrast: float) -> str:
    if min(size_px) < LEAST_SIDE_PX:
        return f"it has only {size_px[0]} x {size_px[1]} pixels"
    return "all of it has one colour" if contrast < LEAST_CONTRAST else ""


def day_and_hour(moment: str | None) -> tuple[float, float]:
    """Day of the year and hour of an ISO 8601 moment, NaN for what it does not say.

    Midnight sharp says no hour: it stands for a day without a clock. On the first of January it
    stands for a clock that was never set.
    """
    try:
        when = datetime.fromisoformat(moment or "")
    except ValueError:
        return np.nan, np.nan
    day_of_year = float(when.timetuple().tm_yday)
    if when.time() == time(0):
        return (np.nan if day_of_year == 1 else day_of_year), np.nan
    return day_of_year, when.hour + when.minute / 60 + when.second / 3600
