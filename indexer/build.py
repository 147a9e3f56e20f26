"""Journey 1, a region becomes an index: cells, frames, units, files, CURRENT."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shapely

from gair.errors import RegionError, ResourceError, UnfinishedError, UsageError
from indexer.cells import cells_of
from indexer.content import content_sha256
from indexer.engines import Engine, Job, LocalEngine
from indexer.finalise import gather_outcome, write_files
from indexer.fingerprint import what_vectors_depend_on
from indexer.frames import INNER_SHARE, plan_frames
from indexer.manifest import Manifest
from indexer.outcome import Outcome
from indexer.recipe import Recipe, WantedPrecision, choose_frames_at_once, choose_precision
from indexer.records import make_manifest, summary_lines
from indexer.regions import Region
from indexer.storage import (
    building,
    check_name,
    file_records,
    new_build_id,
    publish,
    require_space,
)
from indexer.timings import Timings
from indexer.token_maps import map_bytes
from indexer.unit_files import UnitFolder
from indexer.unit_parquet import embedding_metadata
from indexer.units import FRAMES_A_UNIT, BuildPlan, Unit, plan_units
from indexer.work import (
    forget,
    forget_all,
    mention_others,
    open_work,
    own_work,
    size_bytes,
    unfinished,
)

if TYPE_CHECKING:
    from gair.inr import QueryMode
    from gair.model import Gair
    from indexer.imagery.source import ImagerySource

_BYTES_A_CELL_BESIDE_VECTORS = 96
_HALVES_A_CELL = 5
"""Two vectors a cell in the units, the same in the index, and one on its way between them."""


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
    precision: WantedPrecision = "auto"
    """Type that the imagery encoder computes in; see :func:`indexer.recipe.choose_precision`."""
    force: bool = False
    """Start over: forget the units of builds of this index that were not finished."""
    limit: int | None = None
    """Stop after so many new units."""
    keep_units: bool = False
    """Leave the units in place when the index is made."""
    frames_a_unit: int = FRAMES_A_UNIT
    """About the most frames of a unit: what is lost when a build is killed."""
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


@dataclass(frozen=True, eq=False)
class _Task:
    """One build: what of, from what, by what."""

    name: str
    region: Region
    imagery: ImagerySource
    described: dict[str, Any]
    """What the imagery is."""
    model: Gair
    model_source: str
    model_fingerprint: str
    options: BuildOptions
    plan: BuildPlan

    @property
    def token_shape(self) -> tuple[int, int, int, int] | None:
        """Of all token maps; None if they are not kept."""
        grid, dim = self.model.config.rs_grid, self.model.config.dim
        frames = len(self.plan.frames.bounds_wsen_m)
        return (frames, grid, grid, dim) if self.options.keep_token_maps else None

    @property
    def needed_bytes(self) -> int:
        """About what units and index take together."""
        halves = _HALVES_A_CELL * self.model.config.dim
        cells = len(self.plan.cells) * (2 * halves + 2 * _BYTES_A_CELL_BESIDE_VECTORS)
        shape = self.token_shape
        return cells + (2 * shape[0] * map_bytes(shape) if shape else 0)

    def facts(self) -> dict[str, Any]:
        """What the vectors depend on."""
        options = self.options
        return what_vectors_depend_on(
            self.plan,
            polygon_sha256=self.region.sha256,
            imagery=self.described,
            model_fingerprint=self.model_fingerprint,
            device=self.model.device.type,
            query_mode=options.query_mode,
            keep_token_maps=options.keep_token_maps,
            precision=options.precision,
        )

    def choose(self) -> Recipe:
        """How a new build computes."""
        return Recipe(
            query_mode=self.options.query_mode,
            precision=choose_precision(self.options.precision, self.model),
            frames_at_once=choose_frames_at_once(self.model),
            keep_token_maps=self.options.keep_token_maps,
        )

    def emb(self, recipe: Recipe) -> dict[str, Any]:
        """What units say about their vectors."""
        return embedding_metadata(
            self.model.info,
            self.model_fingerprint,
            self.model_source,
            self.model.config.dim,
            self.described,
            recipe.precision,
        )


def build_index(
    name: str,
    region: Region,
    imagery: ImagerySource,
    model: Gair,
    out: str | Path = "indexes",
    *,
    options: BuildOptions | None = None,
    model_source: str | None = None,
    engine: Engine | None = None,
) -> BuildReport:
    """Index a region and make the result the build that serves.

    Whatever ends a build early, the units it finished stay: the same call goes on from them, and
    the index it makes is the same to the byte.

    Args:
        name: name of the index, a folder under ``out``.
        region: what to index.
        imagery: where pixels come from.
        model: what turns them into vectors.
        out: folder of all indexes.
        options: resolution and the like.
        model_source: what to load the model from when the index is opened; ``model.info.source``
            unless given.
        engine: who computes the units; this process unless given.

    Raises:
        RegionError: no cell of the region has imagery.
        StorageError: the disk refused; nothing changes for readers.
        ResourceError: the memory was not enough; nothing changes for readers.
        UnfinishedError: ``options.limit`` units were done and others are left.
    """
    options, engine = options or BuildOptions(), engine or LocalEngine()
    began, timings = time.perf_counter(), Timings()
    index_folder = Path(out) / check_name(name)
    task = _plan(name, region, imagery, model, options, model_source, timings)
    facts = task.facts()
    there_bytes = sum(size_bytes(f) for f in own_work(index_folder, facts, every=options.force))
    require_space(index_folder, task.needed_bytes - there_bytes)
    build = new_build_id()
    with building(index_folder, build) as folder:
        if options.force:
            forget_all(index_folder)
        work, recipe = open_work(index_folder, facts, task.choose, task.emb)
        mention_others(index_folder, work, quiet=options.quiet)
        with _kept(work, task.plan), _memory_errors():
            todo = unfinished(work, task.plan.units, quiet=options.quiet)
            computed = {
                **recipe.to_dict(),
                "device": model.device.type,
                "engine": engine.name,
                "unit_resolution": task.plan.unit_resolution,
                "units": len(task.plan.units),
                "units_resumed": len(task.plan.units) - len(todo),
            }
            job = Job(task.plan, imagery, model, recipe, work, options.quiet)
            _compute(job, todo, engine, options.limit, timings)
            outcome = gather_outcome(task.plan, work)
            if not len(outcome.kept):
                forget(work)
                raise _no_overlap(region, imagery)
            manifest = _finalise(folder, build, task, work, outcome, computed, timings, began)
            path = publish(folder, build, manifest.to_json())
        if not options.keep_units:
            forget(work)
    return BuildReport(path, manifest)


def _plan(
    name: str,
    region: Region,
    imagery: ImagerySource,
    model: Gair,
    options: BuildOptions,
    model_source: str | None,
    timings: Timings,
) -> _Task:
    """Cells, frames and units; refuses what cannot work before anything is written."""
    if options.limit is not None and options.limit < 1:
        raise UsageError(f"limit {options.limit} is not 1 or more: leave it out to do all units")
    since = time.perf_counter()
    cells = cells_of(region.geometry, options.resolution)
    side_m = model.config.footprint_mercator_m
    frames = plan_frames(cells.lonlat_deg, imagery.coverage, side_m, options.inner_share)
    plan = plan_units(cells, frames, options.frames_a_unit)
    if not plan.units:
        raise _no_overlap(region, imagery)
    fingerprint = model.fingerprint()
    since = timings.add("planning", since)
    described = imagery.describe()
    timings.add("identifying the imagery", since)
    source = model_source or model.info.source
    return _Task(name, region, imagery, described, model, source, fingerprint, options, plan)


def _compute(
    job: Job, todo: Sequence[Unit], engine: Engine, limit: int | None, timings: Timings
) -> None:
    """Do the units that are left, or the first ones of them."""
    engine.run(job, todo[:limit], timings)
    if limit is not None and limit < len(todo):
        raise UnfinishedError(f"stopped after {limit:,} new units, as --limit asks")


@contextlib.contextmanager
def _kept(work: UnitFolder, plan: BuildPlan) -> Iterator[None]:
    """Tell whoever catches what ends a build early how much of it stays."""
    try:
        yield
    except BaseException as error:
        done = sum(work.has(unit) for unit in plan.units)
        if done:
            error.add_note(
                f"{done:,} of {len(plan.units):,} units are done and kept: the same command goes "
                "on from them"
            )
        else:
            forget(work)
        raise


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    """Turn the refusals of Python, FAISS and torch to find memory into :class:`ResourceError`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = str(error)  # torch has a type of its own for GPUs, and for a CPU only a text
        known = "out of memory" in said or "can't allocate memory" in said
        if not (isinstance(error, MemoryError) or known):
            raise
        raise ResourceError(
            "out of memory: stop other programs or build a smaller region"
        ) from error


