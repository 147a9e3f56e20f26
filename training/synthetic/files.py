"""Writes a city as files: GeoTIFFs, JPEGs and a manifest, as a person would have of a real one."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gair.errors import UsageError
from gair.files import disk_errors, make_folder, write_whole
from gair.progress import Progress
from training.synthetic.album import (
    PhotoFacts,
    Sequences,
    Shots,
    plan_photos,
    plan_sequences,
    take_photos,
)
from training.synthetic.city import LICENCE, City
from training.synthetic.noise import Reals
from training.synthetic.options import Mix
from training.synthetic.world import World

IMAGERY, PHOTOS, MANIFEST = "imagery", "photos", "photos.csv"
CALIBRATION_PHOTOS, CALIBRATION_MANIFEST = "calibration", "calibration.csv"
REFERENCE_PHOTOS, REFERENCE_MANIFEST = "references", "references.csv"
_FACTS = tuple(field.name for field in dataclasses.fields(PhotoFacts))
_COLUMNS = ("file", "lat", "lon", "heading", "captured_at", "licence", "source", "city", *_FACTS)
_TRIES, _DRIVE_TRIES = 32, 64
"""Times as many places and drives are looked at where only some are wanted."""

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
    references: Path | None = None
    """CSV of further photos, to add to an index as evidence."""


def write_city(
    city: City,
    folder: Path,
    *,
    photos: int,
    calibration_photos: int = 0,
    reference_photos: int = 0,
    dates: int = 2,
    wanted: Wanted | None = None,
    mix: Mix = "day",
    sequences: Sequences | None = None,
    quiet: bool = False,
) -> CityFiles:
    """Write a city; files that are there already are replaced.

    Args:
        city: which.
        folder: gets ``imagery/``, ``photos/`` and ``photos.csv``.
        photos: how many, each of a place of its own.
        calibration_photos: how many more, of other places, in ``calibration/`` and
            ``calibration.csv``.
        reference_photos: the same, in ``references/`` and ``references.csv``.
        dates: how many scenes; 0 for photos alone.
        wanted: where photos may come from; anywhere if not given.
        mix: under which conditions all photos are taken; their places do not depend on it.
        sequences: take these photos instead of ``photos`` scattered ones.
        quiet: no progress bar.

    Raises:
        UsageError: too little of the city is wanted.
        StorageError: the disk refused.
    """
    make_folder(folder)
    world = city.draw()
    if dates:
        city.write_scenes(world, folder / IMAGERY, dates)
    album = _Album(city, world, folder, wanted, mix, quiet)
    calibration = references = None
    if calibration_photos:
        shots = album.scattered("calibration photos", calibration_photos)
        calibration = album.write(shots, CALIBRATION_PHOTOS, CALIBRATION_MANIFEST)
    if reference_photos:
        shots = album.scattered("reference photos", reference_photos)
        references = album.write(shots, REFERENCE_PHOTOS, REFERENCE_MANIFEST)
    shots = album.driven(sequences) if sequences else album.scattered("evaluation photos", photos)
    manifest = album.write(shots, PHOTOS, MANIFEST)  # written last
    return CityFiles(folder / IMAGERY, manifest, calibration, references)


@dataclass(frozen=True)
class _Album:
    """Plans and writes photos of a city."""

    city: City
    world: World
    folder: Path
    wanted: Wanted | None
    mix: Mix
    quiet: bool

    def scattered(self, purpose: str, count: int) -> Shots:
        """Photos of wanted places; ``purpose`` seeds them."""
        if self.wanted is None:
            return plan_photos(self.world, self.city, purpose, count, self.mix)
        shots = plan_photos(self.world, self.city, purpose, count * _TRIES, self.mix)
        here = np.flatnonzero(self.wanted(shots.cameras.x_m, shots.cameras.y_m))[:count]
        self._refuse_fewer(len(here), count, len(shots), "places")
        return shots.take(here)

    def driven(self, drives: Sequences) -> Shots:
        """Photos of drives that lie wholly where photos are wanted."""
        purpose = "evaluation drives"
        if self.wanted is None:
            return plan_sequences(self.world, self.city, purpose, drives, self.mix)
        tries = dataclasses.replace(drives, count=drives.count * _DRIVE_TRIES)
        shots = plan_sequences(self.world, self.city, purpose, tries, self.mix)
        inside = self.wanted(shots.cameras.x_m, shots.cameras.y_m)
        whole = np.flatnonzero(inside.reshape(tries.count, drives.frames).all(axis=1))
        self._refuse_fewer(len(whole), drives.count, tries.count, "drives")
        chosen = np.isin(np.arange(tries.count), whole[: drives.count])
        return shots.take(np.repeat(chosen, drives.frames))

    def write(self, shots: Shots, subfolder: str, manifest: str) -> Path:
        """Photos and their manifest, whose path is returned."""
        make_folder(self.folder / subfolder)
        rng = self.city.generator(f"pictures in {subfolder}")
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(_COLUMNS)
        with Progress(subfolder, len(shots), "photo", quiet=self.quiet) as progress:
            for number, photo in enumerate(take_photos(self.world, shots, rng, self.mix)):
                name = f"{subfolder}/{self.city.name}-{number:04d}.jpg"
                with disk_errors(self.folder / name):
                    (self.folder / name).write_bytes(photo.jpeg)
                lon, lat = photo.lonlat_deg
                place = (f"{lat:.7f}", f"{lon:.7f}", f"{photo.heading_deg:.1f}")
                source = f"synthetic:{self.city.name}"
                about = (photo.captured_at, LICENCE, source, self.city.name)
                rows.writerow((name, *place, *about, *dataclasses.astuple(photo.facts)))
                progress.advance(1)
        write_whole(self.folder / manifest, text.getvalue().encode())
        return self.folder / manifest

    def _refuse_fewer(self, here: int, wanted: int, tried: int, things: str) -> None:
        if here < wanted:
            raise UsageError(
                f"only {here} of {tried} {things} in {self.city.name} are where photos may come "
                f"from, and {wanted} are wanted: ask for fewer, or make the city larger"
            )
