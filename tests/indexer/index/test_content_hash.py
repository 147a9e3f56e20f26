"""The hash of what an index holds: the same for the same build, another for any other."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest
from small_builds import build_box

from gair.errors import IndexCorruptError
from indexer.index.content_hash import content_sha256, table_sha256
from indexer.index.manifest import FileRecord


def test_the_same_build_again_has_the_same_content(city_tif: Path, tmp_path: Path) -> None:
    first, second = (build_box(city_tif, tmp_path).manifest for _ in range(2))
    assert first.build != second.build
    assert first.content_sha256 == second.content_sha256
    found = content_sha256(tmp_path / "box" / first.build, first.files)
    assert found == first.content_sha256
    other = build_box(city_tif, tmp_path, bbox_wsen_deg=(-0.1080, 51.5030, -0.1000, 51.5081))
    assert other.manifest.content_sha256 != first.content_sha256


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE cells SET area_m2 = area_m2 + 1e-9 WHERE row = 3",
        "DELETE FROM cells WHERE row = 22",
        "UPDATE frames SET valid_fraction = 0.5",
        "INSERT INTO missing VALUES (1, 0.0, 0.0, 'x')",
    ],
)
def test_every_row_of_the_table_counts(boxes: Path, tmp_path: Path, change: str) -> None:
    (table,) = boxes.glob("box/*/cells.duckdb")
    copy = Path(shutil.copy(table, tmp_path / "cells.duckdb"))
    before = table_sha256(copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("CREATE TABLE nothing (a INTEGER)")  # other bytes, the same rows
    assert table_sha256(copy) == before
    with duckdb.connect(str(copy)) as connection:
        connection.execute(change)
    assert table_sha256(copy) != before


def test_every_file_counts(boxes: Path) -> None:
    (build,) = (path.parent for path in boxes.glob("box/*/cells.duckdb"))
    records = {name: FileRecord(name * 8, 1) for name in ("rs.faiss", "manifest.json")}
    before = content_sha256(build, records)
    assert content_sha256(build, {**records, "manifest.json": FileRecord("other", 1)}) == before
    assert content_sha256(build, {**records, "rs.faiss": FileRecord("other", 1)}) != before


def test_a_table_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "cells.duckdb").write_bytes(b"no table")
    with pytest.raises(IndexCorruptError, match=r"cannot read .*cells.duckdb"):
        table_sha256(tmp_path / "cells.duckdb")
