"""Digital numbers from stored values, and a check that they are reflectance x 10000."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gair.arrays import Floats32
from gair.errors import ImageryError, UsageError
from indexer.imagery.rasters import OpenFiles, gdal_errors, nodata_value
from indexer.imagery.scenes import Scene, SceneBand

DN_PER_REFLECTANCE = 10000.0
"""Digital numbers of a reflectance of 1, the convention of Sentinel-2 products."""

_SANE_MEDIAN_DN = (2.0, 20000.0)
_SAMPLE_PX = 256  # longest side of the coarse look at a scene


@dataclass(frozen=True)
class Scaling:
    """How stored values become digital numbers, where a user states it: ``dn * scale + offset``."""

    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise UsageError(f"`dn_scale` {self.scale} is not above 0: 1 leaves values as they are")
        if not math.isfinite(self.offset):
            raise UsageError(f"`dn_offset` {self.offset} is no number: 0 leaves values as they are")

    def apply(self, values: Floats32, bands: Sequence[SceneBand]) -> Floats32:
        """(B, ...) stored values to digital numbers, first by the files' own scale and offset."""
        for layer, band in zip(values, bands, strict=True):
            scale, offset = band.raster.scales[band.index - 1], band.raster.offsets[band.index - 1]
            if (scale, offset) != (1.0, 0.0):
                layer *= scale * DN_PER_REFLECTANCE
                layer += offset * DN_PER_REFLECTANCE
        if (self.scale, self.offset) != (1.0, 0.0):
            values = values * np.float32(self.scale) + np.float32(self.offset)
        return values


def check_reflectance(scene: Scene, scaling: Scaling, files: OpenFiles) -> None:
    """Look at a scene's red band coarsely: does it hold digital numbers, and any at all?

    Raises:
        ImageryError: It is nodata all over, or its median is none that reflectance x 10000 has.
    """
    red = next(band for band in scene.bands if band.name == "B4")
    raster = red.raster
    shrink = max(1.0, max(raster.width, raster.height) / _SAMPLE_PX)
    shape = (max(1, round(raster.height / shrink)), max(1, round(raster.width / shrink)))
    with gdal_errors(raster.path):
        stored = files.dataset(raster.path).read(red.index, out_shape=shape).astype(np.float32)
    stored = stored[np.isfinite(stored) & (stored != nodata_value(raster))]
    if not stored.size:
        raise ImageryError(f"{raster.path} is nodata all over: take it out, or fetch it again")
    median = float(np.median(scaling.apply(stored[None], [red])))
    low, high = _SANE_MEDIAN_DN
    if low <= median <= high:
        return
    hint = "looks like reflectance in 0..1: pass `dn_scale` 10000"
    if median <= 0:
        hint = "has nothing above 0: pass another `dn_offset`"
    elif median > high:
        hint = "is too bright for any ground: pass a `dn_scale` that makes reflectance 1 10000"
    raise ImageryError(
        f"{raster.path}, band B4: a median of {median:.4g} where reflectance x 10000 is expected "
        f"{hint}"
    )
