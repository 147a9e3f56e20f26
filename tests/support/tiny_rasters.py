"""Writes small georeferenced rasters that look like Sentinel-2 to a reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import rasterio
from affine import Affine

from gair.bands import GAIR_BANDS
from gair.geo import Footprint

UTM18 = "EPSG:32618"
LONLAT_DEG = (-75.6, 37.7)
"""Where every raster lies unless told otherwise: the middle of one in EPSG:32618."""

PIXEL = {"EPSG:32618": 10.0, "EPSG:3857": 12.6, "EPSG:4326": 0.0001, "EPSG:27700": 10.0}
"""Pixel sides of about ten metres, in CRS units."""


def transform_around(
    lonlat_deg: tuple[float, float], size: tuple[int, int], crs: str, pixel: float | None = None
) -> Affine:
    """North-up pixels with a point in the middle of (H, W)."""
    pixel = pixel or PIXEL[crs]
    x, y = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(*lonlat_deg)
    height, width = size
    return Affine(pixel, 0, x - width / 2 * pixel, 0, -pixel, y + height / 2 * pixel)


def pixel_lonlat(transform: Affine, size: tuple[int, int], crs: str) -> npt.NDArray[np.float64]:
    """(2, H, W) longitude and latitude of the pixel centres."""
    rows, columns = np.indices(size) + 0.5
    x = transform.a * columns + transform.b * rows + transform.c
    y = transform.d * columns + transform.e * rows + transform.f
    to_lonlat = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    return np.stack(to_lonlat.transform(x, y))


def flat_bands(size: tuple[int, int] = (40, 40), first: int = 500) -> npt.NDArray[np.uint16]:
    """(10, H, W): band k holds ``first + 100 k`` everywhere."""
    levels = first + 100 * np.arange(len(GAIR_BANDS))
    return np.broadcast_to(levels[:, None, None], (len(levels), *size)).astype(np.uint16)


def write_raster(
    path: Path,
    pixels: npt.NDArray[Any],
    *,
    names: Sequence[str | None] = (),
    crs: str | None = UTM18,
    transform: Affine | None = None,
    nodata: float | None = None,
    tags: dict[str, str] | None = None,
    scale_offset: tuple[float, float] | None = None,
    **options: Any,
) -> Path:
    """Write (B, H, W) pixels; without ``transform`` they lie around :data:`LONLAT_DEG`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, *size = pixels.shape
    if transform is None and crs is not None:
        transform = transform_around(LONLAT_DEG, (size[0], size[1]), crs)
    options = {"driver": "JP2OpenJPEG" if path.suffix == ".jp2" else "GTiff", **options}
    with rasterio.open(
        path,
        "w",
        count=count,
        height=size[0],
        width=size[1],
        dtype=pixels.dtype,
        crs=crs,
        transform=transform,
        nodata=nodata,
        **options,
    ) as out:
        out.write(pixels)
        for index, name in enumerate(names, start=1):
            out.set_band_description(index, name or "")
        if tags:
            out.update_tags(**tags)
        if scale_offset:
            out.scales = [scale_offset[0]] * count
            out.offsets = [scale_offset[1]] * count
    return path


def write_bands(
    folder: Path,
    pattern: str,
    pixels: npt.NDArray[Any],
    bands: Sequence[str] = GAIR_BANDS,
    **options: Any,
) -> list[Path]:
    """One file a band; ``{}`` in the pattern becomes ``B02`` ... ``B8A``."""
    return [
        write_raster(folder / pattern.format(f"B{band[1:]:0>2}"), layer[None], **options)
        for band, layer in zip(bands, pixels, strict=True)
    ]


FLAT = flat_bands()
FRAME = Footprint.web_mercator_square(LONLAT_DEG, 200.0)
"""Inside every raster of 40 x 40 pixels around the same point."""


def write_flat(path: Path, first: int = 500, **options: Any) -> Path:
    return write_raster(path, flat_bands(first=first), names=GAIR_BANDS, **options)


def own_footprint(path: Path) -> tuple[Footprint, tuple[int, int]]:
    """The footprint and shape that reproduce a north-up raster pixel for pixel."""
    with rasterio.open(path) as raster:
        west, south, east, north = raster.bounds
        return Footprint(raster.crs.to_string(), (west, south, east, north)), raster.shape
