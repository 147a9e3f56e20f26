"""Light of a photo: what the day, the hour and the weather do to all its colours."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats32
from training.synthetic.conditions import (
    FOG,
    OVERCAST,
    RAIN,
    SNOW,
    Conditions,
    autumn_colour,
    grass_map,
    grass_vigour,
    leaf_cover,
    leaf_map,
)
from training.synthetic.noise import Reals, Words, uniform


class Light(Protocol):
    """The light of one photo: a record of :data:`LIGHT`, which loops pass on as one pointer."""

    sun: Floats32
    """Towards it: east, south, up."""
    direct_rgb: Floats32
    """What a surface in full sun gets on top of the next."""
    ambient_rgb: Floats32
    zenith_rgb: Floats32
    horizon_rgb: Floats32
    glow_rgb: Floats32
    """Of the sky around the sun."""
    haze_rgb: Floats32
    gain_rgb: Floats32
    """Of the camera: exposure and white balance."""
    leaf_map: Floats32
    """(3, 3) of the season, as the next: multiplies a colour."""
    grass_map: Floats32
    clear_m: float
    cloud: float
    night: float
    """How far lamps are lit, 0 to 1."""
    wet: float
    snow: float
    leaf: float
    """Share of the leaves."""
    vignette: float
    grain_sd: float
    blur: float
    weather: int


_COLOURS = ("sun", "direct_rgb", "ambient_rgb", "zenith_rgb", "horizon_rgb", "glow_rgb", "haze_rgb")
_NUMBERS = ("clear_m", "cloud", "night", "wet", "snow", "leaf", "vignette", "grain_sd", "blur")
LIGHT = np.dtype(
    [(name, np.float32, (3,)) for name in (*_COLOURS, "gain_rgb")]
    + [(name, np.float32, (3, 3)) for name in ("leaf_map", "grass_map")]
    + [(name, np.float32) for name in _NUMBERS]
    + [("weather", np.int32)],
    align=True,
)
"""A :class:`Light`."""


def lights(conditions: Conditions, words: Words) -> npt.NDArray[np.void]:
    """The light of photos.

    Args:
        conditions: (P).
        words: (P,) a hash of each photo, for what its conditions leave open: the exposure, the
            white balance, the camera's faults.

    Returns:
        (P,) of :data:`LIGHT`.
    """
    azimuth, elevation = (np.radians(angle) for angle in conditions.sun_deg)
    degrees = np.degrees(elevation)
    east, north = np.sin(azimuth), np.cos(azimuth)
    low = np.maximum(elevation, 0.035)
    sun = np.stack([east * np.cos(low), -north * np.cos(low), np.sin(low)], 1)

    day = _rise(degrees, -7, 6)  # 0 at night, 1 by day
    warm = day * (1 - _rise(degrees, 2, 18))
    weather = conditions.weather
    closed = np.isin(weather, (OVERCAST, RAIN, FOG, SNOW))
    shine = np.where(closed, 0, 1 - 0.75 * conditions.cloud) * _rise(degrees, -1, 6)
    wet = np.where(weather == RAIN, 1.0, 0.0)

    direct = shine[:, None] * (
        np.array([0.36, 0.34, 0.30]) + warm[:, None] * np.array([0.10, 0.0, -0.12])
    )
    ambient = np.array([0.64, 0.66, 0.70]) + (1 - shine)[:, None] * np.array([0.25, 0.23, 0.19])
    ambient = ambient * (1 + warm[:, None] * np.array([0.02, -0.03, -0.05]))
    dim = 0.10 + 0.90 * day**0.8
    ambient = ambient * dim[:, None] * (1 + (1 - day)[:, None] * np.array([-0.15, -0.02, 0.2]))
    ambient = ambient * np.where(np.isin(weather, (RAIN, FOG)), 0.9, 1)[:, None]

    grey = np.where(closed, 0.97, conditions.cloud * 0.55)[:, None]
    zenith = _mixed([0.30, 0.50, 0.86], [0.66, 0.69, 0.73], grey)
    horizon = _mixed([0.72, 0.82, 0.93], [0.80, 0.82, 0.84], grey)
    evening = ((1 - _rise(np.abs(degrees + 1), 3, 9)) * (1 - 0.8 * closed))[:, None]
    horizon = _mixed(horizon, [0.95, 0.62, 0.38], 0.75 * evening)
    zenith = _mixed(zenith, [0.34, 0.36, 0.58], 0.6 * evening)
    sky_dim = (0.05 + 0.95 * day)[:, None]
    zenith = zenith * sky_dim * _mixed([0.8, 0.9, 1.3], [1, 1, 1], day[:, None])
    # Lamps of a city colour its night sky.
    horizon = horizon * sky_dim + (1 - day)[:, None] * np.array([0.10, 0.075, 0.05])
    glow = (day * (0.25 + 0.75 * (1 - closed)))[:, None] * _mixed(
        [0.35, 0.33, 0.28], [0.45, 0.28, 0.10], warm[:, None]
    )
    glow = glow * (1 - 0.8 * conditions.cloud)[:, None]

    exposure = 0.85 + 0.25 * uniform(words, 1)
    exposure = exposure * (1 + 0.55 * (1 - day))
    tint = 1 + 0.03 * (np.stack([uniform(words, 2 + k) for k in range(3)], 1) - 0.5) * np.sqrt(3)
    light = np.zeros(len(conditions), LIGHT)
    light["sun"] = sun
    light["direct_rgb"] = direct
    light["ambient_rgb"] = ambient
    light["zenith_rgb"] = zenith
    light["horizon_rgb"] = horizon
    light["glow_rgb"] = glow
    light["haze_rgb"] = horizon * 0.96
    light["clear_m"] = conditions.clear_m
    light["cloud"] = conditions.cloud
    light["night"] = 1 - _rise(degrees, -5, 1)
    light["wet"] = wet
    light["snow"] = conditions.snow
    light["weather"] = weather
    light["leaf"] = leaf_cover(conditions.day_of_year)
    light["leaf_map"] = leaf_map(autumn_colour(conditions.day_of_year))
    light["grass_map"] = grass_map(grass_vigour(conditions.day_of_year))
    light["gain_rgb"] = exposure[:, None] * tint
    light["vignette"] = 0.16 * uniform(words, 6) ** 2
    light["grain_sd"] = (0.006 + 0.010 * uniform(words, 7)) * (1 + 1.2 * (1 - day))
    light["blur"] = 0.22 * uniform(words, 8) ** 2
    return light


def _rise(value: Reals, low: float, high: float) -> Reals:
    return np.asarray(np.clip((value - low) / (high - low), 0, 1))


def _mixed(start: npt.ArrayLike, end: npt.ArrayLike, share: Reals) -> Reals:
    """From one colour to another, (P, 3); the share is (P, 1)."""
    first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    return np.asarray(first + share * (last - first))
