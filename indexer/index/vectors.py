"""Vector stores: one row a cell, inner product of unit vectors; and writers of such files.

The default is FAISS's flat half-precision index: exact but for rounding to 11 bits, half the memory
of float32, and memory-mapped without a copy, so opening costs nothing and processes share it.
Files of equal rows behind a head are written in any order and in bounded memory.

Scattered rows that are not in memory are asked of the disk together before they are read: a thread
that reads a mapped page waits for the disk, and only then comes to the next one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

import gair.processes.forks  # noqa: F401 (FAISS and torch in a forked child)
from gair.arrays import Floats32, Halves, Ints
from gair.errors import GairError, IndexCorruptError, ModelError
from gair.files import disk_errors, open_file
from gair.info import import_problem, library_versions
from indexer.index.products import inner_products, inner_products_by_numpy

LEAST_ROWS = 64
"""Fewer rows of a mapped file are read without asking for them first."""
_LOOKED_AT = 64
"""Pages that tell whether any is missing: rows that were searched lately are in memory."""
_PAGE_BYTES = 4096
_COUNT_AT = 8
"""Where FAISS keeps the number of rows: after the kind and the dimensions, four bytes each."""
_MOST_DIM = 1 << 16


class RowWriter:
    """A file of half-precision rows; it is whole when the block ends without an error.

    Plain writes and no memory map: a full disk is an error there, and a crash here.
    """

    def __init__(self, path: Path, head: bytes, row_bytes: int) -> None:
        """Take the path of a new file, what comes before its rows, and the size of each."""
        self.path = path
        self._head = head
        self._row_bytes = row_bytes
        self.count = 0
        """Rows up to the last one that was written."""

    def __enter__(self) -> Self:
        with disk_errors(self.path):
            self._file = self.path.open("wb")
            self._file.write(self._head)
        return self

    def put(self, rows: npt.ArrayLike, halves: Halves) -> None:
        """Write (B, ...) halves at (B,) rows; rows that are never written hold zeros.

        Raises:
            StorageError: the disk refused.
        """
        numbers = np.asarray(rows, dtype=np.int64).reshape(-1)
        content = np.ascontiguousarray(halves, dtype="<f2")
        with disk_errors(self.path):
            for run in _runs(numbers):
                self._file.seek(len(self._head) + int(numbers[run.start]) * self._row_bytes)
                self._file.write(content[run].data)
        self.count = max(self.count, int(numbers.max(initial=-1)) + 1)

    def _finish(self, file: IO[bytes]) -> None:
        """What is left to write when all rows are there."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with contextlib.suppress(OSError):  # what went wrong first is what counts
                self._file.close()
            return
        with disk_errors(self.path), self._file:
            self._finish(self._file)


def _runs(rows: Ints) -> Iterator[slice]:
    """Slices of consecutive rows or pages: each is one write, or one question to the disk."""
    if not len(rows):
        return
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    for begin, end in zip([0, *breaks], [*breaks, len(rows)], strict=True):
        yield slice(int(begin), int(end))


class VectorStore(Protocol):
    """Read access to the vectors of one kind; row i belongs to row i of the cell table."""

    @property
    def count(self) -> int:
        """Number of rows."""

    @property
    def dim(self) -> int:
        """Number of dimensions."""

    def scores(self, queries: Floats32) -> Floats32:
        """Inner products of (Q, D) queries with every row: (Q, N)."""

    def vectors(self, rows: Ints) -> Floats32:
        """The vectors of some rows, (R, D)."""


class FlatWriter(RowWriter):
    """Writes a flat half-precision FAISS index, in bounded memory.

    The file is what ``faiss.write_index`` would make of the same rows, byte for byte.
    """

    def __init__(self, path: Path, dim: int) -> None:
        """Take the path of a new file and the number of dimensions."""
        super().__init__(path, _empty_flat(dim), 2 * dim)
        self._dim = dim

    def append(self, vectors: npt.NDArray[np.floating]) -> None:
        """Add (N, D) unit vectors after the rows already there; see :meth:`write`."""
        self.write(np.arange(self.count, self.count + len(vectors)), vectors)

    def write(self, rows: Ints, vectors: npt.NDArray[np.floating]) -> None:
        """Put (N, D) unit vectors at (N,) rows; halves are taken as they are.

        Raises:
            ModelError: a value is not finite in half precision.
            StorageError: the disk refused.
        """
        halves = np.asarray(vectors, dtype="<f2")
        if halves.ndim != 2 or halves.shape[1] != self._dim:
            raise ValueError(f"vectors of shape {vectors.shape}; expected (N, {self._dim})")
        if not np.isfinite(halves).all():
            raise ModelError(f"vectors for {self.path.name} are not finite: reload the model")
        self.put(rows, halves)

    def _finish(self, file: IO[bytes]) -> None:
        # FAISS keeps two counts: of rows in the head, and of the bytes that follow right before
        # them. Both are known only now.
        file.seek(_COUNT_AT)
        file.write(self.count.to_bytes(8, "little"))
        file.seek(len(self._head) - 8)
        file.write((self.count * self._row_bytes).to_bytes(8, "little"))


def _empty_flat(dim: int) -> bytes:
    """The bytes before the first row; the last eight are the number of bytes that follow."""
    faiss = import_faiss()
    index = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.is_trained = True
    return bytes(faiss.serialize_index(index))


