"""Format of a data set: records, and on disk file names, columns and ``dataset.json``.

A *footprint* is a square on the ground that a frame covers; it has a frame for each date. A *place*
(a city, or a block of one) is the unit of splitting: all its footprints are in one split.

::

    DATASET/dataset.json                   written last; a folder without it is no data set
    DATASET/photos/train-00000.parquet     a row a photo; a row group has photos of one footprint
    DATASET/frames/train-00000.parquet     a row, and a row group, a footprint and date

Splits that ``drawn`` in ``dataset.json`` names hold no pictures: whoever knows how they are drawn
makes them anew in each epoch, in the same footprints, and a photo's place is an example only.

Digital numbers lie in the column ``dn`` as little-endian uint16, (10, height, width) in C order,
compressed by Parquet.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gair.bands import GAIR_BANDS
from gair.errors import DatasetError
from gair.files import read_file
from gair.inputs.documents import json_of


@dataclass(frozen=True)
class PhotoRecord:
    """A street photo and where it was taken."""

    photo_id: str
    """Unique in the data set."""
    jpeg: bytes
    """The JPEG file, upright by its EXIF orientation if it has one; empty in a split whose photos
    are drawn in training."""
    lonlat_deg: tuple[float, float]
    """Longitude, latitude of the camera, WGS84 degrees."""
    footprint_id: str
    """The footprint it lies in."""
    place: str
    """The place of that footprint."""
    heading_deg: float | None
    """Where the camera points, clockwise from north; None where unknown."""
    captured_at: str | None
    """ISO 8601; None where unknown."""
    licence: str
    """Licence of the photo, to be shown with it."""
    source: str
    """Where it came from: a collection, a URL, a folder."""
    attribution: str = ""
    """Credit that its licence asks for, with the author's name; empty where none is."""

    def __post_init__(self) -> None:
        lon, lat = self.lonlat_deg
        if not (math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90):
            raise DatasetError(
                f"photo {self.photo_id!r} has longitude {lon}, latitude {lat}: no such place; "
                "leave it out"
            )
        if self.heading_deg is not None and not math.isfinite(self.heading_deg):
            raise DatasetError(f"photo {self.photo_id!r} has heading {self.heading_deg}: pass None")
        if self.jpeg and not self.jpeg.startswith(b"\xff\xd8"):
            raise DatasetError(f"photo {self.photo_id!r} is not a JPEG file: convert it first")


@dataclass(frozen=True)
class FrameRecord:
    """The imagery of a footprint at one date."""

    footprint_id: str
    """Unique in the data set; the dates of a footprint share it."""
    place: str
    """The place it belongs to."""
    acquired: str
    """ISO date of the imagery, "" if unknown."""
    crs: str
    """CRS of the bounds; squares of EPSG:3857 in what this project writes."""
    bounds_wsen: tuple[float, float, float, float]
    """West, south, east, north edge, in the units of ``crs``."""
    dn: npt.NDArray[np.uint16]
    """(10, H, W) reflectance x 10000, bands in the order of ``GAIR_BANDS``. Where the
    imagery has none, what the writer filled in; ``valid_fraction`` says how much that is."""
    valid_fraction: float
    """Share of the frame that has data."""
    attribution: str
    """Credit that the imagery asks for."""

    def __post_init__(self) -> None:
        bands = len(GAIR_BANDS)
        if (
            self.dn.ndim != 3
            or self.dn.shape[0] != bands
            or self.dn.dtype != np.uint16
            or not self.dn.size
        ):
            raise DatasetError(
                f"frame {self.footprint_id!r} has shape {self.dn.shape} and type {self.dn.dtype}; "
                f"expected ({bands}, height, width), uint16, bands {', '.join(GAIR_BANDS)}"
            )


FORMAT_VERSION = 1
"""Raised when an old reader could misread a new data set."""
DATASET_FILE = "dataset.json"
PHOTOS_FOLDER = "photos"
FRAMES_FOLDER = "frames"
SPLITS = ("train", "val", "test")
"""Names of splits; any of them may be missing."""
SHARD_NAME = re.compile(r"(train|val|test)-\d{5}\.parquet")

PHOTO_SCHEMA = pa.schema(
    [
        pa.field("photo_id", pa.string(), nullable=False),
        pa.field("jpeg", pa.binary(), nullable=False),
        pa.field("lon_deg", pa.float64(), nullable=False),
        pa.field("lat_deg", pa.float64(), nullable=False),
        pa.field("footprint_id", pa.string(), nullable=False),
        pa.field("place", pa.string(), nullable=False),
        pa.field("heading_deg", pa.float64()),
        pa.field("captured_at", pa.string()),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("attribution", pa.string(), nullable=False),
    ]
)
FRAME_SCHEMA = pa.schema(
    [
        pa.field("footprint_id", pa.string(), nullable=False),
        pa.field("place", pa.string(), nullable=False),
        pa.field("acquired", pa.string(), nullable=False),
        pa.field("crs", pa.string(), nullable=False),
        pa.field("west", pa.float64(), nullable=False),
        pa.field("south", pa.float64(), nullable=False),
        pa.field("east", pa.float64(), nullable=False),
        pa.field("north", pa.float64(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("valid_fraction", pa.float64(), nullable=False),
        pa.field("attribution", pa.string(), nullable=False),
        pa.field("dn", pa.binary(), nullable=False),
    ]
)


def shard_path(kind: str, split: str, number: int) -> str:
    """Where a shard lies in the folder, with forward slashes: ``photos/train-00000.parquet``."""
    return f"{kind}/{split}-{number:05d}.parquet"


def read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """``dataset.json`` and the sha256 of its bytes.

    Raises:
        DatasetError: there is none, it is damaged, or of a newer format.
    """
    path = folder / DATASET_FILE
    try:
        content = read_file(path)
    except FileNotFoundError:
        raise DatasetError(
            f"{folder} has no {DATASET_FILE}: make a data set with python -m training.dataset pack"
        ) from None
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}: make it readable") from error
    try:
        manifest = json_of(content)
        version = manifest["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is damaged: copy it again or pack anew") from error
    if version != FORMAT_VERSION:
        raise DatasetError(
            f"{path} has format version {version!r}; this program reads {FORMAT_VERSION}: "
            "update the program or pack anew"
        )
    if not all(isinstance(manifest.get(key), dict) for key in ("splits", "shards")):
        raise DatasetError(f"{path} lacks its splits or shards: copy it again or pack anew")
    if manifest.get("bands") != list(GAIR_BANDS):
        raise DatasetError(
            f"{path} has bands {manifest.get('bands')}; expected {', '.join(GAIR_BANDS)}"
        )
    return manifest, hashlib.sha256(content).hexdigest()
