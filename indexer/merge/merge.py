"""Merges indexes into a new build that answers as if their regions had been built together.

A vector of the merged index is the vector it was, bit for bit. Cells that two of them have are
taken from the first. Frames that no cell refers to any more are left out; the others are numbered
anew, and their token maps with them. A calibration is not carried over: it holds for one set of
cells.

Parts may be computed in different precisions: scores of bfloat16 rank as those of float32 do but
for near ties, and ``auto`` chooses by the CPU, so machines that share the work differ. The manifest
says which part is what.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon, shape

from gair.arrays import Bools, Floats
from gair.errors import IndexMismatchError, UsageError
from indexer.ground.carry import Carried, open_parts
from indexer.index.content_hash import content_sha256
from indexer.index.default_folder import folder_of_indexes
from indexer.index.index import Index, open_index
from indexer.index.ivf_build import calibration_photos, make_search
from indexer.index.manifest import (
    SCHEMA_VERSION,
    Manifest,
    ModelRecord,
    region_field,
    tokens_field,
    utc_now,
)
from indexer.index.storage import (
    LOCATION_FILE,
    RS_FILE,
    TABLE_FILE,
    TOKENS_FILE,
    building,
    check_name,
    file_records,
    new_build_id,
    publish,
    require_space,
    write_outline,
)
from indexer.merge.copy_rows import (
    MergeOrder,
    merge_order,
    merge_table,
    merge_tokens,
    merge_vectors,
)
from indexer.merge.pictures import merge_pictures
from indexer.probability.calibration import calibration_path
from indexer.regions.region import Region

_T = TypeVar("_T")

_MUST_AGREE: dict[str, Callable[[Manifest], Any]] = {
    "models": lambda m: f"{m.model.name} ({m.model.fingerprint[:12]})",
    "H3 resolutions": lambda m: m.h3_resolution,
    "ways to read frames": lambda m: m.query_mode,
    "dimensions": lambda m: m.vectors["rs"]["dim"],
    "sides of frames": lambda m: f"{m.frames['side_m']:g} m",
    "inner shares of frames": lambda m: m.frames["inner_share"],
}


@dataclass(frozen=True)
class MergeReport:
    """What a merge did."""

    path: Path
    """The build's folder."""
    manifest: Manifest
    duplicates: int
    """Cells that more than one index had; the first one's was taken."""
    calibrated: tuple[str, ...]
    """Names of indexes whose calibration was not carried over."""
    tokens_dropped: bool
    """Whether token maps were left out because not all indexes keep them."""
    carried: Carried = Carried()
    """What became of the reference photos."""

    @property
    def summary(self) -> list[str]:
        """Lines for people."""
        lines = self.manifest.summary
        parts = ", ".join(f"{p['cells']:,} cells of {p['index']}" for p in self.manifest.merged)
        lines.append(f"  merged: {parts}; {self.duplicates:,} cells were in more than one")
        lines += self.carried.lines
        if len(kinds := self.manifest.precisions) > 1:
            lines.append(
                f"  note: parts were computed in {' and '.join(kinds)}, which may change a score "
                "by 0.01; build in one precision to have them alike"
            )
        if self.tokens_dropped:
            lines.append("  note: not all keep token maps, so there are no answers between cells")
        if self.calibrated:
            lines.append(
                f"  note: the calibration of {', '.join(self.calibrated)} was not carried over: "
                "run python -m indexer calibrate"
            )
        return lines


def merge_indexes(
    folders: Sequence[str | Path],
    name: str,
    out: str | Path | None = None,
    *,
    index_type: str = "auto",
    reference_photos: bool = True,
    quiet: bool = False,
) -> MergeReport:
    """Put indexes together into a new build of the index ``name``, which may be one of them.

    Args:
        folders: of the indexes; the cells of one come before those of later ones. One alone may be
            given another index type in this way.
        name: of the merged index.
        out: folder of all indexes; $GAIR_INDEXES or ``indexes`` if not given.
        index_type: one of :data:`indexer.index.ivf.WANTED`.
        reference_photos: whether it gets the reference photos of its parts, but for private ones of
            other indexes. It keeps none that it had before.
        quiet: no progress.

    Raises:
        UsageError: there is nothing to merge.
        IndexMismatchError: they differ in what must be the same; it is named.
        StorageError: the disk refused; nothing changes for readers.
    """
    if not folders:
        raise UsageError("nothing to merge: name one index or more")
    index_folder = folder_of_indexes(out) / check_name(name)
    indexes = [open_index(folder) for folder in folders]
    check_alike(indexes)
    sizes = [f.size_bytes for index in indexes for f in index.manifest.files.values()]
    require_space(index_folder, sum(sizes))
    build, order = new_build_id(), merge_order(indexes)
    own_folders = [index.path.parent for index in indexes]
    ground = open_parts(own_folders, index_folder, wanted=reference_photos)
    with ground.changing():
        with building(index_folder, build) as folder:
            manifest = filled_build(
                folder, name, build, indexes, order, index_type=index_type, quiet=quiet
            )
            path = publish(folder, build, manifest.to_json())
        carried = ground.carry(manifest, indexes[0].rs.dim, quiet=quiet)
    return MergeReport(
        path=path,
        manifest=manifest,
        duplicates=order.duplicates,
        calibrated=tuple(
            index.name
            for index in indexes
            if calibration_path(index.path.parent, index.manifest.build).exists()
        ),
        tokens_dropped=manifest.tokens is None and any(index.tokens for index in indexes),
        carried=carried,
    )


