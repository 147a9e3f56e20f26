"""A heat map as a GeoTIFF for GIS programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely

from gair.errors import StorageError, UsageError
from gair.geo import WEB_MERCATOR_CIRCUMFERENCE_M, lonlat_to_web_mercator
from indexer.neighbours import CellField
from indexer.outlines import cell_rings, middle_longitude_deg

if TYPE_CHECKING:
    from indexer.heatmap import HeatMap

Floats = npt.NDArray[np.float64]

MOST_PIXELS = 200_000_000
"""800 MB of values."""

_PIXELS_AT_ONCE = 1 << 18
_NEAREST = 3
"""A point lies in one of so many nearest centres' cells; cells are not quite the nearest ones."""


def geotiff(heat: HeatMap, spacing_m: float | None = None) -> bytes:
    """The bytes of a GeoTIFF: float32, EPSG:3857, north up, NaN where there is no cell.

    A pixel has the value of the cell that contains its centre. Tags say what the values are and
    whom to credit. Where the index lies across the antimeridian, the raster goes on past it.

    Args:
        heat: the map.
        spacing_m: side of a pixel on the ground in the middle of the map, metres; a third of the
            distance between cells if not given.

    Raises:
        UsageError: the spacing is no length, or makes too many pixels.
    """
    field = CellField(heat.cells.lonlat_deg, heat.cells.area_m2)
    middle_deg = middle_longitude_deg(heat.cells.lonlat_deg)
    rings = cell_rings(heat.cells.h3, middle_deg)
    corners = np.concatenate(rings)
    low, high = lonlat_to_web_mercator([corners.min(axis=0), corners.max(axis=0)])
    latitude_deg = float(_lonlat((low + high)[None] / 2)[0, 1])
    ground_m = field.spacing_m / 3 if spacing_m is None else spacing_m
    if not (math.isfinite(ground_m) and ground_m > 0):
        raise UsageError(f"spacing {ground_m:g} m: a pixel needs a side above 0")
    step_m = ground_m / math.cos(math.radians(latitude_deg))
    width, height = (max(1, math.ceil(side)) for side in (high - low) / step_m)
    if width * height > MOST_PIXELS:
        raise UsageError(
            f"spacing {ground_m:g} m makes {width:,} x {height:,} pixels, more than "
            f"{MOST_PIXELS:,}: choose a larger one"
        )
    ring_of = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    polygons = shapely.polygons(shapely.linearrings(corners, indices=ring_of))
    values = np.full(width * height, np.nan, dtype=np.float32)
    for start in range(0, width * height, _PIXELS_AT_ONCE):
        number = np.arange(start, min(start + _PIXELS_AT_ONCE, width * height))
        x = low[0] + (number % width + 0.5) * step_m
        y = high[1] - (number // width + 0.5) * step_m
        row = _cell_of(_lonlat(np.stack([x, y], axis=1)), field, polygons)
        values[number] = np.where(row >= 0, heat.values[row], np.nan)
    return _encoded(heat, values.reshape(height, width), (low[0], high[1], step_m))


def _cell_of(
    lonlat_deg: Floats, field: CellField, polygons: npt.NDArray[np.object_]
) -> npt.NDArray[np.int64]:
    """(Q,) row of the cell that contains each point, -1 for none."""
    reach_m = 2 * field.spacing_m  # no corner is that far from its centre
    found = field.nearest_few(lonlat_deg, 1, reach_m)[:, 0]
    near = np.flatnonzero(found >= 0)
    inside = shapely.intersects_xy(polygons[found[near]], *lonlat_deg[near].T)
    doubtful = near[~inside]
    found[doubtful] = -1
    for row in field.nearest_few(lonlat_deg[doubtful], _NEAREST, reach_m).T[1:]:
        inside = (row >= 0) & shapely.intersects_xy(polygons[row], *lonlat_deg[doubtful].T)
        found[doubtful[inside]] = row[inside]
    return found


def _encoded(
    heat: HeatMap, values: npt.NDArray[np.float32], corner: tuple[float, float, float]
) -> bytes:
    """The file: ``corner`` is the west edge, the north edge and the side of a pixel."""
    import rasterio
    from rasterio.errors import RasterioError

    west_m, north_m, step_m = corner
    tags = {"WHAT": heat.what, "UNITS": heat.units, "TITLE": heat.title, "NOTE": heat.note}
    tags |= {name.upper(): text for name, text in heat.credits.items()}
    try:
        with rasterio.MemoryFile() as memory:
            with memory.open(
                driver="GTiff",
                width=values.shape[1],
                height=values.shape[0],
                count=1,
                dtype="float32",
                crs="EPSG:3857",
                transform=rasterio.transform.from_origin(west_m, north_m, step_m, step_m),
                nodata=math.nan,
                compress="deflate",
                predictor=3,
                tiled=True,
            ) as raster:
                raster.write(values, 1)
                raster.set_band_description(1, heat.units)
                raster.update_tags(**{name: text for name, text in tags.items() if text})
            return bytes(memory.read())
    except RasterioError as error:
        raise StorageError(f"cannot encode the raster: {error}") from error


def _lonlat(metres: Floats) -> Floats:
    """EPSG:3857 metres to degrees; longitudes may pass 180."""
    radius_m = WEB_MERCATOR_CIRCUMFERENCE_M / (2 * np.pi)
    lon = np.degrees(metres[:, 0] / radius_m)
    lat = np.degrees(np.arctan(np.sinh(metres[:, 1] / radius_m)))
    return np.stack([lon, lat], axis=1)
