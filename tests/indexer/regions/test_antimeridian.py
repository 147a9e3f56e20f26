"""Areas over 180 degrees, however they are drawn: as rings, boxes, files, and as what is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from shapely.geometry import MultiPolygon, Polygon, mapping

from app.http.questions import SearchQuestion
from gair.errors import RegionError
from indexer.regions.antimeridian import cut, unwrapped
from indexer.regions.region import (
    geodesic_area_km2,
    region_from_bbox,
    region_from_geojson,
)
from indexer.search.prior import _area

LOW, HIGH = -16.9, -16.88
BOX = region_from_bbox((179.99, LOW, -179.99, HIGH)).geometry
HOLE = region_from_bbox((179.995, -16.895, -179.995, -16.885)).geometry


def ring(west: float, east: float, low: float = LOW, high: float = HIGH) -> list[list[float]]:
    return [[west, low], [east, low], [east, high], [west, high], [west, low]]


def dense(west: float, east: float) -> list[list[float]]:
    """A ring with a point on 180 degrees, which may count either way."""
    return [[west, LOW], [180, LOW], [east, LOW], [east, HIGH], [-180, HIGH], [west, HIGH],
            [west, LOW]]  # fmt: skip


WHOLE = {
    "jumping": [ring(179.99, -179.99)],
    "jumping, clockwise": [ring(179.99, -179.99)[::-1]],
    "jumping, from the west": [[*ring(-179.99, 179.99)]],
    "past 180": [ring(179.99, 180.01)],
    "past -180": [ring(-180.01, -179.99)],
    "from 0 to 360, and open": [ring(179.99, 180.01)[:-1]],
    "a point on the line": [dense(179.99, -179.99)],
    "an empty hole": [ring(179.99, -179.99), []],
}
HOLED = {
    "both jump": [ring(179.99, -179.99), ring(179.995, -179.995, -16.895, -16.885)],
    "both past 180": [ring(179.99, 180.01), ring(179.995, 180.005, -16.895, -16.885)],
    "the outer one jumps": [ring(179.99, -179.99), ring(179.995, 180.005, -16.895, -16.885)],
    "the hole a turn off": [ring(179.99, 180.01), ring(-180.005, -179.995, -16.895, -16.885)],
}


def documents(rings: list[Any]) -> list[dict[str, Any]]:
    """The same area in every kind of GeoJSON."""
    polygon = {"type": "Polygon", "coordinates": rings}
    feature = {"type": "Feature", "properties": {}, "geometry": polygon}
    return [
        polygon,
        {"type": "MultiPolygon", "coordinates": [rings]},
        {"type": "MultiPolygon", "coordinates": [rings, [ring(0.0, 1e-4)]]},
        {"type": "FeatureCollection", "features": [feature, feature]},
    ]


@pytest.mark.parametrize(
    ("rings", "expected"),
    [
        *((rings, BOX) for rings in WHOLE.values()),
        *((rings, BOX - HOLE) for rings in HOLED.values()),
    ],
    ids=[*WHOLE, *HOLED],
)
def test_an_area_over_180_degrees_is_cut_there(
    tmp_path: Path, rings: list[Any], expected: MultiPolygon
) -> None:
    for document in documents(rings):
        path = tmp_path / "area.geojson"
        path.write_text(json.dumps(document), "utf-8")
        for area in (
            region_from_geojson(path).geometry,
            _area(path)[0],
            _area(document)[0],
            _area(shapely.geometry.shape(document))[0] if "features" not in document else expected,
        ):
            assert area.symmetric_difference(expected).area < 1.1e-4 * 0.02 + 1e-9
            west, _, east, _ = area.bounds
            assert (west, east) == (-180, 180)
            assert area.is_valid
            assert geodesic_area_km2(area) == pytest.approx(geodesic_area_km2(expected), rel=0.01)


@pytest.mark.parametrize("bbox", [(179.99, -179.99), (179.99, 180.01), (-180.01, -179.99)])
def test_boxes_over_180_degrees(bbox: tuple[float, float]) -> None:
    box = region_from_bbox((bbox[0], LOW, bbox[1], HIGH)).geometry
    assert box.equals_exact(BOX, 1e-9, normalize=True)
    asked = SearchQuestion(bbox=f"{bbox[0]},{LOW},{bbox[1]},{HIGH}")._area()
    assert asked is not None
    assert _area(asked)[0].equals_exact(BOX, 1e-9, normalize=True)


def test_a_box_wholly_past_180_is_moved() -> None:
    moved = region_from_bbox((184.0, LOW, 185.0, HIGH)).bbox_wsen_deg
    assert moved == pytest.approx((-176, LOW, -175, HIGH))


WORLD = Polygon(ring(-180, 180, -60, 60))


@pytest.mark.parametrize(
    "area",
    [
        shapely.box(0, 50, 1, 51),
        shapely.box(-80, -10, 100, 60),
        WORLD,
        shapely.box(179, 0, 180, 1),
        MultiPolygon([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -179, 1)]),
        shapely.segmentize(shapely.box(-170, 0, 170, 10), 20),
        WORLD - shapely.box(-10, -10, 10, 10),
        Polygon([(-180, -90), (-180, -70), (0, -75), (180, -70), (180, -90)]),
        Polygon(),
    ],
    ids=str,
)
def test_what_needs_no_cut_comes_back_as_it_is(area: Polygon | MultiPolygon) -> None:
    assert cut(area) is area


@pytest.mark.parametrize("sign", [1, -1])
def test_a_ring_around_a_pole_holds_the_pole(sign: int) -> None:
    lon = (np.arange(0, 360, 30) + 170 + 180) % 360 - 180
    cap = cut(Polygon([(x, sign * 80.0) for x in lon]))
    assert cap.bounds == pytest.approx(
        (-180, min(80 * sign, 90 * sign), 180, max(80 * sign, 90 * sign))
    )
    assert geodesic_area_km2(cap) == pytest.approx(
        2 * np.pi * 6371.0**2 * (1 - np.sin(np.radians(80))), rel=0.02
    )


@pytest.mark.parametrize(
    ("coordinates", "words"),
    [
        ([ring(400, 401)], r"point \(400, -16.9\).*no longitude, latitude"),
        ([[[179.9, 0], [-179.9, 1], [-179.9, 0], [179.9, 1], [179.9, 0]]], "Self-intersection"),
        ([ring(-1e308, 1e308)], "no longitude, latitude"),
        ([ring(179.99, 180.01, 89, 91)], r"\(180.01, 91\)|\(179.99, 91\)"),
    ],
)
def test_areas_that_are_none_are_refused(coordinates: list[Any], words: str) -> None:
    with pytest.raises(RegionError, match=words):
        _area({"type": "Polygon", "coordinates": coordinates})


def test_a_multipolygon_that_was_cut_already_stays_so() -> None:
    assert _area(mapping(BOX))[0].equals(BOX)
    assert unwrapped(BOX) is BOX
