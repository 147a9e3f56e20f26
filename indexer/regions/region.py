"""Regions: the areas that an index covers, in longitude and latitude.

A region comes by name (the ones that ship), from a bounding box, or from a GeoJSON file::

    london = named_region("london")
    strip = region_from_bbox((-0.2, 51.48, 0.0, 51.53))
    mine = region_from_geojson("district.geojson")

Edges are straight lines in longitude and latitude, as RFC 7946 has it. No region crosses the
antimeridian: such an area is a MultiPolygon with a part on each side.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
import pyproj
import shapely
from shapely.geometry import MultiPolygon, Polygon, mapping
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from gair.errors import RegionError, UsageError
from gair.files import read_file
from indexer.regions.antimeridian import cut
from indexer.regions.geojson import MAX_LONGITUDE_DEG, check_area, parse_area

_MAX_EDGE_DEG = 0.1  # edges are cut to this before the geodesic area, so that they stay straight
_SLAB_DEG = 90.0


@dataclass(frozen=True)
class Region:
    """An area on the ground, checked when made: valid, not empty, within longitude/latitude.

    Raises:
        RegionError: The geometry is none of that.
    """

    name: str
    geometry: Polygon | MultiPolygon
    """Longitude, latitude in degrees (WGS 84)."""
    attribution: str
    """Whom to name beside a map of the region; empty for none."""

    def __post_init__(self) -> None:
        check_area(self.geometry, f"region {self.name!r}")

    @property
    def area_km2(self) -> float:
        """Area on the WGS 84 ellipsoid, square kilometres."""
        return geodesic_area_km2(self.geometry)

    @property
    def bbox_wsen_deg(self) -> tuple[float, float, float, float]:
        """West, south, east, north edge, degrees."""
        west, south, east, north = (float(v) for v in self.geometry.bounds)
        return west, south, east, north

    @property
    def sha256(self) -> str:
        """Hash of the area alone, whatever its name and wherever its rings start.

        It is taken over the geometry as GeoJSON: normalised by shapely, coordinates rounded to 9
        decimals, sorted keys, no spaces.
        """
        return hashlib.sha256(_canonical_geojson(self.geometry).encode()).hexdigest()

    def to_geojson(self) -> dict[str, Any]:
        """A GeoJSON Feature with the name and the attribution as properties.

        Outer rings are anticlockwise, holes clockwise (RFC 7946, 3.1.6), however they were drawn.
        """
        oriented = [orient(polygon) for polygon in _members(self.geometry)]
        geometry = oriented[0] if isinstance(self.geometry, Polygon) else MultiPolygon(oriented)
        return {
            "type": "Feature",
            "properties": {"name": self.name, "attribution": self.attribution},
            "geometry": json.loads(json.dumps(mapping(geometry))),  # tuples become lists
        }


def geodesic_area_km2(geometry: Polygon | MultiPolygon) -> float:
    """Area on the WGS 84 ellipsoid, square kilometres, of a geometry in degrees."""
    geod = pyproj.Geod(ellps="WGS84")
    polygons = (polygon for part in narrow_parts(geometry) for polygon in _members(part))
    dense = (orient(shapely.segmentize(polygon, _MAX_EDGE_DEG)) for polygon in polygons)
    return float(sum(geod.geometry_area_perimeter(polygon)[0] for polygon in dense)) / 1e6


def narrow_parts(geometry: Polygon | MultiPolygon) -> Iterator[Polygon | MultiPolygon]:
    """Cut a geometry that spans half the world or more along meridians.

    An edge of 180 degrees or more looks to H3 and to PROJ like one across the antimeridian.
    Anything narrower comes back as it is.
    """
    west, south, east, north = geometry.bounds
    if east - west < 2 * _SLAB_DEG:
        yield geometry
        return
    for start in np.arange(west, east, _SLAB_DEG):
        slab = shapely.box(start, south, min(start + _SLAB_DEG, east), north)
        areas = [part for part in _members(shapely.intersection(geometry, slab)) if part.area > 0]
        if areas:
            yield MultiPolygon(areas)


def region_names() -> list[str]:
    """Names of the regions that ship with the package, sorted."""
    return sorted(_shipped_files())


def named_region(name: str) -> Region:
    """A region that ships with the package; upper and lower case are the same.

    Raises:
        RegionError: There is none of that name.
    """
    files = _shipped_files()
    key = name.strip().lower()
    if key not in files:
        raise RegionError(
            f"unknown region {name!r}; there is: {', '.join(sorted(files))}. "
            "For any other place give a GeoJSON file (`polygon`), a bounding box W,S,E,N (`bbox`), "
            "or a name for a geocoder (`place`)"
        )
    return _region_from_text(files[key].read_text(encoding="utf-8"), files[key].name, key)


def region_from_bbox(bbox_wsen_deg: Sequence[float], name: str = "bbox") -> Region:
    """A rectangle in longitude and latitude.

    Args:
        bbox_wsen_deg: West, south, east, north edge, degrees. A west edge above the east one means
            a box over the antimeridian (RFC 7946, section 5.2), which comes in two parts; so does
            one that goes on past 180.
        name: What to call it.

    Raises:
        RegionError: The edges enclose nothing, or are not longitudes and latitudes.
    """
    edges = [float(value) for value in bbox_wsen_deg]
    if len(edges) != 4:
        raise RegionError(f"a bounding box has 4 edges (W, S, E, N), not {len(edges)}: {edges}")
    west, south, east, north = edges
    past_180 = max(abs(west), abs(east)) > 180
    # A box that goes on past 180 is read where it cannot be a slip, such as a swapped edge.
    over = past_180 and 0 < east - west <= 180 and max(abs(west), abs(east)) <= MAX_LONGITUDE_DEG
    for side, value, limit in zip(
        ("west", "south", "east", "north"), edges, (180, 90, 180, 90), strict=True
    ):
        if not math.isfinite(value) or abs(value) > limit and not (over and limit == 180):
            raise RegionError(
                f"{side} {value:g} is not in -{limit}..{limit} degrees (W, S, E, N)"
                f"{_exchanged_hint(edges)}"
            )
    if south >= north:
        raise RegionError(f"south {south:g} is not less than north {north:g} (order: W, S, E, N)")
    if west > east and east + 360 - west <= 180:
        east += 360
    if west >= east:
        raise RegionError(
            f"west {west:g} is not less than east {east:g} (order: W, S, E, N); only a box over "
            "the antimeridian, of at most 180 degrees, starts further east than it ends"
        )
    box = shapely.box(west, south, east, north)
    # A box wider than half the world is none that jumps: only what goes past 180 is cut.
    return Region(name, box if -180 <= west and east <= 180 else cut(box), "")


def _exchanged_hint(edges_deg: Sequence[float]) -> str:
    """A remedy for edges that were given as south, west, north, east; nothing for others."""
    south, west, north, east = edges_deg
    if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
        return ""
    return f"; longitude comes first: did you mean {west:g},{south:g},{east:g},{north:g}?"


def parse_bbox(text: str) -> tuple[float, float, float, float]:
    """The value of ``--bbox``: four numbers with commas between, west, south, east, north.

    Raises:
        UsageError: It is something else.
    """
    example = "give W,S,E,N in degrees, for example --bbox=-0.20,51.48,0.00,51.53"
    fields = text.split(",")
    if len(fields) != 4:
        raise UsageError(f"--bbox {text!r} has {len(fields)} values, not 4: {example}")
    try:
        west, south, east, north = (float(field) for field in fields)
    except ValueError as error:
        raise UsageError(f"--bbox {text!r} holds something that is no number: {example}") from error
    return west, south, east, north


def region_from_geojson(path: str | os.PathLike[str], name: str | None = None) -> Region:
    """The union of all polygons in a GeoJSON file; points and lines add nothing to it.

    Args:
        path: A file with a Polygon, MultiPolygon, GeometryCollection, Feature or
            FeatureCollection. Heights are dropped.
        name: What to call it; by default the Feature's ``name``, else the file's stem.

    Raises:
        RegionError: The file cannot be read, is not GeoJSON in longitude and latitude, or holds no
            polygon, an empty or an invalid one.
    """
    where = os.fspath(path)
    try:
        text = read_file(where).decode("utf-8-sig")
    except OSError as error:
        raise RegionError(f"cannot read {where}: {error.strerror}; name a GeoJSON file") from error
    except UnicodeDecodeError as error:
        raise RegionError(f"{where} is not text in UTF-8, so it is no GeoJSON") from error
    return _region_from_text(text, where, name)


def _members(geometry: BaseGeometry) -> list[BaseGeometry]:
    return list(getattr(geometry, "geoms", [geometry]))


def _shipped_files() -> dict[str, Traversable]:
    folder = resources.files("indexer.regions").joinpath("data")
    return {
        file.name.removesuffix(".geojson").lower(): file
        for file in folder.iterdir()
        if file.name.endswith(".geojson")
    }


def _region_from_text(text: str, where: str, name: str | None) -> Region:
    geometry, properties = parse_area(text, where)
    stem = os.path.splitext(os.path.basename(where))[0]
    return Region(
        name or str(properties.get("name") or stem),
        geometry,
        str(properties.get("attribution") or ""),
    )


def _canonical_geojson(geometry: Polygon | MultiPolygon) -> str:
    rounded = shapely.transform(geometry, lambda points: np.round(points, 9) + 0.0)  # no -0.0
    return json.dumps(mapping(rounded.normalize()), sort_keys=True, separators=(",", ":"))
