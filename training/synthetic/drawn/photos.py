"""Photos drawn in training: each epoch sees other places, conditions and cameras, no photo twice.

A photo of such a data set is a number and a footprint. What an epoch sees of it is drawn from the
run's seed, the epoch and the number alone: another place on the footprint's carriageways, another
day, hour, sky and camera. So it is the same on any rank and in any worker, and after a resume.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gair.arrays import Ints
from gair.errors import DatasetError, PhotoError
from gair.geo import lonlat_to_web_mercator
from training.dataset.batches.source import TakenPhoto
from training.dataset.pack.footprints import Square
from training.dataset.shards import ShardedDataset
from training.synthetic.areas import for_training
from training.synthetic.city import City
from training.synthetic.conditions import Conditions
from training.synthetic.drawn.kept import KeptFile, StreetPlaces, is_kept, keep_world, open_kept
from training.synthetic.noise import Reals
from training.synthetic.options import Mix
from training.synthetic.street.camera import SIGHT_M, Cameras, aim_cameras, stands_free
from training.synthetic.street.photograph import photo_words, photograph_again
from training.synthetic.world import PIXEL_M, ROAD, World

WORLDS_FOLDER = "worlds"
"""Of the data set: a file for each city whose photos are drawn in training."""
MIX: Mix = "any"
"""Conditions of the photos: by far the most of daylight."""

_ASPECT = 4 / 3
_STREAM = 5
_Table = TypeVar("_Table", Cameras, Conditions)


def street_places(
    world: World, city: City, squares: list[Square], *, keep_out: bool
) -> StreetPlaces:
    """Where photos of footprints may come from.

    Args:
        world: the city's.
        city: where it lies.
        squares: the footprints.
        keep_out: whether held-out blocks and gaps stay free of photos.
    """
    side = world.floor.shape[0]
    pixel = np.flatnonzero(world.floor == ROAD)
    pixel = pixel[stands_free(world, *_middle_m(pixel, side))]
    x_m, y_m = _middle_m(pixel, side)
    least, most = SIGHT_M + PIXEL_M, world.side_m - SIGHT_M - PIXEL_M
    allowed = (np.minimum(x_m, y_m) > least) & (np.maximum(x_m, y_m) < most)
    if keep_out:
        allowed &= for_training(city.seed, x_m, y_m)
    pixel = pixel[allowed]
    x_m, y_m = _middle_m(pixel, side)
    points = lonlat_to_web_mercator(city.lonlat_deg(x_m, y_m))
    pixels, start = [], [0]
    for square in squares:
        west, south, east, north = square.bounds_wsen
        # Photos stand anywhere in their pixel, and a Mercator metre is shorter than a metre.
        inside = np.abs(points[:, 0] - (west + east) / 2) < (east - west) / 2 - PIXEL_M
        inside &= np.abs(points[:, 1] - (south + north) / 2) < (north - south) / 2 - PIXEL_M
        pixels.append(pixel[inside].astype(np.int32))
        start.append(start[-1] + len(pixels[-1]))
    return StreetPlaces(
        tuple(square.footprint_id for square in squares),
        np.concatenate([np.zeros(0, dtype=np.int32), *pixels]),
        np.asarray(start, dtype=np.int64),
    )


def _middle_m(pixel: Ints, side: int) -> tuple[Reals, Reals]:
    """City coordinates of the middles of world pixels."""
    row, column = np.divmod(pixel, side)
    return (column + 0.5) * PIXEL_M, (row + 0.5) * PIXEL_M


def drawn_city(city: City, kept: KeptFile, *, keep_out: bool) -> dict[str, Any]:
    """What ``dataset.json`` says of a city whose photos are drawn."""
    return {
        "seed": city.seed,
        "side_m": city.side_m,
        "keep_out": keep_out,
        "sha256": kept.sha256,
        "size_bytes": kept.size_bytes,
    }


class DrawnPhotos:
    """A source of photos that are drawn when they are asked for."""

    def __init__(self, dataset: ShardedDataset) -> None:
        """See that the worlds are there; what is missing is drawn, which takes a while.

        Raises:
            DatasetError: this version of the program draws a city otherwise.
            StorageError: the disk refused.
        """
        self._folder = dataset.folder / WORLDS_FOLDER
        how = dataset.manifest["drawn"]
        self._mix: Mix = how["mix"]
        for name, about in how["cities"].items():
            _restore(self._folder / name, about, dataset, name)
        self._city_of_footprint = list(dataset.places)
        self._sizes = {name: (c["seed"], c["side_m"]) for name, c in how["cities"].items()}
        self._footprint_ids = list(dataset.footprint_ids)
        self._footprint_of_photo = dataset.footprint_of_photo
        self._open: dict[str, _OpenCity] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Pickled, it has no maps open."""
        return {**self.__dict__, "_open": {}}

    def take(
        self, photos: Ints, *, seed: int, epoch: int, image_px: int
    ) -> Iterator[TakenPhoto | PhotoError]:
        """See :class:`training.dataset.batches.source.PhotoSource`."""
        footprints = self._footprint_of_photo[photos]
        names = np.array([self._city_of_footprint[footprint] for footprint in footprints])
        taken: dict[int, TakenPhoto] = {}
        for name in np.unique(names).tolist():
            rows = np.flatnonzero(names == name)
            city = self._city(name)
            ids = [self._footprint_ids[footprint] for footprint in footprints[rows]]
            rngs = [np.random.default_rng([_STREAM, seed, epoch, n]) for n in photos[rows].tolist()]
            of_rows = city.take(ids, rngs, self._mix, image_px)
            taken.update(zip(rows.tolist(), of_rows, strict=True))
        return (taken[row] for row in range(len(photos)))

    def _city(self, name: str) -> _OpenCity:
        if name not in self._open:
            self._open[name] = _OpenCity(City(*self._sizes[name]), self._folder / name)
        return self._open[name]


