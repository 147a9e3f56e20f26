"""Outlines of cells on a map, and the regions that hold an answer.

Outlines follow RFC 7946: longitude and latitude, outer rings counter-clockwise, no edge across the
antimeridian; an area that lies across it, or around a pole, is cut there. Edges are straight in
longitude and latitude.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.polygon import orient

from gair.arrays import Floats, Ids, Ints
from indexer.index.table import CellRows
from indexer.probability.conformal import region_mass, region_rows
from indexer.regions.antimeridian import wrapped

DECIMALS = 7
"""Of a degree in GeoJSON: a centimetre."""


@dataclass(frozen=True, eq=False)
class Region:
    """A part of an index that holds the answer with some probability."""

    level: float
    """Share of photos whose place such regions are meant to hold."""
    mass: float
    """Posterior probability of the cells in it."""
    promised: bool
    """True where the level was measured on photos whose place is known
    (:mod:`indexer.probability.conformal`); False where it is no more than the posterior's own
    opinion."""
    rows: Ints
    """(R,) rows of the index, densest first."""
    h3: Ids
    """(R,) ids of those cells."""
    km2: float
    """Area of the cells, square kilometres."""
    refused: bool = False
    """True where the photo looks like nothing in the index: the region then says where it would
    have been taken if it was taken there, and promises nothing."""

    def summary(self) -> dict[str, Any]:
        """The region in plain JSON values, without its outline."""
        return {
            "level": self.level,
            "mass": self.mass,
            "promised": self.promised,
            "refused": self.refused,
            "cells": len(self.rows),
            "km2": self.km2,
        }

    def outline(self) -> Polygon | MultiPolygon:
        """The dissolved area, longitude and latitude."""
        return dissolved(self.h3)

    def to_geojson(self, properties: dict[str, Any] | None = None) -> dict[str, Any]:
        """A GeoJSON Feature.

        Args:
            properties: further properties.

        Returns:
            The outline; its properties are those of :meth:`summary`: ``level``, ``mass``,
            ``promised``, ``refused``, ``cells`` (their number) and ``km2``; then the further ones.
        """
        return {
            "type": "Feature",
            "properties": {**self.summary(), **(properties or {})},
            "geometry": geojson_geometry(self.outline()),
        }


def make_region(p: Floats, cells: CellRows, level: float, mass: float, promised: bool) -> Region:
    """The smallest set of cells with a mass.

    Args:
        p: (N,) probability of each cell.
        cells: the N cells.
        level: what the region is for: share of photos whose place it should hold.
        mass: probability that it takes; infinite for all cells.
        promised: whether the mass comes from :func:`indexer.probability.conformal.conformal_mass`.
    """
    rows = region_rows(p, cells.area_m2, mass)
    return Region(
        level=level,
        mass=float(min(p[rows].sum(), 1.0)),
        promised=promised,
        rows=rows,
        h3=cells.h3[rows],
        km2=float(cells.area_m2[rows].sum()) / 1e6,
    )


@dataclass(frozen=True, eq=False)
class RegionMaker:
    """Makes the regions of one answer; it holds all that it needs, so it can be pickled."""

    p: Floats
    """(N,) probability of each cell."""
    h3: Ids
    """(N,) ids of the cells."""
    area_m2: Floats
    """(N,) area that each cell stands for."""
    own_area_m2: Floats
    """(N,) area of the cells alone: what is drawn and told of a region."""
    masses: Floats
    """Of a calibration: :func:`indexer.probability.conformal.region_mass`."""
    promised: bool
    refused: bool
    """Both as those of :class:`Region`."""
    rows: Ints | None = None
    """(N,) rows of the whole index, where the cells are a part of one."""

    def __call__(self, level: float) -> Region:
        """The region of a level.

        Raises:
            UsageError: there is no such level.
        """
        rows = region_rows(self.p, self.area_m2, region_mass(self.masses, level))
        return Region(
            level=level,
            mass=float(min(self.p[rows].sum(), 1.0)),
            promised=self.promised,
            rows=rows if self.rows is None else self.rows[rows],
            h3=self.h3[rows],
            km2=float(self.own_area_m2[rows].sum()) / 1e6,
            refused=self.refused,
        )


def dissolved(ids: Ids) -> Polygon | MultiPolygon:
    """The area of some cells without the borders between them.

    Args:
        ids: (N,) H3 ids of one resolution, each once. They must not cover the whole globe.

    Returns:
        Longitude, latitude in degrees; empty for no cells.
    """
    shapes = h3.cells_to_h3shape(np.asarray(ids, dtype=np.uint64), tight=False) if len(ids) else ()
    parts: list[Polygon] = []
    for shape in shapes:
        rings = [_unwrapped(ring) for ring in (shape.outer, *shape.holes)]
        if any(np.abs(ring[:, 0]).max() > 180 or _winding(ring) for ring in rings):
            parts += _cut(rings)
        else:
            parts.append(Polygon(rings[0], rings[1:]))
    oriented = [orient(part) for part in parts]
    return oriented[0] if len(oriented) == 1 else MultiPolygon(oriented)


def middle_longitude_deg(lonlat_deg: Floats) -> float:
    """The meridian in the middle of (N, 2) points, wherever they lie on the globe."""
    lon = np.radians(lonlat_deg[:, 0])
    return float(np.degrees(np.arctan2(np.sin(lon).mean(), np.cos(lon).mean())))


def cell_rings(ids: Ids, middle_deg: float) -> list[Floats]:
    """The outline of each cell, in one piece each.

    Args:
        ids: (N,) H3 ids, at least one, none of them around a pole.
        middle_deg: longitudes come within half the world of this one, so they may pass 180.

    Returns:
        A (V, 2) ring of longitude, latitude a cell, counter-clockwise, the first corner not
        repeated.
    """
    boundaries = [h3.cell_to_boundary(cell) for cell in ids]
    counts = np.array([len(boundary) for boundary in boundaries])
    points = np.array([corner for boundary in boundaries for corner in boundary])[:, ::-1].copy()
    starts = np.cumsum(counts) - counts
    first = np.repeat(points[starts, 0], counts)
    points[:, 0] -= 360 * np.round((points[:, 0] - first) / 360)
    centre = np.add.reduceat(points[:, 0], starts) / counts
    points[:, 0] -= np.repeat(360 * np.round((centre - middle_deg) / 360), counts)
    return np.split(points, starts[1:])


def geojson_geometry(geometry: Polygon | MultiPolygon) -> dict[str, Any]:
    """A geometry as plain JSON values, rounded to :data:`DECIMALS`."""
    rounded = shapely.transform(geometry, lambda points: np.round(points, DECIMALS) + 0.0)
    plain: dict[str, Any] = json.loads(shapely.to_geojson(rounded))
    return plain


def _unwrapped(latlng: Sequence[tuple[float, float]]) -> Floats:
    """A closed ring of (V + 1, 2) longitude, latitude that does not jump around the world."""
    ring = np.asarray([*latlng, latlng[0]], dtype=np.float64)[:, ::-1].copy()
    if np.ptp(ring[:, 0]) >= 180:
        ring[:, 0] = np.unwrap(ring[:, 0], period=360)
    return ring


def _winding(ring: Floats) -> int:
    """How often an unwrapped ring goes around the world eastwards: -1, 0 or 1."""
    return round(float(ring[-1, 0] - ring[0, 0]) / 360)


def _cut(rings: Iterable[Floats]) -> list[Polygon]:
    """The area to the left of all rings of one part, within -180 to 180 degrees.

    A ring that goes around the world has a pole to its left; it is closed by way of that pole.
    A hole has its outside to its left.
    """
    area = shapely.box(-180, -90, 180, 90)
    for ring in rings:
        pole_deg = 90.0 * _winding(ring)
        if pole_deg:
            ends = [(ring[-1, 0], pole_deg), (ring[0, 0], pole_deg)]
            area &= wrapped(Polygon([*ring, *ends]))
        elif shapely.is_ccw(shapely.LinearRing(ring)):
            area &= wrapped(Polygon(ring))
        else:
            area -= wrapped(Polygon(ring))
    return [part for part in shapely.get_parts(area) if part.geom_type == "Polygon"]
