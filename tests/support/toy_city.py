"""A small made-up city as Sentinel-2-like imagery, and photos of nothing in particular.

Real rasters in a real CRS, generated from a seed, so that every test runs the real readers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
WEST_M, NORTH_M = 699_000.0, 5_712_000.0
"""North-west corner in EPSG:32630: west London."""


def write_city(path: Path, side_px: int = 400, seed: int = 0, hole: bool = False) -> Path:
    """A ten-band uint16 GeoTIFF at 10 m in EPSG:32630; ``hole`` leaves a square without data."""
    import rasterio

    rng = np.random.default_rng(seed)
    coarse = rng.uniform(300, 3500, (len(BANDS), side_px // 20 + 1, side_px // 20 + 1))
    dn = np.kron(coarse, np.ones((1, 20, 20)))[:, :side_px, :side_px]
    dn = np.clip(dn + rng.normal(0, 80, dn.shape), 1, 10_000).astype(np.uint16)
    if hole:
        dn[:, side_px // 2 : side_px // 2 + 40, side_px // 2 : side_px // 2 + 40] = 0
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=side_px,
        height=side_px,
        count=len(BANDS),
        dtype="uint16",
        crs="EPSG:32630",
        transform=rasterio.transform.from_origin(WEST_M, NORTH_M, 10, 10),
        nodata=0,
        tiled=True,
    ) as raster:
        raster.write(dn)
        raster.descriptions = BANDS
    return path


def photo(seed: int = 0, size: tuple[int, int] = (320, 200)) -> Image.Image:
    """A colourful RGB image (width, height)."""
    rng = np.random.default_rng(seed)
    small: npt.NDArray[np.uint8] = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