def begins_as_written(path: Path) -> bool:
    """Whether a file is long rows behind the very head that :class:`FlatWriter` gives them.

    Then whatever its rows hold leads FAISS nowhere else: a damaged one is a wrong score.

    Raises:
        OSError: it cannot be read.
    """
    with open_file(path) as file:
        start = file.read(_COUNT_AT)
        dim = int.from_bytes(start[4:], "little")
        if not 0 < dim <= _MOST_DIM:
            return False
        head = bytearray(_empty_flat(dim))
        count, rest = divmod(path.stat().st_size - len(head), 2 * dim)
        head[_COUNT_AT : _COUNT_AT + 8] = count.to_bytes(8, "little", signed=True)
        head[-8:] = (2 * dim * count).to_bytes(8, "little", signed=True)
        return not rest and start + file.read(len(head) - len(start)) == bytes(head)


class FaissStore:
    """A flat FAISS index, memory-mapped. Check the sha256 of a file you did not write first."""

    def __init__(self, path: Path) -> None:
        faiss = import_faiss()
        index = read_faiss(path)
        if (
            not isinstance(index, faiss.IndexScalarQuantizer)
            or index.sq.qtype != faiss.ScalarQuantizer.QT_fp16
            or index.metric_type != faiss.METRIC_INNER_PRODUCT
        ):
            raise another_kind(path, index, "a flat half-precision index")
        self.count, self.dim = int(index.ntotal), int(index.d)
        """Numbers of rows and of dimensions."""
        self._index = index  # owns the mapped memory
        size = index.ntotal * index.code_size
        codes = faiss.rev_swig_ptr(index.codes.data(), size) if size else np.empty(0, np.uint8)
        rows = codes.view(np.float16).reshape(index.ntotal, index.d)  # a view of the mapped file
        self._halves = rows
        self._path, self._begin = path, path.stat().st_size - size  # the rows end the file

    def scores(self, queries: Floats32) -> Floats32:
        """Inner products with every row, accumulated in float32: (Q, D) to (Q, N).

        By torch where it is loaded, which is faster; else by NumPy.
        """
        if "torch" not in sys.modules:
            return inner_products_by_numpy(self._halves, queries)
        import torch

        return inner_products(torch.from_numpy(self._halves), queries)

    def vectors(self, rows: Ints) -> Floats32:
        """The vectors of some rows, (R, D) float32."""
        return self.halves(rows).astype(np.float32)

    def halves(self, rows: Ints | slice) -> Halves:
        """The vectors of some rows as they are stored, (R, D)."""
        if not isinstance(rows, slice):
            ask_for_rows(self._path, self._begin, 2 * self.dim, rows)
        halves: Halves = self._halves[rows]
        return halves


def import_faiss() -> Any:  # noqa: ANN401
    """FAISS.

    Raises:
        GairError: neither of its packages is installed, or both are, or it does not load.
    """
    if both_packages_of_faiss():
        raise GairError(
            "faiss-cpu and faiss-gpu are both installed, and each overwrites files of the other: "
            "pip uninstall -y faiss-cpu faiss-gpu, then pip install faiss-gpu (CUDA) or faiss-cpu"
        )
    try:
        import faiss
    except ImportError as error:
        absent = "FAISS is not installed: pip install faiss-cpu, or faiss-gpu for CUDA"
        raise GairError(import_problem(error, "faiss", absent)) from error
    return faiss


@functools.cache
def both_packages_of_faiss() -> bool:
    """Whether both packages that bring the module ``faiss`` are installed."""
    return len(library_versions(("faiss-cpu", "faiss-gpu"))) == 2


def read_faiss(path: Path) -> Any:  # noqa: ANN401
    """What FAISS reads of a file, memory-mapped.

    Raises:
        IndexCorruptError: it cannot.
    """
    faiss = import_faiss()
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise IndexCorruptError(f"{path} is not a readable FAISS index: rebuild it") from error


def another_kind(path: Path, index: object, expected: str) -> IndexCorruptError:
    """The error for a FAISS file of inner products that holds something else."""
    return IndexCorruptError(
        f"{path} is another kind of {type(index).__name__}; expected {expected} of inner products: "
        "rebuild it"
    )


def ask_for_rows(path: Path, begin: int, row_bytes: int, rows: Ints) -> int:
    """Have the system read rows of a file that are not in memory; returns without waiting.

    Args:
        path: of the file.
        begin: of row 0, in bytes.
        row_bytes: size of a row.
        rows: (R,) in any order.

    Returns:
        How many runs of pages were asked for: 0 where a sample of the pages is in memory, where
        rows are few, and on systems that cannot be asked.
    """
    if len(rows) < LEAST_ROWS or not hasattr(os, "RWF_NOWAIT"):
        return 0
    rows = np.asarray(rows, dtype=np.int64)
    first = (begin + rows * row_bytes) // _PAGE_BYTES
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:  # moved away: what is mapped stays readable
        return 0
    try:
        if not _any_missing(file, first):
            return 0
        last = (begin + rows * row_bytes + row_bytes - 1) // _PAGE_BYTES
        wide = int((last - first).max()) + 1
        pages = np.unique(np.minimum(first[:, None] + np.arange(wide), last[:, None]))
        runs = list(_runs(pages))
        for run in runs:
            at, length = int(pages[run.start]) * _PAGE_BYTES, (run.stop - run.start) * _PAGE_BYTES
            os.posix_fadvise(file, at, length, os.POSIX_FADV_WILLNEED)
    except OSError:  # a file system that cannot say or be asked
        return 0
    finally:
        os.close(file)
    return len(runs)


def _any_missing(file: int, pages: Ints) -> bool:
    """Whether any page of an even sample would have to come from the disk."""
    byte = bytearray(1)
    step = max(1, len(pages) // _LOOKED_AT)
    try:
        for page in pages[::step].tolist():
            os.preadv(file, [byte], page * _PAGE_BYTES, os.RWF_NOWAIT)
    except BlockingIOError:
        return True
    return False
