"""Plans a build, and estimates what it will take, before any pixel is read.

Counts of an estimate are exact, since they come from the plan that the build itself makes; bytes
follow from them and from the model. Time is the model's own speed on this machine, measured on one
batch, times the number of frames; what reading imagery costs comes on top where it is slower than
the model.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
import torch

from gair.encoders.precision import WantedPrecision, choose_precision
from gair.errors import RegionError, UsageError
from gair.progress import Timings, duration
from indexer.build.embed import Encoders
from indexer.build.frames import INNER_SHARE, FramePlan, plan_frames
from indexer.build.options import BuildOptions
from indexer.build.recipe import (
    UNIT_SCHEMA,
    Recipe,
    choose_frames_at_once,
    digest_of,
    machine,
)
from indexer.build.unit_parquet import embedding_metadata
from indexer.build.units import BuildPlan, plan_units
from indexer.imagery.source import kept_days
from indexer.index.manifest import ModelRecord
from indexer.index.picture.cog import expected_bytes
from indexer.index.picture.grid import PictureGrid, grids_of
from indexer.index.picture.shades import SHADES_BYTES
from indexer.index.token_maps import map_bytes
from indexer.regions.cells import Cells, cells_of
from indexer.regions.region import Region

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.imagery.source import Download, ImagerySource

_BYTES_A_CELL_BESIDE_VECTORS = 96
_HALVES_A_CELL = 4
"""Two vectors a cell in the units, and the same in the index."""
FRAMES_MEASURED = 8
LOCATIONS_MEASURED = 1024
BYTES_A_CELL = 24
"""Of the cell table, beside the vectors; measured on indexes of 100,000 cells."""
_NUMBER_BYTES = 2  # float16
_FIXED_BYTES = 800_000  # an empty table, the outline, the manifest


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
        grids = _grids(self.plan.frames, self.imagery.resolution_m)
        days = len(self.plan.days)
        pictures = len(self.plan.frames.bounds_wsen_m) * (1 + days) * SHADES_BYTES
        # Once without compression, and once as it stays.
        pixels = sum(grid.width_px * grid.height_px for grid in grids)
        pictures += (5 + days) * pixels
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
        raise UsageError(f"`limit` {options.limit} is not 1 or more: leave it out to do all units")
    if options.threads is not None and options.threads < 1:
        raise UsageError(f"`threads` {options.threads} is not 1 or more: leave it out to use all")
    since = time.perf_counter()
    with ThreadPoolExecutor(1) as beside:  # half a gigabyte is hashed while cells are counted
        fingerprint = beside.submit(model.fingerprint)
        cells, frames = _lay_frames(region, imagery, model, options.resolution, options.inner_share)
        plan = plan_units(cells, frames, options.frames_a_unit)
        if not plan.units:
            raise no_overlap(region, imagery)
        plan = replace(plan, days=tuple(kept_days(imagery)))
    since = timings.add("planning", since)
    described = imagery.describe()
    timings.add("identifying the imagery", since)
    info = model.info
    record = ModelRecord(
        info.name,
        model_source or info.source,
        info.licence,
        info.trained,
        fingerprint.result(),
        info.location_weight,
    )
    return BuildTask(name, region, imagery, described, model, record, options, plan)


def _lay_frames(
    region: Region, imagery: ImagerySource, model: Gair, resolution: int, inner_share: float
) -> tuple[Cells, FramePlan]:
    """The cells of a region, and the frames over those that have imagery."""
    cells = cells_of(region.geometry, resolution)
    side_m = model.config.footprint_mercator_m
    frames = plan_frames(
        cells.lonlat_deg, imagery.coverage, side_m, inner_share, imagery.resolution_m
    )
    return cells, frames


def _grids(frames: FramePlan, resolution_m: float) -> list[PictureGrid]:
    """Of the region's picture."""
    return [grid for _, grid in grids_of(frames.bounds_wsen_m, resolution_m)]


def no_overlap(region: Region, imagery: ImagerySource) -> RegionError:
    """The error for a region without imagery."""

    def text(bounds: tuple[float, ...]) -> str:
        return ",".join(f"{v:.4f}" for v in bounds)

    west, south, east, north = region.bbox_wsen_deg
    shown = shapely.total_bounds(imagery.coverage)
    hint = ""
    if shapely.box(*shown).intersects(shapely.box(south, west, north, east)):
        hint = "; with latitude and longitude exchanged they overlap"
    return RegionError(
        f"no cell of {region.name} (bbox {text(region.bbox_wsen_deg)}) has imagery (bbox "
        f"{text(shown)}): check `imagery` and `region`{hint}"
    )


