"""From a scene's files to the grid of a frame: resampling, and filling of gaps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError
from rasterio.fill import fillnodata
from rasterio.vrt import WarpedVRT
from shapely.geometry import Polygon

from gair.bands import MEAN_DN
from gair.errors import FootprintError, ImageryError
from gair.geo import Footprint
from indexer.imagery.handles import OpenFiles
from indexer.imagery.rasters import RasterFile, gdal_errors, nodata_value, unused_value
from indexer.imagery.scenes import Scene
from indexer.imagery.source import FramePixels

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_MAX_DN = 65535
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


def warp_scene(scene: Scene, grid: Grid, files: OpenFiles) -> Floats:
    """Resample a scene to a grid, bilinearly, as stored.

    Where zero marks missing pixels, it does so only in pixels that are zero in all ten bands: other
    zeros are the dark water and shadows that an offset left at zero.

    Returns:
        (10, H, W) stored values; NaN where a band has none.

    Raises:
        ImageryError: A file cannot be read.
    """
    values = _warp(scene, grid, files, nodata_value)
    gaps = np.isnan(values)
    missing = np.asarray(gaps.all(axis=0))
    partly = np.asarray(gaps.any(axis=0)) & ~missing
    if partly.any():
        # With zero as a value like any other, zeros differ from ground outside the raster.
        seen = np.isfinite(_warp(scene, grid, files, unused_value))
        zero_is_nodata = np.array([nodata_value(band.raster) == 0 for band in scene.bands])
        inner = partly & ~_fringe(missing, partly)
        values[gaps & seen & inner & zero_is_nodata[:, None, None]] = 0
    return values


def _warp(
    scene: Scene, grid: Grid, files: OpenFiles, nodata_of: Callable[[RasterFile], float]
) -> Floats:
    """(10, H, W) with NaN where no pixel other than nodata contributes.

    `rasterio.warp.reproject` is as fast, but switches Python's warnings off and on around itself,
    which threads feel in each other.
    """
    parts = []
    for raster, group in groupby(scene.bands, key=lambda band: band.raster):
        with (
            gdal_errors(raster.path),
            WarpedVRT(
                files.dataset(raster.path),
                crs=grid.crs,
                transform=grid.transform,
                width=grid.width,
                height=grid.height,
                resampling=Resampling.bilinear,
                src_nodata=nodata_of(raster),
                nodata=math.nan,
                dtype="float32",
                UNIFIED_SRC_NODATA="NO",  # each band's gaps are its own
            ) as warped,
        ):
            parts.append(warped.read([band.index for band in group]))
    return np.concatenate(parts)


def _fringe(missing: Mask, partly: Mask) -> Mask:
    """(H, W) the rim of missing ground, where finer bands end sooner than coarser ones."""
    rim = missing
    for _ in range(_FRINGE_PX):
        grown = np.pad(rim, 1)
        grown = grown[:-2, 1:-1] | grown[2:, 1:-1] | grown[1:-1, :-2] | grown[1:-1, 2:]
        rim = rim | (grown & partly)
    return rim


def outline_of(footprint: Footprint) -> Polygon:
    """A footprint's edges in longitude and latitude."""
    along = np.linspace(-1.0, 1.0, 8, endpoint=False)
    one = np.ones_like(along)
    x = np.concatenate([along, one, -along, -one])
    y = np.concatenate([-one, along, one, -along])
    return Polygon(footprint.lonlat_deg(np.stack([x, y], axis=1)))


def filled(values: Floats, valid: Mask) -> FramePixels:
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
    dn = np.rint(np.clip(values, 0, _MAX_DN)).astype(np.uint16)
    return FramePixels(dn=dn, valid=valid)


def fill_gaps(values: Floats, valid: Mask) -> None:
    """Fill each band's gaps from around them, in place.

    Args:
        values: (B, H, W).
        valid: (H, W) True where ``values`` are real; at least one must be.
    """
    reach = math.hypot(*valid.shape)
    for layer in values:
        layer[~valid] = layer[valid].mean()  # for what no search reaches
        layer[:] = fillnodata(layer, valid.astype(np.uint8), max_search_distance=reach)
