"""Regions by name, and by bounding box; their area, hash and export."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from repository import REPOSITORY
from shapely.geometry import MultiPolygon, shape

from gair.errors import RegionError, UsageError
from indexer.regions.cells import cells_of
from indexer.regions.region import (
    Region,
    geodesic_area_km2,
    named_region,
    parse_bbox,
    region_from_bbox,
    region_from_geojson,
    region_names,
)

# Official areas in km2, the town hall or so, a place outside, and how far the outline may be off.
CAPITALS = {
    "bangkok": (1568.7, (100.5018, 13.7563), (100.25, 13.75), 0.01),
    "berlin": (891.1, (13.4050, 52.5200), (13.0645, 52.3906), 0.01),
    "brussels": (162.4, (4.3517, 50.8503), (4.7005, 50.8798), 0.02),
    "budapest": (525.1, (19.0402, 47.4979), (18.63, 47.55), 0.03),
    "delhi": (1483.0, (77.2090, 28.6139), (77.0266, 28.4595), 0.01),
    "prague": (496.2, (14.4378, 50.0755), (14.10, 50.14), 0.05),
    "tokyo": (1784.0, (139.6917, 35.6895), (139.6380, 35.4437), 0.01),
    "vienna": (414.8, (16.3738, 48.2082), (16.2333, 48.0167), 0.02),
    "washington": (177.0, (-77.0369, 38.9072), (-77.0910, 38.8816), 0.02),
}


def test_london() -> None:
    london = named_region("London")
    assert region_names() == sorted([*CAPITALS, "london"])
    assert london.name == "london"
    assert london.geometry.geom_type == "Polygon"
    assert london.area_km2 == pytest.approx(1574, abs=1)
    assert london.bbox_wsen_deg == pytest.approx((-0.5103, 51.2868, 0.3340, 51.6918), abs=1e-3)
    for words in ("National Statistics", "Ordnance Survey", "Open Government Licence v3.0"):
        assert words in london.attribution
    inside = {"Charing Cross": (-0.1247, 51.5080), "Heathrow": (-0.4543, 51.4700)}
    outside = {"Watford": (-0.3903, 51.6565), "Dartford": (0.2186, 51.4462)}
    for place, lonlat in (inside | outside).items():
        assert london.geometry.contains(shapely.Point(lonlat)) == (place in inside), place


@pytest.mark.parametrize("name", CAPITALS)
def test_a_capital_lies_where_it_is_and_has_its_size(name: str) -> None:
    km2, inside, outside, within = CAPITALS[name]
    region = named_region(name)
    assert region.area_km2 == pytest.approx(km2, rel=within)
    assert region.geometry.contains(shapely.Point(inside))
    assert not region.geometry.contains(shapely.Point(outside))
    path = REPOSITORY / "indexer" / "regions" / "data" / f"{name}.geojson"
    assert path.stat().st_size < 10_000
    properties = json.loads(path.read_text("utf-8"))["properties"]
    assert properties["licence"].startswith("Public domain")
    assert "sha256" in properties["source"]
    assert "kilometre" in properties["derivation"]
    assert region.attribution in ("Made with Natural Earth", "U.S. Census Bureau")


def test_a_box_over_the_antimeridian_has_a_part_on_each_side() -> None:
    fiji = region_from_bbox((176.8, -19.3, -178.2, -15.7))
    west, east = sorted(part.bounds for part in fiji.geometry.geoms)
    assert west == pytest.approx((-180, -19.3, -178.2, -15.7))
    assert east == pytest.approx((176.8, -19.3, 180, -15.7))
    halves = (
        region_from_bbox((176.8, -19.3, 180, -15.7)),
        region_from_bbox((-180, -19.3, -178.2, -15.7)),
    )
    assert fiji.area_km2 == pytest.approx(sum(half.area_km2 for half in halves), rel=1e-9)
    together = np.union1d(*(cells_of(half.geometry, 6).ids for half in halves))
    np.testing.assert_array_equal(cells_of(fiji.geometry, 6).ids, together)


def test_the_shipped_file_is_small_and_says_where_it_is_from() -> None:
    path = REPOSITORY / "indexer" / "regions" / "data" / "london.geojson"
    assert path.stat().st_size < 60_000
    properties = json.loads(path.read_text("utf-8"))["properties"]
    assert "vega-datasets 3.2.1" in properties["source"]
    assert "rounded to 5 decimals" in properties["derivation"]


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(
        RegionError, match=r"unknown region 'atlantis'; there is: .*london.*GeoJSON"
    ):
        named_region("atlantis")


@pytest.mark.shared
def test_london_agrees_with_an_independent_polygon(shared_dir: Path) -> None:
    other = shape(json.loads((shared_dir / "data/regions/london.geojson").read_text("utf-8")))
    mine = named_region("london").geometry
    assert geodesic_area_km2(mine.symmetric_difference(other)) < 0.005 * 1574


def test_area_of_a_square_degree_and_of_the_world() -> None:
    # Zone between two latitudes of the ellipsoid, closed form (Snyder 1987, eq. 3-12).
    e2 = 0.0066943799901413165
    e = math.sqrt(e2)

    def q(lat_deg: float) -> float:
        s = math.sin(math.radians(lat_deg))
        return (1 - e2) * (s / (1 - e2 * s * s) - math.log((1 - e * s) / (1 + e * s)) / (2 * e))

    def exact_km2(south: float, north: float, width: float) -> float:
        return 6378.137**2 / 2 * math.radians(width) * (q(north) - q(south))

    for west, south, east, north in [(0, 50, 1, 51), (-80, -10, 100, 60), (-180, -90, 180, 90)]:
        area = region_from_bbox((west, south, east, north)).area_km2
        assert area == pytest.approx(exact_km2(south, north, east - west), rel=1e-6)


def test_holes_and_parts_count_in_the_area() -> None:
    outer, hole = shapely.box(0, 0, 1, 1), shapely.box(0.4, 0.4, 0.6, 0.6)
    whole, cut = geodesic_area_km2(outer), geodesic_area_km2(outer.difference(hole))
    assert whole - cut == pytest.approx(geodesic_area_km2(hole), rel=1e-9)
    both = MultiPolygon([outer, shapely.box(2, 0, 3, 1)])
    assert geodesic_area_km2(both) == pytest.approx(2 * whole, rel=1e-9)


def test_the_hash_is_of_the_area_alone() -> None:
    region = region_from_bbox((-0.2, 51.48, 0.0, 51.53))
    turned = shapely.Polygon([(0, 51.53), (0, 51.48), (-0.2, 51.48), (-0.2, 51.53)])
    assert len(region.sha256) == 64
    assert Region("other", turned, "someone").sha256 == region.sha256
    assert region_from_bbox((-0.2, 51.48, 0.0, 51.5301)).sha256 != region.sha256


def test_export_and_read_back(tmp_path: Path) -> None:
    region = Region(
        "mine", shapely.box(0, 0, 1, 1).difference(shapely.box(0.2, 0.2, 0.4, 0.4)), "me"
    )
    document = region.to_geojson()
    assert document == json.loads(json.dumps(document))
    path = tmp_path / "mine.geojson"
    path.write_text(json.dumps(document), "utf-8")
    again = region_from_geojson(path)
    assert (again.name, again.attribution, again.sha256) == ("mine", "me", region.sha256)


def test_a_bounding_box() -> None:
    region = region_from_bbox((-0.2, 51.48, 0.0, 51.53), name="strip")
    assert region.name == "strip"
    assert region.bbox_wsen_deg == (-0.2, 51.48, 0.0, 51.53)


@pytest.mark.parametrize(
    ("bbox", "words"),
    [
        ((10, 0, 5, 1), "west 10 is not less than east 5 .* over the antimeridian, of at most 180"),
        ((5, 0, 5, 1), "west 5 is not less than east 5"),
        ((0, 2, 1, 1), "south 2 is not less than north 1"),
        ((0, 1, 1, 1), "south 1 is not less than north 1"),
        ((-181, 0, 1, 1), "west -181 is not in -180..180"),
        ((0, 0, 180.5, 1), "east 180.5 is not in"),
        ((0, -91, 1, 1), "south -91 is not in -90..90"),
        ((0, 0, 1, math.inf), "north inf is not in"),
        ((math.nan, 0, 1, 1), "west nan is not in"),
        ((0, 0, 1), "4 edges"),
        ((35.5, 139.6, 35.8, 139.9), "did you mean 139.6,35.5,139.9,35.8"),
    ],
)
def test_boxes_that_are_refused(bbox: tuple[float, ...], words: str) -> None:
    with pytest.raises(RegionError, match=words):
        region_from_bbox(bbox)


def test_the_text_of_a_bounding_box() -> None:
    assert parse_bbox("-0.2, 51.48,0,51.53") == (-0.2, 51.48, 0.0, 51.53)
    for text, words in (("1,2,3", "has 3 values, not 4: give W,S,E,N"), ("a,2,3,4", "no number")):
        with pytest.raises(UsageError, match=words):
            parse_bbox(text)


def test_a_region_checks_its_geometry() -> None:
    with pytest.raises(RegionError, match="region 'x' is a Point, not a Polygon"):
        Region("x", shapely.Point(0, 0), "")
