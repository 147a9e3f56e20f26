"""GeoJSON text to one checked area in longitude and latitude (RFC 7946)."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import MultiPolygon, Polygon, shape
from shapely.validation import explain_validity

from gair.errors import RegionError
from gair.inputs.documents import refuse_constant
from indexer.regions.antimeridian import cut, unwrapped

WGS84_NAMES = ("crs84", "crs84h", "epsg:4326", "epsg::4326", "epsg:4979", "epsg::4979")
"""How the names of the WGS 84 longitude/latitude systems end, in lower case, in the ``crs`` member
that GeoJSON had before RFC 7946 (https://geojson.org/geojson-spec#named-crs)."""

MAX_LONGITUDE_DEG = 360.0
"""Longitudes up to here are read: some tools count from 0 to 360, or go on past 180."""

_WITHOUT_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")


def parse_area(text: str, where: str) -> tuple[Polygon | MultiPolygon, dict[str, Any]]:
    """The union of all polygons in a GeoJSON document; points and lines add nothing to it.

    Args:
        text: A Polygon, MultiPolygon, GeometryCollection, Feature or FeatureCollection. Heights
            are dropped. Rings may jump over 180 degrees, go on past it, or count longitudes from 0
            to 360; they are cut there.
        where: What to call the document in errors.

    Returns:
        The area, and the properties of the document where it is a Feature.

    Raises:
        RegionError: The text is not GeoJSON in longitude and latitude, or holds no polygon, an
            empty or an invalid one.
    """
    try:
        document = json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RegionError(f"{where} is not JSON ({error}); GeoJSON is needed") from error
    if not isinstance(document, dict):
        raise RegionError(f"{where} holds a JSON {type(document).__name__}, not a GeoJSON object")
    _check_crs(document.get("crs"), where)
    areas = _polygons(document, where)
    if not areas:
        raise RegionError(f"{where} holds no polygon; a region is a Polygon or MultiPolygon")
    for number, area in enumerate(areas, 1):
        name = where if len(areas) == 1 else f"{where}, polygon {number}"
        areas[number - 1] = checked_and_cut(area, name)
    properties = document.get("properties")
    return (
        areas[0] if len(areas) == 1 else shapely.union_all(areas),
        properties if isinstance(properties, dict) else {},
    )


def checked_and_cut(geometry: Polygon | MultiPolygon, where: str) -> Polygon | MultiPolygon:
    """An area as people and tools draw it, cut at 180 degrees where it reaches over it.

    Args:
        geometry: Longitude, latitude in degrees; see :func:`parse_area` for what may stand there.
        where: What to call it in errors.

    Raises:
        RegionError: It is no valid area even so.
    """
    polygonal = isinstance(geometry, Polygon | MultiPolygon)
    check_area(unwrapped(geometry) if polygonal else geometry, where, MAX_LONGITUDE_DEG)
    return cut(geometry)


def check_area(
    geometry: Polygon | MultiPolygon, where: str, max_longitude_deg: float = 180.0
) -> None:
    """Check that a geometry is a valid, non-empty area in longitude and latitude.

    Args:
        geometry: Longitude, latitude in degrees.
        where: What to call it in errors.
        max_longitude_deg: Most that a longitude may be, east or west.

    Raises:
        RegionError: It is not.
    """
    if not isinstance(geometry, Polygon | MultiPolygon):
        raise RegionError(f"{where} is a {type(geometry).__name__}, not a Polygon or MultiPolygon")
    if geometry.is_empty:
        raise RegionError(f"{where} is an empty {geometry.geom_type}; draw at least a triangle")
    points = shapely.get_coordinates(geometry)  # (N, 2)
    if not np.isfinite(points).all():
        raise RegionError(f"{where} has a coordinate that is no finite number; mend that point")
    outside = (np.abs(points) > (max_longitude_deg, 90.0)).any(axis=1)
    if outside.any():
        x, y = points[outside][0]
        raise RegionError(
            f"{where} has the point ({x:g}, {y:g}), which is no longitude, latitude in degrees; "
            "GeoJSON must be lon/lat (ogr2ogr -t_srs EPSG:4326 out.geojson in.geojson)"
        )
    if not geometry.is_valid:
        raise RegionError(
            f"{where} is not a valid area: {explain_validity(geometry)}; "
            "mend its rings (QGIS: Fix geometries; shapely: make_valid)"
        )


def _polygons(item: Any, where: str) -> list[Polygon | MultiPolygon]:  # noqa: ANN401 (any JSON)
    """Polygons of a GeoJSON object at any depth, without heights, unchecked."""
    kind = item.get("type") if isinstance(item, dict) else type(item).__name__
    if kind in _WITHOUT_AREA:
        return []
    try:
        if kind == "Feature":
            return [] if item["geometry"] is None else _polygons(item["geometry"], where)
        if kind in ("FeatureCollection", "GeometryCollection"):
            members = item["features" if kind == "FeatureCollection" else "geometries"]
            return [polygon for member in members for polygon in _polygons(member, where)]
        if kind in ("Polygon", "MultiPolygon"):
            plain = {"type": kind, "coordinates": _flat_positions(item["coordinates"])}
            return [shapely.force_2d(shape(plain))]
    except _PositionError as error:
        raise RegionError(f"{where} has a malformed {kind}: {error}") from error
    except (LookupError, TypeError, ValueError, RecursionError, ShapelyError) as error:
        raise RegionError(
            f"{where} has a malformed {kind} ({error!r}); write it out afresh"
        ) from error
    hint = "convert it to GeoJSON" if kind == "Topology" else "keep Polygons and MultiPolygons"
    raise RegionError(f"{where} holds {kind!r}, which is no GeoJSON type; {hint}")


class _PositionError(Exception):
    """Why a position is none."""


def _flat_positions(coordinates: Any) -> Any:  # noqa: ANN401 (any JSON)
    """Coordinates of any depth, with positions of two numbers: some have heights and some not."""
    if not isinstance(coordinates, list):
        raise _PositionError(
            f"{_short(coordinates)} stands where coordinates belong; write it out afresh"
        )
    if not coordinates or isinstance(coordinates[0], list):
        return [_flat_positions(part) for part in coordinates]
    position = coordinates[:2]
    odd_height = any(isinstance(value, bool | str) for value in coordinates)
    if len(position) < 2 or odd_height or not all(_is_number(value) for value in position):
        raise _PositionError(
            f"the position {_short(coordinates)} is no longitude, latitude: give two numbers, or "
            "take that point out"
        )
    return position


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # a whole number may have any digits


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_crs(crs: Any, where: str) -> None:  # noqa: ANN401 (any JSON)
    """Refuse coordinates that the file itself declares to be something else than WGS 84."""
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, dict) else None
    named = properties.get("name") if isinstance(properties, dict) else None
    if not str(named).lower().endswith(WGS84_NAMES):
        raise RegionError(
            f"{where} declares the CRS {named or crs!r}; reproject it to WGS 84 longitude/latitude "
            "(ogr2ogr -t_srs EPSG:4326 out.geojson in.geojson)"
        )
