"""Shards of synthetic cities: the data set the demo model is trained on.

Three kinds of cities: training cities, one of them (the *seen* city, larger) with blocks and gaps
held out; a validation city; and those of the evaluation, which are not in the data set at all.

Frames and validation photos are drawn ahead. Training photos are drawn in training, see
:mod:`training.synthetic.drawn.photos`, unless the options say otherwise.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gair.arrays import Ints
from gair.progress import Progress
from indexer.build.frames import frame_shape_px
from indexer.imagery import LocalImagery, open_imagery
from training.dataset.pack.footprints import Square, tile_squares
from training.dataset.shards.schema import DATASET_FILE, FrameRecord, PhotoRecord
from training.synthetic.album import Shots, plan_photos, take_photos
from training.synthetic.areas import for_training
from training.synthetic.city import ATTRIBUTION, FOOTPRINT_MERCATOR_M, LICENCE, City
from training.synthetic.drawn.kept import keep_world
from training.synthetic.drawn.photos import MIX, WORLDS_FOLDER, drawn_city, street_places
from training.synthetic.options import WorldOptions
from training.synthetic.world import World

SEEN_CITY = City(seed=1, side_m=9_000.0)
"""Trained on except for its held-out blocks and its gaps."""
VALIDATION_CITY = City(seed=2, side_m=6_080.0)
"""For choosing the best checkpoint."""
UNSEEN_CITY = City(seed=3, side_m=11_500.0)
"""Kept for the evaluation and the demo: no part of it is in any training data."""
_FIRST_TRAINING_SEED = 100
_MIN_VALID = 0.98
_TRIES = 3  # cameras drawn for each photo wanted: many fall into incomplete tiles


def cities_of(options: WorldOptions) -> Iterator[tuple[str, City, int]]:
    """(split, city, photos) for each city of the data set."""
    per_m2 = options.photos / options.side_m**2
    yield "train", SEEN_CITY, round(per_m2 * SEEN_CITY.side_m**2)
    yield "val", VALIDATION_CITY, options.validation_photos
    for number in range(options.cities):
        yield "train", City(_FIRST_TRAINING_SEED + number, options.side_m), options.photos


@dataclass(frozen=True)
class _CityShare:
    """What one city adds to the data set."""

    frames: list[FrameRecord]
    photos: dict[str, list[PhotoRecord]]
    left_out: int
    drawn: dict[str, Any] | None
    """What ``dataset.json`` says of the city if its photos are drawn in training."""


def write_world(folder: Path, options: WorldOptions, *, overwrite: bool = False) -> None:
    """Draw the cities and write their shards.

    Raises:
        UsageError: the folder holds a data set already.
        StorageError: the disk refused.
    """
    from training.dataset.shards import ShardWriter

    tasks = list(cities_of(options))
    total = sum(count for _, _, count in tasks)
    drawn_splits = () if options.drawn_ahead else ("train",)
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(
            ShardWriter(
                folder,
                footprint_mercator_m=FOOTPRINT_MERCATOR_M,
                synthetic=True,
                overwrite=overwrite,
                drawn_splits=drawn_splits,
            )
        )
        # Left before the writer is, so after an exception no worlds stay either.
        stack.enter_context(_worlds_of(folder))
        pool = stack.enter_context(ProcessPoolExecutor(options.processes))
        progress = stack.enter_context(Progress("synthetic photos", total, "photo"))
        writer.facts["cities"] = {c.name: [split, c.side_m, n] for split, c, n in tasks}
        worlds = [folder / WORLDS_FOLDER if s in drawn_splits else None for s, _, _ in tasks]
        cities, counts = [c for _, c, _ in tasks], [n for _, _, n in tasks]
        shares = pool.map(_draw_share, cities, counts, itertools.repeat(options.dates), worlds)
        drawn: dict[str, Any] = {}
        for (split, city, count), share in zip(tasks, shares, strict=True):
            for frame in share.frames:
                writer.add_frame(split, frame)
            for photos in share.photos.values():
                writer.add_photos(split, photos)
            if share.left_out:
                writer.left_out["fewer places than wanted in complete tiles"] += share.left_out
            if share.drawn:
                drawn[city.name] = share.drawn
            progress.advance(count)
        if drawn:
            writer.drawn.update(mix=MIX, cities=drawn)


@contextlib.contextmanager
def _worlds_of(folder: Path) -> Iterator[None]:
    """Remove the kept worlds after an exception, unless they are an earlier data set's."""
    try:
        yield
    except BaseException:
        if not (folder / DATASET_FILE).exists():
            shutil.rmtree(folder / WORLDS_FOLDER, ignore_errors=True)
        raise


