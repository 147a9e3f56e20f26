"""H3 cells of a region: which ones, where their centres lie, how large each is.

A cell belongs to the region that its centre lies in, so that neighbouring regions share none and
miss none. See https://h3geo.org/docs/core-library/restable for counts and sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt
from shapely.geometry import MultiPolygon, Polygon

from gair.arrays import Floats, Ids
from gair.errors import RegionError, UsageError
from indexer.regions.geojson import check_area
from indexer.regions.region import geodesic_area_km2, narrow_parts

FINEST_RESOLUTION = 15
"""H3's finest resolution; its cells measure about 0.9 square metres."""

MAX_CELLS = 100_000_000
"""Most cells that one call makes: 3.2 GB of arrays, and minutes. Larger builds go by regions."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Some H3 cells of one resolution, row by row."""

    ids: Ids
    """(N,) H3 indexes, ascending, each once."""
    lonlat_deg: Floats
    """(N, 2) longitude, latitude of the centres."""
    area_m2: Floats
    """(N,) each cell's own area, square metres, on H3's sphere (radius 6371.007 km, degrees of the
    ellipsoid taken as they are): at 51 degrees of latitude 0.4 % less than on the ellipsoid."""
    resolution: int
    """H3 resolution, 0 (coarsest) to 15."""

    def __len__(self) -> int:
        return len(self.ids)


def cells_of(region_geometry: Polygon | MultiPolygon, resolution: int) -> Cells:
    """All cells whose centre lies in a region; holes are left out.

    Args:
        region_geometry: Longitude, latitude in degrees.
        resolution: H3 resolution, 0 to 15.

    Raises:
        UsageError: There is no such resolution, or it makes more than :data:`MAX_CELLS` cells.
        RegionError: The region is invalid, or no centre lies in it.
    """
    if resolution not in range(FINEST_RESOLUTION + 1):
        raise UsageError(
            f"H3 has no resolution {resolution!r}; choose `resolution` 0 (coarsest) to 15 (finest)"
        )
    check_area(region_geometry, "the region")
    _check_count(region_geometry, resolution)
    ids = _ids_within(region_geometry, resolution)
    if not len(ids):
        raise RegionError(_too_small(region_geometry, resolution))
    latlng = np.fromiter(map(h3.cell_to_latlng, ids), dtype=np.dtype((np.float64, 2)))
    area_m2 = np.fromiter(map(partial(h3.cell_area, unit="m^2"), ids), dtype=np.float64)
    return Cells(ids, np.ascontiguousarray(latlng[:, ::-1]), area_m2, int(resolution))


def cells_at(lonlat_deg: npt.ArrayLike, resolution: int) -> Ids:
    """The cell that each of (Q, 2) points lies in, (Q,); 0, which is none, for NaN."""
    points = np.asarray(lonlat_deg, dtype=np.float64).reshape(-1, 2).tolist()
    cells = (h3.latlng_to_cell(lat, lon, resolution) if lon == lon else 0 for lon, lat in points)
    return np.fromiter(cells, dtype=np.uint64, count=len(points))


def cells_around(cell: int, rings: int) -> Ids:
    """A cell and so many rings of cells around it, in any order."""
    return np.asarray(h3.grid_disk(cell, rings), dtype=np.uint64)


def cell_boundary_lonlat_deg(cell: int | np.uint64) -> Floats:
    """Corners of a cell, counter-clockwise, the first one not repeated.

    Args:
        cell: H3 index.

    Returns:
        (V, 2) longitude, latitude. V is 6; 5 for the twelve pentagons; up to 10 for a cell that an
        edge of H3's icosahedron crosses. Longitudes run on past 180 where a cell lies across the
        antimeridian, so that the outline does not jump around the world.

    Raises:
        UsageError: It is no H3 cell.
    """
    _check_cell(cell, str(cell))
    latlng = np.asarray(h3.cell_to_boundary(cell), dtype=np.float64)  # (V, 2)
    return np.stack([np.unwrap(latlng[:, 1], period=360), latlng[:, 0]], axis=1)


def cell_hex(cell: int | np.uint64) -> str:
    """The H3 address of a cell as hexadecimal text, for people and for other tools.

    Raises:
        UsageError: It is no H3 cell.
    """
    _check_cell(cell, str(cell))
    return str(h3.int_to_str(cell))


def cell_from_hex(text: str) -> int:
    """The inverse of :func:`cell_hex`.

    Raises:
        UsageError: The text is no address of an H3 cell.
    """
    try:
        cell = int(text, 16)
    except ValueError:
        cell = 0
    _check_cell(cell, repr(text))
    return cell


def _check_cell(cell: int | np.uint64, shown: str) -> None:
    if not (0 <= cell < 2**64 and h3.is_valid_cell(cell)):
        raise UsageError(f"{shown} is no H3 cell; an address looks like '8a194ad3056ffff'")


def _ids_within(geometry: Polygon | MultiPolygon, resolution: int) -> Ids:
    """(N,) ascending ids of the cells with their centre inside."""
    ids = [
        h3.h3shape_to_cells_experimental(h3.geo_to_h3shape(part), resolution, contain="center")
        for part in narrow_parts(geometry)
    ]
    return np.unique(np.concatenate([np.empty(0, np.uint64), *ids]))


def _own_cell_area_km2(geometry: Polygon | MultiPolygon, resolution: int) -> float:
    """Area of the cell at a point inside the geometry."""
    inside = geometry.representative_point()
    return float(h3.cell_area(h3.latlng_to_cell(inside.y, inside.x, resolution), unit="km^2"))


def _check_count(geometry: Polygon | MultiPolygon, resolution: int) -> None:
    """Refuse what would fill the memory before H3 tries."""
    area_km2 = geodesic_area_km2(geometry)
    expected = area_km2 / _own_cell_area_km2(geometry, resolution)
    if expected <= MAX_CELLS:
        return
    coarser = resolution - int(np.ceil(np.log(expected / MAX_CELLS) / np.log(7)))
    raise UsageError(
        f"resolution {resolution} cuts {area_km2:,.0f} km2 into about {expected:,.0f} cells, more "
        f"than {MAX_CELLS:,}; choose `resolution` {max(coarser, 0)} or less, or split the region"
    )


def _too_small(geometry: Polygon | MultiPolygon, resolution: int) -> str:
    """The message for a region without cells, with the resolution that would give some."""
    finer = range(resolution + 1, FINEST_RESOLUTION + 1)
    counts = ((r, len(_ids_within(geometry, r))) for r in finer)
    remedy = next(
        (f"`resolution` {r} gives {count}" for r, count in counts if count),
        "no resolution gives one; enlarge the region",
    )
    return (
        f"no centre of an H3 cell of resolution {resolution} lies in this region: it has "
        f"{_km2(geodesic_area_km2(geometry))}, a cell here "
        f"{_km2(_own_cell_area_km2(geometry, resolution))}; {remedy}"
    )


def _km2(area_km2: float) -> str:
    return f"{area_km2:,.2f} km2" if area_km2 >= 0.1 else f"{area_km2 * 1e6:,.3g} m2"
