"""Plans a build: its options, and all that follows from them before any pixel is read."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import shapely

from gair.errors import RegionError, UsageError
from gair.progress import Timings
from indexer.build.frames import plan_frames
from indexer.build.options import BuildOptions
from indexer.build.recipe import (
    UNIT_SCHEMA,
    Recipe,
    choose_frames_at_once,
    choose_precision,
    digest_of,
    machine,
)
from indexer.build.unit_parquet import embedding_metadata
from indexer.build.units import BuildPlan, plan_units
from indexer.index.chips import CHIP_BYTES
from indexer.index.manifest import ModelRecord
from indexer.index.token_maps import map_bytes
from indexer.regions.cells import cells_of
from indexer.regions.region import Region

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.imagery.source import ImagerySource

_BYTES_A_CELL_BESIDE_VECTORS = 96
_HALVES_A_CELL = 4
"""Two vectors a cell in the units, and the same in the index."""


@dataclass(frozen=True, eq=False)
class BuildTask:
    """One build: what of, from what, by what, and how it is cut."""

    name: str
    region: Region
    imagery: ImagerySource
    described: dict[str, Any]
    """What the imagery is."""
    model: Gair
    record: ModelRecord
    """The model, as the index names it."""
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
        pictures = 2 * len(self.plan.frames.bounds_wsen_m) * CHIP_BYTES
        return cells + pictures + (2 * shape[0] * map_bytes(shape) if shape else 0)

    def facts(self) -> dict[str, Any]:
        """What the vectors depend on; two builds whose units may be mixed have equal ones.

        The precision and the threads are the wanted ones: what was chosen where none was wanted is
        kept beside the units, with the number of frames in a pass.
        """
        cells, frames, options = self.plan.cells, self.plan.frames, self.options
        return {
            "schema": UNIT_SCHEMA,
            "model": self.record.fingerprint,
            "polygon": self.region.sha256,
            "h3_resolution": cells.resolution,
            "cells": digest_of(cells.ids),
            "frames": digest_of(frames.bounds_wsen_m, frames.frame_px, frames.frame_of_cell),
            "inner_share": frames.inner_share,
            "unit_resolution": self.plan.unit_resolution,
            "imagery": dict(self.described),
            "query_mode": options.query_mode,
            "keep_token_maps": options.keep_token_maps,
            "precision": options.precision,
            "threads": options.threads,
            "machine": machine(self.model.device.type),
        }

    def choose(self) -> Recipe:
        """How a new build computes."""
        import torch

        return Recipe(
            query_mode=self.options.query_mode,
            precision=choose_precision(self.options.precision, self.model),
            frames_at_once=choose_frames_at_once(self.model),
            threads=self.options.threads or torch.get_num_threads(),
            keep_token_maps=self.options.keep_token_maps,
        )

    def emb(self, recipe: Recipe) -> dict[str, Any]:
        """What units say about their vectors."""
        return embedding_metadata(
            self.record, self.model.config.dim, self.described, recipe.precision
        )


def plan_build(
    name: str,
    region: Region,
    imagery: ImagerySource,
    model: Gair,
    options: BuildOptions,
    model_source: str | None,
    timings: Timings,
) -> BuildTask:
    """Cells, frames and units; refuses what cannot work before anything is written."""
    if options.limit is not None and options.limit < 1:
        raise UsageError(f"limit {options.limit} is not 1 or more: leave it out to do all units")
    if options.threads is not None and options.threads < 1:
        raise UsageError(f"{options.threads} threads are not 1 or more: leave it out to use all")
    since = time.perf_counter()
    with ThreadPoolExecutor(1) as beside:  # half a gigabyte is hashed while cells are counted
        fingerprint = beside.submit(model.fingerprint)
        cells = cells_of(region.geometry, options.resolution)
        side_m = model.config.footprint_mercator_m
        frames = plan_frames(
            cells.lonlat_deg, imagery.coverage, side_m, options.inner_share, imagery.resolution_m
        )
        plan = plan_units(cells, frames, options.frames_a_unit)
        if not plan.units:
            raise no_overlap(region, imagery)
    since = timings.add("planning", since)
    described = imagery.describe()
    timings.add("identifying the imagery", since)
    info = model.info
    record = ModelRecord(
        info.name, model_source or info.source, info.licence, info.trained, fingerprint.result()
    )
    return BuildTask(name, region, imagery, described, model, record, options, plan)


def no_overlap(region: Region, imagery: ImagerySource) -> RegionError:
    """The error for a region without imagery."""

    def text(bounds: tuple[float, ...]) -> str:
        return ",".join(f"{v:.4f}" for v in bounds)

    return RegionError(
        f"no cell of {region.name} (bbox {text(region.bbox_wsen_deg)}) has imagery (bbox "
        f"{text(shapely.total_bounds(imagery.coverage))}): check imagery and region"
    )
