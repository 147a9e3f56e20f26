"""Prior over cells, from what is known before the photo is looked at.

Three things may be said, and all of them hold together:

* ``within``: a polygon that holds the cell's centre;
* ``where``: an SQL condition on the cell, such as ``lat_deg > 51.5`` or, with a table of one's own,
  ``landcover.kind <> 'water'``;
* ``weight``: an SQL expression that says how likely a square metre of the cell is beside others,
  such as ``people.per_km2 + 1``.

The prior of a cell is its area times its weight, 0 where a condition fails::

    log_prior = area_log_prior(index.cells.area_m2) + prior.log_weight
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from gair.arrays import Bools, Floats
from gair.errors import UsageError
from indexer.index.index import Index
from indexer.regions.geojson import checked_and_cut, parse_area
from indexer.regions.region import region_from_geojson
from indexer.search.cell_sql import CellSql

Within: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | BaseGeometry"

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")


@dataclass(frozen=True, eq=False)
class Prior:
    """How likely each cell is before the photo is looked at, apart from its area."""

    log_weight: Floats
    """(N,) 0 for the likeliest cells, below for others, -inf for those that cannot be."""
    description: str
    """What was said, and how many cells it leaves."""


def build_prior(
    index: Index,
    *,
    where: str | None = None,
    weight: str | None = None,
    within: Within | None = None,
    tables: Mapping[str, Path] | None = None,
) -> Prior:
    """Turn what is known into a weight for each cell.

    Args:
        index: whose cells.
        where: SQL condition; cells for which it is not true are left out. Columns: see
            :class:`indexer.search.cell_sql.CellSql`.
        weight: SQL expression, 0 or more for each cell that is left.
        within: a GeoJSON file, a GeoJSON object or a shapely geometry, in longitude and latitude;
            it may reach over 180 degrees.
        tables: CSV or Parquet files with a column ``h3``, by the name that the SQL uses.

    Raises:
        UsageError: an expression or a table cannot be used, or nothing is left.
        RegionError: ``within`` is no area in longitude and latitude.
    """
    log_weight = np.zeros(len(index.cells))
    said: list[str] = []
    hint = ""
    if within is not None:
        area, name = _area(within)
        shapely.prepare(area)
        inside = shapely.intersects_xy(area, *index.cells.lonlat_deg.T)
        if not inside.any() and shapely.intersects_xy(area, *index.cells.lonlat_deg.T[::-1]).any():
            hint = ", or exchange its latitudes and longitudes: then it holds cells"
        log_weight[~inside] = -np.inf
        said.append(f"within {name}")
    if where is not None or weight is not None or tables:
        with CellSql(index, tables) as sql:
            if where is not None:
                log_weight += _condition(sql, where, said)
            if weight is not None:
                log_weight += _log_weight(sql, weight, log_weight > -np.inf, said)
            said += [f"{k} has no row for {n:,} cells" for k, n in sql.without_row.items() if n]
    left = int(np.isfinite(log_weight).sum())
    words = "; ".join(said) or "nothing is known beforehand"
    if not left:
        raise UsageError(f"no cell of {len(log_weight):,} is left ({words}): loosen it{hint}")
    return Prior(log_weight, f"{left:,} of {len(log_weight):,} cells: {words}")


def _area(within: Within) -> tuple[Polygon | MultiPolygon, str]:
    """The polygon, and what to call it."""
    if isinstance(within, BaseGeometry):
        return checked_and_cut(within, "the area"), "the area"
    if isinstance(within, Mapping):
        return parse_area(json.dumps(within), "the area")[0], "the area"
    return region_from_geojson(within).geometry, os.path.basename(os.fspath(within))


def _condition(sql: CellSql, where: str, said: list[str]) -> Floats:
    """0 where the condition is true, -inf elsewhere, (N,)."""
    truth = sql.evaluate(where, "where")
    if truth.kind != "BOOLEAN":
        raise UsageError(
            f"where {where!r} gives {truth.kind}, not true or false: compare it with something"
        )
    unknown = int(truth.unknown.sum())
    left_out = f" ({unknown:,} cells where that is unknown are left out)" if unknown else ""
    said.append(f"where {_one_line(where)}{left_out}")
    keep = ~truth.unknown & (truth.values == np.True_)
    return np.where(keep, 0.0, -np.inf)


def _log_weight(sql: CellSql, weight: str, kept: Bools, said: list[str]) -> Floats:
    """The log of each kept cell's weight as a share of the largest, (N,)."""
    of_cells = sql.evaluate(weight, "weight")
    kind = of_cells.kind
    if not kind.removeprefix("U").startswith((*_NUMBERS, "BOOLEAN")) or "[" in kind:
        raise UsageError(f"weight {weight!r} gives {kind}, not a number")
    values = np.where(of_cells.unknown, np.nan, of_cells.values.astype(np.float64))
    bad = kept & ~((values >= 0) & np.isfinite(values))
    if bad.any():
        example = "NULL" if of_cells.unknown[bad][0] else f"{values[bad][0]:g}"
        raise UsageError(
            f"weight {weight!r} is no number of 0 or more for {int(bad.sum()):,} of "
            f"{int(kept.sum()):,} cells (the first: {example}); coalesce(..., 1) replaces NULL"
        )
    said.append(f"weighted by {_one_line(weight)}")
    values = np.where(kept, values, 0.0)
    largest = values.max()
    with np.errstate(divide="ignore"):
        return np.log(values / largest) if largest > 0 else np.full(len(values), -np.inf)


def _one_line(text: str) -> str:
    return " ".join(text.split())
