"""Frames over a region, so that every cell lies in the inner part of one.

Frames are squares in EPSG:3857, like the zoom-14 map tiles that GAIR was trained on. A frame's
outer tokens see zero padding instead of neighbours, so frames overlap and a cell is only ever read
from the inner part of a frame (`gair.encoders.inr` says what happens at the edge).

Each frame is read by itself: how a pixel is resampled and a gap filled depends a little on what is
read with it, and a frame must be the same whatever else a build asks for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from shapely.geometry.base import BaseGeometry

from gair.arrays import Floats, Ints
from gair.errors import UsageError
from gair.geo import WEB_MERCATOR_RADIUS_M, Footprint, lonlat_to_web_mercator
from indexer.build.options import BuildOptions

INNER_SHARE = BuildOptions.inner_share
"""Share of a frame's side that cells are read from, unless told otherwise."""

FRAME_PX_RANGE = (96, 512)
"""Least and most pixels a frame is read at, before it is resized to the encoder's input."""

SENTINEL2_M = 10.0
"""Side of the finest pixels of Sentinel-2 on the ground."""


@dataclass(frozen=True)
class FramePlan:
    """Which frames to read, and which cell is read from which."""

    bounds_wsen_m: Floats
    """(F, 4) in EPSG:3857."""
    frame_of_cell: Ints
    """(N,) row of ``bounds_wsen_m`` for each cell; -1 where no imagery was promised."""
    frame_px: Ints
    """(F,) pixels a side that each frame is read at; their edges are whole multiples of
    ``side_m / frame_px`` from the origin of EPSG:3857."""
    side_m: float
    inner_share: float

    def footprint(self, frame: int) -> Footprint:
        """The footprint of one frame."""
        west, south, east, north = self.bounds_wsen_m[frame]
        return Footprint("EPSG:3857", (west, south, east, north))


def plan_frames(
    lonlat_deg: Floats,
    coverage: BaseGeometry,
    side_m: float,
    inner_share: float = INNER_SHARE,
    resolution_m: float = SENTINEL2_M,
) -> FramePlan:
    """Lay frames over the cells that lie in the coverage.

    Each connected part of the coverage gets its own even grid, laid so that the inner parts of the
    first and last frames end where the part's cells end, to a pixel: frames reach no further over
    the edge of the imagery than they must.

    Args:
        lonlat_deg: (N, 2) cell centres.
        coverage: where there is imagery, longitude and latitude.
        side_m: side of a frame, EPSG:3857 metres.
        inner_share: share of the side that cells are read from, above 0 and up to 1.
        resolution_m: side of the imagery's finest pixel on the ground.
    """
    if not 0 < inner_share <= 1:
        raise UsageError(f"`inner_share` {inner_share} is not above 0 and at most 1")
    points = lonlat_to_web_mercator(lonlat_deg)
    part_of_cell = _part_of(lonlat_deg, coverage)
    frame_of_cell = np.full(len(points), -1, dtype=np.int64)
    all_bounds, all_px = [np.empty((0, 4))], [np.empty(0, dtype=np.int64)]
    count = 0
    for part in range(part_of_cell.max(initial=-1) + 1):
        inside = np.flatnonzero(part_of_cell == part)
        if not len(inside):
            continue
        # Moved to whole pixels, a frame is up to half of one off its place in the grid.
        coarsest_m = side_m / _pixels(points[inside, 1], side_m, resolution_m).min()
        inner_m = side_m * inner_share
        centres, chosen = _grid(points[inside], max(inner_m - coarsest_m, inner_m / 2))
        frame_of_cell[inside] = count + chosen
        frame_px = _pixels(centres[:, 1], side_m, resolution_m)
        all_px.append(frame_px)
        all_bounds.append(on_whole_pixels(centres, side_m, frame_px))
        count += len(centres)
    bounds, pixels = np.concatenate(all_bounds), np.concatenate(all_px)
    return FramePlan(bounds, frame_of_cell, pixels, side_m, inner_share)


def on_whole_pixels(centres_m: Floats, side_m: float, frame_px: Ints) -> Floats:
    """(F, 2) centres to (F, 4) bounds in EPSG:3857, moved by at most half a pixel each way."""
    pixel_m = side_m / frame_px[:, None]
    first = np.rint((centres_m - side_m / 2) / pixel_m)
    return np.concatenate([first, first + frame_px[:, None]], axis=1) * pixel_m


def frame_shape_px(footprint: Footprint, resolution_m: float) -> tuple[int, int]:
    """Rows and columns to read a square of EPSG:3857 at: its ground size over the pixel's."""
    west, south, east, north = footprint.bounds_wsen
    (side,) = _pixels(np.array([(south + north) / 2]), east - west, resolution_m).tolist()
    return side, side


def _pixels(y_m: Floats, side_m: float, resolution_m: float) -> Ints:
    """(n,) pixels a side of squares with centres at some height of EPSG:3857."""
    ground_m = side_m / np.cosh(y_m / WEB_MERCATOR_RADIUS_M)  # times the cosine of the latitude
    return np.rint(np.clip(ground_m / resolution_m, *FRAME_PX_RANGE)).astype(np.int64)


def _part_of(lonlat_deg: Floats, coverage: BaseGeometry) -> Ints:
    """(N,) which connected part of the coverage each point lies in, -1 for none."""
    import shapely

    part = np.full(len(lonlat_deg), -1, dtype=np.int64)
    for number, polygon in enumerate(shapely.get_parts(coverage)):
        shapely.prepare(polygon)
        inside = shapely.intersects_xy(polygon, lonlat_deg[:, 0], lonlat_deg[:, 1])
        part[inside & (part < 0)] = number
    return part


def _grid(points: Floats, inner: float) -> tuple[Floats, Ints]:
    """Centres (F, 2) of the frames in use, northern rows first, and each point's frame."""
    low, high = points.min(axis=0), points.max(axis=0)
    axes = [_even_centres(low[axis], high[axis], inner) for axis in (0, 1)]
    nearest = [_nearest(points[:, axis], axes[axis]) for axis in (0, 1)]
    row_from_north = len(axes[1]) - 1 - nearest[1]
    # One number a place of the grid, row by row: only places with a point become frames.
    key = row_from_north * len(axes[0]) + nearest[0]
    used, chosen = np.unique(key, return_inverse=True)
    columns = used % len(axes[0])
    rows = len(axes[1]) - 1 - used // len(axes[0])
    centres = np.stack([axes[0][columns], axes[1][rows]], axis=1)
    return centres, chosen.astype(np.int64)


def _even_centres(low: float, high: float, inner: float) -> Floats:
    """Centres of the fewest inner parts that cover [low, high], evenly spaced."""
    count = max(1, math.ceil((high - low) / inner - 1e-9))
    if count == 1:
        return np.array([(low + high) / 2])
    return np.linspace(low + inner / 2, high - inner / 2, count)


def _nearest(values: Floats, centres: Floats) -> Ints:
    """Index of the nearest of evenly spaced centres."""
    if len(centres) == 1:
        return np.zeros(len(values), dtype=np.int64)
    step = centres[1] - centres[0]
    steps = np.round((values - centres[0]) / step).astype(np.int64)
    clipped: Ints = np.clip(steps, 0, len(centres) - 1)
    return clipped
