"""Random changes of photos and frames that keep each photo at its point of the ground.

A photo may lose a part of its sides, be mirrored, and gets another light: brightness, contrast,
saturation and a gain for each channel. A frame gets another light too, and may be turned and
mirrored: seen from above, ground has no upright way. Its photos' points move along with it, so each
stays on the same pixel (:func:`turn_frame`, :func:`turn_points`). All but the crop happens on the
model's input, after the resize, where there are fewest pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gair.fields import check_range

if TYPE_CHECKING:
    from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601)."""
SYMMETRIES = 8
"""Ways to turn and mirror a square onto itself; number 0 leaves it as it is."""
_TRANSPOSE, _MIRROR_X, _MIRROR_Y = 4, 1, 2  # bits of a symmetry's number, done in this order


MOST_CROP = 0.9
"""Largest share that may be cut from a side: something has to be left to look at."""


@dataclass(frozen=True)
class AugmentOptions:
    """Strengths; a strength of a is a factor drawn evenly from [1 - a, 1 + a]. 0 turns it off."""

    brightness: float = 0.2
    """Factor of a photo."""
    contrast: float = 0.2
    """Factor of a photo's distance from its mean brightness."""
    saturation: float = 0.2
    """Factor of a photo's distance from grey."""
    gain: float = 0.05
    """Factor of each channel of a photo: the tint of the light."""
    flip: float = 0.5
    """Probability that a photo is mirrored left to right."""
    frame_brightness: float = 0.1
    """Factor of a frame."""
    frame_gain: float = 0.05
    """Factor of each band of a frame."""
    crop: float = 0.0
    """Most that is cut from a photo's width, and from its height, as a share; 1 is refused."""
    frame_symmetries: bool = False
    """Whether frames are turned and mirrored, with their photos' points."""

    def __post_init__(self) -> None:
        check_range(self, 0, *(option.name for option in fields(self)), most=1)
        check_range(self, 0, "crop", most=MOST_CROP)

    @classmethod
    def none(cls) -> AugmentOptions:
        """Every strength 0."""
        strengths = [option.name for option in fields(cls) if option.type != "bool"]
        return cls(**dict.fromkeys(strengths, 0.0), frame_symmetries=False)


def crop_photo(
    rgb: npt.NDArray[np.uint8], rng: np.random.Generator, options: AugmentOptions
) -> npt.NDArray[np.uint8]:
    """Cut random parts from a photo's sides.

    Args:
        rgb: (H, W, 3), before the resize.
        rng: always asked for the same number of values.
        options: the strengths.

    Returns:
        (h, w, 3), a view with at least one pixel; ``rgb`` itself when nothing changes.
    """
    cut, place = options.crop * rng.random(2), rng.random(2)
    if not options.crop:
        return rgb
    sizes = np.asarray(rgb.shape[:2])
    kept = np.maximum(1, np.rint((1 - cut) * sizes)).astype(int)
    top, left = np.rint(place * (sizes - kept)).astype(int)
    return rgb[top : top + kept[0], left : left + kept[1]]


def augment_photo(pixels: Tensor, rng: np.random.Generator, options: AugmentOptions) -> Tensor:
    """Mirror a photo and change its light.

    The changes of colour are affine in the colour, so they are done as one, and the result is cut
    to what a photo can hold.

    Args:
        pixels: (3, S, S) from :func:`gair.preprocess.street_view_pixels`.
        rng: always asked for the same number of values.
        options: the strengths.

    Returns:
        (3, S, S); ``pixels`` itself when nothing changes.
    """
    mirrored = rng.random() < options.flip
    strengths = (options.brightness, options.contrast, options.saturation)
    brightness, contrast, saturation = (_factor(rng, strength) for strength in strengths)
    gain = 1 + options.gain * rng.uniform(-1, 1, size=3)
    if mirrored:
        pixels = pixels.flip(-1)
    if not (any(strengths) or options.gain):
        return pixels
    from gair.preprocess import SV_MEAN, SV_SD

    mean, sd = np.asarray(SV_MEAN), np.asarray(SV_SD)
    # Sums of NumPy: those of torch depend on the number of threads.
    levels = pixels.numpy().mean(axis=(1, 2), dtype=np.float64) * sd + mean  # (3,) in 0..255
    grey = brightness * float(levels @ LUMA)
    matrix = saturation * np.eye(3) + (1 - saturation) * np.tile(LUMA, (3, 1))
    matrix = gain[:, None] * matrix * (contrast * brightness)
    offset = gain * (1 - contrast) * grey
    scaled = matrix * sd[None, :] / sd[:, None]
    shift = (matrix @ mean + offset - mean) / sd
    out = pixels.new_empty(pixels.shape)
    for channel in range(3):
        red, green, blue = (float(weight) for weight in scaled[channel])
        light = pixels[0] * red
        light += pixels[1] * green
        light += pixels[2] * blue
        light += float(shift[channel])
        lowest, highest = (np.asarray([0, 255]) - mean[channel]) / sd[channel]
        out[channel] = light.clamp_(float(lowest), float(highest))
    return out


def augment_frame(pixels: Tensor, rng: np.random.Generator, options: AugmentOptions) -> Tensor:
    """Change the light of a frame, band by band.

    Args:
        pixels: (10, P, P) from :func:`gair.preprocess.remote_sensing_pixels`.
        rng: always asked for the same number of values.
        options: the strengths.

    Returns:
        (10, P, P), cut to [0, 1]; ``pixels`` itself when nothing changes.
    """
    brightness = _factor(rng, options.frame_brightness)
    gain = brightness * (1 + options.frame_gain * rng.uniform(-1, 1, size=len(pixels)))
    if not (options.frame_brightness or options.frame_gain):
        return pixels
    return (pixels * pixels.new_tensor(gain)[:, None, None]).clamp_(0, 1)


def draw_symmetry(rng: np.random.Generator, options: AugmentOptions) -> int:
    """The number of a symmetry for one frame; ``rng`` is asked in any case."""
    number = int(rng.integers(SYMMETRIES))
    return number if options.frame_symmetries else 0


def turn_frame(pixels: Tensor, symmetry: int) -> Tensor:
    """A frame turned and mirrored, (..., P, P), by a symmetry from 0 to 7."""
    if symmetry & _TRANSPOSE:
        pixels = pixels.transpose(-1, -2)
    sides = [axis for bit, axis in ((_MIRROR_X, -1), (_MIRROR_Y, -2)) if symmetry & bit]
    return pixels.flip(sides) if sides else pixels


def turn_points(xy: npt.NDArray[np.float64], symmetry: int) -> npt.NDArray[np.float64]:
    """Where points of a frame lie in the turned one, (N, 2) frame coordinates; exact.

    The centre of a frame is (0, 0), so to mirror is to change a sign, and to transpose to swap.
    """
    if symmetry & _TRANSPOSE:
        xy = xy[:, ::-1]
    signs = [-1.0 if symmetry & bit else 1.0 for bit in (_MIRROR_X, _MIRROR_Y)]
    return xy * signs


def _factor(rng: np.random.Generator, strength: float) -> float:
    return 1 + strength * rng.uniform(-1, 1)
