"""Scenes resampled to the grid of a frame, and gaps filled."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window
from scipy.ndimage import distance_transform_edt
from shapely.geometry import MultiPolygon, Polygon

from gair.arrays import Bools, Floats, Floats32
from gair.bands import MEAN_DN
from gair.errors import FootprintError, ImageryError
from gair.geo import Footprint, transformer
from indexer.imagery.missing_values import (
    nodata_value,
    perhaps_unmarked,
    unmarked_values,
    unused_value,
)
from indexer.imagery.rasters import OpenFiles, RasterFile, gdal_errors, world_width
from indexer.imagery.scenes import Scene
from indexer.imagery.source import FramePixels
from indexer.imagery.stacks import alike, holds, open_stack
from indexer.regions.antimeridian import cut

_MAX_DN = 65535
_TOLERANCE_PX = 0.002
"""How far from its exact place a pixel may be sampled: PROJ is asked for a few points of a row. At
GDAL's usual eighth of a pixel the edge of a roof differs by a hundred, and this is as fast."""
_FINER = 1.05
"""Pixels of a raster to one of the grid from which on it counts as finer."""
_ROUNDING = 1e-5  # of a value: less is no ground mixed with something else
_UNSIGNED = frozenset(("uint16", "uint32"))
_CORNER = ((0, 0), (1, 0), (0, 1))
_FRINGE_PX = 3  # a pixel of the 20 m bands, and one to spare, at the native 10 m


@dataclass(frozen=True)
class Grid:
    """The pixels of a frame."""

    crs: CRS
    transform: Affine
    height: int
    width: int

    @classmethod
    def of(cls, footprint: Footprint, shape: tuple[int, int]) -> Grid:
        """(H, W) pixels over a footprint, row 0 in the north."""
        height, width = shape
        if height < 1 or width < 1:
            raise ImageryError(f"a frame of {height} x {width} pixels is empty: ask for 1 or more")
        try:
            crs = CRS.from_user_input(footprint.crs)
        except CRSError as error:
            raise FootprintError(
                f"unknown CRS {footprint.crs!r} of a footprint: {error}"
            ) from error
        west, south, east, north = footprint.bounds_wsen
        transform = Affine((east - west) / width, 0, west, 0, (south - north) / height, north)
        return cls(crs, transform, height, width)


def warp_scene(
    scene: Scene, grid: Grid, files: OpenFiles, unmarked: Collection[float] = ()
) -> Floats32:
    """Resample a scene to a grid, bilinearly, as stored.

    Where zero marks missing pixels, it does so only in pixels that are zero in all ten bands: other
    zeros are the dark water and shadows that an offset left at zero.

    Args:
        scene: the scene.
        grid: the pixels.
        files: open ones.
        unmarked: stored values that stand for missing ground though no tag marks them so
            (:mod:`indexer.imagery.missing_values`). Others like them are looked for.

    Returns:
        (10, H, W) stored values; NaN where a band has none.

    Raises:
        ImageryError: A file cannot be read.
    """
    values = _warp(scene, grid, files, nodata_value)
    gaps = np.isnan(values)
    missing = np.asarray(gaps.all(axis=0))
    partly = np.asarray(gaps.any(axis=0)) & ~missing
    if partly.any() and (inner := partly & ~_fringe(missing, partly)).any():
        # With zero as a value like any other, zeros differ from ground outside the raster.
        seen = np.isfinite(_warp(scene, grid, files, unused_value))
        zero_is_nodata = np.array([nodata_value(band.raster) == 0 for band in scene.bands])
        values[gaps & seen & inner & zero_is_nodata[:, None, None]] = 0
    if unmarked:
        values[_touched_by(unmarked, scene, grid, files)] = np.nan
    if perhaps_unmarked(values):
        others = {value for band in scene.bands for value in unmarked_values(band.raster)}
        values[_touched_by(others - {*unmarked}, scene, grid, files)] = np.nan
    return values


def _touched_by(unmarked: Collection[float], scene: Scene, grid: Grid, files: OpenFiles) -> Bools:
    """(10, H, W) where one of some stored values, which stand for missing ground, was mixed in."""
    mixed = _warp(scene, grid, files, _never)
    touched = np.zeros(mixed.shape, dtype=np.bool_)
    for value in sorted(unmarked):

        def nodata_of(raster: RasterFile, value: float = value) -> float:
            return value if value in unmarked_values(raster) else _never(raster)

        # Left out, a value changes exactly the pixels that it had a share in, and others by
        # rounding: GDAL takes another way where nothing is left out.
        without = _warp(scene, grid, files, nodata_of)
        with np.errstate(invalid="ignore", over="ignore"):
            touched |= np.abs(mixed - without) > _ROUNDING * np.abs(without)
        touched |= np.isnan(without) & ~np.isnan(mixed)
    return touched


