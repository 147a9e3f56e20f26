"""From units on disk to the files of a build, in memory that does not grow with the vectors.

Rows of an index ascend by H3 index and units interleave in that order at their borders. So each
unit's vectors are first put where they belong in a plain file of rows, and the vector store is made
from that in one pass.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gair.errors import StorageError
from gair.files import disk_errors
from indexer.build.outcome import OUTSIDE, Outcome
from indexer.build.timings import Timings
from indexer.build.unit_files import UnitFolder
from indexer.build.unit_parquet import Kind
from indexer.build.units import BuildPlan
from indexer.index.chips import CHIPS_FILE, write_chips
from indexer.index.storage import LOCATION_FILE, REGION_FILE, RS_FILE, TABLE_FILE, TOKENS_FILE
from indexer.index.table import CellRows, FrameRows, MissingRows, write_table
from indexer.index.token_maps import TokenWriter
from indexer.index.vectors import FlatWriter
from indexer.regions.region import Region

_ROWS_AT_ONCE = 16384
_VECTOR_FILES: tuple[tuple[Kind, str], ...] = (("rs", RS_FILE), ("location", LOCATION_FILE))


def gather_outcome(plan: BuildPlan, work: UnitFolder) -> Outcome:
    """What became of every cell and frame, when all units are done."""
    status = np.full(len(plan.cells), OUTSIDE, dtype=np.uint8)
    valid_fraction = np.zeros(len(plan.frames.bounds_wsen_m))
    for unit in plan.units:
        status[unit.cells] = work.status(unit)
        valid_fraction[unit.frames] = work.valid_fraction(unit)
    return Outcome(status, valid_fraction)


def write_files(
    folder: Path,
    plan: BuildPlan,
    work: UnitFolder,
    outcome: Outcome,
    region: Region,
    *,
    dim: int,
    token_shape: tuple[int, int, int, int] | None,
    timings: Timings,
) -> None:
    """Every file of a build but its manifest.

    Raises:
        StorageError: the disk refused.
    """
    since = time.perf_counter()
    for kind, name in _VECTOR_FILES:
        _write_vectors(folder / name, plan, work, outcome, kind, dim)
    since = timings.add("vector stores", since)
    if token_shape is not None:
        with TokenWriter(folder / TOKENS_FILE, token_shape) as tokens:
            for unit in plan.units:
                tokens.write(unit.frames, work.tokens(unit))
        since = timings.add("token maps", since)
    write_chips(folder / CHIPS_FILE, (work.pictures(unit) for unit in plan.units))
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
    outline = folder / REGION_FILE
    with disk_errors(outline):
        outline.write_bytes(json.dumps(region.to_geojson()).encode())
    timings.add("cell table", since)


def _write_vectors(
    path: Path, plan: BuildPlan, work: UnitFolder, outcome: Outcome, kind: Kind, dim: int
) -> None:
    rows_file = path.with_name(f".{path.name}.rows")
    try:
        _put_rows(rows_file, plan, work, outcome, kind, dim)
        with FlatWriter(path, dim) as writer:
            for vectors in _blocks(rows_file, dim):
                writer.append(vectors)
    finally:
        rows_file.unlink(missing_ok=True)


def _put_rows(
    rows_file: Path, plan: BuildPlan, work: UnitFolder, outcome: Outcome, kind: Kind, dim: int
) -> None:
    """Put each unit's vectors at their rows of the index."""
    kept = outcome.kept
    row_of_cell = np.full(len(plan.cells), -1, dtype=np.int64)
    row_of_cell[kept] = np.arange(len(kept))
    for unit in plan.units:
        rows = row_of_cell[unit.cells]
        rows, vectors = rows[rows >= 0], work.vectors(unit, kind)
        if vectors.shape != (len(rows), dim):
            raise StorageError(
                f"{work.units}: unit {unit.name} has vectors of shape {vectors.shape}, not "
                f"({len(rows)}, {dim}): start over with --force"
            )
        with disk_errors(rows_file), rows_file.open("r+b" if rows_file.exists() else "wb") as file:
            for run in _runs(rows):
                file.seek(int(rows[run.start]) * dim * vectors.itemsize)
                file.write(vectors[run].tobytes())


def _runs(rows: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Slices of consecutive rows."""
    if not len(rows):
        return
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    for begin, end in zip([0, *breaks], [*breaks, len(rows)], strict=True):
        yield slice(int(begin), int(end))


def _blocks(rows_file: Path, dim: int) -> Iterator[npt.NDArray[np.float16]]:
    with disk_errors(rows_file), rows_file.open("rb") as file:
        while len(block := np.fromfile(file, np.float16, _ROWS_AT_ONCE * dim)):
            yield block.reshape(-1, dim)
