"""Areas that reach over 180 degrees of longitude, cut there as RFC 7946 has it.

:func:`cut` is the one place that makes sense of them, wherever they come from: outlines of rasters
and scenes, footprints, GeoJSON, boxes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

WORLD = shapely.box(-180, -90, 180, 90)
_NO_AREA_DEG2 = 1e-12
_NO_LONGITUDE = 1e4  # beyond, however often somebody counts around the world


def cut(area: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
    """An area that jumps around the world or goes on past 180 degrees, cut there.

    Args:
        area: longitude, latitude in degrees.

    Returns:
        Longitudes within -180 to 180; the very same area where nothing had to be cut. What is not
        valid comes back in one piece and not cut, so that a check can say why.
    """
    whole = unwrapped(area)
    if whole.is_empty or not np.isfinite(whole.bounds).all() or not whole.is_valid:
        return whole
    west, _, east, _ = whole.bounds
    return whole if -180 <= west and east <= 180 else wrapped(whole)


def wrapped(area: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
    """An area that may reach past 180 degrees, with what lies beyond moved to the other side.

    Args:
        area: longitude, latitude in degrees; latitudes past a pole are dropped.
    """
    west, _, east, _ = area.bounds
    turns = range(int(np.floor((west + 180) / 360)), int(np.ceil((east + 180) / 360)))
    moved = [shapely.transform(area, lambda p, t=t: p - [360 * t, 0]) & WORLD for t in turns]
    return polygons_of(shapely.union_all(moved, grid_size=1e-10))


def unwrapped(area: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
    """An area whose rings jump around the world, each ring in one piece.

    A ring in which a step of more than half the world is taken goes the short way instead, over
    180 degrees; :func:`wrapped` then cuts it there. A ring around a pole is closed by way of it.
    """
    parts = list(shapely.get_parts(area))
    whole = [_in_one_piece(part) for part in parts]
    if all(new is old for new, old in zip(whole, parts, strict=True)):
        return area
    return whole[0] if len(whole) == 1 else MultiPolygon(whole)


def grown(area: Polygon | MultiPolygon, margin_deg: float) -> Polygon | MultiPolygon:
    """An area with a margin around it, also on the other side of 180 degrees."""
    return wrapped(shapely.buffer(area, margin_deg, join_style="mitre", mitre_limit=2.0))


def polygons_of(geometry: BaseGeometry) -> Polygon | MultiPolygon:
    """The polygons of any geometry, lines and points left out."""
    parts = [part for part in _flat(geometry) if isinstance(part, Polygon) and part.area > 0]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _in_one_piece(part: Polygon) -> Polygon:
    """The polygon itself where no ring jumps and no hole lies on the other side of the world."""
    rings = [part.exterior, *(hole for hole in part.interiors if not hole.is_empty)]
    if part.is_empty or any(np.abs(ring.bounds).max() > _NO_LONGITUDE for ring in rings):
        return part
    outer, *holes = (_short_way(ring) for ring in rings)
    west, east = outer[:, 0].min(), outer[:, 0].max()
    for hole in holes:
        # Rings are unwrapped each from its own first point: a hole may be a turn off its outer one.
        hole_middle = (hole[:, 0].min() + hole[:, 0].max()) / 2
        hole[:, 0] -= 360 * np.round((hole_middle - (west + east) / 2) / 360)
    if all(
        np.array_equal(points, shapely.get_coordinates(ring))
        for points, ring in zip((outer, *holes), rings, strict=True)
    ):
        return part
    whole = Polygon(outer, holes)
    # The short way around a world from -180 to 180 has no width: that one is meant as it stands.
    return whole if whole.area > _NO_AREA_DEG2 else part


def _short_way(ring: shapely.LinearRing) -> npt.NDArray[np.float64]:
    """(V, 2) points of a ring, the first repeated at the end, without a step above 180 degrees."""
    points = np.array(shapely.get_coordinates(ring))
    if np.abs(np.diff(points[:, 0])).max() <= 180:
        return points
    lon_deg = np.unwrap(points[:, 0], period=360)
    turns = round((lon_deg[-1] - lon_deg[0]) / 360)
    if not turns:
        return np.stack([lon_deg, points[:, 1]], axis=1)
    if np.abs(points[:, 1]).max() >= 90:  # drawn along a pole already
        return points
    pole_deg = 90.0 if points[:, 1].mean() > 0 else -90.0
    way_back = [(lon_deg[-1], pole_deg), (lon_deg[0], pole_deg), (lon_deg[0], points[0, 1])]
    return np.concatenate([np.stack([lon_deg, points[:, 1]], axis=1), way_back])


def _flat(geometry: BaseGeometry) -> list[BaseGeometry]:
    parts = shapely.get_parts(geometry)
    if len(parts) == 1 and parts[0] is geometry or not hasattr(geometry, "geoms"):
        return [geometry]
    return [leaf for part in parts for leaf in _flat(part)]
