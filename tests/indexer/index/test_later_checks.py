"""Files that are verified while an index is open: what may wait, what is found, how it ends."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from reference_samples import give_references, reference_photos
from repository import REPOSITORY
from small_builds import flip_byte, grow_tokens, serving_build

from gair.errors import IndexCorruptError
from indexer.ground.reference_photos import current_set, open_reference_photos
from indexer.index import known_files, later_checks
from indexer.index.index import open_index
from indexer.index.later_checks import LaterChecks

WAITING = ["rs.faiss", "location.faiss", "tokens.npy"]


@pytest.fixture
def index(boxes: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(boxes, tmp_path / "indexes")) / "box"


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that hashes are remembered in; files count as settled at once."""
    monkeypatch.setenv("GAIR_HASHES", str(tmp_path / "notes"))
    monkeypatch.setattr(known_files, "_SETTLED_NS", -(10**18))
    return tmp_path / "notes"


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of any size may wait."""
    monkeypatch.setattr(later_checks, "LARGE_BYTES", 0)


def remembered(notes: Path) -> set[str]:
    """Names of the files whose hashes are remembered."""
    return {Path(json.loads(note.read_text())["file"]).name for note in notes.glob("*.json")}


def test_large_files_wait_and_are_remembered(index: Path, notes: Path, all_large: None) -> None:
    later = LaterChecks()
    opened = open_index(index, later=later)
    assert opened.later is later
    assert later.verification == "verifying"
    assert later.left_bytes == sum((opened.path / name).stat().st_size for name in WAITING)
    assert remembered(notes).isdisjoint(WAITING)
    assert "cells.duckdb" in remembered(notes)
    assert later.wait(60) == "verified"
    assert (later.left_bytes, later.problem) == (0, "")
    opened.require_sound()
    assert set(WAITING) < remembered(notes)
    again = LaterChecks()
    open_index(index, later=again)
    assert again.verification == "verified", "what is known need not wait"


@pytest.mark.parametrize("name", WAITING)
@pytest.mark.usefixtures("all_large")
def test_a_changed_byte_is_found_later(
    index: Path, notes: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    open_index(index)
    flip_byte(serving_build(index) / name)
    later = LaterChecks()
    opened = open_index(index, later=later)
    opened.require_sound()
    assert later.wait(60) == "damaged"
    for _ in range(2):
        with pytest.raises(
            IndexCorruptError,
            match=f"no more answers: .*{name} differs from what was built: rebuild the index 'box'"
            ", or copy the file here again",
        ) as caught:
            opened.require_sound()
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().err == f"error: {caught.value}\n"
    with pytest.raises(IndexCorruptError, match=f"{name} differs"):
        open_index(index, later=LaterChecks())  # remembered, so known at once


@pytest.mark.parametrize("name", [*WAITING, "cells.duckdb", "region.geojson"])
def test_small_files_do_not_wait(index: Path, name: str) -> None:
    flip_byte(serving_build(index) / name)
    with pytest.raises(IndexCorruptError, match=f"{name} differs"):
        open_index(index, later=LaterChecks())


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("name", ["cells.duckdb", "region.geojson", "picture.tif"])
def test_what_libraries_follow_does_not_wait(index: Path, name: str) -> None:
    flip_byte(serving_build(index) / name)
    with pytest.raises(IndexCorruptError, match=f"{name} differs"):
        open_index(index, later=LaterChecks())


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("name", WAITING)
def test_neither_does_a_file_of_another_size(index: Path, name: str) -> None:
    file = serving_build(index) / name
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(IndexCorruptError, match=f"{name} differs"):
        open_index(index, later=LaterChecks())
    file.unlink()
    with pytest.raises(IndexCorruptError, match=f"{name} is missing"):
        open_index(index, later=LaterChecks())


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("at", [0, 4, 9, 33, 50])
def test_faiss_sees_no_damaged_head(index: Path, at: int) -> None:
    flip_byte(serving_build(index) / "rs.faiss", at)
    with pytest.raises(IndexCorruptError, match=r"rs\.faiss differs"):
        open_index(index, later=LaterChecks())


def test_reference_photos_wait_too(index: Path, notes: Path, all_large: None) -> None:
    opened = open_index(index)
    lonlat_deg = opened.cells.lonlat_deg
    s = opened.rs.vectors(np.arange(len(lonlat_deg)))
    give_references(index, reference_photos(lonlat_deg), s)
    current = current_set(index)
    assert current is not None
    later = LaterChecks()
    assert open_reference_photos(index, later=later) is not None
    assert later.left_bytes == (index / current[0] / "ground.faiss").stat().st_size
    assert later.wait(60) == "verified"
    flip_byte(index / current[0] / "ground.faiss")
    later = LaterChecks()
    assert open_reference_photos(index, later=later) is not None
    assert later.wait(60) == "damaged"
    assert "ground.faiss differs from what was written" in later.problem
    assert "add-photos, or copy the file here again" in later.problem


def test_it_can_be_stopped_in_the_middle(index: Path, notes: Path) -> None:
    grow_tokens(index, 8 << 30, sound=False)
    later = LaterChecks()
    open_index(index, later=later)
    later.begin()
    worker = later._worker
    later.begin()
    assert later._worker is worker, "one thread"
    began = time.perf_counter()
    later.stop()
    assert time.perf_counter() - began < 0.5
    assert worker is not None
    assert not worker.is_alive()
    assert later.wait(5) == "verifying"
    assert "tokens.npy" not in remembered(notes)
    later.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_it_leaves_the_processor_to_answers(index: Path, notes: Path) -> None:
    grow_tokens(index, 8 << 30, sound=False)
    later = LaterChecks()
    open_index(index, later=later)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    later.begin()
    worker = later._worker
    assert worker is not None
    assert worker.native_id is not None
    time.sleep(0.1)
    assert os.getpriority(os.PRIO_PROCESS, worker.native_id) == min(own + 10, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
    later.stop()


def _verified(later: LaterChecks) -> None:
    sys.exit(later.wait(120) != "verified")


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="it cannot fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside threads
def test_a_forked_child_begins_anew(index: Path, notes: Path) -> None:
    grow_tokens(index)
    later = LaterChecks()
    open_index(index, later=later)
    later.begin()
    child = multiprocessing.get_context("fork").Process(target=_verified, args=(later,))
    child.start()
    child.join(150)
    assert child.exitcode == 0
    assert later.wait(120) == "verified"


ENDS = """
import sys, time
from indexer.index.index import open_index
from indexer.index.later_checks import LaterChecks

later = LaterChecks()
opened = open_index(sys.argv[1], later=later)
later.begin()
print(later.verification, flush=True)
if sys.argv[2] == "interrupted":
    time.sleep(60)
"""


@pytest.mark.process
@pytest.mark.parametrize("way", ["at its end", "interrupted"])
def test_a_process_ends_while_it_reads(index: Path, notes: Path, way: str) -> None:
    grow_tokens(index, 8 << 30, sound=False)
    with subprocess.Popen(
        [sys.executable, "-c", ENDS, str(index), way],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "verifying\n"
        since = time.monotonic()
        if way == "interrupted":
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert time.monotonic() - since < 10
    interrupted = -signal.SIGINT if sys.platform != "win32" else 1
    assert process.returncode == (interrupted if way == "interrupted" else 0)
    assert errors.strip().splitlines()[-1:] == (["KeyboardInterrupt"] if errors else [])
    assert "tokens.npy" not in remembered(notes)
    assert list(notes.glob(".*.tmp")) == []
