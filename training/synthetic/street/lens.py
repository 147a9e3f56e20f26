"""Lens and sensor: drops and flakes, blur, vignette, exposure and noise make bytes of light."""

from __future__ import annotations

import numpy as np

from gair.arrays import Bytes, Floats32
from training.synthetic.compiled import compiled
from training.synthetic.conditions import RAIN, SNOW
from training.synthetic.street.grain import chance
from training.synthetic.street.light import Light


@compiled
def precipitation(light: Light, photo: int, word: int, picture: Floats32) -> None:
    """Draw falling rain or snow over a picture, (H, W, 3)."""
    height, width = picture.shape[0], picture.shape[1]
    haze = light.haze_rgb[photo]
    if light.weather[photo] == RAIN:
        slant = 0.3 * (chance(word, 31) - 0.5)
        for drop in range(260):
            x = chance(word, 1000 + 4 * drop) * width
            y = chance(word, 1001 + 4 * drop) * height
            near = chance(word, 1002 + 4 * drop)
            long = (0.03 + 0.09 * near) * height
            for step in range(int(long)):
                row, column = int(y) + step, int(x + slant * step)
                if row < height and 0 <= column < width:
                    part = 0.10 + 0.10 * near
                    for k in range(3):
                        picture[row, column, k] += (haze[k] * 1.05 - picture[row, column, k]) * part
    elif light.weather[photo] == SNOW:
        for flake in range(420):
            x = chance(word, 1000 + 4 * flake) * width
            y = chance(word, 1001 + 4 * flake) * height
            near = chance(word, 1002 + 4 * flake) ** 4
            radius = (0.0022 + 0.011 * near) * height
            bright = min(1.08 * haze[0] + 0.06, 1.0)
            reach = int(radius + 1)
            for row in range(max(int(y) - reach, 0), min(int(y) + reach + 1, height)):
                for column in range(max(int(x) - reach, 0), min(int(x) + reach + 1, width)):
                    far = np.sqrt((row + 0.5 - y) ** 2 + (column + 0.5 - x) ** 2)
                    part = 0.75 * min(max(radius + 0.5 - far, 0.0), 1.0) * (1 - 0.4 * near)
                    for k in range(3):
                        picture[row, column, k] += (bright - picture[row, column, k]) * part


@compiled
def expose(
    light: Light, photo: int, word: int, bells: Floats32, picture: Floats32, out: Bytes
) -> None:
    """Turn a picture into what the camera stores.

    Args:
        light: of all photos.
        photo: which.
        word: a hash of the photo.
        bells: a table of normal deviates.
        picture: (H, W, 3) light.
        out: (H, W, 3) to write.
    """
    height, width = picture.shape[0], picture.shape[1]
    gain = light.gain_rgb[photo]
    sd, vignette = float(light.grain_sd[photo]), float(light.vignette[photo])
    blur = 0.5 * float(light.blur[photo])
    size = len(bells)
    for row in range(height):
        above, below = max(row - 1, 0), min(row + 1, height - 1)
        dy = (row + 0.5) / height * 2 - 1
        at = int(chance(word, 50_000 + row) * size)
        for column in range(width):
            left, right = max(column - 1, 0), min(column + 1, width - 1)
            dx = (column + 0.5) / width * 2 - 1
            dim = 1 - vignette * (dx * dx + dy * dy)
            for k in range(3):
                value = picture[row, column, k]
                if blur > 0.01:
                    beside = picture[above, column, k] + picture[below, column, k]
                    beside += picture[row, left, k] + picture[row, right, k]
                    value += blur * (0.25 * beside - value)
                value = value * gain[k] * dim + sd * bells[at]
                at = at + 1 if at + 1 < size else 0
                # Bright light fades into white instead of stopping there.
                if value > 0.85:
                    value = 0.85 + (value - 0.85) / (1 + (value - 0.85) * 3.5)
                out[row, column, k] = np.uint8(min(max(value, 0.0), 1.0) * 255 + 0.5)
