"""Several indexes as one: a new build that answers as if their regions had been built together.

A vector of the merged index is the vector it was, bit for bit. Cells that two of them have are
taken from the first. Frames that no cell refers to any more are left out; the others are numbered
anew, and their token maps with them. A calibration is not carried over: it holds for one set of
cells.

Parts may be computed in different precisions: scores of bfloat16 rank as those of float32 do but
for near ties, and ``auto`` chooses by the CPU, so machines that share the work differ. The manifest
says which part is what.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gair.errors import IndexMismatchError, UsageError
from gair.files import disk_errors
from indexer.build.build_manifest import summary_lines
from indexer.index.chips import CHIPS_FILE
from indexer.index.content_hash import content_sha256
from indexer.index.index import Index, open_index
from indexer.index.ivf_tune import TuningQueries, calibration_photos, make_search
from indexer.index.manifest import Manifest
from indexer.index.storage import (
    LOCATION_FILE,
    REGION_FILE,
    RS_FILE,
    TABLE_FILE,
    TOKENS_FILE,
    building,
    check_name,
    file_records,
    new_build_id,
    publish,
    require_space,
)
from indexer.merge.copy_rows import (
    MergeOrder,
    merge_chips,
    merge_order,
    merge_table,
    merge_tokens,
    merge_vectors,
    merged_frames,
)
from indexer.merge.merged_manifest import merged_manifest, merged_region
from indexer.probability.calibration import calibration_path

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

    @property
    def summary(self) -> list[str]:
        """Lines for people."""
        found = summary_lines(self.manifest)
        parts = ", ".join(f"{p['cells']:,} cells of {p['index']}" for p in self.manifest.merged)
        found.append(f"  merged: {parts}; {self.duplicates:,} cells were in more than one")
        if len(kinds := self.manifest.precisions) > 1:
            found.append(
                f"  note: parts were computed in {' and '.join(kinds)}, which may change a score "
                "by 0.01; build with --precision to have them alike"
            )
        if self.tokens_dropped:
            found.append("  note: not all keep token maps, so there are no answers between cells")
        if self.calibrated:
            found.append(
                f"  note: the calibration of {', '.join(self.calibrated)} was not carried over: "
                "run python -m indexer calibrate"
            )
        return found


def merge_indexes(
    folders: Sequence[str | Path],
    name: str,
    out: str | Path = "indexes",
    *,
    index_type: str = "auto",
    quiet: bool = False,
) -> MergeReport:
    """Put indexes together into a new build of the index ``name``, which may be one of them.

    Args:
        folders: of the indexes; the cells of one come before those of later ones. One alone may be
            given another index type in this way.
        name: of the merged index.
        out: folder of all indexes.
        index_type: one of :data:`indexer.index.ivf.WANTED`.
        quiet: no progress.

    Raises:
        UsageError: there is nothing to merge.
        IndexMismatchError: they differ in what must be the same; it is named.
        StorageError: the disk refused; nothing changes for readers.
    """
    if not folders:
        raise UsageError("nothing to merge: name one index or more")
    index_folder = Path(out) / check_name(name)
    indexes = [open_index(folder) for folder in folders]
    check_alike(indexes)
    sizes = [f.size_bytes for index in indexes for f in index.manifest.files.values()]
    require_space(index_folder, sum(sizes))
    build, order = new_build_id(), merge_order(indexes)
    with building(index_folder, build) as folder:
        manifest = _filled(folder, name, build, indexes, order, index_type, quiet)
        path = publish(folder, build, manifest.to_json())
    return MergeReport(
        path=path,
        manifest=manifest,
        duplicates=order.duplicates,
        calibrated=tuple(index.name for index in indexes if _is_calibrated(index)),
        tokens_dropped=manifest.tokens is None and any(index.tokens for index in indexes),
    )


def check_alike(indexes: Sequence[Index]) -> None:
    """Refuse to put together what was not made alike.

    Raises:
        IndexMismatchError: names the indexes, what differs, and both values.
    """
    first = indexes[0]
    for other in indexes[1:]:
        for what, of in _MUST_AGREE.items():
            one, two = of(first.manifest), of(other.manifest)
            if one != two:
                raise IndexMismatchError(
                    f"indexes {first.name!r} and {other.name!r} cannot be merged: their {what} "
                    f"differ, {one} and {two}: build one of them again"
                )


def _filled(
    folder: Path,
    name: str,
    build: str,
    indexes: Sequence[Index],
    order: MergeOrder,
    index_type: str,
    quiet: bool,
) -> Manifest:
    """Write every file of the build but its manifest, which is returned."""
    began = time.perf_counter()
    merge_vectors(folder / RS_FILE, [index.rs for index in indexes], order, quiet=quiet)
    merge_vectors(folder / LOCATION_FILE, [index.location for index in indexes], order, quiet=quiet)
    keeps_tokens = all(index.tokens is not None for index in indexes)
    if keeps_tokens:
        merge_tokens(folder / TOKENS_FILE, indexes, order)
    if any(index.chips is not None for index in indexes):
        merge_chips(folder / CHIPS_FILE, indexes, order)
    missing = merge_table(folder / TABLE_FILE, indexes, order)
    region = merged_region(indexes, name)
    outline = folder / REGION_FILE
    with disk_errors(outline):
        outline.write_bytes(json.dumps(region.to_geojson()).encode())
    search = make_search(folder, index_type, _known_photos(indexes), quiet=quiet)
    records = file_records(folder)
    return merged_manifest(
        name,
        build,
        indexes,
        region=region,
        frames=merged_frames(indexes, order),
        missing=missing,
        taken=np.bincount(order.source, minlength=len(indexes)).tolist(),
        keeps_tokens=keeps_tokens,
        search=search,
        files=records,
        content_sha256=content_sha256(folder, records),
        seconds={"total": time.perf_counter() - began},
    )


def _known_photos(indexes: Sequence[Index]) -> TuningQueries | None:
    """Photos of the first of the indexes that was ever calibrated."""
    for index in indexes:
        found = calibration_photos(index.path.parent, index.manifest.model.fingerprint)
        if found is not None:
            return found
    return None


def _is_calibrated(index: Index) -> bool:
    return calibration_path(index.path.parent, index.manifest.build).exists()
