"""Random changes of photos and frames that leave their place as it was.

A photo may be mirrored and gets another light: brightness, contrast, saturation and a gain for each
channel. A frame only gets another light, because mirroring it would move the photo's point. Both
happen on the model's input, after the resize, where there are fewest pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from gair.fields import check_range

if TYPE_CHECKING:
    from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601)."""


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

    def __post_init__(self) -> None:
        check_range(self, 0, *(option.name for option in fields(self)), most=1)

    @classmethod
    def none(cls) -> AugmentOptions:
        """Every strength 0."""
        return cls(**{option.name: 0.0 for option in fields(cls)})


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


def _factor(rng: np.random.Generator, strength: float) -> float:
    return 1 + strength * rng.uniform(-1, 1)
