"""Outlines of cells: where they hold which points, and that the rest of the world can read them."""

from __future__ import annotations

import json
import math

import h3.api.numpy_int as h3
import numpy as np
import pytest
import shapely
from shapely.geometry import shape
from some_cells import PLACES, cells_around, rows_of

from gair.arrays import Ids
from gair.geo import haversine_m
from indexer.regions.geojson import parse_area
from indexer.regions.region import geodesic_area_km2
from indexer.search.outlines import (
    cell_rings,
    dissolved,
    geojson_geometry,
    make_region,
    middle_longitude_deg,
)


def disk(lon_deg: float, lat_deg: float, resolution: int, rings: int) -> Ids:
    return cells_around(lon_deg, lat_deg, resolution, rings).h3


def ring(lon_deg: float, lat_deg: float, resolution: int, away: int) -> Ids:
    """Cells with a hole in their middle."""
    return np.sort(h3.grid_ring(h3.latlng_to_cell(lat_deg, lon_deg, resolution), away))


CITY, DATE_LINE = PLACES["a city"], PLACES["the antimeridian"]
NORTH, PENTAGON = PLACES["a pole"], PLACES["a pentagon"]
SETS: dict[str, tuple[Ids, int, int]] = {
    # cells, parts, holes
    "one cell": (disk(*CITY[:3], 0), 1, 0),
    "a disk": (disk(*CITY), 1, 0),
    "a ring": (ring(*CITY[:3], 3), 1, 1),
    "two parts": (np.r_[disk(*CITY[:3], 2), disk(0.4, 51.5, 9, 2)], 2, 0),
    "an island in a ring": (np.r_[ring(*CITY[:3], 3), disk(*CITY[:3], 0)], 2, 1),
    "across the antimeridian": (disk(*DATE_LINE), 2, 0),
    "a ring across it": (ring(*DATE_LINE[:3], 4), 2, 0),
    "a cell across it": (disk(*DATE_LINE[:3], 0), 2, 0),
    "around the pole": (disk(*NORTH), 1, 0),
    "around the other pole": (disk(0.0, -90.0, 6, 3), 1, 0),
    "around the pole without it": (ring(*NORTH[:3], 3), 1, 0),
    "a pentagon": (disk(*PENTAGON[:3], 0), 1, 0),
    "a disk with a pentagon": (disk(*PENTAGON), 1, 0),
    "a ring around a pentagon": (
        np.setdiff1d(disk(*PENTAGON[:3], 2), disk(*PENTAGON[:3], 0)),
        1,
        1,
    ),
}
SETS["a belt around the world"] = (
    np.array(
        [
            cell
            for cell in h3.uncompact_cells(h3.get_res0_cells(), 2)
            if abs(h3.cell_to_latlng(cell)[0]) < 10
        ]
    ),
    1,
    0,
)


def test_the_pentagon_is_one() -> None:
    assert h3.is_pentagon(SETS["a pentagon"][0][0])


@pytest.mark.parametrize("name", SETS)
def test_the_outline_holds_the_points_that_the_cells_hold(name: str) -> None:
    ids, parts, holes = SETS[name]
    area = dissolved(ids)
    assert area.is_valid
    assert len(shapely.get_parts(area)) == parts
    assert sum(len(part.interiors) for part in shapely.get_parts(area)) == holes
    own, resolution = set(ids.tolist()), h3.get_resolution(ids[0])
    around = np.unique(np.concatenate([h3.grid_disk(cell, 1) for cell in ids]))
    finer = np.unique(np.concatenate([h3.cell_to_children(c, resolution + 1) for c in around]))
    points = np.array([h3.cell_to_latlng(cell) for cell in finer])  # inside and outside
    wanted = [int(h3.latlng_to_cell(*point, resolution)) in own for point in points]
    inside = shapely.intersects_xy(area, points[:, 1], points[:, 0])
    # Edges of cells are great circles; near a pole those are far from straight in degrees.
    allowed = 0.02 if "pole" in name else 0.002
    assert (inside != wanted).mean() <= allowed
    assert 0 < inside.sum() < len(inside)


