"""Shards of synthetic cities: the data set the demo model is trained on.

Three kinds of cities: training cities, one of them (the *seen* city, larger) with blocks held out;
a validation city; and those of the evaluation, which are not in the data set at all.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gair.progress import Progress
from indexer.build.frames import frame_shape_px
from indexer.imagery import LocalImagery, open_imagery
from training.dataset.pack.footprints import Square, tile_squares
from training.dataset.shards.schema import FrameRecord, PhotoRecord
from training.synthetic.city import (
    ATTRIBUTION,
    BUFFER_M,
    FOOTPRINT_MERCATOR_M,
    LICENCE,
    City,
    cameras_in,
    held_out,
    take_photos,
)
from training.synthetic.options import WorldOptions

SEEN_CITY = City(seed=1, side_m=9_000.0)
"""Trained on except for its held-out blocks."""
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


def write_world(folder: Path, options: WorldOptions, *, overwrite: bool = False) -> None:
    """Draw the cities and write their shards.

    Raises:
        UsageError: the folder holds a data set already.
        StorageError: the disk refused.
    """
    from training.dataset.shards import ShardWriter

    tasks = list(cities_of(options))
    total = sum(count for _, _, count in tasks)
    with (
        ShardWriter(
            folder,
            footprint_mercator_m=FOOTPRINT_MERCATOR_M,
            synthetic=True,
            overwrite=overwrite,
        ) as writer,
        ProcessPoolExecutor(options.processes) as pool,
        Progress("synthetic photos", total, "photo") as progress,
    ):
        writer.facts["cities"] = {c.name: [split, c.side_m, n] for split, c, n in tasks}
        shares = pool.map(_draw_share, *zip(*tasks, strict=True))
        for (split, _, count), share in zip(tasks, shares, strict=True):
            for frame in share.frames:
                writer.add_frame(split, frame)
            for photos in share.photos.values():
                writer.add_photos(split, photos)
            if share.left_out:
                writer.left_out["fewer places than wanted in complete tiles"] += share.left_out
            progress.advance(count)


def _draw_share(split: str, city: City, count: int) -> _CityShare:
    """One city's frames and photos."""
    world = city.draw()
    rng = city.generator("training photos")
    cameras, lonlat_deg = cameras_in(world, city, rng, _TRIES * count)
    if city == SEEN_CITY:
        blocked = held_out(city.seed, cameras.x_m, cameras.y_m, grow_m=BUFFER_M)
        cameras, lonlat_deg = cameras.take(~blocked), lonlat_deg[~blocked]
    squares = tile_squares(
        range(len(cameras)), lonlat_deg, [city.name] * len(cameras), FOOTPRINT_MERCATOR_M
    )
    frames: list[FrameRecord] = []
    with tempfile.TemporaryDirectory() as folder:
        for scene in city.write_scenes(world, Path(folder)):
            with open_imagery(scene) as imagery:
                day = str(imagery.describe()["scenes"][0]["dates"][0])
                # Of the squares those that all scenes so far cover.
                squares = [square for square in squares if _add_frame(imagery, day, square, frames)]
    kept = {number: square for square in squares for number in square.photos}
    numbers = np.asarray(sorted(kept)[:count], dtype=np.int64)
    numbers = numbers[np.argsort([kept[n].footprint_id for n in numbers], kind="stable")]
    pictures = take_photos(world, cameras.take(numbers), lonlat_deg[numbers], rng)
    photos: dict[str, list[PhotoRecord]] = defaultdict(list)
    for number, picture in zip(numbers.tolist(), pictures, strict=True):
        footprint_id = kept[number].footprint_id
        photos[footprint_id].append(
            PhotoRecord(
                photo_id=f"{city.name}-{number:05d}",
                jpeg=picture.jpeg,
                lonlat_deg=picture.lonlat_deg,
                footprint_id=footprint_id,
                place=city.name,
                heading_deg=picture.heading_deg,
                captured_at=picture.captured_at,
                licence=LICENCE,
                source=f"synthetic:{city.name}",
            )
        )
    frames = [frame for frame in frames if frame.footprint_id in photos]
    return _CityShare(frames, photos, count - len(numbers))


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
