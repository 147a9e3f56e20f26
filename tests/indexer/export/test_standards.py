"""Exports, to the letter of their standards, by the validators of their communities.

Schemas of STAC's core come with pystac; those of extensions lie on the network, so the fields of an
extension are read by the classes that pystac has for it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import embedding_rules
import geojson_validator
import geoparquet_validator
import jsonschema
import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pystac
import pytest
import rasterio
import shapely
from pystac.extensions.processing import ProcessingExtension
from pystac.extensions.scientific import ScientificExtension
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import shape
from some_cells import cells_around

from indexer.commands.cli import main
from indexer.export.export import export_geoparquet
from indexer.export.stac import bbox_wsen_deg, stac_collection, stac_item
from indexer.index.index import Index, open_index
from indexer.regions.region import region_from_bbox, region_from_geojson
from indexer.search.maps.heatmap import HeatMap
from indexer.search.outlines import make_region

FIJI = (180.0, -16.8, 8, 4)
"""Cells on both sides of 180 degrees."""


@pytest.fixture(scope="module")
def toy(tiny_index: Path) -> Index:
    return open_index(tiny_index / "toy")


def heat_of(place: tuple[float, float, int, int]) -> HeatMap:
    cells = cells_around(*place)
    p = np.random.default_rng(0).dirichlet(np.full(len(cells), 0.5))
    region = make_region(p, cells, 0.9, 0.9, promised=True)
    best = int(p.argmax())
    return HeatMap(p.astype(np.float32), "posterior", cells, "toy", best, region)


@pytest.mark.parametrize("geometry", ["point", "cell"])
def test_geoparquet_conforms_and_has_a_covering(toy: Index, tmp_path: Path, geometry: Any) -> None:
    path = tmp_path / "toy.parquet"
    export_geoparquet(toy, path, geometry=geometry, quiet=True)
    report = geoparquet_validator.check(str(path))
    assert geoparquet_validator.failed(report) == []
    passed = {one["id"] for one in report["outcomes"] if one["status"] == "pass"}
    assert any(test.startswith("/conf/covering/") for test in passed)
    table = pq.read_table(path)
    shapes = shapely.from_wkb(table["geometry"].to_pylist())
    edges = np.array([list(row.values()) for row in table["bbox"].to_pylist()])
    np.testing.assert_array_equal(edges, shapely.bounds(shapes))


def test_a_covering_finds_the_cells_of_a_box(toy: Index, tmp_path: Path) -> None:
    export_geoparquet(toy, tmp_path / "toy.parquet", geometry="cell", quiet=True)
    lon, lat = (float(v) for v in toy.cells.lonlat_deg[0])
    data = ds.dataset(tmp_path / "toy.parquet")
    inside = (
        (pc.field("bbox", "xmin") <= lon)
        & (pc.field("bbox", "xmax") >= lon)
        & (pc.field("bbox", "ymin") <= lat)
        & (pc.field("bbox", "ymax") >= lat)
    )
    cells = data.to_table(columns=["h3"], filter=inside)["h3"].to_pylist()
    assert int(toy.cells.h3[0]) in cells
    assert len(cells) < len(toy.cells) / 10


def test_stac_is_valid_under_1_1(toy: Index) -> None:
    item, collection = stac_item(toy, "toy.parquet"), stac_collection(toy)
    for content, kind in ((item, pystac.Item), (collection, pystac.Collection)):
        assert content["stac_version"] == "1.1.0"
        core = {**content, "stac_extensions": []}
        assert kind.from_dict(core, migrate=False).validate()
        broken = {**core, "links": [{"href": "no relation"}]}
        with pytest.raises((pystac.STACError, KeyError)):
            kind.from_dict(broken, migrate=False).validate()


@pytest.mark.parametrize("kind", ["item", "collection"])
def test_stac_1_0_is_what_the_schema_of_embeddings_takes(toy: Index, kind: str) -> None:
    if kind == "item":
        old, new = (stac_item(toy, "toy.parquet", v) for v in ("1.0.0", "1.1.0"))
        rules, core = embedding_rules.ITEM, pystac.Item
    else:
        old, new = (stac_collection(toy, v) for v in ("1.0.0", "1.1.0"))
        rules, core = embedding_rules.COLLECTION, pystac.Collection
    check = jsonschema.Draft7Validator(rules)
    assert [error.message for error in check.iter_errors(old)] == []
    assert [error.message for error in check.iter_errors(new)] == ["'1.0.0' was expected"]
    wrong = {**old, "emb:dimensions": 0}
    wrong["properties"] = {**old.get("properties", {}), "emb:model": "GAIR"}
    assert list(check.iter_errors(wrong))
    # Under another label it is valid by the core of 1.1, so it uses nothing that one of both lacks.
    relabelled = {**old, "stac_version": "1.1.0", "stac_extensions": []}
    assert core.from_dict(relabelled, migrate=False).validate()
    added = set(old["stac_extensions"]) - set(new["stac_extensions"])
    assert ["item-assets" in one for one in added] == [True] * (kind == "collection")


def test_the_command_line_names_the_version_of_stac(
    tiny_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = ["--indexes", str(tiny_index), "--to", str(tmp_path / "toy.parquet"), "--quiet"]
    argv = ["export", "toy", *to, "--stac-version", "1.0.0"]
    assert main(argv) == 2
    assert "--stac-version is of what --stac writes: add --stac" in capsys.readouterr().err
    assert main([*argv, "--stac"]) == 0
    for name in ("item", "collection"):
        assert json.loads((tmp_path / f"{name}.json").read_text())["stac_version"] == "1.0.0"


def test_processing_is_declared_where_it_is_used(toy: Index) -> None:
    content = stac_item(toy, "toy.parquet")
    item = pystac.Item.from_dict(content, migrate=False)
    assert ProcessingExtension.has_extension(item)
    read = ProcessingExtension.ext(item)
    assert read.level == "L4"
    assert toy.manifest.model.name in (read.lineage or "")
    assert (read.software or {})["torch"] == toy.manifest.libraries["torch"]
    used = {key.split(":")[0] for key in content["properties"] if ":" in key}
    declared = " ".join(content["stac_extensions"])
    assert used == {"processing", "emb"}
    assert "/processing/v1.2.0/" in declared
    assert "/embeddings/v0.0.1/" in declared


def test_the_collection_says_what_its_items_have_and_what_to_cite(toy: Index) -> None:
    content = stac_collection(toy)
    collection = pystac.Collection.from_dict(content, migrate=False)
    assert ScientificExtension.has_extension(collection)
    (publication,) = ScientificExtension.ext(collection).publications or []
    assert publication.doi == "10.48550/arXiv.2503.16683"
    asset = stac_item(toy, "toy.parquet")["assets"]["embeddings"]
    assert content["item_assets"]["embeddings"] == {k: v for k, v in asset.items() if k != "href"}
    assert set(collection.item_assets) == {"embeddings"}


def test_a_box_over_180_degrees_goes_from_west_to_east() -> None:
    fiji = region_from_bbox((176.8, -19.3, -178.2, -15.7))
    assert bbox_wsen_deg(fiji.geometry) == pytest.approx([176.8, -19.3, -178.2, -15.7])
    here = region_from_bbox((-0.5, 51, 0.5, 52))
    assert bbox_wsen_deg(here.geometry) == pytest.approx([-0.5, 51, 0.5, 52])


@pytest.mark.parametrize("place", [FIJI, (-0.1, 51.5, 10, 20)])
def test_a_raster_is_a_valid_cog(tmp_path: Path, place: tuple[float, float, int, int]) -> None:
    heat_of(place).write(tmp_path / "heat.tif")
    valid, errors, warnings = cog_validate(tmp_path / "heat.tif", strict=True)
    assert (valid, errors, warnings) == (True, [], [])


def test_a_large_raster_has_overviews_that_are_means(tmp_path: Path) -> None:
    heat_of((-0.1, 51.5, 10, 20)).write(tmp_path / "heat.tif", spacing_m=5)
    valid, errors, warnings = cog_validate(tmp_path / "heat.tif", strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(tmp_path / "heat.tif") as raster:
        assert max(raster.shape) > 512
        factors = raster.overviews(1)
        assert factors
        whole = raster.read(1)
        assert raster.tags()["TITLE"] == "toy"
    with rasterio.open(tmp_path / "heat.tif", overview_level=0) as overview:
        half = overview.read(1)
    assert np.nanmean(half) == pytest.approx(np.nanmean(whole), rel=0.02)


def valid_geojson(document: dict[str, Any]) -> dict[str, Any]:
    """What the validator has against it."""
    structure = geojson_validator.validate_structure(document, check_crs=True)
    geometries = geojson_validator.validate_geometries(document)
    return {**structure, **geometries["invalid"]}


@pytest.mark.parametrize("place", [FIJI, (-0.1, 51.5, 10, 4)])
def test_geojson_of_maps_and_regions_keeps_rfc_7946(place: tuple[float, float, int, int]) -> None:
    heat = heat_of(place)
    assert heat.region is not None
    for document in (heat.to_geojson(), heat.to_geojson(points=True), heat.region.to_geojson()):
        plain = json.loads(json.dumps(document))
        assert valid_geojson(plain) == {}
        assert "crs" not in plain
    if place == FIJI:
        cut = [f for f in heat.to_geojson()["features"] if f["geometry"]["type"] == "MultiPolygon"]
        assert cut, "no cell lies across 180 degrees: the test would show nothing"


def test_geojson_of_an_outline_winds_right_however_it_was_drawn(tmp_path: Path) -> None:
    clockwise = [[0, 51], [0, 52], [1, 52], [1, 51], [0, 51]]
    hole = [[0.4, 51.4], [0.6, 51.4], [0.6, 51.6], [0.4, 51.6], [0.4, 51.4]]
    drawn = {"type": "Polygon", "coordinates": [clockwise, hole]}
    assert valid_geojson(drawn) != {}
    (tmp_path / "drawn.geojson").write_text(json.dumps(drawn))
    region = region_from_geojson(tmp_path / "drawn.geojson")
    assert valid_geojson(region.to_geojson()) == {}
    assert shape(region.to_geojson()["geometry"]).equals(shape(drawn))


def test_geojson_of_a_search_keeps_rfc_7946(tiny_index: Path, tmp_path: Path) -> None:
    import shutil

    from hand_calibration import calibrate_by_hand
    from toy_city import photo

    shutil.copytree(tiny_index / "toy", tmp_path / "toy")
    calibrate_by_hand(tmp_path / "toy")
    photo(1).save(tmp_path / "photo.jpg")
    out = tmp_path / "where.geojson"
    argv = ["search", str(tmp_path / "photo.jpg"), "--index", "toy", "--indexes", str(tmp_path)]
    assert main([*argv, "--geojson", str(out), "--quiet"]) == 0
    assert valid_geojson(json.loads(out.read_text())) == {}
