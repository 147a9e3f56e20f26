"""The cell table: what goes in comes out, in order, and plain DuckDB can read it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import h3.api.numpy_int as h3
import numpy as np
import pytest

from gair.errors import IndexCorruptError, StorageError
from indexer.index.table import (
    CellRows,
    FrameRows,
    MissingRows,
    read_missing,
    read_table,
    write_table,
)
from indexer.probability.claims import disc_points, points_around
from indexer.regions.cells import cells_around, cells_at


def cell_rows(count: int = 5) -> CellRows:
    rng = np.random.default_rng(0)
    return CellRows(
        h3=rng.integers(0x8A194AD3056FFFF, 0x8A194AD3056FFFF + 10**6, count).astype(np.uint64),
        lonlat_deg=rng.uniform((-180, -90), (180, 90), (count, 2)),
        area_m2=rng.uniform(10_000, 20_000, count),
        frame=rng.integers(0, 3, count),
    )


FRAMES = FrameRows(np.arange(12, dtype=np.float64).reshape(3, 4), np.array([1.0, 0.5, 0.999]))
MISSING = MissingRows(
    np.array([7, 2**63 + 1], dtype=np.uint64),
    np.array([[1.5, 2.5], [3.5, 4.5]]),
    ["outside the imagery", 'it\'s "odd"; ünïcode'],
)
NONE_MISSING = MissingRows(np.empty(0, np.uint64), np.empty((0, 2)), [])


@pytest.mark.parametrize("name", ["cells.duckdb", 'it\'s a "table" ü.duckdb'])
def test_what_goes_in_comes_out(tmp_path: Path, name: str) -> None:
    cells = cell_rows()
    write_table(tmp_path / name, cells, FRAMES, MISSING)
    read, _ = read_table(tmp_path / name)
    np.testing.assert_array_equal(read.h3, cells.h3)
    assert read.h3.dtype == np.uint64
    np.testing.assert_array_equal(read.lonlat_deg, cells.lonlat_deg)
    np.testing.assert_array_equal(read.area_m2, cells.area_m2)
    np.testing.assert_array_equal(read.frame, cells.frame)
    assert len(read) == 5
    assert len(read_missing(tmp_path / name).h3) == 2


def test_many_rows_keep_their_order(tmp_path: Path) -> None:
    cells = cell_rows(300_000)
    write_table(tmp_path / "t.duckdb", cells, FRAMES, NONE_MISSING)
    read, _ = read_table(tmp_path / "t.duckdb")
    np.testing.assert_array_equal(read.h3, cells.h3)
    np.testing.assert_array_equal(read.lonlat_deg, cells.lonlat_deg)
    assert len(read_missing(tmp_path / "t.duckdb").h3) == 0


def test_plain_duckdb_reads_what_the_docstring_says(tmp_path: Path) -> None:
    cells = cell_rows()
    write_table(tmp_path / "t.duckdb", cells, FRAMES, MISSING)
    with duckdb.connect(str(tmp_path / "t.duckdb"), read_only=True) as connection:
        assert [r[0] for r in connection.execute("SHOW TABLES").fetchall()] == [
            "cells",
            "frames",
            "missing",
        ]
        row = connection.execute("SELECT * FROM cells WHERE row = 3").fetchone()
        frame = connection.execute("SELECT * FROM frames WHERE frame = 1").fetchone()
        missing = connection.execute("SELECT * FROM missing").fetchall()
    assert row == (3, cells.h3[3], *cells.lonlat_deg[3], cells.area_m2[3], cells.frame[3])
    assert frame == (1, 4.0, 5.0, 6.0, 7.0, 0.5)
    assert missing == [(7, 1.5, 2.5, MISSING.reason[0]), (2**63 + 1, 3.5, 4.5, MISSING.reason[1])]


def test_many_readers_at_once(tmp_path: Path) -> None:
    write_table(tmp_path / "t.duckdb", cell_rows(), FRAMES, MISSING)
    with duckdb.connect(str(tmp_path / "t.duckdb"), read_only=True):
        with ThreadPoolExecutor(3) as pool:
            tables = list(pool.map(read_table, [tmp_path / "t.duckdb"] * 3))
    assert {len(cells) for cells, _ in tables} == {5}


@pytest.mark.parametrize("content", [b"", b"no database", bytes(20_000)])
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.duckdb"
    path.write_bytes(content)
    with pytest.raises(IndexCorruptError, match=r"cannot read .*t\.duckdb: \S") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content  # reading changes nothing
    with pytest.raises(IndexCorruptError, match=r"cannot read .*missing\.duckdb"):
        read_table(tmp_path / "missing.duckdb")


def test_a_truncated_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    write_table(path, cell_rows(5000), FRAMES, MISSING)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(IndexCorruptError, match=r"cannot read .*t\.duckdb") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


def test_rows_that_are_not_counted_through_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    write_table(path, cell_rows(), FRAMES, MISSING)
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM cells WHERE row = 2")
    with pytest.raises(IndexCorruptError, match="rows of its cells are not 0, 1, 2"):
        read_table(path)


def test_another_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE people (name VARCHAR)")
    with pytest.raises(IndexCorruptError, match=re.escape(f"cannot read {path}: ")):
        read_table(path)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*t\.duckdb: \S") as caught:
        write_table(tmp_path / "gone" / "t.duckdb", cell_rows(), FRAMES, MISSING)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("centre", ["london", "pentagon", "north", "antimeridian"])
@pytest.mark.parametrize("radius_m", [10.0, 700.0, 2500.0])
def test_a_disc_that_cells_hold_has_no_point_outside(centre: str, radius_m: float) -> None:
    lat, lon = {
        "london": (51.5, -0.1),
        "pentagon": h3.cell_to_latlng(h3.get_pentagons(8)[0]),
        "north": (84.0, 20.0),
        "antimeridian": (-17.0, 180.0),
    }[centre]
    rng = np.random.default_rng(0)
    ids = np.sort(cells_around(int(h3.latlng_to_cell(lat, lon, 8)), 16))
    ids = np.delete(ids, rng.choice(len(ids), 3, replace=False))  # holes
    latlng = np.array([h3.cell_to_latlng(cell) for cell in ids])
    area_m2 = np.array([h3.cell_area(cell, unit="m^2") for cell in ids])
    cells = CellRows(ids, latlng[:, ::-1], area_m2, np.zeros(len(ids), dtype=np.int64))
    points = cells.lonlat_deg[rng.choice(len(ids), 200)]
    points[::2] = points_around(points[::2], 500.0, rng)  # anywhere in a cell, and beyond the edge
    held = cells.holding_discs(points, radius_m, 8)
    assert 20 < held.sum() < 200
    for point in points[held]:
        around = disc_points(point, radius_m, 300)
        assert (cells.rows_of(cells_at(around, 8)) >= 0).all()
    nowhere = np.array([(np.nan, 51.5), (lon + 90.0, lat)])
    assert not cells.holding_discs(nowhere, radius_m, 8).any()
    for wide_m in (1e5, 1e7, 1e9):  # rings of more cells than there are, in no time
        assert not cells.holding_discs(points[held], wide_m, 8).any()
