"""Areas and the map tiles that cover them, by which providers list photos."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import Polygon

from gair.errors import UsageError
from gair.geo import WEB_MERCATOR_CIRCUMFERENCE_M, Footprint, lonlat_to_web_mercator
from indexer.regions.antimeridian import cut
from indexer.regions.region import (
    Region,
    named_region,
    parse_bbox,
    region_from_bbox,
    region_from_geojson,
)

ZOOM = 14
"""Of the tiles in which Mapillary lists single photos."""

_BOX = re.compile(r"[-+0-9.eE]+(,[-+0-9.eE]+){3}")
_MOST_TILES = 50_000  # what Mapillary gives an application in a day


@dataclass(frozen=True, order=True)
class Tile:
    """A square of the web map."""

    x: int
    y: int

    @property
    def footprint(self) -> Footprint:
        """The square on the ground."""
        side_m = WEB_MERCATOR_CIRCUMFERENCE_M / 2**ZOOM
        west = self.x * side_m - WEB_MERCATOR_CIRCUMFERENCE_M / 2
        north = WEB_MERCATOR_CIRCUMFERENCE_M / 2 - self.y * side_m
        return Footprint("EPSG:3857", (west, north - side_m, west + side_m, north))

    def lonlat_deg(self, x: float, y: float) -> tuple[float, float]:
        """A point of the tile, 0 to 1 from its north-west corner."""
        ((lon, lat),) = self.footprint.lonlat_deg([[2 * x - 1, 2 * y - 1]]).tolist()
        return lon, lat


def parse_area(text: str) -> Region:
    """An area of the command line: a name that ships, ``NAME=W,S,E,N`` or ``NAME=FILE.geojson``.

    Raises:
        RegionError: there is no such area, or it makes no sense.
        UsageError: a box is none.
    """
    name, equals, where = text.partition("=")
    if not equals:
        return named_region(text)
    if not name.strip():
        raise UsageError(f"area {text!r} has no name: give NAME={where}")
    if _BOX.fullmatch(where):
        return region_from_bbox(parse_bbox(where), name.strip())
    return region_from_geojson(where, name.strip())


def tiles_of(region: Region) -> list[Tile]:
    """The tiles that show some of an area, in rows from the north-west.

    Raises:
        UsageError: they are too many to ask for.
    """
    parts = [_tiles_around(part) for part in shapely.get_parts(region.geometry)]
    count = sum(len(columns) * len(rows) for columns, rows in parts)
    if count > _MOST_TILES:
        raise UsageError(f"area {region.name!r} spans {count:,} tiles: give cities, not countries")
    shapely.prepare(region.geometry)
    tiles = set()
    for columns, rows in parts:
        for tile in (Tile(x, y) for y in rows for x in columns):
            corners_deg = tile.footprint.lonlat_deg([[-1, -1], [1, -1], [1, 1], [-1, 1]])
            if shapely.intersects(region.geometry, cut(Polygon(corners_deg))):
                tiles.add(tile)
    return sorted(tiles, key=lambda tile: (tile.y, tile.x))


def _tiles_around(part: Polygon) -> tuple[range, range]:
    """Columns and rows of the tiles around a polygon, which never crosses the date line."""
    west, south, east, north = part.bounds
    corners = lonlat_to_web_mercator([[west, north], [east, south]])
    side_m = WEB_MERCATOR_CIRCUMFERENCE_M / 2**ZOOM
    half_m = WEB_MERCATOR_CIRCUMFERENCE_M / 2
    # Web Mercator counts y northwards from the equator, tiles count rows southwards from the north
    # edge of the map: hence the -1.
    first, last = np.floor((corners * [1, -1] + half_m) / side_m).astype(int).tolist()
    columns, rows = (range(a, min(b, 2**ZOOM - 1) + 1) for a, b in zip(first, last, strict=True))
    return columns, rows
