"""Sky: from the horizon to above, with clouds and the sun's glow."""

from __future__ import annotations

import numpy as np

from gair.arrays import Floats32
from training.synthetic.compiled import inlined
from training.synthetic.street.eye import Eye
from training.synthetic.street.grain import chance, smooth
from training.synthetic.street.light import Light


@inlined
def paint_sky(
    grain: Floats32,
    light: Light,
    eye: Eye,
    word: int,
    samples: int,
    until: int,
    dx: float,
    dy: float,
    sky: Floats32,
) -> None:
    """Paint a column of a picture's pixels with the sky.

    Args:
        grain: the table of noise.
        light: of the photo.
        eye: the camera.
        word: a hash of the photo.
        samples: of a pixel, along each direction.
        until: pixels from the top.
        dx: of the column's ray, east, for each metre of depth.
        dy: south.
        sky: (rows, 3) to paint.
    """
    zenith, horizon = light.zenith_rgb, light.horizon_rgb
    glow, sun = light.glow_rgb, light.sun
    cloud = float(light.cloud)
    seed_x, seed_y = 128 * chance(word, 21), 128 * chance(word, 22)
    level = dx * dx + dy * dy
    murky = np.exp(-250.0 / light.clear_m)
    # Every other pixel, as nothing in the sky is sharp; between two it is their mean.
    for pixel in range(0, until + 1, 2):
        if pixel >= len(sky):
            break
        m = (eye.horizon - (pixel + 0.5) * samples) / eye.focal
        up = max(m, 0.0)
        length = np.sqrt(level + up * up)
        rise = up / length
        share = rise * (2 - rise)
        red = horizon[0] + (zenith[0] - horizon[0]) * share
        green = horizon[1] + (zenith[1] - horizon[1]) * share
        blue = horizon[2] + (zenith[2] - horizon[2]) * share
        toward = (dx * sun[0] + dy * sun[1] + up * sun[2]) / length
        if toward > 0:
            near = toward * toward
            near *= near
            near *= near
            bright = 0.35 * near + 0.9 * near * near * near * near
            red += glow[0] * bright
            green += glow[1] * bright
            blue += glow[2] * bright
        if cloud > 0.02:
            over = 14.0 / (up + 0.10 * length)
            gx, gy = dx * over + seed_x, dy * over + seed_y
            puff = 0.62 * smooth(grain, gx * 0.45, gy * 0.45) + 0.38 * smooth(
                grain, gx * 1.7, gy * 1.7
            )
            thick = min(max((puff - (0.86 - 0.72 * cloud)) * 4.0, 0.0), 1.0)
            thick *= min(rise * 9, 1.0) * 0.85
            # White where they are thin, grey where thick or where they close the sky.
            tone = 1.16 - 0.22 * puff - 0.12 * cloud
            white = (horizon[0] + horizon[1] + horizon[2]) / 3 * tone
            red += (0.75 * white + 0.25 * horizon[0] * tone - red) * thick
            green += (0.75 * white + 0.25 * horizon[1] * tone - green) * thick
            blue += (0.75 * white + 0.25 * horizon[2] * tone - blue) * thick
        # Fog closes the sky, too, from the horizon up.
        hidden = (1 - murky) * (1 - 0.5 * rise) if murky < 0.2 else 0.0
        haze = light.haze_rgb
        sky[pixel, 0] = red + (haze[0] - red) * hidden
        sky[pixel, 1] = green + (haze[1] - green) * hidden
        sky[pixel, 2] = blue + (haze[2] - blue) * hidden
        if pixel > 0:
            for k in range(3):
                sky[pixel - 1, k] = 0.5 * (sky[pixel - 2, k] + sky[pixel, k])
    if until == len(sky) and until % 2 == 0:
        for k in range(3):
            sky[until - 1, k] = sky[until - 2, k]