class _OpenCity:
    """A city with its world mapped into memory."""

    def __init__(self, city: City, path: Path) -> None:
        self._city = city
        self._world, self._places = open_kept(path)
        self._row = {name: row for row, name in enumerate(self._places.footprints)}

    def take(
        self, footprint_ids: list[str], rngs: list[np.random.Generator], mix: Mix, image_px: int
    ) -> list[TakenPhoto]:
        """A photo of each footprint, with a generator for each."""
        shots = [self._plan(*one, mix) for one in zip(footprint_ids, rngs, strict=True)]
        cameras, conditions = (_joined(parts) for parts in zip(*shots, strict=True))
        words = np.concatenate([photo_words(rng, 1) for rng in rngs])
        size_px = (round(image_px * _ASPECT), image_px)
        # Squeezed to the encoder's input, one sample a pixel is as sharp as a whole photo of twice
        # the size squeezed alike, and takes 40 percent of the time of two samples a side.
        pictures = photograph_again(
            self._world, cameras, conditions, words, size_px=size_px, samples=1
        )
        places = self._city.lonlat_deg(cameras.x_m, cameras.y_m).tolist()
        return [
            TakenPhoto(rgb, (lon, lat)) for rgb, (lon, lat) in zip(pictures, places, strict=True)
        ]

    def _plan(
        self, footprint_id: str, rng: np.random.Generator, mix: Mix
    ) -> tuple[Cameras, Conditions]:
        """A camera at a random place on the carriageways of a footprint."""
        row = self._row[footprint_id]
        first, last = self._places.start[row], self._places.start[row + 1]
        pixel = int(self._places.pixel[rng.integers(first, last)])
        y, x = divmod(pixel, self._world.floor.shape[0])
        x_m, y_m = ((np.array([x, y]) + rng.random(2)) * PIXEL_M).astype(np.float32)
        conditions = Conditions.draw(rng, 1, mix)
        place = np.array([x_m]), np.array([y_m])
        return aim_cameras(self._world, rng, *place, conditions.camera), conditions


def _joined(parts: Sequence[_Table]) -> _Table:
    """Cameras or conditions, one after the other."""
    names = [field.name for field in dataclasses.fields(parts[0])]
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return type(parts[0])(*columns)


def _restore(path: Path, about: dict[str, Any], dataset: ShardedDataset, name: str) -> None:
    """Draw a kept world again unless it is there."""
    kept = KeptFile(about["sha256"], about["size_bytes"])
    if is_kept(path, kept):
        return
    city = City(about["seed"], about["side_m"])
    world = city.draw()
    squares = [
        Square(dataset.footprint_ids[f], dataset.footprints[f].bounds_wsen, place, ())
        for f, place in enumerate(dataset.places)
        if place == name
    ]
    places = street_places(world, city, squares, keep_out=about["keep_out"])
    if keep_world(path, world, places) != kept:
        path.unlink(missing_ok=True)
        raise DatasetError(
            f"{path} is gone, and this version of the program draws {name} otherwise than "
            f"{dataset.folder} was drawn: copy the folder {WORLDS_FOLDER} from where it was made, "
            "or make the data set anew"
        )
