"""Conditions of a picture: the day, the hour, the sky, the season's leaves, the camera.

Both sensors ask the functions here what a day does to leaves, grass and snow, so a photo and a
scene of one day agree. Nothing in a photo's conditions depends on where it was taken.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Bytes, Ints
from training.synthetic.noise import Reals
from training.synthetic.options import Mix

LATITUDE_DEG = 38.0
"""Of all synthetic cities, for the path of the sun."""

WEATHERS = ("clear", "cloudy", "overcast", "rain", "fog", "snow")
"""Names of the weathers; a photo's weather is its number here."""
CLEAR, CLOUDY, OVERCAST, RAIN, FOG, SNOW = range(6)
LIGHTS = ("day", "dusk", "night")
"""Names of the times of day, by the height of the sun."""
CAMERAS = ("phone", "dashcam", "wide", "tele")
"""Names of the kinds of cameras."""
PHONE, DASHCAM, WIDE, TELE = range(4)
SEASONS = ("winter", "spring", "summer", "autumn")


@dataclass(frozen=True)
class Conditions:
    """Under which photos are taken; arrays of length P."""

    day_of_year: Ints
    """From 1 to 365."""
    hour: Reals
    """Solar time, 0 to 24."""
    weather: Bytes
    """Numbers of :data:`WEATHERS`."""
    camera: Bytes
    """Numbers of :data:`CAMERAS`."""
    clear_m: Reals
    """Distance over which haze takes two thirds of the contrast."""
    cloud: Reals
    """Share of the sky that is cloudy, 0 to 1."""
    snow: Reals
    """Share of the open ground under snow, 0 to 1."""

    def __len__(self) -> int:
        return len(self.day_of_year)

    def take(self, which: slice | Ints | Bools) -> Conditions:
        """A part of them."""
        return Conditions(*(getattr(self, f.name)[which] for f in dataclasses.fields(self)))

    @property
    def sun_deg(self) -> tuple[Reals, Reals]:
        """Azimuth clockwise from north, and elevation, each (P,)."""
        return sun_deg(self.day_of_year, self.hour)

    @property
    def light(self) -> Ints:
        """Numbers of :data:`LIGHTS`: the sun above 3 degrees, above -7, or lower."""
        elevation = self.sun_deg[1]
        return np.where(elevation > 3, 0, np.where(elevation > -7, 1, 2))

    @property
    def season(self) -> Ints:
        """Numbers of :data:`SEASONS`, from the first of December, March, June, September."""
        return ((self.day_of_year + 31) % 365) // 92

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int, mix: Mix = "day") -> Conditions:
        """Conditions of ``count`` photos, drawn independently."""
        day = rng.integers(1, 366, count)
        # Most pictures of streets are taken while there are leaves.
        day = np.where(rng.random(count) < 0.8, rng.integers(95, 301, count), day)
        if mix == "winter":
            day = (rng.integers(335, 335 + 90, count) - 1) % 365 + 1
        weather = rng.choice([CLEAR, CLOUDY, OVERCAST], count, p=[0.45, 0.35, 0.2])
        hour = rng.uniform(8.0, 17.0, count)
        if mix == "any":
            weather = rng.choice(6, count, p=[0.42, 0.30, 0.16, 0.05, 0.035, 0.035])
            odd = rng.random(count)
            hour = np.where(odd < 0.93, hour, rng.uniform(0, 24, count))
        if mix in ("fog", "snow", "rain"):
            weather = np.full(count, WEATHERS.index(mix))
        if mix == "dusk":
            hour = np.where(rng.random(count) < 0.5, _noon_angle_hours(day, -2.0), 24.0)
            hour = np.where(hour == 24.0, 24.0 - _noon_angle_hours(day, -2.0), hour)
        if mix == "night":
            hour = rng.uniform(-3.0, 3.0, count) % 24
        # Snow falls and lies in winter.
        day = np.where(weather == SNOW, (rng.integers(340, 340 + 80, count) - 1) % 365 + 1, day)
        camera = rng.choice(4, count, p=[0.28, 0.45, 0.25, 0.02])
        if mix == "tele":
            camera = np.full(count, TELE)
        clear_m = np.exp(rng.uniform(np.log(300), np.log(2500), count))
        clear_m = np.where(weather == FOG, rng.uniform(25, 90, count), clear_m)
        clear_m = np.where(np.isin(weather, (RAIN, SNOW)), clear_m * 0.4, clear_m)
        cloud = np.select(
            [weather == CLEAR, weather == CLOUDY],
            [rng.uniform(0, 0.15, count), rng.uniform(0.3, 0.7, count)],
            default=rng.uniform(0.9, 1, count),
        )
        snow = np.where(weather == SNOW, rng.uniform(0.5, 1, count), 0)
        return cls(
            day.astype(np.int64),
            hour.astype(np.float32),
            weather.astype(np.uint8),
            camera.astype(np.uint8),
            clear_m.astype(np.float32),
            cloud.astype(np.float32),
            snow.astype(np.float32),
        )


