"""The cell table: everything about a cell but its vectors, in DuckDB.

Tables of ``cells.duckdb``:

* ``cells``: row, h3, lon_deg, lat_deg, area_m2, frame; ``row`` is the row in each vector store;
* ``frames``: frame, west_m, south_m, east_m, north_m (EPSG:3857), valid_fraction;
* ``missing``: h3, lon_deg, lat_deg, reason; cells of the region that could not be indexed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats, Ids, Ints
from gair.errors import IndexCorruptError
from gair.geo import haversine_m
from indexer.index.duckdb_files import new_database, open_database
from indexer.regions.cell_field import spacing_m
from indexer.regions.cells import cells_around, cells_at

_MOST_LOOKED_AT = 4096
"""Cells around a point that are worth looking at to spare looking up the points there."""
_RINGS_A_WIDTH = 2 / math.sqrt(3)
"""Rings of hexagons in the distance between two neighbours, where rings are nearest."""

_SCHEMA = """
CREATE TABLE out.cells ("row" BIGINT, h3 UBIGINT, lon_deg DOUBLE, lat_deg DOUBLE,
                        area_m2 DOUBLE, frame INTEGER);
CREATE TABLE out.frames (frame INTEGER, west_m DOUBLE, south_m DOUBLE, east_m DOUBLE,
                         north_m DOUBLE, valid_fraction DOUBLE);
