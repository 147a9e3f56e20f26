"""Journey 1, a region becomes an index: cells, frames, vectors, files, CURRENT."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely

from gair.errors import RegionError
from gair.files import disk_errors
from indexer.cells import Cells, cells_of
from indexer.embed import (
    INDEXED,
    RemoteSensingVectors,
    Timings,
    embed_frames,
    embed_locations,
)
from indexer.frames import INNER_SHARE, FramePlan, plan_frames
from indexer.manifest import Manifest
from indexer.records import make_manifest, summary_lines
from indexer.regions import Region
from indexer.storage import (
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
from indexer.table import CellRows, FrameRows, MissingRows, write_table
from indexer.token_maps import TokenWriter, map_bytes
from indexer.vectors import FaissWriter

if TYPE_CHECKING:
    from gair.inr import QueryMode
    from gair.model import Gair
    from indexer.imagery.source import ImagerySource

_ROWS_AT_ONCE = 65536
_BYTES_A_CELL_BESIDE_VECTORS = 96


@dataclass(frozen=True)
class BuildOptions:
    """How to build; every default is what the paper's model expects."""

    resolution: int = 10
    """H3 resolution of the cells; 10 is about 130 m from centre to centre."""
    inner_share: float = INNER_SHARE
    """Share of a frame's side that cells are read from."""
    query_mode: QueryMode = "nili"
    """How token maps are read; the others are baselines."""
    keep_token_maps: bool = True
    """Keep the token maps, so that places between cell centres can be read later."""
    quiet: bool = False
    """No progress bars."""


@dataclass(frozen=True)
class BuildReport:
    """What a build did."""

    path: Path
    """The build's folder."""
    manifest: Manifest

    @property
    def summary(self) -> list[str]:
        """Lines for people."""
        return summary_lines(self.manifest)


@dataclass(frozen=True)
class _Plan:
    """What a build is going to compute."""

    cells: Cells
    frames: FramePlan
    dim: int
    token_shape: tuple[int, int, int, int] | None
    """Of all token maps; None if they are not kept."""

    @property
    def needed_bytes(self) -> int:
        """About what its files will take."""
        cells = len(self.cells) * (4 * self.dim + _BYTES_A_CELL_BESIDE_VECTORS)
        shape = self.token_shape
        return cells + (shape[0] * map_bytes(shape) if shape else 0)


@dataclass(frozen=True)
class _Embedded:
    """Every vector, before they are written."""

    remote: RemoteSensingVectors
    kept: npt.NDArray[np.int64]
    """Which cells have imagery, ascending: the rows of the index."""
    locations: npt.NDArray[np.float16]
    """(len(kept), D)."""


def build_index(
    name: str,
    region: Region,
    imagery: ImagerySource,
    model: Gair,
    out: str | Path = "indexes",
    *,
    options: BuildOptions | None = None,
    model_source: str | None = None,
) -> BuildReport:
    """Index a region and make the result the build that serves.

    Args:
        name: name of the index, a folder under ``out``.
        region: what to index.
        imagery: where pixels come from.
        model: what turns them into vectors.
        out: folder of all indexes.
        options: resolution and the like.
        model_source: what to load the model from when the index is opened; ``model.info.source``
            unless given.

    Raises:
        RegionError: no cell of the region has imagery.
        StorageError: the disk refused; nothing changes for readers.
    """
    options = options or BuildOptions()
    began = time.perf_counter()
    timings = Timings()
    index_folder = Path(out) / check_name(name)
    plan = _plan(region, imagery, model, options)
    require_space(index_folder, plan.needed_bytes)
    build = new_build_id()
    with building(index_folder, build) as folder:
        found = _embed(plan, imagery, model, folder, options, timings)
        if not len(found.kept):
            raise _no_overlap(region, imagery)
        since = time.perf_counter()
        _write(folder, plan, found, region)
        since = timings.add("writing", since)
        described, records = imagery.describe(), file_records(folder)
        timings.add("hashing", since)
        timings.seconds["total"] = time.perf_counter() - began
        manifest = make_manifest(
            name=name,
            build=build,
            region=region,
            imagery=described,
            imagery_warnings=imagery.warnings,
            model=model,
            model_source=model_source or model.info.source,
            cells=plan.cells,
            plan=plan.frames,
            remote=found.remote,
            query_mode=options.query_mode,
            token_shape=plan.token_shape,
            seconds=timings.seconds,
            files=records,
        )
        path = publish(folder, build, manifest.to_json())
    return BuildReport(path, manifest)


def _plan(region: Region, imagery: ImagerySource, model: Gair, options: BuildOptions) -> _Plan:
    cells = cells_of(region.geometry, options.resolution)
    side_m = model.config.footprint_mercator_m
    frames = plan_frames(cells.lonlat_deg, imagery.coverage, side_m, options.inner_share)
    grid, dim = model.config.rs_grid, model.config.dim
    shape = (len(frames.bounds_wsen_m), grid, grid, dim) if options.keep_token_maps else None
    return _Plan(cells, frames, dim, shape)


def _embed(
    plan: _Plan,
    imagery: ImagerySource,
    model: Gair,
    folder: Path,
    options: BuildOptions,
    timings: Timings,
) -> _Embedded:
    """Both vectors of every cell that has imagery; token maps go to the folder as they come."""
    keep: contextlib.AbstractContextManager[TokenWriter | None] = contextlib.nullcontext()
    if plan.token_shape is not None:
        keep = TokenWriter(folder / TOKENS_FILE, plan.token_shape)
    with keep as tokens:
        remote = embed_frames(
            model,
            imagery,
            plan.frames,
            plan.cells.lonlat_deg,
            mode=options.query_mode,
            tokens=tokens,
            timings=timings,
            quiet=options.quiet,
        )
    kept = np.flatnonzero(remote.status == INDEXED)
    places = plan.cells.lonlat_deg[kept]
    locations = embed_locations(model, places, timings=timings, quiet=options.quiet)
    return _Embedded(remote, kept, locations)


def _write(folder: Path, plan: _Plan, found: _Embedded, region: Region) -> None:
    cells, remote, kept = plan.cells, found.remote, found.kept
    _write_vectors(folder / RS_FILE, remote.vectors, kept)
    _write_vectors(folder / LOCATION_FILE, found.locations, np.arange(len(kept)))
    lost = np.flatnonzero(remote.status != INDEXED)
    write_table(
        folder / TABLE_FILE,
        CellRows(
            cells.ids[kept],
            cells.lonlat_deg[kept],
            cells.area_m2[kept],
            plan.frames.frame_of_cell[kept],
        ),
        FrameRows(plan.frames.bounds_wsen_m, remote.valid_fraction),
        MissingRows(cells.ids[lost], cells.lonlat_deg[lost], remote.reasons(lost)),
    )
    outline = folder / REGION_FILE
    with disk_errors(outline):
        outline.write_bytes(json.dumps(region.to_geojson()).encode())


def _write_vectors(
    path: Path, vectors: npt.NDArray[np.float16], rows: npt.NDArray[np.int64]
) -> None:
    writer = FaissWriter(vectors.shape[1])
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        writer.append(vectors[rows[start : start + _ROWS_AT_ONCE]].astype(np.float32))
    writer.write(path)


def _no_overlap(region: Region, imagery: ImagerySource) -> RegionError:
    def text(bounds: tuple[float, ...]) -> str:
        return ",".join(f"{v:.4f}" for v in bounds)

    return RegionError(
        f"no cell of {region.name} (bbox {text(region.bbox_wsen_deg)}) has imagery (bbox "
        f"{text(shapely.total_bounds(imagery.coverage))}): check --imagery and the region"
    )
