"""Stacks files of one grid: GDAL finds once for all of their bands where a frame's pixels lie.

Where no band has a gap, a stack gives the bits that each file gives by itself. Beside gaps GDAL
rounds otherwise as soon as there are several bands: there, files are read one by one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any
from xml.sax.saxutils import escape

import rasterio
from rasterio.windows import Window

from gair.files import check_is_file
from indexer.imagery.rasters import OpenFiles, RasterFile

_GDAL_TYPES = {"uint16": "UInt16", "int16": "Int16"}
"""Pixel types that are stacked: what marks a gap is met exactly or not at all."""


def alike(rasters: Sequence[RasterFile]) -> list[list[int]]:
    """Positions of files with one band each that can be one stack; two or more in each list."""
    groups: dict[Hashable, list[int]] = {}
    for position, raster in enumerate(rasters):
        if raster.count == 1 and raster.dtypes[0] in _GDAL_TYPES:
            size = (raster.width, raster.height)
            key = (raster.crs, raster.transform, size, raster.dtypes, raster.nodata)
            groups.setdefault(key, []).append(position)
    return [positions for positions in groups.values() if len(positions) > 1]


def open_stack(rasters: Sequence[RasterFile], files: OpenFiles) -> Any:  # noqa: ANN401
    """The open dataset of a stack: a band a file, in their order."""
    key = tuple(raster.path for raster in rasters)
    if key not in files:
        for path in key:
            check_is_file(path)
        files[key] = rasterio.open(_vrt_of(rasters))
    return files[key]


def holds(stack: Any, value: float, window: Window) -> bool:  # noqa: ANN401
    """Whether any band of a stack has a value, which its pixels can hold, in a window."""
    pixels = stack.read(window=window)
    return bool((pixels == pixels.dtype.type(value)).any())


def _vrt_of(rasters: Sequence[RasterFile]) -> str:
    """A stack as a raster that GDAL reads: a VRT, which is a text."""
    first = rasters[0]
    placed = ", ".join(repr(float(number)) for number in first.transform.to_gdal())
    bands = "".join(
        f'<VRTRasterBand dataType="{_GDAL_TYPES[raster.dtypes[0]]}" band="{band}"><SimpleSource>'
        # Not shared: handles of another thread's stack must not be met.
        f'<SourceFilename relativeToVRT="0" shared="0">{escape(str(raster.path.absolute()))}'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for band, raster in enumerate(rasters, start=1)
    )
    return (
        f'<VRTDataset rasterXSize="{first.width}" rasterYSize="{first.height}">'
        f"<SRS>{escape(str(first.crs))}</SRS><GeoTransform>{placed}</GeoTransform>{bands}"
        "</VRTDataset>"
    )
