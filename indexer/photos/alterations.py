"""Alterations of photos: pictures of the same places as another season, light or camera shows them.

They are crude on purpose: a picture of a darkened day is no night. What answers lose under them is
the least that real conditions cost. Some of them teach a calibration what fog, snow and a cut look
like (:data:`TAUGHT`, :mod:`indexer.photos.altered`).
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from gair.arrays import Bytes

LEFT_OUT = "a higher camera: no picture shows what it would see"
"""What cannot be had by altering a picture."""

_FOG, _SNOW, _WITHERED = (214, 217, 221), (236, 239, 243), (1.08, 0.98, 0.84)
_LUMINANCE = (0.299, 0.587, 0.114)
_SKY_EDGE = 0.06
"""A step of luminance, down a column, that ends the sky."""
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
    grey = (pixels @ np.array(_LUMINANCE, dtype=np.float32))[..., None]
    return _image(pixels + share * (grey * np.array(_WITHERED, dtype=np.float32) - pixels))


def in_fog(rgb: Image.Image) -> Image.Image:
    """Fog: grey from the horizon up, thinner towards the camera."""
    return _laid_over(rgb, _FOG, lambda down: np.interp(down, [_HORIZON, 1], [0.85, 0.3]))


def in_snow(rgb: Image.Image) -> Image.Image:
    """Snow on the ground, as far as it lies below the horizon."""
    return _laid_over(rgb, _SNOW, lambda down: np.interp(down, [0.5, 0.7, 1], [0, 0.75, 0.85]))


def in_snowfall(rgb: Image.Image) -> Image.Image:
    """Snow that falls and lies: a grey sky, paler colours, patches on the ground, and flakes.

    How much of each, and where, is drawn by a seed that is made of the picture.
    """
    rng = np.random.default_rng(zlib.crc32(rgb.resize((8, 8)).tobytes()))
    width, height = rgb.size
    pixels = np.asarray(rgb, dtype=np.float32) / 255
    grey = (pixels @ np.array(_LUMINANCE, dtype=np.float32))[..., None]
    edge = np.abs(np.diff(grey[..., 0], axis=0, prepend=grey[:1, :, 0])) > _SKY_EDGE
    sky = (np.cumsum(edge, axis=0) == 0)[..., None]  # of a column, what is above its first edge
    pale, overcast = rng.uniform(0.1, 0.4), rng.uniform(0.55, 0.72)
    pixels = np.where(sky, overcast + 0.1 * grey, (1 - pale) * pixels + 0.9 * pale * grey)
    down = (np.arange(height) + 0.5) / height
    hills = Image.fromarray(rng.random((7, 7)).astype(np.float32)).resize(rgb.size)  # bicubic
    patches = np.clip(6 * (rng.uniform(0.3, 1) - np.asarray(hills)), 0, 1)
    ground = np.clip(8 * (down - rng.uniform(0.42, 0.52)), 0, 1)[:, None]
    green = np.clip(8 * (pixels @ np.array((-1, 2, -1), dtype=np.float32)), 0, 1)
    laid = np.maximum(0.85 * patches * ground, 0.8 * rng.uniform(0.3, 1) * green)[..., None]
    pixels += laid * (np.array(_SNOW, dtype=np.float32) / 255 - pixels)
    return _with_flakes(_image(255 * pixels), rng)


def _with_flakes(rgb: Image.Image, rng: np.random.Generator) -> Image.Image:
    """White specks all over, up to a fiftieth of the height across."""
    flakes = Image.new("L", rgb.size)
    draw = ImageDraw.Draw(flakes)
    for _ in range(int(rng.uniform(60, 300))):
        radius_px = rng.uniform(0.5, 2.2) * rgb.height / 224
        x, y = rng.uniform((0, 0), rgb.size)
        draw.ellipse((x - radius_px, y - radius_px, x + radius_px, y + radius_px), fill=204)
    return Image.composite(Image.new("RGB", rgb.size, (237,) * 3), rgb, flakes)


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
    Alteration("snowfall", "grey sky, patches of white, and flakes", in_snowfall),
    Alteration("night", "an eighth of the light, and bluer", at_night),
    Alteration("tele", "the middle half of either side", enlarged),
    Alteration("crop", "the upper left seven tenths of either side", cropped),
    Alteration("jpeg 20", "saved as a JPEG of quality 20", as_poor_jpeg),
    Alteration("black bars", "bars above and below, a sixth of the height each", in_black_bars),
    Alteration("mirror", "left and right exchanged", ImageOps.mirror),
)
"""All of them, in the order of the table."""

TAUGHT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "fog": in_fog,
    "snow": in_snowfall,
    "an enlargement": enlarged,
    "a part of a picture": cropped,
}
"""Looks that calibration is taught to tell, and what makes them. Left out is what is told without
(night, bars), what costs nothing (a mirror, JPEG quality 20), and what nothing can tell: a picture
without green is one of a place without green."""


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
