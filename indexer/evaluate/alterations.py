"""Alterations of photos: pictures of the same places as another season, light or camera shows them.

They are crude on purpose: a picture of a darkened day is no night. What answers lose under them is
the least that real conditions cost.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from gair.arrays import Bytes

LEFT_OUT = "a higher camera: no picture shows what it would see"
"""What cannot be had by altering a picture."""

_FOG, _SNOW, _WITHERED = (214, 217, 221), (236, 239, 243), (1.08, 0.98, 0.84)
_HORIZON = 0.45
"""Where the horizon is taken to be, from the top."""


@dataclass(frozen=True)
class Alteration:
    """One way to alter a photo."""

    key: str
    about: str
    """A sentence for the table."""
    alter: Callable[[Image.Image], Image.Image]
    """A picture of mode RGB to another; the first is not changed."""


def without_green(rgb: Image.Image) -> Image.Image:
    """Winter: what is greener than grey turns brownish."""
    pixels = np.asarray(rgb, dtype=np.float32)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    share = np.clip((2 * green - red - blue) / 40, 0, 1)[..., None]
    grey = (pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32))[..., None]
    return _image(pixels + share * (grey * np.array(_WITHERED, dtype=np.float32) - pixels))


def in_fog(rgb: Image.Image) -> Image.Image:
    """Fog: grey from the horizon up, thinner towards the camera."""
    return _laid_over(rgb, _FOG, lambda down: np.interp(down, [_HORIZON, 1], [0.85, 0.3]))


def in_snow(rgb: Image.Image) -> Image.Image:
    """Snow on the ground, as far as it lies below the horizon."""
    return _laid_over(rgb, _SNOW, lambda down: np.interp(down, [0.5, 0.7, 1], [0, 0.75, 0.85]))


def at_night(rgb: Image.Image) -> Image.Image:
    """Night: an eighth of the light, and bluer."""
    levels = 255 * (np.arange(256) / 255) ** 1.3
    table = np.concatenate([levels * share for share in (0.11, 0.12, 0.16)])
    return rgb.point(np.rint(table).astype(int).tolist())


def enlarged(rgb: Image.Image) -> Image.Image:
    """A lens twice as long: the middle half of either side."""
    return _cut(rgb, (0.25, 0.25, 0.75, 0.75))


def cropped(rgb: Image.Image) -> Image.Image:
    """The upper left seven tenths of either side."""
    return _cut(rgb, (0.0, 0.0, 0.7, 0.7))


def as_poor_jpeg(rgb: Image.Image) -> Image.Image:
    """A JPEG of quality 20."""
    buffer = io.BytesIO()
    rgb.save(buffer, "JPEG", quality=20)
    return Image.open(buffer).convert("RGB")


def in_black_bars(rgb: Image.Image) -> Image.Image:
    """Black bars above and below, each a sixth of the height."""
    bar = max(1, round(rgb.height / 6))
    return ImageOps.expand(rgb, border=(0, bar), fill=0)


ALTERATIONS = (
    Alteration("winter", "what is green turns brown", without_green),
    Alteration("fog", "grey, more of it farther away", in_fog),
    Alteration("snow", "white below the horizon", in_snow),
    Alteration("night", "an eighth of the light, and bluer", at_night),
    Alteration("tele", "the middle half of either side", enlarged),
    Alteration("crop", "the upper left seven tenths of either side", cropped),
    Alteration("jpeg 20", "saved as a JPEG of quality 20", as_poor_jpeg),
    Alteration("black bars", "bars above and below, a sixth of the height each", in_black_bars),
    Alteration("mirror", "left and right exchanged", ImageOps.mirror),
)
"""All of them, in the order of the table."""


def _laid_over(
    rgb: Image.Image,
    colour: tuple[int, int, int],
    share_at: Callable[[np.ndarray], np.ndarray],
) -> Image.Image:
    """A colour laid over a picture, by a share for each height: 0 at the top, 1 at the bottom."""
    share = np.rint(255 * share_at((np.arange(rgb.height) + 0.5) / rgb.height)).astype(np.uint8)
    mask = Image.fromarray(share[:, None]).resize(rgb.size, Image.Resampling.NEAREST)
    return Image.composite(Image.new("RGB", rgb.size, colour), rgb, mask)


def _cut(rgb: Image.Image, shares: tuple[float, float, float, float]) -> Image.Image:
    """Left, upper, right and lower edges, as shares of the sides."""
    sides = (rgb.width, rgb.height) * 2
    left, upper, right, lower = (round(s * px) for s, px in zip(shares, sides, strict=True))
    return rgb.crop((left, upper, max(right, left + 1), max(lower, upper + 1)))


def _image(pixels: np.ndarray) -> Image.Image:
    eight_bit: Bytes = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return Image.fromarray(eight_bit)