def _draw_share(city: City, count: int, dates: int, worlds: Path | None) -> _CityShare:
    """One city's frames and photos; without pictures if its world is kept in ``worlds``."""
    world = city.draw()
    seen = city == SEEN_CITY
    shots = plan_photos(world, city, "training photos", _TRIES * count)
    if seen:
        shots = shots.take(for_training(city.seed, shots.cameras.x_m, shots.cameras.y_m))
    squares = tile_squares(
        range(len(shots)), shots.lonlat_deg, [city.name] * len(shots), FOOTPRINT_MERCATOR_M
    )
    frames: list[FrameRecord] = []
    with tempfile.TemporaryDirectory() as folder:
        for scene in city.write_scenes(world, Path(folder), dates):
            with open_imagery(scene) as imagery:
                day = str(imagery.describe()["scenes"][0]["dates"][0])
                # Of the squares those that all scenes so far cover.
                squares = [square for square in squares if _add_frame(imagery, day, square, frames)]
    drawn = None
    if worlds is not None:
        places = street_places(world, city, squares, keep_out=seen)
        room = dict(zip(places.footprints, np.diff(places.start).tolist(), strict=True))
        squares = [square for square in squares if room[square.footprint_id]]
        drawn = drawn_city(city, keep_world(worlds / city.name, world, places), keep_out=seen)
    kept = {number: square for square in squares for number in square.photos}
    numbers = np.asarray(sorted(kept)[:count], dtype=np.int64)
    numbers = numbers[np.argsort([kept[n].footprint_id for n in numbers], kind="stable")]
    photos: dict[str, list[PhotoRecord]] = defaultdict(list)
    for photo in _records(world, city, shots, numbers, kept, pictures=drawn is None):
        photos[photo.footprint_id].append(photo)
    frames = [frame for frame in frames if frame.footprint_id in photos]
    return _CityShare(frames, photos, count - len(numbers), drawn)


def _records(
    world: World,
    city: City,
    shots: Shots,
    numbers: Ints,
    square_of: dict[int, Square],
    *,
    pictures: bool,
) -> Iterator[PhotoRecord]:
    """Photos by number; without pictures their places are examples of what training may draw."""
    chosen = shots.take(numbers)
    taken = take_photos(world, chosen, city.generator("training pictures")) if pictures else None
    for row, number in enumerate(numbers.tolist()):
        picture = next(taken) if taken else None
        lon, lat = chosen.lonlat_deg[row].tolist()
        yield PhotoRecord(
            photo_id=f"{city.name}-{number:05d}",
            jpeg=picture.jpeg if picture else b"",
            lonlat_deg=(lon, lat),
            footprint_id=square_of[number].footprint_id,
            place=city.name,
            heading_deg=picture.heading_deg if picture else None,
            captured_at=picture.captured_at if picture else None,
            licence=LICENCE,
            source=f"synthetic:{city.name}",
        )


def _add_frame(imagery: LocalImagery, day: str, square: Square, frames: list[FrameRecord]) -> bool:
    """Read a square from a scene, and keep it if the scene covers it."""
    footprint = square.footprint
    pixels = imagery.read(footprint, frame_shape_px(footprint, imagery.resolution_m))
    if pixels.valid_fraction < _MIN_VALID:
        return False
    frames.append(
        FrameRecord(
            footprint_id=square.footprint_id,
            place=square.place,
            acquired=day,
            crs=footprint.crs,
            bounds_wsen=square.bounds_wsen,
            dn=pixels.dn,
            valid_fraction=pixels.valid_fraction,
            attribution=ATTRIBUTION,
        )
    )
    return True
