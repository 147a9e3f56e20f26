"""Real H3 cells around a point, for tests that need no imagery."""

from __future__ import annotations

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt

from indexer.index.table import CellRows
from indexer.regions.cell_field import CellField

PLACES: dict[str, tuple[float, float, int, int]] = {
    "a city": (-0.1, 51.5, 9, 8),
    "the antimeridian": (180.0, -16.8, 8, 6),
    "a pole": (20.0, 90.0, 6, 5),
    "a pentagon": (10.536, 64.7, 5, 5),
}
"""Longitude, latitude, H3 resolution and rings of cells for :func:`cells_around`."""


def rows_of(ids: npt.ArrayLike) -> CellRows:
    """H3 ids as the rows of an index, ascending."""
    h3_ids = np.sort(np.asarray(ids, dtype=np.uint64))
    return CellRows(
        h3=h3_ids,
        lonlat_deg=np.array([h3.cell_to_latlng(i)[::-1] for i in h3_ids]),
        area_m2=np.array([h3.cell_area(i, unit="m^2") for i in h3_ids]),
        frame=np.zeros(len(h3_ids), dtype=np.int64),
    )


def cells_around(lon_deg: float, lat_deg: float, resolution: int, rings: int) -> CellRows:
    """The cell of a point and so many rings of cells around it."""
    return rows_of(h3.grid_disk(h3.latlng_to_cell(lat_deg, lon_deg, resolution), rings))


def field_around(lon_deg: float, lat_deg: float, resolution: int, rings: int) -> CellField:
    """The same cells as points and areas."""
    cells = cells_around(lon_deg, lat_deg, resolution, rings)
    return CellField(cells.lonlat_deg, cells.area_m2)
