"""Writes a city as files: GeoTIFFs, JPEGs and a manifest, as a person would have of a real one."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gair.arrays import Floats
from gair.errors import UsageError
from gair.files import disk_errors, make_folder, write_whole
from gair.progress import Progress
from training.synthetic.city import LICENCE, City, cameras_in, take_photos
from training.synthetic.noise import Reals
from training.synthetic.street import Cameras
from training.synthetic.world import World

IMAGERY, PHOTOS, MANIFEST = "imagery", "photos", "photos.csv"
CALIBRATION_PHOTOS, CALIBRATION_MANIFEST = "calibration", "calibration.csv"
_COLUMNS = ("file", "lat", "lon", "heading", "captured_at", "licence", "source", "city")
_TRIES = 16

Wanted = Callable[[Reals, Reals], np.ndarray]
"""Which of the places (x, y metres of the city) a photo may come from."""


@dataclass(frozen=True)
class CityFiles:
    """Where the files of a city are."""

    imagery: Path
    """Folder of GeoTIFFs."""
    manifest: Path
    """CSV of the photos, beside their folder."""
    calibration: Path | None = None
    """CSV of further photos, to calibrate an index with."""


def write_city(
    city: City,
    folder: Path,
    *,
    photos: int,
    calibration_photos: int = 0,
    dates: int = 2,
    wanted: Wanted | None = None,
    quiet: bool = False,
) -> CityFiles:
    """Write a city; files that are there already are replaced.

    Args:
        city: which.
        folder: gets ``imagery/``, ``photos/`` and ``photos.csv``.
        photos: how many.
        calibration_photos: how many more, of other places, in ``calibration/`` and
            ``calibration.csv``.
        dates: how many scenes.
        wanted: where photos may come from; anywhere if not given.
        quiet: no progress bar.

    Raises:
        UsageError: too little of the city is wanted.
        StorageError: the disk refused.
    """
    make_folder(folder)
    world = city.draw()
    city.write_scenes(world, folder / IMAGERY, dates)
    album = _Album(city, world, folder, wanted, quiet)
    calibration = None
    if calibration_photos:
        calibration = album.write(
            "calibration photos", calibration_photos, CALIBRATION_PHOTOS, CALIBRATION_MANIFEST
        )
    manifest = album.write("evaluation photos", photos, PHOTOS, MANIFEST)  # written last
    return CityFiles(folder / IMAGERY, manifest, calibration)


@dataclass(frozen=True)
class _Album:
    """Writes photos of a city."""

    city: City
    world: World
    folder: Path
    wanted: Wanted | None
    quiet: bool

    def write(self, purpose: str, count: int, subfolder: str, manifest: str) -> Path:
        """Photos and their manifest, whose path is returned; ``purpose`` seeds the places."""
        make_folder(self.folder / subfolder)
        rng = self.city.generator(purpose)
        cameras, lonlat_deg = self._places(rng, count)
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(_COLUMNS)
        with Progress(subfolder, len(cameras), "photo", quiet=self.quiet) as progress:
            taken = take_photos(self.world, cameras, lonlat_deg, rng)
            for number, photo in enumerate(taken):
                name = f"{subfolder}/{self.city.name}-{number:04d}.jpg"
                with disk_errors(self.folder / name):
                    (self.folder / name).write_bytes(photo.jpeg)
                lon, lat = photo.lonlat_deg
                place = (f"{lat:.7f}", f"{lon:.7f}", f"{photo.heading_deg:.1f}")
                source = f"synthetic:{self.city.name}"
                rows.writerow((name, *place, photo.captured_at, LICENCE, source, self.city.name))
                progress.advance(1)
        write_whole(self.folder / manifest, text.getvalue().encode())
        return self.folder / manifest

    def _places(self, rng: np.random.Generator, count: int) -> tuple[Cameras, Floats]:
        """Cameras where photos may come from, and (count, 2) degrees."""
        if self.wanted is None:
            return cameras_in(self.world, self.city, rng, count)
        cameras, lonlat_deg = cameras_in(self.world, self.city, rng, count * _TRIES)
        here = np.flatnonzero(self.wanted(cameras.x_m, cameras.y_m))[:count]
        if len(here) < count:
            raise UsageError(
                f"only {len(here)} of {len(cameras)} places in {self.city.name} are where photos "
                f"may come from, and {count} are wanted: ask for fewer, or make the city larger"
            )
        return cameras.take(here), lonlat_deg[here]