def _finalise(
    folder: Path,
    build: str,
    task: _Task,
    work: UnitFolder,
    outcome: Outcome,
    computed: dict[str, Any],
    timings: Timings,
    began: float,
) -> Manifest:
    """Units become the files of the build."""
    dim, shape = task.model.config.dim, task.token_shape
    write_files(
        folder, task.plan, work, outcome, task.region, dim=dim, token_shape=shape, timings=timings
    )
    since = time.perf_counter()
    records = file_records(folder)
    content = content_sha256(folder, records)
    timings.add("hashing", since)
    timings.seconds["total"] = time.perf_counter() - began
    return make_manifest(
        name=task.name,
        build=build,
        region=task.region,
        imagery=task.described,
        imagery_warnings=task.imagery.warnings,
        model=task.model,
        model_source=task.model_source,
        model_fingerprint=task.model_fingerprint,
        cells=task.plan.cells,
        plan=task.plan.frames,
        outcome=outcome,
        query_mode=task.options.query_mode,
        token_shape=shape,
        seconds=timings.seconds,
        files=records,
        computed=computed,
        content_sha256=content,
    )


def _no_overlap(region: Region, imagery: ImagerySource) -> RegionError:
    def text(bounds: tuple[float, ...]) -> str:
        return ",".join(f"{v:.4f}" for v in bounds)

    return RegionError(
        f"no cell of {region.name} (bbox {text(region.bbox_wsen_deg)}) has imagery (bbox "
        f"{text(shapely.total_bounds(imagery.coverage))}): check --imagery and the region"
    )