def sun_deg(day_of_year: Ints, hour: Reals) -> tuple[Reals, Reals]:
    """Where the sun stands at :data:`LATITUDE_DEG`: azimuth clockwise from north, elevation."""
    declination = np.radians(_declination_deg(day_of_year))
    latitude = np.radians(LATITUDE_DEG)
    angle = np.radians((np.asarray(hour) - 12) * 15)
    # The sun's direction as east, north, up on a sphere turned by the hour.
    east = -np.cos(declination) * np.sin(angle)
    north = np.sin(declination) * np.cos(latitude)
    north = north - np.cos(declination) * np.cos(angle) * np.sin(latitude)
    up = np.sin(declination) * np.sin(latitude)
    up = up + np.cos(declination) * np.cos(angle) * np.cos(latitude)
    azimuth = np.degrees(np.arctan2(east, north)) % 360
    elevation = np.degrees(np.arcsin(np.clip(up, -1, 1)))
    return np.asarray(azimuth, np.float32), np.asarray(elevation, np.float32)


def leaf_cover(day_of_year: Ints) -> Reals:
    """Share of their leaves that deciduous trees carry, 0 to 1: out in April, off in November."""
    day = np.asarray(day_of_year, dtype=np.float32)
    return np.asarray(_ramp(day, 90, 125) * (1 - _ramp(day, 300, 335)), dtype=np.float32)


def autumn_colour(day_of_year: Ints) -> Reals:
    """How far deciduous leaves have turned, 0 to 1."""
    day = np.asarray(day_of_year, dtype=np.float32)
    return np.asarray(_ramp(day, 265, 310) * (1 - _ramp(day, 345, 360)), dtype=np.float32)


def grass_vigour(day_of_year: Ints) -> Reals:
    """How green grass is, 0.35 in winter to 1 in early summer."""
    day = np.asarray(day_of_year, dtype=np.float32)
    return np.asarray(0.675 - 0.325 * np.cos(2 * np.pi * (day - 345) / 365), dtype=np.float32)


def leaf_map(turned: Reals) -> Reals:
    """What autumn does to the colour of deciduous leaves: (..., 3, 3) to multiply summer's RGB by.

    Args:
        turned: (...), of :func:`autumn_colour`.
    """
    return _between_maps(turned, [[0.55, 0.75, 0.0], [0.25, 0.45, 0.0], [0.0, 0.0, 0.6]])


def grass_map(vigour: Reals) -> Reals:
    """What the season does to open ground: (..., 3, 3) to multiply the RGB of early summer by.

    What is green turns to straw; gravel and bare soil, which are not, stay.

    Args:
        vigour: (...), of :func:`grass_vigour`.
    """
    greenness = np.array([-0.5, 1.0, -0.5])
    straw = np.eye(3) + np.outer([0.5, -0.2, 0.1], greenness)
    return _between_maps(1 - np.asarray(vigour), straw)


def _between_maps(t: Reals, end: npt.ArrayLike) -> Reals:
    """From no change at 0 to ``end`` at 1."""
    eye, part = np.eye(3), np.asarray(t)[..., None, None]
    return np.asarray(eye + part * (np.asarray(end) - eye), dtype=np.float32)


def _ramp(day: Reals, first: float, last: float) -> Reals:
    return np.asarray(np.clip((day - np.float32(first)) / np.float32(last - first), 0, 1))


def _declination_deg(day_of_year: Ints) -> Reals:
    return np.asarray(-23.44 * np.cos(2 * np.pi * (np.asarray(day_of_year) + 10) / 365))


def _noon_angle_hours(day_of_year: Ints, elevation_deg: float) -> Reals:
    """The hour of the morning at which the sun stands at an elevation."""
    declination, latitude = np.radians(_declination_deg(day_of_year)), np.radians(LATITUDE_DEG)
    cosine = (np.sin(np.radians(elevation_deg)) - np.sin(declination) * np.sin(latitude)) / (
        np.cos(declination) * np.cos(latitude)
    )
    return np.asarray(12 - np.degrees(np.arccos(np.clip(cosine, -1, 1))) / 15)