@pytest.mark.parametrize("name", SETS)
def test_the_outline_is_what_rfc_7946_asks_for(name: str) -> None:
    area = dissolved(SETS[name][0])
    plain = geojson_geometry(area)
    read, _ = parse_area(json.dumps(plain), name)  # valid, within -180..180 and -90..90
    for part in shapely.get_parts(read):
        assert part.exterior.is_ccw
        assert not any(inner.is_ccw for inner in part.interiors)
    corners = shapely.get_coordinates(read)
    np.testing.assert_array_equal(corners, np.round(corners, 7))
    assert shape(plain).area == pytest.approx(area.area, rel=1e-5)


@pytest.mark.parametrize(
    "name", [name for name in SETS if "pole" not in name and "belt" not in name]
)
def test_the_outline_has_the_area_of_the_cells(name: str) -> None:
    ids = SETS[name][0]
    km2 = sum(h3.cell_area(cell, unit="km^2") for cell in ids)
    # H3's areas are on a sphere of the mean radius; the geodesic one is on the ellipsoid.
    assert geodesic_area_km2(dissolved(ids)) == pytest.approx(km2, rel=0.008)


def test_borders_between_cells_are_gone() -> None:
    area = dissolved(disk(*CITY[:3], 1))
    assert len(shapely.get_coordinates(area)) == 18 + 1  # of 7 x 6 corners


def test_no_cells_are_an_empty_area() -> None:
    assert dissolved(np.empty(0, np.uint64)).is_empty


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_rings_of_cells_are_in_one_piece_around_the_middle(
    place: tuple[float, float, int, int],
) -> None:
    if abs(place[1]) == 90:
        place = (179.0, 80.0, 6, 5)
    cells = cells_around(*place)
    middle = middle_longitude_deg(cells.lonlat_deg)
    assert haversine_m([middle, 0], [place[0], 0]) < 400_000
    rings = cell_rings(cells.h3, middle)
    for cell, corners in zip(cells.h3, rings, strict=True):
        assert np.ptp(corners[:, 0]) < 3
        assert np.abs(corners[:, 0] - middle).max() < 6
        latlng = np.array(h3.cell_to_boundary(cell))
        np.testing.assert_allclose(corners[:, 1], latlng[:, 0])
        np.testing.assert_allclose((corners[:, 0] - latlng[:, 1] + 180) % 360, 180, atol=1e-9)


def test_a_region_says_what_it_is() -> None:
    cells = cells_around(*CITY[:3], 3)
    p = np.full(len(cells), 1e-3)
    p[[3, 4, 20]] = 0.3, 0.2, 0.4
    p /= p.sum()
    region = make_region(p, cells, 0.9, 0.85, promised=True)
    assert region.rows.tolist() == [20, 3, 4]
    assert (region.h3 == cells.h3[[20, 3, 4]]).all()
    assert region.mass == pytest.approx(0.9 / 0.934)
    assert region.km2 == pytest.approx(cells.area_m2[[20, 3, 4]].sum() / 1e6)
    summary = region.summary()
    assert json.loads(json.dumps(summary)) == {
        "level": 0.9,
        "mass": region.mass,
        "promised": True,
        "cells": 3,
        "km2": region.km2,
        "refused": False,
    }
    feature = region.to_geojson({"photo": "a.jpg"})
    assert json.loads(json.dumps(feature)) == feature
    assert feature["type"] == "Feature"
    assert feature["properties"] == {**summary, "photo": "a.jpg"}
    assert shape(feature["geometry"]).area == pytest.approx(region.outline().area, rel=1e-5)
    assert geodesic_area_km2(region.outline()) == pytest.approx(region.km2, rel=0.008)


def test_a_region_that_only_the_whole_index_can_be() -> None:
    cells = cells_around(*CITY[:3], 2)
    p = np.zeros(len(cells))
    p[5] = 1.0
    region = make_region(p, cells, 0.99, math.inf, promised=True)
    assert region.rows[0] == 5
    assert sorted(region.rows.tolist()) == list(range(19))
    assert region.summary()["mass"] == 1.0
    assert json.dumps(region.to_geojson(), allow_nan=False)


def test_twenty_thousand_scattered_cells_make_one_area() -> None:
    rng = np.random.default_rng(0)
    city = h3.grid_disk(h3.latlng_to_cell(51.5, -0.1, 10), 120)
    cells = rows_of(city[rng.random(len(city)) < 0.4])
    assert len(cells) > 17_000
    area = dissolved(cells.h3)
    assert area.is_valid
    assert len(shapely.get_parts(area)) > 1_000
    assert geodesic_area_km2(area) == pytest.approx(cells.area_m2.sum() / 1e6, rel=0.008)
