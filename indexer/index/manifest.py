"""Manifest of a build: what an index is made of.

It is written last, so a build without one is no build.
``CURRENT`` names the build that serves and the sha256 of its manifest; the manifest names the
sha256 of every other file. So one changed byte anywhere is found.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.errors import IndexCorruptError
from gair.inputs.documents import json_of
from gair.inputs.field_checks import check_fields

if TYPE_CHECKING:
    from indexer.regions.region import Region

MANIFEST_FILE = "manifest.json"
SCHEMA_VERSION = 5
"""Raised when an old reader could misread a new index, or could not tell why it cannot read it.

1 had no token maps, 1 and 2 did not say how they were computed and knew no index types and no
merged builds, 1 to 3 nothing of how a model weighs location, and 1 to 4 had pictures of frames
(``chips.zip``) or none; such indexes are still read."""
_READABLE = (1, 2, 3, 4, 5)
FLAT = {"type": "flat", "wanted": "flat", "note": ""}
"""The field ``search`` of an index whose cells are all scored."""


@dataclass(frozen=True)
class ModelRecord:
    """The model that made an index, and the only one that may query it."""

    name: str
    source: str
    licence: str
    trained: bool
    fingerprint: str
    """sha256 over every tensor and the configuration."""
    location_weight: float | None = None
    """Best weight of the location's cosine by the model's card, 0 to 1, where the imagery's has 1.
    None where the card says nothing, or the index is older than such cards."""


@dataclass(frozen=True)
class FileRecord:
    """One file of a build."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """Everything needed to trust, credit and reproduce an index."""

    schema_version: int
    name: str
    build: str
    created_utc: str
    model: ModelRecord
    region: dict[str, Any]
    """name, area_km2, sha256 of the polygon, attribution."""
    h3_resolution: int
    containment: str
    """How cells were chosen: ``center``."""
    cells_in_region: int
    cells_indexed: int
    missing: dict[str, int]
    """Cells of the region that were not indexed, by reason."""
    frames: dict[str, Any]
    """count, side in Web-Mercator metres, inner share, how many were incomplete."""
    imagery: dict[str, Any]
    """Scenes with files, hashes, dates, bands; attribution."""
    query_mode: str
    """How token maps were read at cells: ``nili``."""
    metric: str
    vectors: dict[str, Any]
    """Kind to file, dimensions and type."""
    tokens: dict[str, Any] | None
    """File, shape and type of the token maps; None where they were not kept."""
    warnings: list[str]
    libraries: dict[str, str]
    seconds: dict[str, float]
    """Where the time of the build went."""
    files: dict[str, FileRecord]
    computed: dict[str, Any] = dataclasses.field(default_factory=dict)
    """How: precision, device, frames in a pass, engine, units and how many were there already. Of
    merged builds only the precision, or precisions with ", " between."""
    content_sha256: str = ""
    """Of what the index holds, see :mod:`indexer.index.content_hash`: the same for the same build
    made again. Empty where it was not recorded."""
    search: dict[str, Any] = dataclasses.field(default_factory=lambda: dict(FLAT))
    """The index type; where it is not flat, how it was tuned and its measured recall."""
    merged: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """The builds that this one was put together from: index, build, created_utc, cells taken,
    precision."""
    pictures: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """Pictures of the region for people (:mod:`indexer.index.picture`): file, what it ``shows``,
    dates, attribution, licence, grid and stretch."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """Types that imagery vectors were computed in; ``unknown`` where a merge did not say."""
        if recorded := self.computed.get("precision"):
            return tuple(str(recorded).split(", "))
        return ("unknown",) if self.merged else ("float32",)  # the only one there was

    @property
    def summary(self) -> list[str]:
        """A finished build as lines for a terminal."""
        speed = f"({self.cells_indexed / self.seconds['total']:,.0f} cells/s)"
        if resumed := self.computed.get("units_resumed", 0):
            speed = f"({resumed:,} of {self.computed['units']:,} units were there)"
        return [
            f"index {self.name}, build {self.build}",
            f"  {self.cells_indexed:,} of {self.cells_in_region:,} cells at H3 resolution "
            f"{self.h3_resolution}, {self.frames['count']:,} frames, "
            f"{self.seconds['total']:,.1f} s {speed}",
            f"  model {self.model.name}, licence {self.model.licence}",
            f"  imagery: {self.imagery['attribution']}",
            *[f"  note: {warning}" for warning in self.warnings],
        ]

    def to_json(self) -> bytes:
        """Canonical JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes, path: Path) -> Manifest:
        """Parse a manifest; ``path`` is for messages.

        Raises:
            IndexCorruptError: it is no manifest, or of a newer kind.
        """
        try:
            values: dict[str, Any] = json_of(text)
            version = values.get("schema_version")
            if version not in _READABLE:
                raise IndexCorruptError(
                    f"{path} has schema version {version!r}; this program reads "
                    f"{_READABLE[0]} to {_READABLE[-1]}: rebuild the index or update the program"
                )
            if version == 1:
                values["tokens"] = None
            values["model"] = ModelRecord(**values["model"])
            values["files"] = {k: FileRecord(**v) for k, v in values["files"].items()}
            manifest = cls(**values)
            for part in (manifest, manifest.model, *manifest.files.values()):
                check_fields(part, IndexCorruptError, where=f"{path} is not a manifest: ")
            return manifest
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IndexCorruptError(f"{path} is not a manifest: {error}") from error


def region_field(region: Region) -> dict[str, Any]:
    """The field ``region``."""
    return {
        "name": region.name,
        "area_km2": round(region.area_km2, 3),
        "bbox_wsen_deg": [round(v, 6) for v in region.bbox_wsen_deg],
        "polygon_sha256": region.sha256,
        "attribution": region.attribution,
    }


def tokens_field(shape: tuple[int, int, int, int] | None, file: str) -> dict[str, Any] | None:
    """The field ``tokens`` of token maps of shape (F, h, w, D), or of none."""
    return None if shape is None else {"file": file, "shape": list(shape), "type": "float16"}


def utc_now() -> str:
    """The field ``created_utc`` of a build that ends now."""
    return datetime.now(UTC).isoformat(timespec="seconds")
