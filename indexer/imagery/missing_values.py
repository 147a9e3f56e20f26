"""Missing values of a raster: what its tags mark so, and what no sensor gives.

A file that marks nothing may still hold a value where it has no data: -9999, or the end of what its
pixels can hold. Passed on as ground it ruins what is near, for pixels are mixed as they are
resampled. So a scene is looked at for such values when it is opened (:func:`unmarked_in`), and so
is whatever is read from it (:func:`perhaps_unmarked`).
"""

from __future__ import annotations

import math

import numpy as np

from gair.arrays import Floats32
from indexer.imagery.rasters import RasterFile

_USUAL = (-9999.0, -32768.0)
_FLOAT_ENDS = (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))
_UNMARKED = {
    "uint16": (65535.0, 55537.0),  # the latter is -9999 in 16 bits without a sign
    "int16": (*_USUAL, 32767.0),
    "uint32": (65535.0, 4294967295.0, 4294957297.0),
    "int32": (*_USUAL, 65535.0, -2147483648.0, 2147483647.0),
    "float32": (*_USUAL, 65535.0, *_FLOAT_ENDS, 1e20, 9.969209968386869e36),
    "float64": (*_USUAL, 65535.0, *_FLOAT_ENDS, 1e20, 9.969209968386869e36),
}
"""Values by pixel type that stand for no reflectance: Sentinel-2 products call 65535 saturated, the
others are what GDAL, NumPy, netCDF and people put where there is no data."""
_BELOW, _ABOVE = -1500.0, 30000.0  # as stored; ground mixed with any of them lies beyond


def unmarked_values(raster: RasterFile) -> tuple[float, ...]:
    """What may stand for missing ground in a raster beside the value it marks so."""
    marked = nodata_value(raster)
    return tuple(value for value in _UNMARKED[raster.dtypes[0]] if not _same(value, marked))


def unmarked_in(stored: Floats32, raster: RasterFile) -> dict[float, float]:
    """Share of pixels, 0 to 1, by each such value among stored ones; those that occur."""
    shares = {
        value: float((stored == np.float32(value)).mean())
        for value in (unmarked_values(raster) if stored.size else ())
    }
    return {value: share for value, share in shares.items() if share}


def perhaps_unmarked(stored: Floats32) -> bool:
    """Whether resampled values may have such a value mixed in."""
    with np.errstate(invalid="ignore"):
        return bool(((stored < _BELOW) | (stored > _ABOVE)).any())


def _same(value: float, other: float) -> bool:
    return bool(np.float32(value) == np.float32(other))


def nodata_value(raster: RasterFile) -> float:
    """The value that marks missing pixels: the file's own, else 0, the Sentinel-2 convention.

    A value that the pixel type cannot hold counts as none.
    """
    value = 0.0 if raster.nodata is None else raster.nodata
    limits = _limits(raster)
    return value if limits is None or limits[0] <= value <= limits[1] else 0.0


def unused_value(raster: RasterFile) -> float:
    """A value other than 0 that stands for no ground: the largest one, or NaN."""
    limits = _limits(raster)
    return math.nan if limits is None else limits[1]


def _limits(raster: RasterFile) -> tuple[float, float] | None:
    """What an integer pixel can hold; None for floating point."""
    dtype = np.dtype(raster.dtypes[0])
    if not np.issubdtype(dtype, np.integer):
        return None
    limits = np.iinfo(dtype)
    return float(limits.min), float(limits.max)
