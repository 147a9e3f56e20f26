"""Builds an index of a region: cells, frames, units, files, CURRENT."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gair.errors import RegionError, ResourceError, UnfinishedError
from gair.files import size_bytes
from gair.progress import Timings
from indexer.build.engine import Engine, Job, LocalEngine
from indexer.build.options import BuildOptions as BuildOptions
from indexer.build.plan import BuildTask, no_overlap, plan_build
from indexer.build.unit_files import (
    UnitFolder,
    forget,
    forget_all,
    mention_others,
    open_work,
    own_work,
    unfinished,
)
from indexer.build.units import MOSTLY_EMPTY, BuildPlan, Outcome
from indexer.build.write_index import gather_outcome, write_index
from indexer.index.default_folder import folder_of_indexes
from indexer.index.manifest import Manifest
from indexer.index.storage import building, check_name, new_build_id, publish, require_space
from indexer.regions.region import Region

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.imagery.source import ImagerySource


@dataclass(frozen=True)
class BuildReport:
    """What a build did."""

    path: Path
    """The build's folder."""
    manifest: Manifest

    @property
    def summary(self) -> list[str]:
        """Lines for people."""
        return self.manifest.summary


def build_index(
    name: str,
    region: Region,
    imagery: ImagerySource,
    model: Gair,
    out: str | Path | None = None,
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
        out: folder of all indexes; $GAIR_INDEXES or ``indexes`` if not given.
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
    index_folder = folder_of_indexes(out) / check_name(name)
    task = plan_build(name, region, imagery, model, options, model_source, timings)
    facts = task.facts()
    # Units that are there are part of what the build needs, and take no space any more.
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
                **asdict(recipe),
                "device": model.device.type,
                "engine": engine.name,
                "unit_resolution": task.plan.unit_resolution,
                "units": len(task.plan.units),
                "units_resumed": len(task.plan.units) - len(todo),
            }
            job = Job(task.plan, imagery, model, recipe, work, options.quiet)
            engine.run(job, todo[: options.limit], timings)
            if options.limit is not None and options.limit < len(todo):
                raise UnfinishedError(f"stopped after {options.limit:,} new units, as limit asks")
            outcome = gather_outcome(task.plan, work)
            if not len(outcome.kept):
                forget(work)
                raise _nothing_indexed(task, outcome)
            manifest = write_index(folder, build, task, work, outcome, computed, timings, began)
            path = publish(folder, build, manifest.to_json())
        if not options.keep_units:
            forget(work)
    return BuildReport(path, manifest)


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
        of_memory = "out of memory" in said or "can't allocate memory" in said
        if not (isinstance(error, MemoryError) or of_memory):
            raise
        raise ResourceError(
            "out of memory: stop other programs or build a smaller region"
        ) from error


def _nothing_indexed(task: BuildTask, outcome: Outcome) -> RegionError:
    """The error for a build whose frames gave no cell."""
    if not (outcome.status == MOSTLY_EMPTY).any():
        return no_overlap(task.region, task.imagery)
    side_km = task.model.config.footprint_ground_m(float(task.plan.cells.lonlat_deg[0, 1])) / 1000
    return RegionError(
        f"no cell of {task.region.name} can be indexed: the model reads squares of {side_km:.1f} "
        f"km and the imagery fills at most {outcome.valid_fraction.max():.0%} of one, where half "
        "is needed: give imagery that reaches further"
    )
