"""Files of inverted lists, written row by row in bounded memory, as FAISS would write them.

Both kinds hold one list behind the other. A list of ``ivf-sq8`` is the codes of all its rows and
then their numbers; one of ``ivf-pq`` is the numbers and then the codes, each behind its length, and
the codes of 32 rows at a time are interleaved for FAISS's fast scan. Only the list of every row is
remembered, 4 bytes each: how long lists are must be known before the first byte, hence two passes
over the vectors, one that chooses lists and one that encodes. Codes of ``ivf-pq`` are put at their
places plain and interleaved list by list in the end.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes, Ints
from gair.files import disk_errors
from gair.progress import Progress
from indexer.index.vectors import FaissStore, import_faiss

_ROWS_WRITTEN = 65_536
_ID_BYTES = 8
_LENGTH_BYTES = 8
_INTERLEAVED = 32
"""Rows whose codes are interleaved."""
_ORDER = np.array([0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15])
"""Of the rows of half an interleaved block (``perm0`` of FAISS's ``pq4_fast_scan.cpp``)."""


def write_lists(path: Path, store: FaissStore, index: Any, *, quiet: bool = False) -> None:  # noqa: ANN401
    """Write all rows of a store into a new file of lists.

    The file is what ``faiss.write_index`` would make of the filled index, byte for byte.

    Args:
        path: of the new file.
        store: the flat vectors.
        index: a trained FAISS index without rows, ``IndexIVFScalarQuantizer`` or
            ``IndexIVFPQFastScan``.
        quiet: no progress.

    Raises:
        StorageError: the disk refused.
    """
    lists = _lists_of(store, index, quiet)
    sizes = np.bincount(lists, minlength=index.nlist)  # (L,) rows of each list
    layout = (_mapped if _is_scalar(index) else _packed)(index, store.count, sizes)
    with disk_errors(path), path.open("w+b", buffering=0) as file:
        _reserve(file.fileno(), layout.end)
        file.write(layout.head)
        _fill(file, store, index, lists, layout, quiet)
        if not _is_scalar(index):
            _interleave(file, layout, sizes, int(index.code_size))


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the parts of a file are, in bytes from its start."""

    head: bytes
    """Everything before the first list."""
    codes_at: Ints
    """(L,) the first code of each list."""
    numbers_at: Ints
    """(L,) the first row number of each list."""
    end: int
    """Size of the file."""


def _mapped(index: Any, rows: int, sizes: Ints) -> _Layout:  # noqa: ANN401
    """Array inverted lists.

    FAISS writes an index without rows with its lists as ``ilar`` and a sparse table of sizes; what
    comes before that tag is the same when there are rows, but for their count. Behind it go the
    number of lists, the bytes of a code, and the sizes in ``full``.
    """
    code = int(index.code_size)
    numbers = _little(index.nlist, code) + b"full" + _little(index.nlist)
    head = _before(index, b"ilar", rows) + numbers + sizes.astype("<u8").tobytes()
    begin = len(head) + np.concatenate([[0], np.cumsum(sizes)]) * (code + _ID_BYTES)
    return _Layout(head, begin[:-1], begin[:-1] + sizes * code, int(begin[-1]))


def _packed(index: Any, rows: int, sizes: Ints) -> _Layout:  # noqa: ANN401
    """Block inverted lists: ``ilbl``, four numbers, then lengths, row numbers and whole blocks."""
    head = _before(index, b"ilbl", rows)
    tail = bytes(import_faiss().serialize_index(index))[len(head) :]
    head += tail[: 4 * _LENGTH_BYTES]
    block = int.from_bytes(tail[3 * _LENGTH_BYTES : 4 * _LENGTH_BYTES], "little")
    codes = -(-sizes // _INTERLEAVED) * block  # (L,) bytes
    whole = 2 * _LENGTH_BYTES + sizes * _ID_BYTES + codes
    begin = len(head) + np.concatenate([[0], np.cumsum(whole)])
    numbers_at = begin[:-1] + _LENGTH_BYTES
    codes_at = numbers_at + sizes * _ID_BYTES + _LENGTH_BYTES
    return _Layout(head, codes_at, numbers_at, int(begin[-1]))


def _before(index: Any, tag: bytes, rows: int) -> bytes:  # noqa: ANN401
    """What FAISS writes up to the tag of the lists, and the tag."""
    empty = bytes(import_faiss().serialize_index(index))
    own = bytearray(empty[: empty.rindex(tag) + len(tag)])
    own[8:16] = _little(rows)
    return bytes(own)


def _fill(
    file: io.FileIO,
    store: FaissStore,
    index: Any,  # noqa: ANN401
    lists: npt.NDArray[np.int32],
    layout: _Layout,
    quiet: bool,
) -> None:
    """Put the codes and numbers of all rows at their places."""
    done = np.zeros(index.nlist, dtype=np.int64)  # (L,) rows that are written
    with Progress("filling lists", store.count, "row", quiet=quiet) as progress:
        for start in range(0, store.count, _ROWS_WRITTEN):
            block = lists[start : start + _ROWS_WRITTEN]
            codes = _encoded(store, index, start, block)
            # A stable sort keeps the rows of a list ascending, as adding them in turn would.
            order = np.argsort(block, kind="stable")
            used, first = np.unique(block[order], return_index=True)
            for number, own in zip(used, np.split(order, first[1:]), strict=True):
                at = layout.codes_at[number] + done[number] * index.code_size
                _write_at(file, codes[own], int(at))
                at = layout.numbers_at[number] + done[number] * _ID_BYTES
                _write_at(file, (start + own).astype("<i8"), int(at))
                done[number] += len(own)
            progress.advance(len(block))


def _interleave(file: io.FileIO, layout: _Layout, sizes: Ints, code_bytes: int) -> None:
    """Write the lengths of every list, and its codes anew as FAISS scans them."""
    for size, codes_at, numbers_at in zip(sizes, layout.codes_at, layout.numbers_at, strict=True):
        plain = os.pread(file.fileno(), int(size) * code_bytes, int(codes_at))
        blocks = interleaved(np.frombuffer(plain, dtype=np.uint8).reshape(int(size), code_bytes))
        _write_at(file, np.array([size], dtype="<u8"), int(numbers_at) - _LENGTH_BYTES)
        _write_at(file, np.array([blocks.size], dtype="<u8"), int(codes_at) - _LENGTH_BYTES)
        _write_at(file, blocks, int(codes_at))


def interleaved(codes: Bytes) -> Bytes:
    """Codes of four bits as FAISS's fast scan reads them.

    Args:
        codes: (N, B), two to a byte, the first in its lower half.

    Returns:
        (ceil(N / 32), B, 32): for each block of rows and each byte, 16 bytes of its lower and 16 of
        its upper halves, each of which joins rows 16 apart. Rows that are missing have zeros.
    """
    blocks = -(-len(codes) // _INTERLEAVED)
    padded = np.zeros((blocks * _INTERLEAVED, codes.shape[1]), dtype=np.uint8)
    padded[: len(codes)] = codes
    # (blocks, B, two halves, 16 rows in FAISS's order)
    rows = padded.reshape(blocks, 2, _INTERLEAVED // 2, -1).transpose(0, 3, 1, 2)[..., _ORDER]
    first, second = rows[:, :, 0], rows[:, :, 1]
    lower = (first & 15) | ((second & 15) << 4)
    upper = (first >> 4) | (second & 0xF0)
    return np.concatenate([lower, upper], axis=-1)


def _lists_of(store: FaissStore, index: Any, quiet: bool) -> npt.NDArray[np.int32]:  # noqa: ANN401
    """(N,) the list of every row."""
    lists = np.empty(store.count, dtype=np.int32)
    with Progress("choosing lists", store.count, "row", quiet=quiet) as progress:
        for start in range(0, store.count, _ROWS_WRITTEN):
            block = store.halves(slice(start, start + _ROWS_WRITTEN)).astype(np.float32)
            lists[start : start + len(block)] = index.quantizer.search(block, 1)[1][:, 0]
            progress.advance(len(block))
    return lists


def _encoded(
    store: FaissStore,
    index: Any,  # noqa: ANN401
    start: int,
    lists: npt.NDArray[np.int32],
) -> Bytes:
    """The codes of rows from ``start`` on, which belong to (B,) lists."""
    faiss = import_faiss()
    block = store.halves(slice(start, start + len(lists))).astype(np.float32)
    wide = lists.astype(np.int64)
    codes = np.empty((len(block), index.code_size), dtype=np.uint8)
    index.encode_vectors(
        len(block), faiss.swig_ptr(block), faiss.swig_ptr(wide), faiss.swig_ptr(codes), False
    )
    return codes


def _is_scalar(index: Any) -> bool:  # noqa: ANN401
    return isinstance(index, import_faiss().IndexIVFScalarQuantizer)


def _little(*numbers: int) -> bytes:
    return np.array(numbers, dtype="<u8").tobytes()


def _reserve(file: int, size: int) -> None:
    """Take the space of a file now, so that a full disk is noticed at once."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)


def _write_at(file: io.FileIO, values: npt.NDArray[Any], at: int) -> None:
    content = memoryview(values.tobytes())
    file.seek(at)
    while content:
        content = content[file.write(content) :]
