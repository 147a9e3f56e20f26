"""GeoJSON files as regions: what is one area, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry import mapping

from gair.errors import RegionError
from indexer.regions.region import (
    region_from_geojson,
)

SQUARE = [[0.0, 50.0], [1.0, 50.0], [1.0, 51.0], [0.0, 51.0], [0.0, 50.0]]
BOW_TIE = [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]
POLYGON = {"type": "Polygon", "coordinates": [SQUARE]}


def write(folder: Path, document: object, name: str = "area.geojson") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return path


def feature(geometry: object, **properties: object) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


@pytest.mark.parametrize(
    "document",
    [
        POLYGON,
        {"type": "MultiPolygon", "coordinates": [[SQUARE]]},
        feature(POLYGON),
        {"type": "FeatureCollection", "features": [feature(POLYGON)]},
        {"type": "GeometryCollection", "geometries": [POLYGON]},
        {
            "type": "FeatureCollection",
            "features": [
                feature(mapping(shapely.box(0, 50, 0.6, 51))),
                feature(mapping(shapely.box(0.5, 50, 1, 51))),
                feature({"type": "Point", "coordinates": [7, 7]}),
                feature(None),
            ],
        },
        {"type": "Polygon", "coordinates": [[[*point, 120.5] for point in SQUARE]]},
        {"type": "Polygon", "coordinates": [[[*SQUARE[0], 9], *SQUARE[1:3], [*SQUARE[3], 7, 8]]]},
        {"type": "MultiPolygon", "coordinates": [[[*SQUARE[:2], [*SQUARE[2], None], SQUARE[3]]]]},
        {"type": "Polygon", "coordinates": [SQUARE[:-1]]},
        {
            **POLYGON,
            "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
        },
        {**POLYGON, "crs": {"type": "name", "properties": {"name": "EPSG:4326"}}},
        {**POLYGON, "crs": None},
        "\ufeff" + json.dumps(POLYGON),
    ],
)
def test_geojson_of_every_kind_gives_the_same_area(tmp_path: Path, document: object) -> None:
    region = region_from_geojson(write(tmp_path, document))
    assert region.name == "area"
    assert not region.geometry.has_z
    assert region.geometry.equals(shapely.box(0, 50, 1, 51))


def test_names_from_geojson(tmp_path: Path) -> None:
    path = write(tmp_path, feature(POLYGON, name="Kent", attribution="the county"))
    assert region_from_geojson(path).name == "Kent"
    assert region_from_geojson(path).attribution == "the county"
    assert region_from_geojson(str(path), name="mine").name == "mine"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("not json {", "area.geojson is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ([1, 2], "holds a JSON list, not a GeoJSON object"),
        ({}, "holds None, which is no GeoJSON type"),
        ({"type": "Topology", "arcs": []}, "'Topology'.*convert it to GeoJSON"),
        ({"type": "Point", "coordinates": [0, 0]}, "holds no polygon"),
        ({"type": "FeatureCollection", "features": []}, "holds no polygon"),
        ({"type": "FeatureCollection"}, "malformed FeatureCollection"),
        ({"type": "FeatureCollection", "features": [5]}, "holds 'int'"),
        ({"type": "Feature"}, "malformed Feature"),
        ({"type": "Polygon", "coordinates": []}, "is an empty Polygon"),
        ({"type": "Polygon"}, "malformed Polygon"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "malformed Polygon"),
        ({"type": "Polygon", "coordinates": [["a", "b", "c"]]}, "malformed Polygon"),
        *(
            ({"type": kind, "coordinates": nest([SQUARE[0], position, *SQUARE[1:]])}, words)
            for kind, nest in (("Polygon", lambda r: [r]), ("MultiPolygon", lambda r: [[r]]))
            for position, words in (
                (
                    [1, None],
                    r"the position \[1, null\] is no longitude, latitude: give two numbers",
                ),
                ([None, None], r"position \[null, null\]"),
                ([1], r"position \[1\]"),
                (["1.5", "51"], r"position \[\"1.5\", \"51\"\]"),
                ([True, 51], r"position \[true, 51\]"),
                ([1, 51, "0"], r"position \[1, 51, \"0\"\]"),
                ([1, 51, False], r"position \[1, 51, false\]"),
                ([10**400, 51], r"position \[1000"),
                (None, "null stands where coordinates belong"),
                ({"lon": 1}, "stands where coordinates belong"),
            )
        ),
        ({"type": "Polygon", "coordinates": None}, "null stands where coordinates belong"),
        ({"type": "Polygon", "coordinates": [None]}, r"position \[null\]"),
        ({"type": "Polygon", "coordinates": [BOW_TIE]}, r"Self-intersection\[0.5 0.5\]; mend"),
        (
            {
                "type": "FeatureCollection",
                "features": [
                    feature(POLYGON),
                    feature({"type": "Polygon", "coordinates": [BOW_TIE]}),
                ],
            },
            "area.geojson, polygon 2 is not a valid area: Self-intersection",
        ),
        (
            {"type": "Polygon", "coordinates": [[[5e5, 1e5], [6e5, 1e5], [6e5, 2e5]]]},
            r"point \(500000, 100000\).*GeoJSON must be lon/lat",
        ),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 91]]]}, r"\(1, 91\)"),
        (
            '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [NaN, 1]]]}',
            "NaN is no JSON number",
        ),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1e999]]]}', "finite|malformed"),
        (
            {
                **POLYGON,
                "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::27700"}},
            },
            "declares the CRS 'urn:ogc:def:crs:EPSG::27700'; reproject",
        ),
        ({**POLYGON, "crs": "EPSG:3857"}, "declares the CRS 'EPSG:3857'"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, document: object, words: str) -> None:
    with pytest.raises(RegionError, match=words) as caught:
        region_from_geojson(write(tmp_path, document))
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RegionError, match="none.geojson: No such file"):
        region_from_geojson(tmp_path / "none.geojson")
    with pytest.raises(RegionError, match="Is a directory"):
        region_from_geojson(tmp_path)
    (tmp_path / "latin.geojson").write_bytes(b'{"type": "\xe9"}')
    with pytest.raises(RegionError, match="not text in UTF-8"):
        region_from_geojson(tmp_path / "latin.geojson")


def test_deeply_nested_collections_are_refused_not_crashed_on(tmp_path: Path) -> None:
    depth = 450
    text = '{"type": "GeometryCollection", "geometries": [' * depth + "]}" * depth
    with pytest.raises(RegionError):
        region_from_geojson(write(tmp_path, text))
