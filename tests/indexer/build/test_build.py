"""A build: its vectors by their definition, its rows in step, its losses counted and explained."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import h3.api.numpy_int as h3
import numpy as np
import pytest
import shapely
import torch
from small_builds import BOX_WSEN_DEG, build_box, frame_pixels, serving_build, snapshot, tiny_model
from toy_city import NORTH_M, WEST_M, write_city

from gair.errors import ImageryError, RegionError, UsageError
from gair.geo import Footprint
from gair.preprocess import remote_sensing_pixels
from indexer.build.build import BuildOptions, BuildReport, build_index
from indexer.imagery import LocalImagery, open_imagery
from indexer.index.index import Index, open_index
from indexer.regions.cells import cells_of
from indexer.regions.region import Region, region_from_bbox

ROUNDING = 2.0**-12 + 2e-6
"""Half precision, and the last digits of float32."""


@pytest.fixture(scope="module")
def toy(tiny_index: Path) -> Index:
    return open_index(tiny_index / "toy")


def test_imagery_vectors_equal_the_definition_at_their_cells(toy: Index, city_tif: Path) -> None:
    with duckdb.connect(str(toy.path / "cells.duckdb"), read_only=True) as table:
        frames = np.array(table.execute("SELECT * FROM frames ORDER BY frame").fetchall())
    assert frames[:, 0].tolist() == list(range(16))
    with open_imagery(city_tif) as imagery:
        for frame in (0, 6, 15):  # a corner, an inner one, the end of the second batch
            bounds = tuple(float(v) for v in frames[frame, 1:5])
            footprint = Footprint("EPSG:3857", (bounds[0], bounds[1], bounds[2], bounds[3]))
            pixels = frame_pixels(toy, imagery, frame)
            assert pixels.valid_fraction == pytest.approx(frames[frame, 5])
            rows = np.flatnonzero(toy.cells.frame == frame)
            xy = footprint.frame_xy(toy.cells.lonlat_deg[rows])
            assert np.abs(xy).max() <= 0.75 + 1e-6
            with torch.inference_mode():
                tokens = tiny_model().encode_remote_sensing(remote_sensing_pixels(pixels.dn[None]))
                points = torch.tensor(xy, dtype=torch.float32)[None]
                z = tiny_model().localize(tokens, points, form="general")[0].numpy()
            np.testing.assert_allclose(toy.rs.vectors(rows), z, rtol=0, atol=ROUNDING)
            stored = toy.rs.vectors(rows)
            lengths = np.linalg.norm(stored, axis=1) * np.linalg.norm(z, axis=1)
            assert (np.einsum("nd,nd->n", stored, z) / lengths > 1 - 1e-6).all()


def test_location_vectors_are_those_of_the_cells(toy: Index) -> None:
    with torch.inference_mode():
        wanted = tiny_model().encode_location(torch.tensor(toy.cells.lonlat_deg).float()).numpy()
    found = toy.location.vectors(np.arange(toy.location.count))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDING)


def test_rows_correspond(toy: Index) -> None:
    count = toy.manifest.cells_indexed
    assert toy.rs.count == toy.location.count == len(toy.cells) == count == 171
    assert toy.rs.dim == toy.location.dim == tiny_model().config.dim
    latlng = np.array([h3.cell_to_latlng(cell) for cell in toy.cells.h3])
    np.testing.assert_array_equal(toy.cells.lonlat_deg, latlng[:, ::-1])
    outline = shapely.geometry.shape(toy.outline["geometry"])
    np.testing.assert_array_equal(toy.cells.h3, cells_of(outline, 9).ids)


def test_the_manifest_says_what_the_build_is(toy: Index, city_tif: Path) -> None:
    manifest = toy.manifest
    assert manifest.name == "toy"
    assert manifest.build == toy.path.name == serving_build(toy.path.parent).name
    assert manifest.model.fingerprint == tiny_model().fingerprint()
    assert (manifest.model.source, manifest.model.trained) == ("untrained:tiny", False)
    assert (manifest.h3_resolution, manifest.cells_in_region) == (9, 171)
    assert (manifest.query_mode, manifest.containment) == ("nili", "center")
    assert manifest.region["name"] == city_tif.stem
    assert manifest.region["area_km2"] == pytest.approx(16, rel=0.01)
    assert manifest.frames["count"] == 16
    assert manifest.missing == {}
    vectors = {"rs.faiss", "location.faiss", "tokens.npy"}
    assert set(manifest.files) == {*vectors, "cells.duckdb", "region.geojson", "picture.tif"}
    assert "untrained" in manifest.warnings[0]
    assert manifest.warnings[1].startswith("12 of 16 frames reach past the imagery")
    assert manifest.libraries["torch"] == torch.__version__
    assert manifest.seconds["imagery encoder"] > 0
    assert manifest.seconds["location encoder"] > 0
    own = (s for part, s in manifest.seconds.items() if not part.endswith("(beside)"))
    parts = sum(own) - manifest.seconds["total"]
    assert 0.3 * manifest.seconds["total"] < parts <= manifest.seconds["total"] + 0.01


def test_the_same_build_twice_gives_the_same_vectors(city_tif: Path, tmp_path: Path) -> None:
    first, second = (build_box(city_tif, tmp_path) for _ in range(2))
    assert first.path != second.path
    for name in ("rs.faiss", "location.faiss", "tokens.npy", "region.geojson"):
        assert first.manifest.files[name] == second.manifest.files[name]
    assert serving_build(tmp_path / "box") == second.path
    assert first.summary[0] == f"index box, build {first.path.name}"


@pytest.fixture(scope="module")
def partly(tmp_path_factory: pytest.TempPathFactory) -> tuple[BuildReport, shapely.Polygon]:
    """A region that reaches far out of the imagery to the west; the imagery has a hole."""
    folder = tmp_path_factory.mktemp("partly")
    city = write_city(folder / "city.tif", side_px=200, hole=True)
    bbox = (-0.150, 51.504, -0.104, 51.524)
    with open_imagery(city) as imagery:
        coverage = imagery.coverage
    return build_box(city, folder, bbox_wsen_deg=bbox, resolution=11), coverage


HOLE_UTM = (WEST_M + 1000, NORTH_M - 1400, WEST_M + 1400, NORTH_M - 1000)


def test_every_cell_of_the_region_is_indexed_or_missing_for_a_reason(
    partly: tuple[BuildReport, shapely.Polygon],
) -> None:
    report, coverage = partly
    manifest = report.manifest
    with duckdb.connect(str(report.path / "cells.duckdb"), read_only=True) as table:
        missing = table.execute("SELECT h3, lon_deg, lat_deg, reason FROM missing").fetchall()
    everything = cells_of(region_from_bbox(tuple(manifest.region["bbox_wsen_deg"])).geometry, 11)
    index = open_index(report.path.parent)
    lost = np.array([row[0] for row in missing], dtype=np.uint64)
    assert not set(lost) & set(index.cells.h3)
    np.testing.assert_array_equal(np.union1d(lost, index.cells.h3), everything.ids)
    assert manifest.cells_in_region == len(everything)
    assert manifest.cells_indexed == len(index.cells)
    assert manifest.missing == Counter(row[3] for row in missing)
    for cell, lon, lat, _ in missing:
        assert (lat, lon) == h3.cell_to_latlng(cell)
    outside = {row[0] for row in missing if row[3] == "outside the imagery"}
    inside = shapely.covers(coverage, shapely.points(everything.lonlat_deg))
    assert outside == set(everything.ids[~inside])
    hole = Footprint("EPSG:32630", HOLE_UTM)
    depth_m = 200 * (1 - np.abs(hole.frame_xy(everything.lonlat_deg)).max(axis=1))
    city = Footprint("EPSG:32630", (WEST_M, NORTH_M - 2000, WEST_M + 2000, NORTH_M))
    from_edge_m = 1000 * (1 - np.abs(city.frame_xy(everything.lonlat_deg)).max(axis=1))
    no_data = {row[0] for row in missing if row[3] == "no data in the imagery"}
    assert set(everything.ids[depth_m > 15]) <= no_data
    assert no_data <= set(everything.ids[(depth_m > -15) | (from_edge_m < 10)])
    assert len(no_data) > 20


def test_warnings_tell_the_share_that_is_missing(
    partly: tuple[BuildReport, shapely.Polygon],
) -> None:
    report, coverage = partly
    manifest = report.manifest
    box = shapely.box(*manifest.region["bbox_wsen_deg"])
    # An independent measure of the share: of areas in degrees, the latitudes being nearly one.
    share = 1 - box.intersection(coverage).area / box.area
    warning = next(w for w in manifest.warnings if w.endswith("outside the imagery"))
    count = manifest.missing["outside the imagery"]
    assert warning.startswith(f"{count:,} cells (")
    percent = float(warning.split("(")[1].split("%")[0])
    assert percent == pytest.approx(100 * share, abs=1.0)
    assert f"% of the area of {manifest.region['name']}) are not indexed" in warning
    assert all(f"  note: {w}" in report.summary for w in manifest.warnings)
    assert sum("not indexed" in w for w in manifest.warnings) == len(manifest.missing) >= 2


def test_options_are_recorded(city_tif: Path, tmp_path: Path) -> None:
    region = region_from_bbox(BOX_WSEN_DEG, "box")
    options = BuildOptions(resolution=9, inner_share=0.5, query_mode="mean", quiet=True)
    with open_imagery(city_tif) as imagery:
        report = build_index(
            "x", region, imagery, tiny_model(), tmp_path, options=options, model_source="elsewhere"
        )
    manifest = report.manifest
    assert (manifest.h3_resolution, manifest.query_mode) == (9, "mean")
    assert manifest.frames["inner_share"] == 0.5
    assert manifest.model.source == "elsewhere"
    index = open_index(tmp_path / "x")
    of_frame = index.rs.vectors(np.flatnonzero(index.cells.frame == 0))
    assert (of_frame == of_frame[0]).all()


def test_builds_that_cannot_work_change_nothing(city_tif: Path, tmp_path: Path) -> None:
    build_box(city_tif, tmp_path)
    before = snapshot(tmp_path)
    elsewhere = (10.0, 50.0, 10.01, 50.01)
    with pytest.raises(RegionError) as caught:
        build_box(city_tif, tmp_path, bbox_wsen_deg=elsewhere)
    assert str(caught.value).startswith(
        "no cell of box (bbox 10.0000,50.0000,10.0100,50.0100) has imagery (bbox -0.13"
    )
    assert "exchanged" not in str(caught.value)
    west, south, east, north = BOX_WSEN_DEG
    with pytest.raises(RegionError, match="with latitude and longitude exchanged they overlap"):
        build_box(city_tif, tmp_path, bbox_wsen_deg=(south, west, north, east))
    with pytest.raises(RegionError, match="no centre of an H3 cell"):
        build_box(city_tif, tmp_path, resolution=5)
    with pytest.raises(UsageError, match="H3 has no resolution 16"):
        build_box(city_tif, tmp_path, resolution=16)
    with pytest.raises(UsageError, match="index name"):
        build_box(city_tif, tmp_path, name="../up")
    region = region_from_bbox(BOX_WSEN_DEG, "box")
    options = BuildOptions(inner_share=2)
    with open_imagery(city_tif) as imagery, pytest.raises(UsageError, match="`inner_share` 2"):
        build_index("box", region, imagery, tiny_model(), tmp_path, options=options)
    assert snapshot(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["box"]


def test_imagery_smaller_than_half_a_frame_is_said_to_be(tmp_path: Path) -> None:
    small = write_city(tmp_path / "small.tif", side_px=100)
    with open_imagery(small) as imagery:
        region = Region("small", imagery.coverage, "")
        with pytest.raises(RegionError) as caught:
            build_index("small", region, imagery, tiny_model(), tmp_path)
    assert re.fullmatch(
        r"no cell of small can be indexed: the model reads squares of 1\.5 km and the imagery "
        r"fills at most \d\d% of one, where half is needed: give imagery that reaches further",
        str(caught.value),
    )


def test_imagery_that_breaks_half_way_changes_nothing(city_tif: Path, tmp_path: Path) -> None:
    build_box(city_tif, tmp_path)
    before = snapshot(tmp_path)
    broken = tmp_path.parent / "broken.tif"
    broken.write_bytes(city_tif.read_bytes()[: city_tif.stat().st_size * 2 // 3])
    with pytest.raises(ImageryError, match="broken.tif"):
        build_box(broken, tmp_path)
    assert snapshot(tmp_path) == before


class Interrupted:
    """Real imagery with a user who presses Ctrl-C, or takes the files away, late in the build."""

    def __init__(self, inner: LocalImagery, error: BaseException) -> None:
        self._inner = inner
        self._error = error
        self.coverage = inner.coverage
        self.resolution_m = inner.resolution_m
        self.warnings = inner.warnings
        self.read = inner.read
        self.by_day = inner.by_day

    def describe(self) -> dict[str, Any]:
        raise self._error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), FileNotFoundError(2, "gone", "a.tif")])
def test_what_interrupts_a_build_arrives_as_it_is(
    city_tif: Path, tmp_path: Path, error: BaseException
) -> None:
    build_box(city_tif, tmp_path)
    before = snapshot(tmp_path)
    with open_imagery(city_tif) as imagery, pytest.raises(type(error)) as caught:
        build_box(Interrupted(imagery, error), tmp_path)
    assert caught.value is error
    assert snapshot(tmp_path) == before
    assert not list((tmp_path / "box").glob(".building-*"))


def test_the_outline_is_the_region(city_tif: Path, tmp_path: Path) -> None:
    report = build_box(city_tif, tmp_path)
    outline = json.loads((report.path / "region.geojson").read_bytes())
    assert shapely.geometry.shape(outline["geometry"]).bounds == pytest.approx(BOX_WSEN_DEG)
    assert outline["properties"]["name"] == "box"
