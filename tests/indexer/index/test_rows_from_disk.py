"""Rows of a mapped file are asked of the disk together, and only where any is missing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from indexer.index.vectors import LEAST_ROWS, FaissStore, FlatWriter, ask_for_rows

ROWS, DIM = 20_000, 128

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what is in memory")


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flat") / "rs.faiss"
    with FlatWriter(path, DIM) as writer:
        writer.append(np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32))
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)
    return path


def forget(path: Path) -> None:
    """Take a file that nobody maps out of memory."""
    file = os.open(path, os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    page = bytearray(1)
    try:
        os.preadv(file, [page], 4096 * 500, os.RWF_NOWAIT)
        pytest.skip("this file system keeps its files in memory")
    except BlockingIOError:
        pass
    finally:
        os.close(file)


def test_rows_that_are_missing_are_asked_for_once(flat: Path) -> None:
    begin = flat.stat().st_size - ROWS * 2 * DIM
    rows = np.arange(0, ROWS, 100)
    forget(flat)
    assert 100 <= ask_for_rows(flat, begin, 2 * DIM, rows) <= 200
    content = flat.read_bytes()  # waits for what was asked for, and reads the rest
    assert len(content) == flat.stat().st_size
    assert ask_for_rows(flat, begin, 2 * DIM, rows) == 0


def test_neighbours_are_one_run(flat: Path) -> None:
    begin = flat.stat().st_size - ROWS * 2 * DIM
    forget(flat)
    assert ask_for_rows(flat, begin, 2 * DIM, np.arange(ROWS)[::-1]) == 1


def test_few_rows_and_files_that_are_gone_are_left_alone(flat: Path, tmp_path: Path) -> None:
    forget(flat)
    assert ask_for_rows(flat, 0, 256, np.arange(LEAST_ROWS - 1)) == 0
    assert ask_for_rows(tmp_path / "gone", 0, 256, np.arange(1000)) == 0


def test_a_store_reads_the_same_rows_from_the_disk(flat: Path) -> None:
    rows = np.random.default_rng(1).choice(ROWS, 5000, replace=False)
    vectors = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
    forget(flat)
    store = FaissStore(flat)
    np.testing.assert_array_equal(store.halves(rows), vectors[rows].astype(np.float16))
