"""What a merged index says about itself: the manifests of its parts as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import shapely
from shapely.geometry import MultiPolygon, Polygon, shape

from indexer.index.index import Index
from indexer.index.manifest import SCHEMA_VERSION, FileRecord, Manifest
from indexer.index.storage import TOKENS_FILE
from indexer.index.table import FrameRows, MissingRows
from indexer.regions.region import Region

_T = TypeVar("_T")


def merged_region(indexes: Sequence[Index], name: str) -> Region:
    """The union of the regions, with the credits of all."""
    outlines = [index.outline for index in indexes]
    areas = [shape(outline["geometry"]) for outline in outlines]
    union = shapely.union_all(areas) if len(areas) > 1 else areas[0]
    parts = [part for part in shapely.get_parts(union) if isinstance(part, Polygon)]
    credits = [str(outline["properties"].get("attribution", "")) for outline in outlines]
    geometry = parts[0] if len(parts) == 1 else MultiPolygon(parts)
    return Region(name, geometry, "; ".join(_once(credits)))


def merged_manifest(
    name: str,
    build: str,
    indexes: Sequence[Index],
    *,
    region: Region,
    frames: FrameRows,
    missing: MissingRows,
    taken: Sequence[int],
    keeps_tokens: bool,
    search: dict[str, Any],
    seconds: Mapping[str, float],
    files: dict[str, FileRecord],
    content_sha256: str,
) -> Manifest:
    """The manifest of a merged build whose files are all written.

    Args:
        name: of the index.
        build: identifier of the build.
        indexes: its parts.
        region: the union of theirs.
        frames: the frames that are left.
        missing: cells that none of them could index.
        taken: cells from each part.
        keeps_tokens: whether there are token maps.
        search: the index type.
        seconds: where the time went.
        files: hashes of the files.
        content_sha256: hash of what they hold.
    """
    first, every = indexes[0].manifest, [index.manifest for index in indexes]
    incomplete = int((frames.valid_fraction < 1).sum())
    shape_of_map = first.tokens["shape"][1:] if keeps_tokens and first.tokens else []
    reasons = Counter(missing.reason)
    return replace(
        first,
        schema_version=SCHEMA_VERSION,
        name=name,
        build=build,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        region={
            "name": region.name,
            "area_km2": round(region.area_km2, 3),
            "bbox_wsen_deg": [round(v, 6) for v in region.bbox_wsen_deg],
            "polygon_sha256": region.sha256,
            "attribution": region.attribution,
        },
        cells_in_region=int(sum(taken)) + len(missing.reason),
        cells_indexed=int(sum(taken)),
        missing=dict(sorted(reasons.items())),
        frames={**first.frames, "count": len(frames.valid_fraction), "incomplete": incomplete},
        imagery=merged_imagery([manifest.imagery for manifest in every]),
        tokens={
            "file": TOKENS_FILE,
            "shape": [len(frames.valid_fraction), *shape_of_map],
            "type": "float16",
        }
        if keeps_tokens
        else None,
        warnings=_once([text for manifest in every for text in manifest.warnings]),
        seconds={part: round(s, 3) for part, s in seconds.items()},
        files=files,
        computed={"precision": ", ".join(merged_precisions(every))},
        content_sha256=content_sha256,
        search=search,
        merged=[
            {
                "index": manifest.name,
                "build": manifest.build,
                "created_utc": manifest.created_utc,
                "cells": int(count),
                "precision": ", ".join(manifest.precisions),
            }
            for manifest, count in zip(every, taken, strict=True)
        ],
    )


def merged_precisions(parts: Sequence[Manifest]) -> list[str]:
    """Types that the vectors of some builds were computed in, each once."""
    return sorted({precision for part in parts for precision in part.precisions})


def merged_imagery(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What imagery is, of several builds: scenes once each, credits and licences joined.

    Of other fields that differ, texts are joined and anything else becomes a list.
    """
    found: dict[str, Any] = {}
    for key in _once([key for part in parts for key in part]):
        values: list[Any] = _once([part[key] for part in parts if key in part])
        if all(isinstance(value, list) for value in values):
            found[key] = _once([item for value in values for item in value])
        elif len(values) == 1:
            found[key] = values[0]
        elif all(isinstance(value, str) for value in values):
            terms = [term for value in values for term in value.split("; ")]
            found[key] = "; ".join(_once(terms))
        else:
            found[key] = values
    return found


def _once(values: Sequence[_T]) -> list[_T]:
    """Each value the first time it comes; empty texts not at all."""
    found: list[_T] = []
    for value in values:
        if value not in found and value != "":
            found.append(value)
    return found
