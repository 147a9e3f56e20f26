"""Sets of reference photos from arrays, for tests that need no pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gair.arrays import Floats, Vectors
from indexer.ground.manifest import ReferenceManifest
from indexer.ground.photo_table import ReferencePhoto, rows_of
from indexer.ground.write import changing, write_reference_photos
from indexer.index.index import read_manifest
from indexer.index.storage import read_current
from indexer.regions.cells import cell_hex, cells_at


def digest_of(number: int) -> str:
    """What stands for the content hash of the photo of a number."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def reference_photos(
    lonlat_deg: Floats, resolution: int = 10, **columns: Sequence[Any]
) -> list[ReferencePhoto]:
    """Photos of (n, 2) places; further columns have a value for each."""
    cells = [cell_hex(cell) for cell in cells_at(lonlat_deg, resolution)]
    return [
        ReferencePhoto(
            content_sha256=digest_of(number),
            lonlat_deg=(float(lon), float(lat)),
            cell=cells[number],
            **{name: values[number] for name, values in columns.items()},
        )
        for number, (lon, lat) in enumerate(lonlat_deg)
    ]


def give_references(
    index_folder: Path,
    photos: Sequence[ReferencePhoto],
    s: Vectors,
    index_type: str = "auto",
    prototypes: int = 0,
) -> ReferenceManifest:
    """Give an index photos with (n, D) vectors, which must be of the model's dimensions."""
    build, digest = read_current(index_folder)
    manifest = read_manifest(index_folder / build, digest)
    with changing(index_folder):
        return write_reference_photos(
            index_folder,
            rows_of(photos),
            lambda rows: s[rows],
            dim=s.shape[1],
            model=manifest.model,
            h3_resolution=manifest.h3_resolution,
            index_type=index_type,
            prototypes=prototypes,
            quiet=True,
        )
