"""Format of a data set on disk: file names, columns and ``dataset.json``.

::

    DATASET/dataset.json                   written last; a folder without it is no data set
    DATASET/photos/train-00000.parquet     a row a photo; a row group has photos of one footprint
    DATASET/frames/train-00000.parquet     a row, and a row group, a footprint and date

Digital numbers lie in the column ``dn`` as little-endian uint16, (10, height, width) in C order,
compressed by Parquet.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from gair.bands import GAIR_BANDS
from gair.errors import DatasetError

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
        content = path.read_bytes()
    except FileNotFoundError:
        raise DatasetError(
            f"{folder} has no {DATASET_FILE}: make a data set with python -m training.dataset pack"
        ) from None
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}: make it readable") from error
    try:
        manifest = json.loads(content)
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
