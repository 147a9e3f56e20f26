"""Writes an index from finished units, in memory that does not grow with the vectors.

The order counts. Every file is written before the index type is chosen, which is tuned on the
flat vectors; every file is there before any is hashed; and the manifest, which holds the hashes,
comes last: a folder without one is no build (:mod:`indexer.index.storage`).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.errors import StorageError
from gair.info import library_versions
from gair.progress import Timings
from indexer.build.pictures import write_pictures
from indexer.build.plan import BuildTask
from indexer.build.unit_files import UnitFolder
from indexer.build.unit_parquet import Kind
from indexer.build.units import OUTSIDE, BuildPlan, Outcome
from indexer.index.content_hash import content_sha256
from indexer.index.ivf_build import calibration_photos, make_search
from indexer.index.manifest import (
    SCHEMA_VERSION,
    Manifest,
    region_field,
    tokens_field,
    utc_now,
)
from indexer.index.storage import (
    LOCATION_FILE,
    RS_FILE,
    TABLE_FILE,
    TOKENS_FILE,
    file_records,
    write_outline,
)
from indexer.index.table import CellRows, FrameRows, MissingRows, write_table
from indexer.index.token_maps import TokenWriter
from indexer.index.vectors import FlatWriter
from indexer.regions.cells import Cells
from indexer.regions.region import Region

if TYPE_CHECKING:
    from gair.model import Gair

METRIC = "inner product of L2-normalised vectors, rounded to half precision"
CONTAINMENT = "center"
SYNTHETIC = "synthetic"
"""Stands in the name of a model that saw no real place in training."""
_LIBRARIES = ("torch", "timm", "faiss-cpu", "faiss-gpu", "h3", "duckdb", "rasterio", "numpy")
_VECTOR_FILES: tuple[tuple[Kind, str], ...] = (("rs", RS_FILE), ("location", LOCATION_FILE))


def gather_outcome(plan: BuildPlan, work: UnitFolder) -> Outcome:
    """What became of every cell and frame, when all units are done."""
    status = np.full(len(plan.cells), OUTSIDE, dtype=np.uint8)
    valid_fraction = np.zeros(len(plan.frames.bounds_wsen_m))
    for unit in plan.units:
        status[unit.cells] = work.status(unit)
        valid_fraction[unit.frames] = work.valid_fraction(unit)
    return Outcome(status, valid_fraction)


def write_index(
    folder: Path,
    build: str,
    task: BuildTask,
    work: UnitFolder,
    outcome: Outcome,
    computed: dict[str, Any],
    timings: Timings,
    began: float,
) -> Manifest:
    """Write every file of a build but its manifest, which is returned.

    Args:
        folder: of the build, empty.
        build: its identifier.
        task: what is built.
        work: its finished units.
        outcome: what became of its cells.
        computed: how, for the manifest.
        timings: where the time went so far; goes on here.
        began: when the build did, by ``time.perf_counter``.

    Raises:
        StorageError: the disk refused.
    """
    pictures = _write_files(folder, task, work, outcome, timings)
    since = time.perf_counter()
    photos = calibration_photos(folder.parent, task.record.fingerprint)
    search = make_search(folder, task.options.index_type, photos, quiet=task.options.quiet)
    since = timings.add("index type", since)
    records = file_records(folder)
    content = content_sha256(folder, records)
    timings.add("hashing", since)
    timings.seconds["total"] = time.perf_counter() - began
    # What the imagery has to say, and said in earlier runs, each once.
    earlier = (warning for unit in task.plan.units for warning in work.warnings(unit))
    imagery_warnings = dict.fromkeys([*task.imagery.warnings, *earlier])
    cells, frames, missing = task.plan.cells, task.plan.frames, outcome.missing()
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=task.name,
        build=build,
        created_utc=utc_now(),
        model=task.record,
        region=region_field(task.region),
        h3_resolution=cells.resolution,
        containment=CONTAINMENT,
        cells_in_region=len(cells),
        cells_indexed=len(cells) - sum(missing.values()),
        missing=missing,
        frames={
            "count": len(frames.bounds_wsen_m),
            "crs": "EPSG:3857",
            "side_m": frames.side_m,
            "inner_share": frames.inner_share,
            "incomplete": outcome.incomplete_frames,
        },
        imagery=task.described,
        query_mode=task.options.query_mode,
        metric=METRIC,
        vectors={
            kind: {"file": file, "dim": task.model.config.dim, "type": "float16"}
            for kind, file in _VECTOR_FILES
        },
        tokens=tokens_field(task.token_shape, TOKENS_FILE),
        warnings=[
            *_model_warnings(task.model),
            *imagery_warnings,
            *_coverage_warnings(task.region, cells, outcome),
        ],
        libraries=library_versions(_LIBRARIES),
        seconds={part: round(s, 3) for part, s in timings.seconds.items()},
        files=records,
        computed=computed,
        content_sha256=content,
        search=search,
        pictures=pictures,
    )


def _write_files(
    folder: Path, task: BuildTask, work: UnitFolder, outcome: Outcome, timings: Timings
) -> list[dict[str, Any]]:
    """Write them; returns the field ``pictures`` of the manifest."""
    plan, shape = task.plan, task.token_shape
    since = time.perf_counter()
    for kind, name in _VECTOR_FILES:
        _write_vectors(folder / name, task, work, outcome, kind)
    since = timings.add("vector stores", since)
    if shape is not None:
        with TokenWriter(folder / TOKENS_FILE, shape) as tokens:
            for unit in plan.units:
                tokens.write(unit.frames, work.tokens(unit))
        since = timings.add("token maps", since)
    pictures = write_pictures(folder, task, work)
    since = timings.add("pictures", since)
    cells, kept, lost = plan.cells, outcome.kept, outcome.lost
    write_table(
        folder / TABLE_FILE,
        CellRows(
            cells.ids[kept],
            cells.lonlat_deg[kept],
            cells.area_m2[kept],
            plan.frames.frame_of_cell[kept],
        ),
        FrameRows(plan.frames.bounds_wsen_m, outcome.valid_fraction),
        MissingRows(cells.ids[lost], cells.lonlat_deg[lost], outcome.reasons(lost)),
    )
    write_outline(folder, task.region.to_geojson())
    timings.add("cell table", since)
    return pictures


def _write_vectors(
    path: Path, task: BuildTask, work: UnitFolder, outcome: Outcome, kind: Kind
) -> None:
    """Put each unit's vectors at their rows of the index.

    Rows ascend by H3 index, and units interleave in that order at their borders: a unit's vectors
    go to several runs of rows.
    """
    dim, kept = task.model.config.dim, outcome.kept
    row_of_cell = np.full(len(task.plan.cells), -1, dtype=np.int64)
    row_of_cell[kept] = np.arange(len(kept))
    with FlatWriter(path, dim) as writer:
        for unit in task.plan.units:
            rows = row_of_cell[unit.cells]
            rows, vectors = rows[rows >= 0], work.vectors(unit, kind)
            if vectors.shape != (len(rows), dim):
                raise StorageError(
                    f"{work.units}: unit {unit.name} has vectors of shape {vectors.shape}, not "
                    f"({len(rows)}, {dim}): start over with `force`"
                )
            writer.write(rows, vectors)


def _model_warnings(model: Gair) -> list[str]:
    name = model.info.name
    if not model.info.trained:
        return [
            f"the model {name} is untrained: its weights are random and the places it ranks mean "
            "nothing"
        ]
    if SYNTHETIC in name.lower():
        return [
            f"the model {name} was trained on synthetic cities and knows nothing of real places"
        ]
    return []


def _coverage_warnings(region: Region, cells: Cells, outcome: Outcome) -> list[str]:
    warnings = []
    for reason, count in sorted(outcome.missing().items()):
        share = cells.area_m2[outcome.lost_for(reason)].sum() / cells.area_m2.sum()
        warnings.append(
            f"{count:,} cells ({share:.1%} of the area of {region.name}) are not indexed: {reason}"
        )
    if outcome.incomplete_frames:
        warnings.append(
            f"{outcome.incomplete_frames:,} of {len(outcome.valid_fraction):,} frames reach past "
            "the imagery; the missing pixels were filled from their neighbours"
        )
    return warnings
