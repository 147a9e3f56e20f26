"""Album of a city: photos that are planned, and taken as JPEGs with what a manifest says of them.

Where photos are taken, under which conditions, and with which noise have generators of their own,
so the same places can be photographed by day and by night.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats, Ints
from training.synthetic.city import City
from training.synthetic.conditions import CAMERAS, LIGHTS, SEASONS, WEATHERS, Conditions
from training.synthetic.options import Mix
from training.synthetic.street.camera import Cameras, place_cameras, place_sequences
from training.synthetic.street.photograph import photograph
from training.synthetic.world import World

YEARS = (2022, 2023, 2025)
"""In which photos are taken: none has a 29th of February, so days of the year count alike."""

_PHOTOS_AT_ONCE = 64


@dataclass(frozen=True)
class Shots:
    """Photos to take; arrays of length P."""

    cameras: Cameras
    conditions: Conditions
    lonlat_deg: Floats
    """(P, 2) where they stand."""
    sequence: npt.NDArray[np.str_]
    """Names of the sequences they belong to; empty for photos by themselves."""

    def __len__(self) -> int:
        return len(self.cameras)

    def take(self, which: slice | Ints | Bools) -> Shots:
        """A part of them."""
        return Shots(
            self.cameras.take(which),
            self.conditions.take(which),
            self.lonlat_deg[which],
            self.sequence[which],
        )


@dataclass(frozen=True)
class Sequences:
    """Drives along streets with a photo every few metres."""

    count: int
    frames: int
    """Photos of each."""
    step_m: float
    """Between two photos; 0 for photos of one spot."""
    turn_deg: float = 0.0
    """How far the camera turns from photo to photo."""


@dataclass(frozen=True)
class PhotoFacts:
    """What a manifest says of a photo besides its place; names are those of columns."""

    condition: str
    """The mix that its conditions were drawn from."""
    season: str
    hour: str
    """Solar time, hours."""
    weather: str
    light: str
    """Day, dusk or night."""
    camera: str
    eye_m: str
    """Height of the camera."""
    sequence: str
    """Empty for a photo by itself."""


@dataclass(frozen=True)
class StreetPhoto:
    """A photo of a city."""

    jpeg: bytes
    lonlat_deg: tuple[float, float]
    heading_deg: float
    captured_at: str
    """ISO 8601, local solar time."""
    facts: PhotoFacts


def plan_photos(world: World, city: City, purpose: str, count: int, mix: Mix = "day") -> Shots:
    """Photos of random places.

    Args:
        world: the city's.
        city: where it lies.
        purpose: another one gives other places.
        count: how many.
        mix: their conditions; the places do not depend on it.
    """
    conditions = Conditions.draw(city.generator(f"conditions of {purpose}"), count, mix)
    cameras = place_cameras(
        world, city.generator(purpose), count, conditions.camera, high=mix == "high"
    )
    nowhere = np.full(count, "", dtype=np.str_)
    return Shots(cameras, conditions, city.lonlat_deg(cameras.x_m, cameras.y_m), nowhere)


def plan_sequences(
    world: World, city: City, purpose: str, drives: Sequences, mix: Mix = "day"
) -> Shots:
    """Photos of drives; each is of one day, hour, weather and camera.

    Args:
        world: the city's.
        city: where it lies.
        purpose: another one gives other places.
        drives: how many, how long.
        mix: their conditions; the places do not depend on it.
    """
    conditions = Conditions.draw(city.generator(f"conditions of {purpose}"), drives.count, mix)
    cameras, number = place_sequences(
        world,
        city.generator(purpose),
        drives.count,
        drives.frames,
        drives.step_m,
        conditions.camera,
    )
    if drives.turn_deg:
        turned = cameras.heading_deg + drives.turn_deg * (np.arange(len(number)) % drives.frames)
        cameras = dataclasses.replace(cameras, heading_deg=(turned % 360).astype(np.float32))
    names = np.array([f"{city.name}-drive-{drive:03d}" for drive in range(drives.count)])
    lonlat_deg = city.lonlat_deg(cameras.x_m, cameras.y_m)
    return Shots(cameras, conditions.take(number), lonlat_deg, names[number])


def take_photos(
    world: World, shots: Shots, rng: np.random.Generator, mix: Mix = "day"
) -> Iterator[StreetPhoto]:
    """Planned photos, in their order.

    Args:
        world: the city.
        shots: what to take.
        rng: cars, noise, years and JPEG qualities.
        mix: that the conditions were drawn from, to be told.
    """
    from PIL import Image

    years = _years(shots.sequence, rng)
    for start in range(0, len(shots), _PHOTOS_AT_ONCE):
        batch = shots.take(slice(start, start + _PHOTOS_AT_ONCE))
        pictures = photograph(world, batch.cameras, batch.conditions, rng)
        for number, picture in enumerate(pictures):
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "JPEG", quality=int(rng.integers(82, 95)))
            lon, lat = batch.lonlat_deg[number]
            yield StreetPhoto(
                buffer.getvalue(),
                (float(lon), float(lat)),
                float(batch.cameras.heading_deg[number]),
                _moment(int(years[start + number]), batch.conditions, number),
                _facts(batch, number, mix),
            )


def _years(sequence: npt.NDArray[np.str_], rng: np.random.Generator) -> Ints:
    """A year for each photo; photos of a drive share it."""
    years = rng.choice(YEARS, len(sequence))
    _, first, drive = np.unique(sequence, return_index=True, return_inverse=True)
    return np.asarray(np.where(sequence == "", years, years[first[drive]]), dtype=np.int64)


def _moment(year: int, conditions: Conditions, number: int) -> str:
    day = datetime(year, 1, 1) + timedelta(days=int(conditions.day_of_year[number]) - 1)
    return (day + timedelta(minutes=int(60 * conditions.hour[number]))).isoformat()


def _facts(shots: Shots, number: int, mix: Mix) -> PhotoFacts:
    conditions = shots.conditions
    return PhotoFacts(
        condition=mix,
        season=SEASONS[conditions.season[number]],
        hour=f"{conditions.hour[number]:.2f}",
        weather=WEATHERS[conditions.weather[number]],
        light=LIGHTS[conditions.light[number]],
        camera=CAMERAS[conditions.camera[number]],
        eye_m=f"{shots.cameras.eye_m[number]:.2f}",
        sequence=str(shots.sequence[number]),
    )
