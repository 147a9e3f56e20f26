"""Picture of one tile from its scenes, made window by window as frames ask for it.

A :class:`Tile` plans windows, a :class:`~.composite.Composer` makes them, and a :class:`Store`
holds what was made. A frame is sampled from the composites bilinearly, gaps left out.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from functools import cached_property, partial
from math import floor
from operator import attrgetter
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from cachetools import LRUCache
from rasterio.features import rasterize
from shapely.geometry import MultiPolygon, Polygon

from gair.arrays import Bools, DigitalNumbers, Floats, Floats32
from gair.bands import GAIR_BANDS
from gair.geo import LONLAT, Footprint, Transform, transformer
from indexer.imagery.days import MISSING
from indexer.imagery.stac.cache import WindowPlace
from indexer.imagery.stac.composite import CoarseWindow, Composer, Day
from indexer.imagery.stac.offsets import Admission
from indexer.imagery.stac.query import StacQuery
from indexer.imagery.stac.scenes import COARSE_BANDS, FINE_BANDS, StacScene, TileGrid
from indexer.imagery.stac.windows import (
    STEP,
    WINDOW_PX,
    Windows,
    window_extent,
    window_pixels,
)
from indexer.regions.antimeridian import polygons_of

_SAMPLE_MARGIN_PX = 3  # around a frame, that its resampling may look at, in 10 m pixels
_NODE_PX = 16  # PROJ is asked for every sixteenth pixel: at 10 m that is a few millimetres off
_ORDER = [(*FINE_BANDS, *COARSE_BANDS).index(band) for band in GAIR_BANDS]


class Sized(Protocol):
    """Something that knows how much memory it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes."""
        ...


Kept = TypeVar("Kept", bound=Sized)


class Store:
    """Holds what was made under a key; what is unused the longest goes first."""

    def __init__(self, budget_bytes: int) -> None:
        self._held: LRUCache[Hashable, Sized] = LRUCache(budget_bytes, attrgetter("nbytes"))
        self._lock = threading.Lock()

    def get_or_make(
        self, key: Hashable, kind: type[Kept], making: threading.RLock, make: Callable[[], Kept]
    ) -> Kept:
        """What is held, or what ``make`` gives.

        Args:
            key: names it.
            kind: its class.
            making: taken while it is made, so that it is made once.
            make: makes it; may ask this store for other things under the same lock.
        """
        if (held := self._get(key)) is None:
            with making:
                if (held := self._get(key)) is None:
                    held = self._put(key, make())
        assert isinstance(held, kind)
        return held

    def _get(self, key: Hashable) -> Sized | None:
        with self._lock:
            return self._held.get(key)

    def _put(self, key: Hashable, made: Kept) -> Kept:
        # What is larger than the whole budget is refused, and made again for whoever asks next.
        with self._lock, contextlib.suppress(ValueError):
            self._held[key] = made
        return made


Extent = tuple[float, float, float, float]
"""Top, left, bottom, right, in 10 m pixels from a tile's north-west corner."""