def _never(raster: RasterFile) -> float:
    """A value that no pixel has, as far as one can know."""
    value = unused_value(raster)
    if math.isnan(value):
        return value
    # GDAL compares in float32, give or take some ulps: of 32 bits, the next ones are the same.
    return value - 1 if value < 1e6 else float(np.floor(0.9 * value))


def _warp(
    scene: Scene, grid: Grid, files: OpenFiles, nodata_of: Callable[[RasterFile], float]
) -> Floats32:
    """(10, H, W) with NaN where no pixel other than nodata contributes.

    `rasterio.warp.reproject` is as fast, but switches Python's warnings off and on around itself,
    which threads feel in each other.
    """
    values = np.empty((len(scene.bands), grid.height, grid.width), dtype=np.float32)
    rasters = [band.raster for band in scene.bands]
    left = list(range(len(rasters)))
    for rows in alike(rasters):
        stacked = _warp_stack([rasters[row] for row in rows], grid, files, nodata_of)
        if stacked is not None:
            values[rows] = stacked
            left = [row for row in left if row not in rows]
    for raster, of_raster in groupby(left, key=lambda row: rasters[row]):
        rows = list(of_raster)
        indexes = [scene.bands[row].index for row in rows]
        values[rows] = warp_file(raster, indexes, grid, files, nodata_of(raster))
    return values


def _warp_stack(
    rasters: Sequence[RasterFile],
    grid: Grid,
    files: OpenFiles,
    nodata_of: Callable[[RasterFile], float],
) -> Floats32 | None:
    """(B, H, W) of alike files with one band each, or None: to be read one by one."""
    first, nodata = rasters[0], nodata_of(rasters[0])
    window = _window_around(first, grid)
    if window is None or len(_transforms(first, grid)) > 1:
        return None
    try:
        with gdal_errors(first.path):
            stack = open_stack(rasters, files)
            if holds(stack, nodata, window):
                return None
            return _resampled(stack, stack.indexes, first, first.transform, grid, nodata)
    except ImageryError:
        for raster in rasters:  # which one is broken, a stack does not say
            warp_file(raster, [1], grid, files, nodata)
        raise


def warp_file(
    raster: RasterFile, indexes: Sequence[int], grid: Grid, files: OpenFiles, nodata: float
) -> Floats32:
    """Resample some bands of a file, (B, H, W) as stored; NaN where a band has nothing but gaps.

    Args:
        raster: the file.
        indexes: of the bands, counted from 1.
        grid: the pixels.
        files: open ones.
        nodata: the stored value that marks gaps.

    Raises:
        ImageryError: the file cannot be read.
    """
    parts: list[Floats32] = []
    for transform in _transforms(raster, grid):
        with gdal_errors(raster.path):
            dataset = files.dataset(raster.path)
            parts.append(_resampled(dataset, indexes, raster, transform, grid, nodata))
    values, *others = parts
    for beyond in others:
        values = np.where(np.isnan(values), beyond, values)
    return values


def _resampled(
    dataset: Any,  # noqa: ANN401
    indexes: Sequence[int],
    raster: RasterFile,
    transform: Affine,
    grid: Grid,
    nodata: float,
) -> Floats32:
    """(B, H, W) of some bands of a dataset, as if it lay where ``transform`` puts it."""
    scale = _scale(raster, transform, grid)
    moved = {} if transform == raster.transform else {"src_transform": transform}
    # Told what to write where there is nothing, GDAL takes a way that is half as fast, to the same
    # bits. It writes 0 when it is not told: of numbers above 0, where 0 is a gap, none is mixed.
    above_zero = nodata == 0 and _UNSIGNED.issuperset(raster.dtypes) and not raster.transparency
    with WarpedVRT(
        dataset,
        crs=grid.crs,
        transform=grid.transform,
        width=grid.width,
        height=grid.height,
        resampling=Resampling.bilinear,
        src_nodata=nodata,
        nodata=None if above_zero else math.nan,
        dtype="float32",
        tolerance=_TOLERANCE_PX,
        XSCALE=scale,
        YSCALE=scale,
        UNIFIED_SRC_NODATA="NO",  # each band's gaps are its own
        **moved,
    ) as warped:
        values: Floats32 = warped.read(list(indexes))
    if above_zero:
        values[values == 0] = np.nan
    return values


def _window_around(raster: RasterFile, grid: Grid) -> Window | None:
    """The pixels of a raster that a grid may be read from, and more; None where it has none."""
    a, b, c, d, e, f = (~raster.transform)[:6]
    x, y = _seen_from(raster, grid)
    column, row = a * x + b * y + c, d * x + e * y + f
    if not (np.isfinite(column).all() and np.isfinite(row).all()):
        return None
    spans = []
    for along, size in ((column, raster.width), (row, raster.height)):
        margin = np.ptp(along) / 4 + _FRINGE_PX
        low, high = math.floor(along.min() - margin), math.ceil(along.max() + margin)
        spans.append((max(low, 0), min(high, size)))
    (left, right), (top, bottom) = spans
    if left >= right or top >= bottom:
        return None
    return Window(left, top, right - left, bottom - top)


