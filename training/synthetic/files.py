"""A city as files: the GeoTIFFs, JPEGs and manifest that a person would have of a real one."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gair.errors import UsageError
from gair.files import disk_errors, write_whole
from indexer.progress import Progress
from training.synthetic.city import LICENCE, City, cameras_in, take_photos
from training.synthetic.noise import Floats

IMAGERY, PHOTOS, MANIFEST = "imagery", "photos", "photos.csv"
_COLUMNS = ("file", "lat", "lon", "heading", "captured_at", "licence", "source", "city")
_TRIES = 16

Wanted = Callable[[Floats, Floats], np.ndarray]
"""Which of the places (x, y metres of the city) a photo may come from."""


@dataclass(frozen=True)
class CityFiles:
    """Where the files of a city are."""

    imagery: Path
    """Folder of GeoTIFFs."""
    manifest: Path
    """CSV of the photos, beside their folder."""


def write_city(
    city: City,
    folder: Path,
    *,
    photos: int,
    dates: int = 2,
    wanted: Wanted | None = None,
    quiet: bool = False,
) -> CityFiles:
    """Write a city; files that are there already are replaced.

    Args:
        city: which.
        folder: gets ``imagery/``, ``photos/`` and ``photos.csv``.
        photos: how many.
        dates: how many scenes.
        wanted: where photos may come from; anywhere if not given.
        quiet: no progress bar.

    Raises:
        UsageError: too little of the city is wanted.
        StorageError: the disk refused.
    """
    with disk_errors(folder):
        (folder / PHOTOS).mkdir(parents=True, exist_ok=True)
    world = city.draw()
    city.write_scenes(world, folder / IMAGERY, dates)
    rng = city.generator("evaluation photos")
    cameras, lonlat_deg = cameras_in(world, city, rng, photos * (_TRIES if wanted else 1))
    if wanted is not None:
        here = np.flatnonzero(wanted(cameras.x_m, cameras.y_m))[:photos]
        if len(here) < photos:
            raise UsageError(
                f"only {len(here)} of {len(cameras)} places in {city.name} are where photos may "
                f"come from, and {photos} are wanted: ask for fewer, or make the city larger"
            )
        cameras, lonlat_deg = cameras.some(here), lonlat_deg[here]
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(_COLUMNS)
    with Progress("photos", len(cameras), "photo", quiet=quiet) as progress:
        for number, photo in enumerate(take_photos(world, cameras, lonlat_deg, rng)):
            name = f"{PHOTOS}/{city.name}-{number:04d}.jpg"
            with disk_errors(folder / name):
                (folder / name).write_bytes(photo.jpeg)
            lon, lat = photo.lonlat_deg
            rows.writerow(
                (
                    name,
                    f"{lat:.7f}",
                    f"{lon:.7f}",
                    f"{photo.heading_deg:.1f}",
                    photo.captured_at,
                    LICENCE,
                    f"synthetic:{city.name}",
                    city.name,
                )
            )
            progress.advance(1)
    write_whole(folder / MANIFEST, text.getvalue().encode())
    return CityFiles(folder / IMAGERY, folder / MANIFEST)
