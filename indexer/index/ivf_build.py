"""Trains inverted lists and writes them in bounded memory, for :mod:`indexer.index.ivf`."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Ints
from gair.files import disk_errors
from gair.progress import Progress
from indexer.index.ivf import IndexType
from indexer.index.storage import library_writes
from indexer.index.vectors import FaissStore, import_faiss

ROWS_A_LIST = 48
"""Training rows for each list: FAISS wants 39 at least."""
ITERATIONS = 8
"""Of k-means; more change nothing that tuning would notice."""
_DIMS_A_CODE = 6
"""Dimensions in each half byte of ivf-pq, about."""
_ROWS_AT_ONCE = 65_536
_MOST_LISTS = 1 << 16
_ID_BYTES = 8


def list_count(rows: int) -> int:
    """How many lists: a power of two near the square root, each with rows enough to train it."""
    near = 1 << max(round(math.log2(max(rows, 1)) / 2), 0)
    while near > 1 and near * ROWS_A_LIST > rows:
        near //= 2
    return min(near, _MOST_LISTS)


def build_lists(
    path: Path, store: FaissStore, kind: IndexType, *, seed: int = 0, quiet: bool = False
) -> int:
    """Train lists on rows of a store and write all its rows into them.

    Args:
        path: of the new file.
        store: the flat vectors.
        kind: ``ivf-sq8`` or ``ivf-pq``.
        seed: chooses the rows to train on.
        quiet: no progress.

    Returns:
        How many lists there are.

    Raises:
        StorageError: the disk refused.
    """
    index = _trained(store, kind, seed, quiet)
    if kind == "ivf-sq8":
        _write_mapped(path, store, index, quiet)
    else:
        _write_packed(path, store, index, quiet)
    return int(index.nlist)


def _trained(store: FaissStore, kind: IndexType, seed: int, quiet: bool) -> Any:  # noqa: ANN401
    """An index without rows."""
    faiss = import_faiss()
    lists, dim = list_count(store.count), store.dim
    quantizer = faiss.IndexFlatIP(dim)
    if kind == "ivf-sq8":
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, dim, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
    else:
        index = faiss.IndexIVFPQFastScan(
            quantizer, dim, lists, _codes(dim), 4, faiss.METRIC_INNER_PRODUCT
        )
    index.cp.spherical = True
    index.cp.niter = ITERATIONS
    index.cp.seed = 1 + seed
    index.cp.min_points_per_centroid = 1  # small indexes come this way on request only
    rng = np.random.default_rng(seed)
    count = min(store.count, max(lists * ROWS_A_LIST, 4096))
    rows = np.sort(rng.choice(store.count, count, replace=False))
    with Progress("training lists", count, "row", quiet=quiet) as progress:
        index.train(store.vectors(rows))
        progress.advance(count)
    return index


def _codes(dim: int) -> int:
    """Parts of a vector that get a code each: an even number that divides the dimensions."""
    most = max(dim // _DIMS_A_CODE, 1)
    return next(n for n in range(most, 0, -1) if dim % n == 0)


def _write_packed(path: Path, store: FaissStore, index: Any, quiet: bool) -> None:  # noqa: ANN401
    """Fast-scan codes are interleaved, so they are put together in memory."""
    faiss = import_faiss()
    with Progress("filling lists", store.count, "row", quiet=quiet) as progress:
        for start in range(0, store.count, _ROWS_AT_ONCE):
            block = store.halves(slice(start, start + _ROWS_AT_ONCE)).astype(np.float32)
            index.add(block)
            progress.advance(len(block))
    with library_writes(path, RuntimeError):
        faiss.write_index(index, str(path))


def _write_mapped(path: Path, store: FaissStore, index: Any, quiet: bool) -> None:  # noqa: ANN401
    """Rows go to their places in the file block by block; only their lists are remembered.

    The file is what ``faiss.write_index`` would make of the filled index, byte for byte. After the
    head it holds the lists one behind the other, each as the codes of all its rows and then their
    numbers. How long each list is must be known before the first byte, hence two passes: one that
    chooses the lists (4 bytes a row in memory), one that encodes.
    """
    lists = _lists_of(store, index, quiet)
    sizes = np.bincount(lists, minlength=index.nlist)  # (L,) rows of each list
    head = _head(index, store.count, sizes)
    row_bytes = index.code_size + _ID_BYTES
    begin = len(head) + np.concatenate([[0], np.cumsum(sizes)]) * row_bytes  # (L + 1,), file's end
    done = np.zeros(index.nlist, dtype=np.int64)  # (L,) rows that are written
    with disk_errors(path), path.open("wb", buffering=0) as file:
        _reserve(file.fileno(), int(begin[-1]))
        file.write(head)
        with Progress("filling lists", store.count, "row", quiet=quiet) as progress:
            for start in range(0, store.count, _ROWS_AT_ONCE):
                block = lists[start : start + _ROWS_AT_ONCE]
                codes = _encoded(store, index, start, block)
                # A stable sort keeps the rows of a list ascending, as adding them in turn would.
                order = np.argsort(block, kind="stable")
                used, first = np.unique(block[order], return_index=True)
                for number, own in zip(used, np.split(order, first[1:]), strict=True):
                    at = begin[number] + done[number] * index.code_size
                    _write_at(file, codes[own], int(at))
                    at = begin[number] + sizes[number] * index.code_size + done[number] * _ID_BYTES
                    _write_at(file, (start + own).astype("<i8"), int(at))
                    done[number] += len(own)
                progress.advance(len(block))


def _lists_of(store: FaissStore, index: Any, quiet: bool) -> npt.NDArray[np.int32]:  # noqa: ANN401
    """(N,) the list of every row."""
    lists = np.empty(store.count, dtype=np.int32)
    with Progress("choosing lists", store.count, "row", quiet=quiet) as progress:
        for start in range(0, store.count, _ROWS_AT_ONCE):
            block = store.halves(slice(start, start + _ROWS_AT_ONCE)).astype(np.float32)
            lists[start : start + len(block)] = index.quantizer.search(block, 1)[1][:, 0]
            progress.advance(len(block))
    return lists


def _encoded(
    store: FaissStore,
    index: Any,  # noqa: ANN401
    start: int,
    lists: npt.NDArray[np.int32],
) -> npt.NDArray[np.uint8]:
    """The codes of rows from ``start`` on, which belong to (B,) lists."""
    faiss = import_faiss()
    block = store.halves(slice(start, start + len(lists))).astype(np.float32)
    wide = lists.astype(np.int64)
    codes = np.empty((len(block), index.code_size), dtype=np.uint8)
    index.encode_vectors(
        len(block), faiss.swig_ptr(block), faiss.swig_ptr(wide), faiss.swig_ptr(codes), False
    )
    return codes


def _head(index: Any, rows: int, sizes: Ints) -> bytes:  # noqa: ANN401
    """Everything before the first list.

    FAISS writes an index without rows with its lists as ``ilar`` (array inverted lists) and a
    sparse table of sizes; what comes before that tag is the same when there are rows, but for
    their count. Behind it go the number of lists, the bytes of a code, and the sizes in ``full``.
    """
    empty = bytes(import_faiss().serialize_index(index))
    own = bytearray(empty[: empty.rindex(b"ilar")])
    own[8:16] = rows.to_bytes(8, "little")
    numbers = np.array([index.nlist, index.code_size], dtype="<u8").tobytes()
    count = np.array([index.nlist], dtype="<u8").tobytes()
    return bytes(own) + b"ilar" + numbers + b"full" + count + sizes.astype("<u8").tobytes()


def _reserve(file: int, size: int) -> None:
    """Take the space of a file now, so that a full disk is noticed at once."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)


def _write_at(file: io.FileIO, values: npt.NDArray[Any], at: int) -> None:
    content = memoryview(values.tobytes())
    file.seek(at)
    while content:
        content = content[file.write(content) :]
