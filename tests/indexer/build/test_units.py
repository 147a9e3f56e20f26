"""Units: a partition of frames and cells, and files that other programs read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import duckdb
import geopandas
import h3.api.numpy_int as h3
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from resumable import build_city
from small_builds import tiny_model

from gair.errors import UsageError
from indexer.build.build import BuildReport
from indexer.build.frames import FramePlan, plan_frames
from indexer.build.units import BuildPlan, plan_units
from indexer.index.index import open_index
from indexer.index.storage import work_folders
from indexer.regions.cells import cells_of
from indexer.regions.region import named_region

SIDE_M = 2445.98490512564


@pytest.fixture(scope="module")
def london() -> BuildPlan:
    cells = cells_of(named_region("london").geometry, 9)
    west_of = shapely.box(-0.6, 51.2, 0.2, 51.8)  # the east has no imagery
    return plan_units(cells, plan_frames(cells.lonlat_deg, west_of, SIDE_M))


def test_units_part_the_frames_and_the_cells(london: BuildPlan) -> None:
    frames = np.concatenate([unit.frames for unit in london.units])
    cells = np.concatenate([unit.cells for unit in london.units])
    assert np.array_equal(np.sort(frames), np.arange(len(london.frames.bounds_wsen_m)))
    promised = np.flatnonzero(london.frames.frame_of_cell >= 0)
    assert 0 < len(promised) < len(london.cells)
    assert np.array_equal(np.sort(cells), promised)
    for unit in london.units:
        assert (np.diff(unit.frames) > 0).all()
        assert (np.diff(unit.cells) > 0).all()
        assert set(london.frames.frame_of_cell[unit.cells]) == set(unit.frames)
        for frame in unit.frames[:3].tolist():
            ((lon, lat),) = london.frames.footprint(frame).lonlat_deg([[0, 0]])
            assert h3.latlng_to_cell(lat, lon, london.unit_resolution) == unit.parent
    parents = [unit.parent for unit in london.units]
    assert parents == sorted(set(parents))


def test_a_unit_is_some_tens_of_frames(london: BuildPlan) -> None:
    assert london.unit_resolution == 6
    counts = [len(unit.frames) for unit in london.units]
    assert 10 < np.median(counts) < 40
    assert max(counts) <= 100
    small = plan_units(london.cells, london.frames, frames_a_unit=1)
    assert max(len(unit.frames) for unit in small.units) <= 4
    with pytest.raises(UsageError, match="`frames_a_unit` 0 is not 1 or more"):
        plan_units(london.cells, london.frames, frames_a_unit=0)


@pytest.mark.parametrize(("resolution", "unit_resolution"), [(3, 3), (10, 6), (13, 8)])
def test_a_unit_has_a_bounded_number_of_cells(resolution: int, unit_resolution: int) -> None:
    cells = cells_of(
        shapely.box(0, 51, 4, 53) if resolution < 5 else shapely.box(0, 51, 0.01, 51.01), resolution
    )
    plan = plan_units(cells, plan_frames(cells.lonlat_deg, shapely.box(-9, 40, 9, 60), SIDE_M))
    assert plan.unit_resolution == unit_resolution


def test_without_frames_there_is_no_unit() -> None:
    cells = cells_of(shapely.box(0, 51, 0.05, 51.05), 8)
    frames = FramePlan(
        np.empty((0, 4)), np.full(len(cells), -1), np.empty(0, dtype=np.int64), SIDE_M, 0.75
    )
    assert plan_units(cells, frames).units == ()


@pytest.fixture(scope="module")
def kept(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    """A build with its units."""
    return build_city(city_tif, tmp_path_factory.mktemp("kept"), keep_units=True)[0]


def files(report: BuildReport) -> list[Path]:
    (work,) = work_folders(report.path.parent)
    return sorted(work.glob("units/*.parquet"))


def test_units_hold_what_the_index_holds(kept: BuildReport) -> None:
    index = open_index(kept.path.parent)
    tables = [pq.read_table(file).to_pylist() for file in files(kept)]
    rows = sorted((row for table in tables for row in table), key=lambda row: row["h3"])
    indexed = [row for row in rows if row["missing"] is None]
    assert [row["h3"] for row in indexed] == index.cells.h3.tolist()
    assert [row["frame"] for row in indexed] == index.cells.frame.tolist()
    assert [row["area_m2"] for row in indexed] == index.cells.area_m2.tolist()
    for kind, store in (("rs", index.rs), ("location", index.location)):
        found = np.array([row[kind] for row in indexed], dtype=np.float32)
        assert np.array_equal(found, store.vectors(np.arange(store.count)))
    lost = [row for row in rows if row["missing"] is not None]
    assert all(row["rs"] is None and row["location"] is None for row in lost)
    lost_here = sum(kept.manifest.missing.values()) - kept.manifest.missing["outside the imagery"]
    assert len(lost) == lost_here


def test_units_are_geoparquet(kept: BuildReport) -> None:
    file = files(kept)[0]
    frame = geopandas.read_parquet(file)
    assert frame.crs.to_epsg() == 4326 or frame.crs.to_string() == "OGC:CRS84"
    assert set(frame.geom_type) == {"Point"}
    latlng = [h3.cell_to_latlng(cell) for cell in frame["h3"]]
    assert [(point.y, point.x) for point in frame.geometry] == latlng
    assert json.loads(pq.read_schema(file).metadata[b"geo"])["version"] == "1.1.0"
    with duckdb.connect() as connection:
        (width,) = connection.execute(f"SELECT len(rs) FROM '{file}'").fetchone() or (0,)
    assert width == tiny_model().config.dim


def test_units_say_what_their_vectors_are(kept: BuildReport) -> None:
    emb = json.loads(pq.read_schema(files(kept)[0]).metadata[b"emb"])
    assert emb["model"] == {
        "id": "untrained-tiny",
        "version": tiny_model().fingerprint(),
        "source": "untrained:tiny:0",
        "licence": tiny_model().info.licence,
        "trained": False,
        "precision": "float32",
    }
    assert (emb["dimensions"], emb["data_type"], emb["quantization"]) == (192, "float16", "none")
    assert "Copernicus" in emb["attribution"]
    assert emb["datasets"] == ["city.tif"]
    assert emb["date_range"] is None  # nothing says when the made-up city was seen


def test_a_damaged_footer_is_not_read(kept: BuildReport) -> None:
    content = files(kept)[0].read_bytes()
    with pytest.raises(Exception, match="Parquet"):
        pq.read_table(io.BytesIO(content[:-4]))
