"""Made-up imagery of any size, written strip by strip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from gair.bands import GAIR_BANDS

_STRIP_PX = 512
_BLOCK_PX = 20


def write_wide_city(
    path: Path, bounds_wsen_m: tuple[float, float, float, float], crs: str, seed: int = 0
) -> Path:
    """A ten-band uint16 GeoTIFF of 10 m pixels over bounds in a CRS of metres."""
    west, south, east, north = bounds_wsen_m
    width, height = round((east - west) / 10), round((north - south) / 10)
    rng = np.random.default_rng(seed)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=len(GAIR_BANDS),
        dtype="uint16",
        crs=crs,
        transform=Affine(10, 0, west, 0, -10, north),
        nodata=0,
        tiled=True,
        blockxsize=512,
        blockysize=_STRIP_PX,
        BIGTIFF="IF_SAFER",
    ) as raster:
        raster.descriptions = GAIR_BANDS
        raster.update_tags(SYNTHETIC="made up for a benchmark")
        for top in range(0, height, _STRIP_PX):
            rows = min(_STRIP_PX, height - top)
            shape = (len(GAIR_BANDS), -(-rows // _BLOCK_PX), -(-width // _BLOCK_PX))
            coarse = rng.integers(300, 3500, shape, dtype=np.uint16)
            fine = np.kron(coarse, np.ones((1, _BLOCK_PX, _BLOCK_PX), dtype=np.uint16))
            noise = rng.integers(0, 160, (rows, width), dtype=np.uint16)
            window = rasterio.windows.Window(0, top, width, rows)
            raster.write(fine[:, :rows, :width] + noise, window=window)
    return path
