"""Opening an index: one changed byte anywhere is found and its file named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import faiss
import pytest
from small_builds import build_box, rewrite_manifest, serving_build, tiny_model

from gair.errors import GairError, IndexCorruptError, IndexNotFoundError
from gair.files import sha256_of
from indexer.commands.cli import main
from indexer.index.default_folder import folder_of_indexes
from indexer.index.index import find_index, newest_index, open_index
from indexer.index.vectors import FaissStore
from indexer.search.geolocator import Geolocator

FILES = (
    "CURRENT",
    "manifest.json",
    "rs.faiss",
    "location.faiss",
    "tokens.npy",
    "cells.duckdb",
    "region.geojson",
)


@pytest.fixture
def indexes(boxes: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(boxes, tmp_path / "indexes"))


def file_of(indexes: Path, name: str) -> Path:
    folder = indexes / "box"
    return folder / name if name == "CURRENT" else serving_build(folder) / name


def refused(indexes: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which Python and the command line refuse an index, naming a file."""
    with pytest.raises(GairError) as caught:
        open_index(indexes / "box")
    message = str(caught.value)
    assert str(file) in message
    assert main(["search", "any.jpg", "--index", "box", "--indexes", str(indexes)]) == 1
    assert capsys.readouterr().err == f"error: {message}\n"
    return message


def test_a_sound_index_opens(indexes: Path) -> None:
    index = open_index(indexes / "box")
    assert index.name == "box"
    assert index.path == serving_build(indexes / "box")
    assert index.outline["properties"]["name"] == "box"
    open_index(str(indexes / "box"))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_one_flipped_bit_is_found(
    indexes: Path, name: str, where: float, capsys: pytest.CaptureFixture[str]
) -> None:
    file = file_of(indexes, name)
    content = bytearray(file.read_bytes())
    content[round(where * (len(content) - 1))] ^= 1
    file.write_bytes(content)
    message = refused(indexes, file, capsys)
    assert "rebuild the index" in message


def test_every_byte_of_the_pointer_counts(indexes: Path) -> None:
    file = indexes / "box" / "CURRENT"
    content = file.read_bytes()
    for position in range(len(content)):
        spoiled = bytearray(content)
        spoiled[position] ^= 1
        file.write_bytes(spoiled)
        with pytest.raises(IndexCorruptError) as caught:
            open_index(indexes / "box")
        assert str(file) in str(caught.value), position


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


SPOIL: dict[str, Callable[[Path], object]] = {
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    "empty": lambda file: file.write_bytes(b""),
    "swapped": lambda file: file.write_bytes(b"{}"),
    "folder": replace_by_folder,
    "missing": lambda file: file.unlink(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", SPOIL)
def test_a_spoiled_file_is_named(
    indexes: Path, name: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = file_of(indexes, name)
    SPOIL[how](file)
    named = file.parent if (name, how) == ("CURRENT", "missing") else file
    message = refused(indexes, named, capsys)
    if how == "missing" and name != "CURRENT":
        assert "is missing" in message


def test_without_a_pointer_there_is_no_finished_build(indexes: Path) -> None:
    (indexes / "box" / "CURRENT").unlink()
    with pytest.raises(IndexNotFoundError, match="box has no finished build: run python -m"):
        open_index(indexes / "box")
    with pytest.raises(IndexNotFoundError, match="no finished build"):
        Geolocator.open("box", indexes_dir=indexes, model=tiny_model())


def test_a_build_that_never_finished_does_not_count(indexes: Path, city_tif: Path) -> None:
    half = indexes / "box" / ".building-20261123T000000Z-dead"
    shutil.copytree(serving_build(indexes / "box"), half)
    (half / "manifest.json").unlink()
    before = open_index(indexes / "box").path
    report = build_box(city_tif, indexes)
    assert not half.exists()
    assert open_index(indexes / "box").path == report.path != before


def test_a_newer_schema_is_refused(indexes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite_manifest(indexes / "box", schema_version=6)
    message = refused(indexes, file_of(indexes, "manifest.json"), capsys)
    assert "schema version 6; this program reads 1 to 5: rebuild the index or update" in message
    assert main(["info", "--index", "box", "--indexes", str(indexes)]) == 1
    assert "schema version 6" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        *["[]", "{}", "not JSON"],
        *['{"schema_version": 1}', '{"schema_version": 2}', '{"schema_version": 2, "model": {}}'],
    ],
)
def test_another_manifest_with_a_fitting_hash_is_refused(
    indexes: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = file_of(indexes, "manifest.json")
    file.write_text(text)
    pointer = {"build": file.parent.name, "manifest_sha256": sha256_of(file)}
    (indexes / "box" / "CURRENT").write_text(json.dumps(pointer))
    refused(indexes, file, capsys)


def test_a_file_nobody_vouches_for_is_not_read(
    indexes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = file_of(indexes, "manifest.json")
    values = json.loads(manifest.read_bytes())
    del values["files"]["rs.faiss"]
    manifest.write_text(json.dumps(values))
    pointer = {"build": manifest.parent.name, "manifest_sha256": sha256_of(manifest)}
    (indexes / "box" / "CURRENT").write_text(json.dumps(pointer))
    refused(indexes, file_of(indexes, "rs.faiss"), capsys)


def test_rows_that_do_not_match_are_refused(indexes: Path) -> None:
    file = file_of(indexes, "location.faiss")
    shorter = faiss.read_index(str(file))
    shorter.remove_ids(faiss.IDSelectorRange(0, 1))
    faiss.write_index(shorter, str(file))
    rewrite_manifest(indexes / "box")
    with pytest.raises(IndexCorruptError) as caught:
        open_index(indexes / "box")
    count = FaissStore(file).count
    assert f"location.faiss has {count}" in str(caught.value)
    assert f"rs.faiss has {count + 1}" in str(caught.value)


def test_an_index_can_be_moved(indexes: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "renamed"
    shutil.move(indexes / "box", moved)
    assert open_index(moved).name == "box"


def test_indexes_are_found_by_name_by_path_and_alone(indexes: Path, tmp_path: Path) -> None:
    box = indexes / "box"
    assert find_index("box", indexes) == box
    assert find_index(box, "nowhere") == box
    assert find_index(str(box), "nowhere") == box
    assert find_index(None, indexes) == box
    shutil.copytree(box, indexes / "crate")
    for newest, created_utc in (("crate", "2126-01-01T00:00:00Z"), ("box", "2127-01-01T00:00:00Z")):
        rewrite_manifest(indexes / newest, created_utc=created_utc)
        assert newest_index(indexes) == newest
    (indexes / "crate" / "CURRENT").write_text("damaged")
    assert newest_index(indexes) == "box"
    with pytest.raises(
        IndexNotFoundError, match=r"there are: box, crate; name one .*newest is box"
    ):
        find_index(None, indexes)
    with pytest.raises(IndexNotFoundError, match="no index 'london'; in .* there are: box, crate"):
        find_index("london", indexes)
    with pytest.raises(IndexNotFoundError) as caught:
        find_index(None, tmp_path / "nowhere")
    told = f"no index in '{tmp_path}/nowhere': make one, for example with python -m indexer build "
    assert str(caught.value).startswith(told)


def test_the_environment_names_the_folder(
    indexes: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_of_indexes() == Path("indexes")
    monkeypatch.setenv("GAIR_INDEXES", str(indexes))
    assert folder_of_indexes() == indexes
    assert folder_of_indexes("named") == Path("named")
    assert find_index(None) == find_index("box") == indexes / "box"
    assert main(["info", "--json"]) == 0
