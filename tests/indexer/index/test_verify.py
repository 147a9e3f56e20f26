"""``verify-index``: a line a file, and damage of bytes or of what they say is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from list_builds import wide_build, with_lists
from small_builds import build_box, rewrite_manifest, serving_build

from gair.errors import IndexNotFoundError
from indexer.commands.cli import main
from indexer.index.vectors import FlatWriter
from indexer.index.verify import check_index
from indexer.probability.calibration import calibration_path

Capture = pytest.CaptureFixture[str]
FILES = (
    *("rs.faiss", "location.faiss", "tokens.npy"),
    *("cells.duckdb", "region.geojson", "picture.tif"),
)


@pytest.fixture
def box(boxes: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(boxes / "box", tmp_path / "box"))


def verified(folder: Path, capsys: Capture, *flags: str) -> tuple[int, list[str], str]:
    """Exit status, lines, and what is said of damage."""
    capsys.readouterr()
    status = main(["verify-index", str(folder), *flags])
    told = capsys.readouterr()
    return status, told.out.splitlines(), told.err.strip()


def test_a_sound_index(box: Path, capsys: Capture) -> None:
    calibrate_by_hand(box)
    status, lines, error = verified(box, capsys)
    assert (status, error) == (0, "")
    assert all(line.startswith("ok ") for line in lines)
    build = serving_build(box)
    for file in (box / "CURRENT", build / "manifest.json", *(build / name for name in FILES)):
        assert any(f"  {file}  " in f"  {line}" for line in lines), file
    assert any("390 photos" in line for line in lines)
    assert any("23 vectors of length 1" in line for line in lines)


def test_files_of_lists_are_hashed_too(city_tif: Path, tmp_path: Path, capsys: Capture) -> None:
    flat = wide_build(city_tif, tmp_path)
    with_lists(flat, tmp_path / "lists", "ivf-sq8", 300)
    status, lines, _ = verified(tmp_path / "lists", capsys)
    assert status == 0
    assert sum("ann.faiss" in line for line in lines) == 2


@pytest.mark.parametrize("name", FILES)
def test_every_damaged_file_is_named_and_the_others_still_hashed(
    box: Path, name: str, capsys: Capture
) -> None:
    file = serving_build(box) / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    status, lines, error = verified(box, capsys)
    assert status == 1
    assert error.startswith(f"error: 1 damaged: {file}: ")
    bad = [line for line in lines if line.startswith("DAMAGED")]
    assert len(bad) == 1
    assert f"{file} differs from what was built" in bad[0]
    assert len([line for line in lines if line.startswith("ok ")]) == 2 + len(FILES) - 1


def test_pointer_manifest_and_calibration(box: Path, capsys: Capture) -> None:
    path = calibration_path(box, calibrate_by_hand(box).build)
    path.write_bytes(path.read_bytes()[:-9])
    assert verified(box, capsys)[2].startswith(f"error: 1 damaged: {path}: ")
    path.unlink()
    manifest = serving_build(box) / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert verified(box, capsys)[2].startswith(f"error: 1 damaged: {manifest}: ")
    (box / "CURRENT").write_text("{")
    assert verified(box, capsys)[2].startswith(f"error: 1 damaged: {box / 'CURRENT'}: ")
    (box / "CURRENT").unlink()
    with pytest.raises(IndexNotFoundError, match="no finished build"):
        list(check_index(box))


@pytest.mark.parametrize(
    ("spoil", "problem"), [(2.0, "row 7 has length "), (0.0, "row 7 has length 0.0000, not 1")]
)
def test_vectors_that_a_hash_vouches_for_are_looked_at(
    box: Path, spoil: float, problem: str, capsys: Capture
) -> None:
    file = serving_build(box) / "location.faiss"
    from indexer.index.vectors import FaissStore

    vectors = FaissStore(file).vectors(np.arange(23))
    vectors[7] *= spoil
    with FlatWriter(file, vectors.shape[1]) as writer:
        writer.append(vectors)
    rewrite_manifest(box)
    status, _, error = verified(box, capsys)
    assert status == 1
    assert error.startswith(f"error: 1 damaged: {file}: {problem}")


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE cells SET frame = 99 WHERE row = 3", "a cell refers to a frame that is not there"),
        ("UPDATE cells SET h3 = h3 - 4503599627370496", "a cell is not of H3 resolution 10"),
        ("UPDATE cells SET lat_deg = 91 WHERE row = 0", "a cell's centre is not on Earth"),
        ("UPDATE cells SET row = 22 - row", "its cells are not in ascending order"),
    ],
)
def test_cells_that_a_hash_vouches_for_are_looked_at(
    box: Path, statement: str, problem: str, capsys: Capture
) -> None:
    file = serving_build(box) / "cells.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(statement)
    rewrite_manifest(box)
    status, _, error = verified(box, capsys)
    assert status == 1
    assert error.startswith(f"error: 1 damaged: {file}: ")
    assert problem in error


def test_rows_that_do_not_match_are_found(city_tif: Path, box: Path, tmp_path: Path) -> None:
    other = build_box(city_tif, tmp_path / "more", bbox_wsen_deg=(-0.108, 51.503, -0.099, 51.508))
    shutil.copy(other.path / "rs.faiss", serving_build(box) / "rs.faiss")
    rewrite_manifest(box)
    problems = [finding.problem for finding in check_index(box) if finding.problem]
    assert len(problems) == 1
    assert "the rows do not match" in problems[0]
