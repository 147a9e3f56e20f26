"""Lens and sensor: drops and flakes, blur, vignette, exposure and noise make bytes of light."""

from __future__ import annotations

import numpy as np

from gair.arrays import Bytes, Floats32
from training.synthetic.compiled import lean
from training.synthetic.conditions import RAIN, SNOW
from training.synthetic.street.grain import chance
from training.synthetic.street.light import Light


@lean
def precipitation(light: Light, word: int, picture: Floats32) -> None:
    """Draw falling rain or snow over a picture, (H, W, 3)."""
    height, width = picture.shape[0], picture.shape[1]
    haze = light.haze_rgb
    if light.weather == RAIN:
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
    elif light.weather == SNOW:
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


@lean
def expose(light: Light, word: int, bells: Floats32, picture: Floats32, out: Bytes) -> None:
    """Turn a picture into what the camera stores.

    Args:
        light: of the photo.
        word: a hash of the photo.
        bells: a table of normal deviates.
        picture: (H, W, 3) light.
        out: (H, W, 3) to write.
    """
    height, width = picture.shape[0], picture.shape[1]
    gain = light.gain_rgb
    sd, vignette = np.float32(light.grain_sd), np.float32(light.vignette)
    blur = np.float32(0.125 * light.blur)
    keep = np.float32(1 - 4 * blur)
    one, knee, limit = np.float32(1), np.float32(0.85), np.float32(255)
    for row in range(height):
        here, up = picture[row], picture[max(row - 1, 0)]
        down = picture[min(row + 1, height - 1)]
        dy = np.float32((row + 0.5) / height * 2 - 1)
        at = int(chance(word, 50_000 + row) * (len(bells) - 3 * width))
        noise = bells[at : at + 3 * width]
        target = out[row]
        for column in range(width):
            left, right = max(column - 1, 0), min(column + 1, width - 1)
            dx = np.float32((column + 0.5) / width * 2 - 1)
            dim = one - vignette * (dx * dx + dy * dy)
            for k in range(3):
                beside = up[column, k] + down[column, k] + here[left, k] + here[right, k]
                value = keep * here[column, k] + blur * beside
                value = value * gain[k] * dim + sd * noise[3 * column + k]
                # Bright light fades into white instead of stopping there.
                if value > knee:
                    value = knee + (value - knee) / (one + (value - knee) * np.float32(3.5))
                value = min(max(value, np.float32(0)), one)
                target[column, k] = np.uint8(value * limit + np.float32(0.5))