CREATE TABLE out.missing (h3 UBIGINT, lon_deg DOUBLE, lat_deg DOUBLE, reason VARCHAR);
"""


@dataclass(frozen=True)
class CellRows:
    """The indexed cells, in row order."""

    h3: Ids
    """(N,) cell ids."""
    lonlat_deg: Floats
    """(N, 2) centres."""
    area_m2: Floats
    """(N,) area of each cell."""
    frame: Ints
    """(N,) which frame each was sampled from."""

    def __len__(self) -> int:
        return len(self.h3)

    def taken(self, rows: Ints) -> CellRows:
        """Some of them, in the order of ``rows``."""
        return CellRows(self.h3[rows], self.lonlat_deg[rows], self.area_m2[rows], self.frame[rows])

    def rows_of(self, ids: Ids) -> Ints:
        """(Q,) the row of each cell of an index, whose ids ascend; -1 for one that is not there."""
        row = np.minimum(np.searchsorted(self.h3, ids), len(self.h3) - 1)
        return np.where(self.h3[row] == ids, row, -1)

    def holding_discs(self, lonlat_deg: Floats, radius_m: float, resolution: int) -> Bools:
        """Around which of (Q, 2) points all within a radius surely lies in cells that are there.

        It is told from the cells around, much quicker than to look up many points there. Of the
        others, such as those near the edge of the index, and of very wide discs it says nothing.
        """
        held = np.zeros(len(lonlat_deg), dtype=np.bool_)
        # So many rings of hexagons that the last lies beyond the radius, from anywhere in the cell.
        widths = radius_m / spacing_m(self.area_m2) + 1 + 1 / math.sqrt(3)
        rings = math.ceil(widths * _RINGS_A_WIDTH)
        if 1 + 3 * rings * (rings + 1) > min(len(self.h3), _MOST_LOOKED_AT):
            return held
        for number, cell in enumerate(cells_at(lonlat_deg, resolution).tolist()):
            row = self.rows_of(cells_around(cell, rings)) if cell else np.array([-1])
            if (row < 0).any():
                continue
            last = row[~np.isin(self.h3[row], cells_around(cell, rings - 1))]
            # Who leaves the rings has to cross the last. A cell's corners are nearer to its centre
            # than the next cell's centre is.
            away_m = haversine_m(self.lonlat_deg[last], lonlat_deg[number])
            held[number] = away_m.min() > radius_m + spacing_m(self.area_m2[last])
        return held


@dataclass(frozen=True)
class FrameRows:
    """The frames that were read."""

    bounds_wsen_m: Floats
    """(F, 4) in EPSG:3857."""
    valid_fraction: Floats
    """(F,) share of pixels that the imagery covers."""


@dataclass(frozen=True)
class MissingRows:
    """Cells of the region that were not indexed."""

    h3: Ids
    lonlat_deg: Floats
    reason: list[str]


def write_table(path: Path, cells: CellRows, frames: FrameRows, missing: MissingRows) -> None:
    """Write a new DuckDB file; readers of 1.0 and later can open it.

    Raises:
        StorageError: the disk refused.
    """
    tables = {
        "cells": {
            "row": np.arange(len(cells)),
            "h3": cells.h3,
            "lon_deg": cells.lonlat_deg[:, 0],
            "lat_deg": cells.lonlat_deg[:, 1],
            "area_m2": cells.area_m2,
            "frame": cells.frame,
        },
        "frames": {
            "frame": np.arange(len(frames.bounds_wsen_m)),
            **dict(
                zip(("west_m", "south_m", "east_m", "north_m"), frames.bounds_wsen_m.T, strict=True)
            ),
            "valid_fraction": frames.valid_fraction,
        },
        "missing": {
            "h3": missing.h3,
            "lon_deg": missing.lonlat_deg[:, 0],
            "lat_deg": missing.lonlat_deg[:, 1],
            "reason": np.asarray(missing.reason, dtype=object),
        },
    }
    with new_database(path) as connection:
        connection.execute(_SCHEMA)
        for name, columns in tables.items():
            connection.register("batch", columns)
            connection.execute(f"INSERT INTO out.{name} SELECT * FROM batch")
            connection.unregister("batch")


def read_table(path: Path) -> tuple[CellRows, FrameRows]:
    """The indexed cells, and the frames that they were sampled from.

    Raises:
        IndexCorruptError: it is no cell table.
    """
    cells, frames, _ = query_rows(
        path,
        'SELECT "row", h3, lon_deg, lat_deg, area_m2, frame FROM cells ORDER BY "row"',
        "SELECT frame, west_m, south_m, east_m, north_m, valid_fraction FROM frames ORDER BY frame",
        "SELECT h3 FROM missing LIMIT 0",  # that it is there
    )
    if not np.array_equal(cells["row"], np.arange(len(cells["row"]))):
        raise IndexCorruptError(f"{path}: the rows of its cells are not 0, 1, 2, ...")
    bounds = [frames[name] for name in ("west_m", "south_m", "east_m", "north_m")]
    return (
        CellRows(
            h3=np.asarray(cells["h3"], dtype=np.uint64),
            lonlat_deg=np.stack([cells["lon_deg"], cells["lat_deg"]], axis=1).astype(np.float64),
            area_m2=np.asarray(cells["area_m2"], dtype=np.float64),
            frame=np.asarray(cells["frame"], dtype=np.int64),
        ),
        FrameRows(
            bounds_wsen_m=np.stack(bounds, axis=1).astype(np.float64),
            valid_fraction=np.asarray(frames["valid_fraction"], dtype=np.float64),
        ),
    )


def read_missing(path: Path, most: int | None = None) -> MissingRows:
    """The cells that a build could not index; the first ``most`` of them, if given.

    Raises:
        IndexCorruptError: it is no cell table.
    """
    limit = "" if most is None else f" LIMIT {int(most)}"
    (rows,) = query_rows(
        path, f"SELECT h3, lon_deg, lat_deg, reason FROM missing ORDER BY h3{limit}"
    )
    return MissingRows(
        np.asarray(rows["h3"], dtype=np.uint64),
        np.stack([rows["lon_deg"], rows["lat_deg"]], axis=1).astype(np.float64),
        [str(reason) for reason in rows["reason"]],
    )


def query_rows(path: Path, *queries: str) -> list[dict[str, npt.NDArray[Any]]]:
    """The columns that each query gives, by name.

    Raises:
        IndexInUseError: a program has the table open to write.
        IndexCorruptError: it is no cell table.
    """
    with open_database(path) as connection:
        return [connection.execute(query).fetchnumpy() for query in queries]