class Tile:
    """All scenes of one grid, the clearest first."""

    def __init__(
        self,
        scenes: list[StacScene],
        region: Polygon | MultiPolygon,
        query: StacQuery,
        windows: Windows,
        store: Store,
    ) -> None:
        self.grid: TileGrid = scenes[0].grid
        self.scenes = tuple(scenes)
        self.outline = polygons_of(shapely.union_all([scene.outline for scene in scenes]))
        self.hidden: dict[WindowPlace, int] = {}
        """20 m pixels of the region that no date shows, by coarse window."""
        self._region = region
        self._store = store
        self._lock = threading.RLock()
        self.admission = Admission(self.scenes, self.wanted, windows)
        self._composer = Composer(query, windows, self.admission)

    @cached_property
    def wanted(self) -> dict[WindowPlace, Polygon | MultiPolygon]:
        """The region's part in each coarse window, longitude and latitude."""
        parts = {}
        for place in self.places("coarse", (0, 0, self.grid.height, self.grid.width)):
            area = self.grid.area(window_extent(self.grid, place))
            part = polygons_of(shapely.intersection(area, self._region))
            if not part.is_empty:
                parts[place] = part
        return parts

    def days_at(self, place: WindowPlace) -> list[Day]:
        """Dates that show a window, the least cloudy first."""
        area = self.grid.area(window_extent(self.grid, place))
        days: dict[object, list[StacScene]] = {}
        for scene in self.scenes:
            if scene.outline.intersects(area):
                days.setdefault(scene.solar_day, []).append(scene)
        return [tuple(day) for day in days.values()]

    def places(self, kind: str, extent: Extent) -> Iterator[WindowPlace]:
        """Windows that an extent touches, as far as they lie in the tile."""
        side = WINDOW_PX * STEP[kind]
        first = [max(0, floor(edge / side)) for edge in extent[:2]]
        ends = (self.grid.height, self.grid.width)
        last = [
            min(floor(e / side), (n - 1) // side) for e, n in zip(extent[2:], ends, strict=True)
        ]
        return (
            WindowPlace(kind, row, column)
            for row in range(first[0], last[0] + 1)
            for column in range(first[1], last[1] + 1)
        )

    def pixels(self, kind: str, extent: Extent) -> tuple[DigitalNumbers, int, int]:
        """The composite of an extent, which need not lie inside the tile.

        Args:
            kind: ``fine`` or ``coarse``.
            extent: what is needed.

        Returns:
            (B, H, W) pixels of the kind's own size, and the row and column of the first one.
        """
        step = STEP[kind]
        top, left, bottom, right = (floor(edge / step) for edge in extent)
        bands = FINE_BANDS if kind == "fine" else COARSE_BANDS
        shape = (len(bands), bottom + 1 - top, right + 1 - left)
        mosaic = np.full(shape, MISSING, dtype=np.uint16)
        for place in self.places(kind, extent):
            # Three systems of one size of pixel: the tile's, the window's and the mosaic's own.
            start_row, start_column, end_row, end_column = window_pixels(self.grid, place)
            rows = range(max(start_row, top), min(end_row, bottom + 1))
            columns = range(max(start_column, left), min(end_column, right + 1))
            if rows and columns:
                part = self._composite(place)
                mosaic[:, _cut(rows, top), _cut(columns, left)] = part[
                    :, _cut(rows, start_row), _cut(columns, start_column)
                ]
        return mosaic, top, left

    def extent_of(self, footprint: Footprint) -> Extent:
        """The smallest extent that holds all a frame is sampled from."""
        west, south, east, north = footprint.bounds_wsen
        # Edges bend in the tile's CRS: nine points of each side, and the margin, are enough.
        x, y = np.meshgrid(np.linspace(west, east, 9), np.linspace(south, north, 9))
        column, row = self._column_row(*transformer(footprint.crs, self.grid.crs)(x, y))
        return (
            float(row.min()) - _SAMPLE_MARGIN_PX,
            float(column.min()) - _SAMPLE_MARGIN_PX,
            float(row.max()) + _SAMPLE_MARGIN_PX,
            float(column.max()) + _SAMPLE_MARGIN_PX,
        )

    def frame(self, footprint: Footprint, shape: tuple[int, int]) -> Floats32:
        """The composite on the grid of a frame.

        Args:
            footprint: the square on the ground.
            shape: (H, W) pixels over it, row 0 in the north.

        Returns:
            (10, H, W) digital numbers in the order of :data:`gair.bands.GAIR_BANDS`; NaN where
            there are none.
        """
        height, width = shape
        west, south, east, north = footprint.bounds_wsen
        x = west + (np.arange(width) + 0.5) / width * (east - west)
        y = north - (np.arange(height) + 0.5) / height * (north - south)
        to_grid = transformer(footprint.crs, self.grid.crs)
        column, row = self._column_row(*transformed_grid(to_grid, x, y))  # (H, W)
        extent = self.extent_of(footprint)
        layers = []
        for kind in ("fine", "coarse"):
            values, top, left = self.pixels(kind, extent)
            step = STEP[kind]
            layers.append(bilinear(values, column / step - left, row / step - top, MISSING))
        return np.concatenate(layers)[_ORDER]

    def _column_row(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Places of the tile's CRS in 10 m pixels from its north-west corner."""
        grid = self.grid
        return (x - grid.west) / grid.pixel, (grid.north - y) / grid.pixel

    def _composite(self, place: WindowPlace) -> DigitalNumbers:
        if place.kind == "coarse":
            return self._coarse(place).composite
        key = (self.grid, place)
        return self._store.get_or_make(key, np.ndarray, self._lock, partial(self._fine, place))

    def _coarse(self, place: WindowPlace) -> CoarseWindow:
        def make() -> CoarseWindow:
            made = self._composer.coarse(place, self.days_at(place), self._inside(place))
            self.hidden[place] = made.hidden
            return made

        return self._store.get_or_make((self.grid, place), CoarseWindow, self._lock, make)

    def _fine(self, place: WindowPlace) -> DigitalNumbers:
        around = WindowPlace("coarse", place.row // 2, place.column // 2)
        top, left, bottom, right = window_pixels(self.grid, place)
        start_row, start_column, _, _ = window_pixels(self.grid, around)
        # Of the window around, in 20 m pixels; an odd last row or column of the tile is rounded up,
        # and what is composed of it too much cut off again.
        quadrant = (
            slice(top // 2 - start_row, -(-bottom // 2) - start_row),
            slice(left // 2 - start_column, -(-right // 2) - start_column),
        )
        made = self._composer.fine(place, self._coarse(around), quadrant)
        return made[:, : bottom - top, : right - left]

    def _inside(self, place: WindowPlace) -> Bools:
        """(H, W) which 20 m pixels of a coarse window lie in the region, and in its scenes."""
        top, left, bottom, right = window_pixels(self.grid, place)
        shape = (bottom - top, right - left)
        if place not in self.wanted:
            return np.zeros(shape, dtype=np.bool_)
        part = shapely.intersection(self.wanted[place], self.outline)
        to_crs = transformer(LONLAT, self.grid.crs)
        ground = shapely.transform(part, lambda p: np.stack(to_crs(*p.T), axis=1))
        pixel = self.grid.pixel * STEP["coarse"]
        corner = (self.grid.west + left * pixel, self.grid.north - top * pixel)
        transform = Affine(pixel, 0, corner[0], 0, -pixel, corner[1])
        if ground.is_empty:
            return np.zeros(shape, dtype=np.bool_)
        inside = rasterize([ground], out_shape=shape, transform=transform)
        return np.asarray(inside, dtype=np.bool_)


def _cut(numbers: range, first: int) -> slice:
    """Rows or columns, counted from ``first``."""
    return slice(numbers.start - first, numbers.stop - first)


def transformed_grid(to_other: Transform, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The pixels of a raster in another CRS.

    Args:
        to_other: from the CRS of the raster.
        x: (W,) of the columns, evenly spaced.
        y: (H,) of the rows, evenly spaced.

    Returns:
        Two arrays (H, W), x and y in the other CRS.
    """
    columns, rows = _nodes(len(x)), _nodes(len(y))
    across, down = to_other(*np.meshgrid(x[columns], y[rows]))  # (rows, columns) of nodes each
    if not (np.isfinite(across).all() and np.isfinite(down).all()):
        return to_other(*np.meshgrid(x, y))
    # Linear in both directions: (H, rows) @ (rows, columns) @ (columns, W).
    left, right = _between(rows, len(y)), _between(columns, len(x)).T
    return left @ across @ right, left @ down @ right


def _nodes(count: int) -> npt.NDArray[np.int64]:
    """Every sixteenth of ``count`` pixels, and the last one."""
    return np.unique(np.append(np.arange(0, count, _NODE_PX), count - 1))


def _between(nodes: npt.NDArray[np.int64], count: int) -> Floats:
    """(count, n) weights of the nodes at each place; each row sums to 1."""
    places = np.arange(count)
    return np.stack([np.interp(places, nodes, unit) for unit in np.eye(len(nodes))], axis=1)


def bilinear(values: DigitalNumbers, column: Floats, row: Floats, gap: int) -> Floats32:
    """Values at places between pixels.

    Of the four pixels around a place those that are gaps are left out and the others count for
    more, as in GDAL.

    Args:
        values: (B, H, W), a pixel being a gap in all bands or in none.
        column: (...) places in pixels from the left edge; 0.5 is the first pixel's centre.
        row: (...) the same from the top.
        gap: the value of a gap. Outside of the values all is a gap.

    Returns:
        (B, ...) with NaN where there is nothing around.
    """
    bands, height, width = values.shape
    left, top = np.floor(column - 0.5).astype(np.intp), np.floor(row - 0.5).astype(np.intp)
    right_share = (column - 0.5 - left).astype(np.float32)
    lower_share = (row - 0.5 - top).astype(np.float32)
    flat = values.reshape(bands, height * width)
    total = np.zeros((bands, *column.shape), dtype=np.float32)
    weights = np.zeros(column.shape, dtype=np.float32)
    for down, vertical in ((0, 1 - lower_share), (1, lower_share)):
        for across, horizontal in ((0, 1 - right_share), (1, right_share)):
            r, c = top + down, left + across
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            at = np.where(inside, r * width + c, 0)  # outside: any pixel, with a weight of 0
            corner = flat[:, at]  # (B, ...)
            weight = np.where(inside & (corner[0] != gap), vertical * horizontal, np.float32(0))
            total += corner * weight
            weights += weight
    weights[weights < 1e-6] = np.nan  # nothing around but rounding
    return np.asarray(total / weights)
