"""Areas that reach over 180 degrees of longitude, cut there as RFC 7946 has it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

WORLD = shapely.box(-180, -90, 180, 90)


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
    180 degrees; :func:`wrapped` then cuts it there.
    """

    def whole(ring: shapely.LinearRing) -> npt.NDArray[np.float64]:
        points = np.asarray(shapely.get_coordinates(ring))
        points[:, 0] = np.unwrap(points[:, 0], period=360)
        return points

    parts = [
        Polygon(whole(part.exterior), [whole(hole) for hole in part.interiors])
        for part in shapely.get_parts(area)
    ]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def grown(area: Polygon | MultiPolygon, margin_deg: float) -> Polygon | MultiPolygon:
    """An area with a margin around it, also on the other side of 180 degrees."""
    return wrapped(shapely.buffer(area, margin_deg, join_style="mitre", mitre_limit=2.0))


def polygons_of(geometry: BaseGeometry) -> Polygon | MultiPolygon:
    """The polygons of any geometry, lines and points left out."""
    parts = [part for part in _flat(geometry) if isinstance(part, Polygon) and part.area > 0]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _flat(geometry: BaseGeometry) -> list[BaseGeometry]:
    parts = shapely.get_parts(geometry)
    if len(parts) == 1 and parts[0] is geometry or not hasattr(geometry, "geoms"):
        return [geometry]
    return [leaf for part in parts for leaf in _flat(part)]
