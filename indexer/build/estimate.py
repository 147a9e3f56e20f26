"""Estimates what a build will take before it starts: area, cells, frames, bytes and time.

Counts are exact, since they come from the plan that the build itself makes; bytes follow from them
and from the model. Time is the model's own speed on this machine, measured on one batch, times the
number of frames; what reading imagery costs comes on top where it is slower than the model.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gair.progress import duration
from indexer.build.frames import INNER_SHARE, plan_frames
from indexer.build.recipe import Recipe, WantedPrecision, choose_precision
from indexer.index.token_maps import map_bytes
from indexer.regions.cells import cells_of

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.imagery.source import Download, ImagerySource
    from indexer.regions.region import Region

FRAMES_MEASURED = 8
LOCATIONS_MEASURED = 1024
BYTES_A_CELL = 24
"""Of the cell table, beside the vectors; measured on indexes of 100,000 cells."""
_NUMBER_BYTES = 2  # float16
_FIXED_BYTES = 800_000  # an empty table, the outline, the manifest


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
    download: Download | None
    """None where imagery is on disk."""
    seconds: float

    @property
    def lines(self) -> list[str]:
        """For people."""
        outside = f", {self.outside:,} of them outside the imagery" if self.outside else ""
        tokens = f" and {_size(self.token_bytes)} of token maps" if self.token_bytes else ""
        lines = [
            f"region {self.name}: {self.area_km2:,.1f} km2, {self.cells:,} cells of H3 resolution "
            f"{self.resolution}{outside}, {self.frames:,} frames",
            f"disk: {_size(self.index_bytes)} of index{tokens}",
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
    cells = cells_of(region.geometry, resolution)
    side_m = model.config.footprint_mercator_m
    plan = plan_frames(
        cells.lonlat_deg, imagery.coverage, side_m, INNER_SHARE, imagery.resolution_m
    )
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
        download=imagery.download(plan.footprint(int(frame)) for frame in used),
        seconds=frames * speed.frame_s + indexed * speed.location_s if speed else 0.0,
    )


def measured_speed(model: Gair, cells_a_frame: int, recipe: Recipe) -> Speed:
    """Time one batch of each encoder, after a frame to warm up."""
    import torch

    from indexer.build.embed import Encoders

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
