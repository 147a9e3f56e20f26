"""Writes small real data sets: noise for photos, noise for imagery, around open ocean."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from gair.geo import Footprint
from training.dataset.shards import ShardWriter
from training.dataset.shards.schema import FrameRecord, PhotoRecord

LONLAT_DEG = (-30.0, 45.0)
"""Where the first footprint lies; places are a degree apart."""
FOOTPRINT_M = 2446.0
DATES = ("2024-05-01", "2024-08-15", "2024-10-03")


def noise_jpeg(
    rng: np.random.Generator, size_px: tuple[int, int] = (64, 48), grain: float = 0
) -> bytes:
    """A photo (width, height) of one random colour with coarse noise over it, and fine grain."""
    width, height = size_px
    colour = rng.integers(40, 216, size=3)
    noise = rng.integers(-40, 40, size=(12, 16, 3))
    blocks = np.clip(colour + noise, 0, 255).astype(np.uint8)
    photo = Image.fromarray(blocks).resize((width, height), Image.Resampling.BILINEAR)
    if grain:
        grainy = np.asarray(photo) + rng.normal(0, grain, size=(height, width, 1))
        photo = Image.fromarray(np.clip(grainy, 0, 255).astype(np.uint8))
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=90)
    return out.getvalue()


def tiny_frame(
    footprint_id: str,
    place: str,
    footprint: Footprint,
    rng: np.random.Generator,
    *,
    acquired: str = DATES[0],
    frame_px: int = 32,
) -> FrameRecord:
    """Random digital numbers over a footprint."""
    dn = rng.integers(200, 4000, size=(10, frame_px, frame_px), dtype=np.uint16)
    bounds = footprint.bounds_wsen
    return FrameRecord(footprint_id, place, acquired, footprint.crs, bounds, dn, 1.0, "Noise 2024")


def tiny_photos(
    footprint_id: str,
    place: str,
    footprint: Footprint,
    rng: np.random.Generator,
    *,
    count: int = 8,
    photo_px: tuple[int, int] = (64, 48),
    grain: float = 0,
) -> list[PhotoRecord]:
    """Photos at random points of a footprint; every other one has a heading and a time."""
    points = footprint.lonlat_deg(rng.uniform(-0.95, 0.95, size=(count, 2)))
    return [
        PhotoRecord(
            photo_id=f"{footprint_id}/{number}",
            jpeg=noise_jpeg(rng, photo_px, grain),
            lonlat_deg=(float(lon), float(lat)),
            footprint_id=footprint_id,
            place=place,
            heading_deg=float(rng.uniform(0, 360)) if number % 2 else None,
            captured_at="2024-05-01T12:00:00Z" if number % 2 else None,
            licence="CC0-1.0",
            source="noise",
        )
        for number, (lon, lat) in enumerate(points)
    ]


def write_tiny_dataset(
    folder: Path,
    *,
    places: int = 2,
    photos_per_place: int = 8,
    splits: Sequence[str] = ("train", "val"),
    footprints_per_place: int = 1,
    dates: int = 2,
    photo_px: tuple[int, int] = (64, 48),
    grain: float = 0,
    frame_px: int = 32,
    seed: int = 0,
) -> Path:
    """Write a data set and return its folder; the same arguments give the same files.

    Args:
        folder: where to; made if it is not there.
        places: how many in each split.
        photos_per_place: dealt evenly to the footprints of a place.
        splits: which splits to write.
        footprints_per_place: squares that touch, in a row from west to east.
        dates: frames of each footprint, at most three.
        photo_px: width and height of the photos.
        grain: standard deviation of the noise of single pixels.
        frame_px: side of the frames.
        seed: of all noise and points.
    """
    rng = np.random.default_rng(seed)
    with ShardWriter(folder, footprint_mercator_m=FOOTPRINT_M, synthetic=True) as writer:
        for number, split in enumerate(split for split in splits for _ in range(places)):
            place = f"sea-{number}"
            first = (LONLAT_DEG[0] + number, LONLAT_DEG[1])
            west, south, east, north = Footprint.web_mercator_square(first, FOOTPRINT_M).bounds_wsen
            for column in range(footprints_per_place):
                footprint_id = f"{place}-{column}"
                shift = column * FOOTPRINT_M
                square = Footprint("EPSG:3857", (west + shift, south, east + shift, north))
                for acquired in DATES[:dates]:
                    writer.add_frame(
                        split,
                        tiny_frame(
                            footprint_id, place, square, rng, acquired=acquired, frame_px=frame_px
                        ),
                    )
                count = len(range(column, photos_per_place, footprints_per_place))
                look = {"count": count, "photo_px": photo_px, "grain": grain}
                photos = tiny_photos(footprint_id, place, square, rng, **look)
                writer.add_photos(split, photos)
    return folder
