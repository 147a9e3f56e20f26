"""Hashes that are remembered: an unchanged index is read once, a changed byte is found."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_builds import flip_byte, serving_build

from gair.errors import IndexCorruptError
from gair.files import sha256_of
from indexer.commands.cli import main
from indexer.index import known_files
from indexer.index.index import open_index
from indexer.index.known_files import known_sha256


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that hashes are remembered in; files count as settled at once."""
    monkeypatch.setenv("GAIR_HASHES", str(tmp_path / "notes"))
    monkeypatch.setattr(known_files, "_SETTLED_NS", -1)
    return tmp_path / "notes"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read to be hashed."""
    names: list[str] = []

    def hashed(path: Path, between: Callable[[], None] | None = None) -> str:
        names.append(path.name)
        return sha256_of(path, between)

    monkeypatch.setattr(known_files, "sha256_of", hashed)
    return names


@pytest.fixture
def index(boxes: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(boxes, tmp_path / "indexes")) / "box"


def test_an_unchanged_index_is_read_once(index: Path, notes: Path, read: list[str]) -> None:
    open_index(index)
    first = sorted(read)
    assert {"rs.faiss", "location.faiss", "cells.duckdb", "tokens.npy"} < set(first)
    assert len(list(notes.glob("*.json"))) == len(first)
    open_index(index)
    assert sorted(read) == first
    assert not any("hash" in file.name for file in serving_build(index).iterdir())


@pytest.mark.parametrize("as_old", [False, True])
def test_a_changed_byte_is_found(index: Path, notes: Path, as_old: bool) -> None:
    open_index(index)
    flip_byte(serving_build(index) / "rs.faiss", later_ns=0 if as_old else 5_000_000_000)
    with pytest.raises(IndexCorruptError, match=r"rs\.faiss differs from what was built"):
        open_index(index)
    assert notes.is_dir()


def test_another_file_in_its_place_is_read(index: Path, notes: Path, read: list[str]) -> None:
    open_index(index)
    file = serving_build(index) / "tokens.npy"
    shutil.copy2(file, file.with_suffix(".copy"))
    file.with_suffix(".copy").replace(file)
    read.clear()
    open_index(index)
    assert read == ["tokens.npy"]


def test_verify_index_reads_every_file(
    index: Path, notes: Path, read: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    open_index(index)
    first = sorted(read)
    read.clear()
    verify = ["verify-index", "box", "--indexes", str(index.parent)]
    assert main(verify) == 0
    assert set(first) <= set(read)
    # A disk that changes a byte and nothing that is said of the file: the note is made to fit.
    file = serving_build(index) / "rs.faiss"
    flip_byte(file)
    note = next(n for n in notes.glob("*.json") if json.loads(n.read_text())["file"] == str(file))
    values = json.loads(note.read_text()) | {"state": known_files.file_state(file)}
    note.write_text(json.dumps(values))
    open_index(index)
    assert main(verify) == 1
    assert "DAMAGED" in capsys.readouterr().out
    with pytest.raises(IndexCorruptError, match=r"rs\.faiss"):
        open_index(index)


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1}', "not JSON", "[" * 70_000])
def test_a_note_that_says_nothing_is_ignored(
    tmp_path: Path, notes: Path, read: list[str], text: str
) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"content")
    known_sha256(file)
    (note,) = notes.glob("*.json")
    note.write_text(text)
    assert known_sha256(file) == sha256_of(file)
    assert read == ["a", "a"]


@pytest.mark.parametrize("change", [{"version": 2}, {"file": "/elsewhere"}, {"sha256": None}])
def test_a_foreign_note_is_ignored(
    tmp_path: Path, notes: Path, read: list[str], change: dict[str, object]
) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"content")
    known_sha256(file)
    (note,) = notes.glob("*.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | change))
    assert known_sha256(file) == sha256_of(file)
    assert read == ["a", "a"]


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"content")
    monkeypatch.setenv("GAIR_HASHES", str(file / "below-a-file"))
    monkeypatch.setattr(known_files, "_SETTLED_NS", -1)
    assert known_sha256(file) == sha256_of(file)


def test_a_file_written_just_now_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAIR_HASHES", str(tmp_path / "notes"))
    file = tmp_path / "a"
    file.write_bytes(b"content")
    assert known_sha256(file) == sha256_of(file)
    assert list((tmp_path / "notes").glob("*")) == []
    monkeypatch.setattr(time, "time_ns", lambda: file.stat().st_ctime_ns + 3_000_000_000)
    known_sha256(file)
    assert len(list((tmp_path / "notes").glob("*.json"))) == 1


def test_threads_remember_at_once(tmp_path: Path, notes: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"content")
    told: list[str] = []

    def ask() -> None:
        told.extend(known_sha256(file, anew=True) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [sha256_of(file)] * 80
    assert json.loads(next(notes.glob("*.json")).read_text())["sha256"] == told[0]


def test_the_oldest_notes_go(tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_files, "_MOST_FILES", 3)
    for number in range(6):
        file = tmp_path / str(number)
        file.write_bytes(b"content")
        known_sha256(file)
    assert len(list(notes.glob("*.json"))) == 3