def _seen_from(raster: RasterFile, grid: Grid) -> tuple[Floats, Floats]:
    """Nine points of a grid in the CRS of a raster, where its sides may bend."""
    points = [
        grid.transform * (column, row)
        for column in (0, grid.width / 2, grid.width)
        for row in (0, grid.height / 2, grid.height)
    ]
    return transformer(grid.crs.to_wkt(), str(raster.crs))(*np.transpose(points))


def _transforms(raster: RasterFile, grid: Grid) -> list[Affine]:
    """Where a raster lies, as the grid sees it: near 180 degrees also a world further on.

    Its CRS may count longitudes on where the grid's begins anew, and the reverse. Anywhere else it
    is the raster's own transform alone.
    """
    own = raster.transform
    width = world_width(str(raster.crs))
    if width is None:
        return [own]
    x, _ = _seen_from(raster, grid)
    corners = [own * (column, row) for column in (0, raster.width) for row in (0, raster.height)]
    west, east = min(x for x, _ in corners), max(x for x, _ in corners)
    margin = np.ptp(x) / 4 + _FRINGE_PX * abs(own.a)
    jumps = not np.isfinite(x).all() or np.ptp(x) > width / 2
    turns = [
        turn
        for turn in (0, -1, 1)
        if jumps
        or (west + turn * width <= x.max() + margin and east + turn * width >= x.min() - margin)
    ]
    return [Affine.translation(turn * width, 0) * own if turn else own for turn in turns or [0]]


def _scale(raster: RasterFile, transform: Affine, grid: Grid) -> float:
    """Pixels of the grid per pixel of the raster where the raster is finer, else 1.

    It widens GDAL's kernel so that no pixel is skipped. What GDAL takes by itself is the ratio of
    two windows in whole pixels: a pixel's value would depend on what it is read with.
    """
    middle = (grid.width / 2, grid.height / 2)
    x, y = np.transpose([grid.transform * (middle[0] + a, middle[1] + b) for a, b in _CORNER])
    to_raster = transformer(grid.crs.to_wkt(), str(raster.crs))
    x, y = to_raster(x, y)
    if width := world_width(str(raster.crs)):
        x = np.unwrap(x, period=width)  # two of the three may lie on both sides of 180 degrees
    at = [~transform * point for point in zip(x, y, strict=True)]
    column, row = np.transpose(at)
    sides = np.hypot(column[1:] - column[0], row[1:] - row[0])
    finer = float(np.sqrt(np.prod(sides)))
    return round(1 / finer, 2) if math.isfinite(finer) and finer > _FINER else 1.0


def _fringe(missing: Bools, partly: Bools) -> Bools:
    """(H, W) the rim of missing ground, where finer bands end sooner than coarser ones."""
    rim = missing
    for _ in range(_FRINGE_PX):
        grown = np.pad(rim, 1)
        grown = grown[:-2, 1:-1] | grown[2:, 1:-1] | grown[1:-1, :-2] | grown[1:-1, 2:]
        rim = rim | (grown & partly)
    return rim


def outline_of(footprint: Footprint) -> Polygon | MultiPolygon:
    """A footprint's edges in longitude and latitude, cut at 180 degrees."""
    along = np.linspace(-1.0, 1.0, 8, endpoint=False)
    edge = np.ones_like(along)
    x = np.concatenate([along, edge, -along, -edge])
    y = np.concatenate([-edge, along, edge, -along])
    return cut(Polygon(footprint.lonlat_deg(np.stack([x, y], axis=1))))


def filled(values: Floats32, valid: Bools) -> FramePixels:
    """A frame from what imagery gave for it.

    Args:
        values: (10, H, W) digital numbers, changed in place.
        valid: (H, W) True where they are real; the others are filled in from around, or with the
            model's mean where there is nothing.
    """
    if not valid.any():
        values[:] = np.asarray(MEAN_DN, dtype=np.float32)[:, None, None]
    elif not valid.all():
        fill_gaps(values, valid)
    np.clip(values, 0, _MAX_DN, out=values)
    dn = np.rint(values, out=values).astype(np.uint16)
    return FramePixels(dn=dn, valid=valid)


def fill_gaps(values: Floats32, valid: Bools) -> None:
    """Give each pixel of a gap the values of the nearest real one, in place.

    Args:
        values: (B, H, W).
        valid: (H, W) True where ``values`` are real; at least one must be.
    """
    nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    row, column = nearest[:, ~valid]
    values[:, ~valid] = values[:, row, column]