@dataclass(frozen=True)
class Speed:
    """How fast a model is here."""

    frame_s: float
    """A frame's encoder pass and the sampling of its cells."""
    location_s: float
    """One location embedding."""


@dataclass(frozen=True)
class Estimate:
    """What a build will take."""

    name: str
    area_km2: float
    resolution: int
    cells: int
    """Of the region."""
    outside: int
    """Of those, how many no imagery was promised for."""
    frames: int
    index_bytes: int
    token_bytes: int
    """Of the token maps; 0 if they are not kept."""
    picture_bytes: int
    """Of the pictures of the region: what the index is made from, and days by themselves."""
    download: Download | None
    """None where imagery is on disk."""
    seconds: float

    @property
    def lines(self) -> list[str]:
        """For people."""
        outside = f", {self.outside:,} of them outside the imagery" if self.outside else ""
        kept = [f"{_size(self.index_bytes)} of index", f"{_size(self.picture_bytes)} of picture"]
        kept += [f"{_size(self.token_bytes)} of token maps"] if self.token_bytes else []
        lines = [
            f"region {self.name}: {self.area_km2:,.1f} km2, {self.cells:,} cells of H3 resolution "
            f"{self.resolution}{outside}, {self.frames:,} frames",
            f"disk: {', '.join(kept[:-1])} and {kept[-1]}",
        ]
        if (download := self.download) is not None:
            cached = f"; {download.cached:,} more are in the cache" if download.cached else ""
            lines.append(
                f"download: about {_size(download.bytes)} in {download.windows:,} windows{cached}"
            )
        lines.append(f"time: about {duration(max(1, self.seconds))} for the model on this machine")
        return lines


def estimate(
    region: Region,
    imagery: ImagerySource,
    model: Gair,
    *,
    resolution: int,
    keep_token_maps: bool = True,
    precision: WantedPrecision = "auto",
) -> Estimate:
    """Plan a build and time the model; reads no pixels.

    Raises:
        RegionError: The region has no cell.
        UsageError: The resolution is none, or makes too many cells.
    """
    cells, plan = _lay_frames(region, imagery, model, resolution, INNER_SHARE)
    frames = len(plan.bounds_wsen_m)
    used = np.unique(plan.frame_of_cell[plan.frame_of_cell >= 0])
    indexed = int((plan.frame_of_cell >= 0).sum())
    grid, dim = model.config.rs_grid, model.config.dim
    vectors = 2 * _NUMBER_BYTES * dim
    speed = None
    if frames:
        cells_a_frame = max(1, round(indexed / frames))
        recipe = Recipe(precision=choose_precision(precision, model))
        speed = measured_speed(model, cells_a_frame, recipe)
    return Estimate(
        name=region.name,
        area_km2=region.area_km2,
        resolution=resolution,
        cells=len(cells),
        outside=len(cells) - indexed,
        frames=frames,
        index_bytes=indexed * (vectors + BYTES_A_CELL) + _FIXED_BYTES,
        token_bytes=frames * map_bytes((frames, grid, grid, dim)) if keep_token_maps else 0,
        picture_bytes=(1 + len(kept_days(imagery)))
        * expected_bytes(len(used), INNER_SHARE * plan.side_m, _grids(plan, imagery.resolution_m)),
        download=imagery.download(plan.footprint(int(frame)) for frame in used),
        seconds=frames * speed.frame_s + indexed * speed.location_s if speed else 0.0,
    )


def measured_speed(model: Gair, cells_a_frame: int, recipe: Recipe) -> Speed:
    """Time one batch of each encoder, after a frame to warm up."""
    encoders, side = Encoders(model, recipe), model.config.rs_frame_px
    pixels = torch.rand(FRAMES_MEASURED, len(model.config.rs_bands), side, side)
    xy = torch.rand(FRAMES_MEASURED, cells_a_frame, 2) * 1.5 - 0.75
    places = torch.rand(LOCATIONS_MEASURED, 2) * 60

    def frames(count: int) -> None:
        encoders.at_points(encoders.token_maps(pixels[:count]), xy[:count]).cpu()

    with torch.inference_mode():
        frames(1)
        since = time.perf_counter()
        frames(FRAMES_MEASURED)
        between = time.perf_counter()
        encoders.at_places(places).cpu()
        end = time.perf_counter()
    return Speed((between - since) / FRAMES_MEASURED, (end - between) / LOCATIONS_MEASURED)


def _size(count: float) -> str:
    for exponent, unit in ((12, "TB"), (9, "GB"), (6, "MB")):
        if count >= 10**exponent:
            return f"{count / 10**exponent:,.1f} {unit}"
    return f"{count / 1000:,.0f} kB"
