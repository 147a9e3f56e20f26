"""Manifest of a set of reference photos: what it holds, whose it is, and the hashes of its files.

``ground.json`` is written last, so a folder without one is no set. ``GROUND`` in the index's folder
names the set that serves and the sha256 of this file, which has the sha256 of every other.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gair.errors import IndexCorruptError
from gair.inputs.documents import json_of
from indexer.index.manifest import FileRecord, ModelRecord

POINTER_FILE = "GROUND"
"""Names the set that serves, in the index's folder."""
SET_MANIFEST_FILE = "ground.json"
VECTORS_FILE = "ground.faiss"
LISTS_FILE = "ground.ann.faiss"
PHOTO_TABLE_FILE = "ground.duckdb"
PROTOTYPES_FILE = "ground.prototypes.faiss"
"""Vectors of prototypes, and in the next the prototype of each photo, where a set has them."""
OF_PHOTO_FILE = "ground.prototypes.npy"

FORMAT_VERSION = 1
"""Raised when an old reader could misread a new set."""

UNKNOWN = "unknown"
"""Counts licences and sources that nothing names."""
AGAIN = "add the photos again with python -m indexer add-photos"


@dataclass(frozen=True)
class ReferenceManifest:
    """Everything needed to trust, credit and count a set of reference photos."""

    format_version: int
    name: str
    """Of the set's folder."""
    created_utc: str
    model: ModelRecord
    """Made the vectors, and is the model of the index."""
    h3_resolution: int
    """Of the cells in the table."""
    dim: int
    photos: int
    places: int
    """Places and sequences that the photos are of (:mod:`indexer.photos.groups`)."""
    private: int
    """Photos that exports and merges into other indexes leave out."""
    licences: dict[str, int]
    sources: dict[str, int]
    dates: dict[str, Any]
    """``first`` and ``last`` day, ISO 8601, and how many photos are of an ``unknown`` one."""
    with_heading: int
    bbox_wsen_deg: list[float]
    search: dict[str, Any]
    """The index type; where it is not flat, how it was tuned and its measured recall; and the
    ``prototypes`` that are searched instead of the photos, where there are any."""
    content_sha256: str
    """Of the vectors and the rows of the table: the same for the same photos added again."""
    files: dict[str, FileRecord]

    @property
    def prototypes(self) -> int:
        """How many a cell has at most; 0 for none."""
        return int(self.search.get("prototypes", {}).get("a_cell", 0))

    def to_json(self) -> bytes:
        """Canonical JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes, path: Path) -> ReferenceManifest:
        """Parse a manifest; ``path`` is for messages.

        Raises:
            IndexCorruptError: it is no manifest, or of a newer kind.
        """
        try:
            values: dict[str, Any] = json_of(text)
            version = values.get("format_version")
            if version != FORMAT_VERSION:
                raise IndexCorruptError(
                    f"{path} has format version {version!r}; this program reads {FORMAT_VERSION}: "
                    f"update the program, or {AGAIN}"
                )
            values["model"] = ModelRecord(**values["model"])
            values["files"] = {k: FileRecord(**v) for k, v in values["files"].items()}
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IndexCorruptError(f"{path} is not a manifest ({error}): {AGAIN}") from error
