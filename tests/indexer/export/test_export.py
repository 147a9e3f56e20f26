"""GeoParquet and STAC: read back by pyarrow and pystac, they hold what the index holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pystac
import pytest
import shapely
from refusals import refusal
from small_builds import fill_disk, rewrite_manifest, small_disk

from gair.errors import StorageError
from indexer.commands.cli import main
from indexer.export import export
from indexer.export.export import export_geoparquet
from indexer.export.stac import EXTENSION, PROCESSING, stac_item
from indexer.index.index import Index, open_index

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def toy(tiny_index: Path) -> Index:
    return open_index(tiny_index / "toy")


@pytest.fixture(scope="module")
def exported(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "new" / "toy.parquet"
    argv = ["export", "toy", "--indexes", str(tiny_index), "--to", str(out), "--stac", "--quiet"]
    assert main(argv) == 0
    return out


def test_every_cell_and_vector_comes_back(toy: Index, exported: Path) -> None:
    table = pq.read_table(exported)
    every = np.arange(len(toy.cells))
    np.testing.assert_array_equal(table["h3"].to_numpy(), toy.cells.h3)
    for column, values in (
        ("lon_deg", toy.cells.lonlat_deg[:, 0]),
        ("lat_deg", toy.cells.lonlat_deg[:, 1]),
        ("area_m2", toy.cells.area_m2),
        ("frame", toy.cells.frame),
    ):
        np.testing.assert_array_equal(table[column].to_numpy(), values)
    for column, store in (("rs", toy.rs), ("location", toy.location)):
        assert table.schema.field(column).type.list_size == toy.rs.dim
        assert table.schema.field(column).type.value_type == pa.float16()
        flat = table[column].combine_chunks().flatten().to_numpy()
        halves = store.halves(every)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(flat.reshape(halves.shape), halves)
    points = shapely.from_wkb(table["geometry"].to_pylist())
    np.testing.assert_array_equal(shapely.get_coordinates(points), toy.cells.lonlat_deg)


def test_row_groups_are_small_and_leave_nothing_out(
    toy: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ROWS_A_GROUP", 50)
    export_geoparquet(toy, tmp_path / "g.parquet", quiet=True)
    found = pq.ParquetFile(tmp_path / "g.parquet")
    assert found.metadata.num_row_groups == -(-len(toy.cells) // 50)
    np.testing.assert_array_equal(found.read()["h3"].to_numpy(), toy.cells.h3)


def metadata(path: Path) -> dict[str, Any]:
    entries = pq.read_schema(path).metadata
    return {key.decode(): json.loads(value) for key, value in entries.items() if key in KEYS}


KEYS = (b"geo", b"emb")


def test_the_metadata_says_what_the_vectors_are(toy: Index, exported: Path) -> None:
    found = metadata(exported)
    geo, emb = found["geo"], found["emb"]
    assert geo["version"] == "1.1.0"
    assert geo["primary_column"] == "geometry"
    assert geo["columns"]["geometry"]["encoding"] == "WKB"
    assert geo["columns"]["geometry"]["geometry_types"] == ["Point"]
    bounds = [*toy.cells.lonlat_deg.min(axis=0), *toy.cells.lonlat_deg.max(axis=0)]
    assert geo["columns"]["geometry"]["bbox"] == bounds
    assert emb["model"]["id"] == toy.manifest.model.name
    assert emb["model"]["version"] == toy.manifest.model.fingerprint
    assert emb["dimensions"] == toy.rs.dim
    assert emb["data_type"] == "float16"
    assert emb["datasets"] == ["city.tif"]
    assert emb["build"] == toy.manifest.build
    assert (emb["h3_resolution"], emb["query_mode"]) == (9, "nili")


def test_cells_can_be_outlines(toy: Index, tmp_path: Path) -> None:
    export_geoparquet(toy, tmp_path / "c.parquet", geometry="cell", quiet=True)
    outlines = shapely.from_wkb(pq.read_table(tmp_path / "c.parquet")["geometry"].to_pylist())
    for cell, outline in zip(toy.cells.h3, outlines, strict=True):
        wanted = shapely.Polygon([(lng, lat) for lat, lng in h3.cell_to_boundary(cell)])
        assert outline.symmetric_difference(wanted).area < 1e-12
    column = metadata(tmp_path / "c.parquet")["geo"]["columns"]["geometry"]
    assert column["geometry_types"] == ["MultiPolygon", "Polygon"]
    assert "bbox" not in column


def without_extension(content: dict[str, Any]) -> dict[str, Any]:
    """For pystac: the core schema is at hand, that of the extension is on the network."""
    return {**content, "stac_extensions": []}


def test_the_stac_item_is_valid(toy: Index, exported: Path) -> None:
    content = json.loads(exported.with_name("item.json").read_bytes())
    item = pystac.Item.from_dict(without_extension(content), migrate=False)
    assert item.validate()
    assert content["stac_extensions"] == [EXTENSION, PROCESSING]
    assert item.id == f"toy-{toy.manifest.build}"
    assert item.assets["embeddings"].href == "./toy.parquet"
    assert (exported.parent / item.assets["embeddings"].href).exists()
    allowed = {  # of the extension's fields those that it has for Items
        *("emb:runtime_parameters", "emb:preprocessing", "emb:postprocessing"),
        *("emb:fit_for_use", "emb:spatial_coverage", "emb:uncertainty"),
        *("emb:quantization", "emb:energy"),
    }
    own = {key for key in content["properties"] if key.startswith("emb:")}
    assert own <= allowed
    assert content["properties"]["emb:quantization"]["quantized_dtype"] == "float16"
    assert [link for link in content["links"] if link["rel"] == "emb:source-data"] == [
        {"rel": "emb:source-data", "href": "city.tif", "title": "city.tif"}
    ]


def test_the_stac_collection_is_valid(toy: Index, exported: Path) -> None:
    content = json.loads(exported.with_name("collection.json").read_bytes())
    collection = pystac.Collection.from_dict(without_extension(content), migrate=False)
    assert collection.validate()
    item = json.loads(exported.with_name("item.json").read_bytes())
    assert item["collection"] == collection.id
    assert content["emb:type"] == "chip"
    assert content["emb:dimensions"] == toy.rs.dim
    assert content["data_type"] == "float16"
    assert content["emb:chip_layout"] == {"layout_type": "named_grid", "grid_id": "h3-9"}
    assert content["gsd"] == pytest.approx(330, abs=30)
    assert {link["rel"] for link in content["links"]} == {"emb:model", "emb:source-data"}


def test_dates_are_those_of_the_imagery(tiny_index: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(tiny_index / "toy", tmp_path / "toy"))
    manifest = open_index(folder).manifest
    assert stac_item(open_index(folder), "x.parquet")["properties"]["datetime"].endswith("Z")
    dated = {**manifest.imagery, "scenes": [{"name": "a", "dates": ["2024-05-01", "2023-07-09"]}]}
    rewrite_manifest(folder, imagery=dated)
    properties = stac_item(open_index(folder), "x.parquet")["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] == "2023-07-09T00:00:00Z"
    assert properties["end_datetime"] == "2024-05-01T00:00:00Z"


@pytest.mark.process
def test_a_file_appears_whole_or_not_at_all(toy: Index, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        fill_disk(disk, 20_000)
        with pytest.raises(StorageError, match=r"cannot write .*toy\.parquet: no space left"):
            export_geoparquet(toy, disk / "toy.parquet", quiet=True)
        assert [f.name for f in disk.iterdir()] == ["filler"]


def test_wrong_usage(tiny_index: Path, capsys: Capture) -> None:
    argv = ["export", "toy", "--indexes", str(tiny_index), "--to"]
    message = refusal([*argv, "toy.csv"], capsys, status=2)
    assert message == "--to 'toy.csv': name a .parquet file, or milvus://PATH_OR_HOST"
    message = refusal([*argv, "milvus://x.db", "--stac"], capsys, status=2)
    assert message == "--stac goes with a .parquet file, not with --to milvus://..."
