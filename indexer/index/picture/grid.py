"""Grid of a picture: pixels of the map tiles of one zoom, so that tiles are cut and not resampled.

Pixel (0, 0) of the world is its north-west corner in EPSG:3857; zoom z has 256 * 2^z pixels a side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gair.arrays import Floats, Ints
from gair.geo import WEB_MERCATOR_CIRCUMFERENCE_M, WEB_MERCATOR_RADIUS_M

TILE_PX = 256
MOST_PIXELS = 1 << 28
"""Of a picture: a rectangle of some 160 x 160 km at 10 m. One of more has pixels twice as large."""
_COARSER = 1.25
"""A pixel may be so much larger on the ground than the imagery's."""
_FINEST_ZOOM = 18


@dataclass(frozen=True)
class PictureGrid:
    """Where the pixels of a picture are."""

    zoom: int
    left_px: int
    """Of its west edge, from the world's; a multiple of 256, as the next one."""
    top_px: int
    width_px: int
    height_px: int

    @property
    def pixel_m(self) -> float:
        """Side of a pixel, EPSG:3857 metres."""
        return WEB_MERCATOR_CIRCUMFERENCE_M / (TILE_PX << self.zoom)

    @property
    def bounds_wsen_m(self) -> tuple[float, float, float, float]:
        """Its edges in EPSG:3857."""
        half = WEB_MERCATOR_CIRCUMFERENCE_M / 2
        west, north = self.left_px * self.pixel_m - half, half - self.top_px * self.pixel_m
        east, south = west + self.width_px * self.pixel_m, north - self.height_px * self.pixel_m
        return west, south, east, north

    def column_row_px(self, points_m: Floats) -> Floats:
        """(N, 2) EPSG:3857 metres to (N, 2) columns and rows of the picture, with fractions."""
        half = WEB_MERCATOR_CIRCUMFERENCE_M / 2
        from_corner = (np.asarray(points_m) * [1, -1] + half) / self.pixel_m
        return np.asarray(from_corner - [self.left_px, self.top_px])


def grid_over(bounds_wsen_m: Floats, resolution_m: float) -> PictureGrid:
    """The grid of a picture of some frames.

    Args:
        bounds_wsen_m: (F, 4) in EPSG:3857; F is 1 or more.
        resolution_m: side of the imagery's finest pixel on the ground.
    """
    south, north = bounds_wsen_m[:, 1].min(), bounds_wsen_m[:, 3].max()
    ground = 1 / math.cosh((south + north) / 2 / WEB_MERCATOR_RADIUS_M)  # cosine of the latitude
    widest_m = WEB_MERCATOR_CIRCUMFERENCE_M * ground / TILE_PX  # of the one pixel of zoom 0's tile
    zoom = math.ceil(math.log2(widest_m / (_COARSER * resolution_m)))
    zoom = min(max(zoom, 0), _FINEST_ZOOM)
    while True:
        grid = grid_at(bounds_wsen_m, zoom)
        if grid.width_px * grid.height_px <= MOST_PIXELS or not zoom:
            return grid
        zoom -= 1


def grid_at(bounds_wsen_m: Floats, zoom: int) -> PictureGrid:
    """The grid of a zoom that covers some rectangles, (F, 4), as far as the world reaches."""
    world = PictureGrid(zoom, 0, 0, TILE_PX << zoom, TILE_PX << zoom)
    west, south = bounds_wsen_m[:, :2].min(axis=0)
    east, north = bounds_wsen_m[:, 2:].max(axis=0)
    corners = world.column_row_px(np.array([(west, north), (east, south)]))
    (left, top), (right, bottom) = np.clip(corners, 0, TILE_PX << zoom)
    left, top = (int(v) // TILE_PX * TILE_PX for v in (left + 1e-6, top + 1e-6))
    right, bottom = (max(math.ceil(v - 1e-6), 1) for v in (right, bottom))
    return PictureGrid(zoom, left, top, max(right - left, 1), max(bottom - top, 1))


def grids_of(
    bounds_wsen_m: Floats, resolution_m: float, zoom: int | None = None
) -> list[tuple[Ints, PictureGrid]]:
    """The pictures of some frames: one, or two of a region that lies around 180 degrees.

    Args:
        bounds_wsen_m: (F, 4) in EPSG:3857.
        resolution_m: side of the imagery's finest pixel on the ground.
        zoom: of the grids; as fine as the imagery if not given.

    Returns:
        Rows of frames and the grid over them; nothing for no frames.
    """
    if not len(bounds_wsen_m):
        return []
    middle = (bounds_wsen_m[:, 0] + bounds_wsen_m[:, 2]) / 2
    around = middle.max() - middle.min() > WEB_MERCATOR_CIRCUMFERENCE_M / 2
    parts = (middle >= 0, middle < 0) if around else (np.ones(len(middle), dtype=bool),)
    grids = []
    for rows in map(np.flatnonzero, parts):
        own = bounds_wsen_m[rows]
        grids.append((rows, grid_over(own, resolution_m) if zoom is None else grid_at(own, zoom)))
    return grids