def check_alike(indexes: Sequence[Index]) -> None:
    """Refuse to put together what was not made alike.

    Raises:
        IndexMismatchError: names the indexes, what differs, and both values.
    """
    first = indexes[0]
    for other in indexes[1:]:
        for plural, value_of in _MUST_AGREE.items():
            ours, theirs = value_of(first.manifest), value_of(other.manifest)
            if ours != theirs:
                raise IndexMismatchError(
                    f"indexes {first.name!r} and {other.name!r} cannot be merged: their {plural} "
                    f"differ, {ours} and {theirs}: build one of them again"
                )


def filled_build(
    folder: Path,
    name: str,
    build: str,
    indexes: Sequence[Index],
    order: MergeOrder,
    *,
    region: Region | None = None,
    within: Callable[[Floats], Bools] | None = None,
    index_type: str,
    quiet: bool,
) -> Manifest:
    """Write every file of a build of others' cells but its manifest, which is returned.

    Args:
        folder: of the build, empty.
        name: of the index.
        build: its id.
        indexes: that cells are taken from.
        order: which cells, and in what order.
        region: that the build is of; all of the indexes' if not given.
        within: which of (N, 2) places without a cell are told of as missing; all if not given.
        index_type: one of :data:`indexer.index.ivf.WANTED`.
        quiet: no progress.
    """
    began = time.perf_counter()
    merge_vectors(folder / RS_FILE, [index.rs for index in indexes], order, quiet=quiet)
    merge_vectors(folder / LOCATION_FILE, [index.location for index in indexes], order, quiet=quiet)
    token_shape = merge_tokens(folder / TOKENS_FILE, indexes, order)
    pictures = merge_pictures(folder, indexes, order, crop=region is not None)
    frames, missing = merge_table(folder / TABLE_FILE, indexes, order, within=within)
    region = region or merged_region(indexes, name)
    write_outline(folder, region.to_geojson())
    parts = [index.manifest for index in indexes]
    first, taken = parts[0], np.bincount(order.source, minlength=len(parts)).tolist()
    calibrated = (
        calibration_photos(index.path.parent, first.model.fingerprint) for index in indexes
    )
    photos = next((photos for photos in calibrated if photos is not None), None)
    search = make_search(folder, index_type, photos, quiet=quiet)
    records = file_records(folder)
    return replace(
        first,
        schema_version=SCHEMA_VERSION,
        name=name,
        build=build,
        created_utc=utc_now(),
        model=_model_of(parts),
        region=region_field(region),
        cells_in_region=len(order.row) + len(missing.reason),
        cells_indexed=len(order.row),
        missing=dict(sorted(Counter(missing.reason).items())),
        frames={
            **first.frames,
            "count": len(frames.valid_fraction),
            "incomplete": int((frames.valid_fraction < 1).sum()),
        },
        imagery=merged_imagery([part.imagery for part in parts]),
        tokens=tokens_field(token_shape, TOKENS_FILE),
        warnings=_once([text for part in parts for text in part.warnings]),
        seconds={"total": round(time.perf_counter() - began, 3)},
        files=records,
        computed={"precision": ", ".join(sorted({p for part in parts for p in part.precisions}))},
        content_sha256=content_sha256(folder, records),
        search=search,
        pictures=pictures,
        merged=[
            {
                "index": part.name,
                "build": part.build,
                "created_utc": part.created_utc,
                "cells": count,
                "precision": ", ".join(part.precisions),
            }
            for part, count in zip(parts, taken, strict=True)
        ],
    )


def _model_of(parts: Sequence[Manifest]) -> ModelRecord:
    """The one model of all; what its card says, of the first part that wrote it down."""
    said = [part.model for part in parts if part.model.location_weight is not None]
    return replace(parts[0].model, location_weight=said[0].location_weight if said else None)


def merged_region(indexes: Sequence[Index], name: str) -> Region:
    """The union of the regions, with the credits of all."""
    outlines = [index.outline for index in indexes]
    areas = [shape(outline["geometry"]) for outline in outlines]
    # In normal form a union is the same whichever of its parts were united before.
    union = shapely.normalize(shapely.union_all(areas)) if len(areas) > 1 else areas[0]
    parts = [part for part in shapely.get_parts(union) if isinstance(part, Polygon)]
    said = [str(outline["properties"].get("attribution", "")) for outline in outlines]
    credits = [credit for text in said for credit in text.split("; ")]
    geometry = parts[0] if len(parts) == 1 else MultiPolygon(parts)
    return Region(name, geometry, "; ".join(_once(credits)))


def merged_imagery(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What imagery is, of several builds: scenes once each, credits and licences joined.

    Of other fields that differ, texts are joined and anything else becomes a list.
    """
    merged: dict[str, Any] = {}
    for key in _once([key for part in parts for key in part]):
        values: list[Any] = _once([part[key] for part in parts if key in part])
        if all(isinstance(value, list) for value in values):
            merged[key] = _once([item for value in values for item in value])
        elif len(values) == 1:
            merged[key] = values[0]
        elif all(isinstance(value, str) for value in values):
            terms = [term for value in values for term in value.split("; ")]
            merged[key] = "; ".join(_once(terms))
        else:
            merged[key] = values
    return merged


def _once(values: Sequence[_T]) -> list[_T]:
    """Each value the first time it comes; empty texts not at all."""
    once: list[_T] = []
    for value in values:
        if value not in once and value != "":
            once.append(value)
    return once
