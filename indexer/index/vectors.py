"""Vector stores: one row a cell, inner product of unit vectors.

The default is FAISS's flat half-precision index: exact but for rounding to 11 bits, half the memory
of float32, and memory-mapped without a copy, so opening costs nothing and processes share it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats32
from gair.errors import GairError, IndexCorruptError, ModelError
from gair.files import disk_errors

_COUNT_AT = 8
"""Where FAISS keeps the number of rows: after the kind and the dimensions, four bytes each."""
_ROWS_AT_ONCE = 512
"""Rows converted to float32 at a time: 1.5 MB at 768 dimensions, so they stay in the L2 cache."""


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

    def search(self, queries: Floats32, k: int) -> tuple[Floats32, npt.NDArray[np.int64]]:
        """The k best rows of each query: scores and rows, (Q, k) each, best first."""

    def vectors(self, rows: npt.NDArray[np.int64]) -> Floats32:
        """The vectors of some rows, (R, D)."""


class FlatWriter:
    """Writes a flat half-precision FAISS index row by row, in bounded memory.

    The file is what ``faiss.write_index`` would make of the same rows, byte for byte. It is whole
    when the block ends without an error. Plain writes: a full disk is an error there, no crash.
    """

    def __init__(self, path: Path, dim: int) -> None:
        """Take the path of a new file and the number of dimensions."""
        self._path = path
        self._dim = dim
        self._head = _empty_flat(dim)
        self.count = 0

    def __enter__(self) -> Self:
        with disk_errors(self._path):
            self._file = self._path.open("wb")
            self._file.write(self._head)
        return self

    def append(self, vectors: npt.NDArray[np.floating]) -> None:
        """Add (N, D) unit vectors after the rows already there; halves are taken as they are.

        Raises:
            ModelError: a value is not finite in half precision.
            StorageError: the disk refused.
        """
        halves = np.ascontiguousarray(vectors, dtype="<f2")
        if halves.ndim != 2 or halves.shape[1] != self._dim:
            raise ValueError(f"vectors of shape {vectors.shape}; expected (N, {self._dim})")
        if not np.isfinite(halves).all():
            raise ModelError(f"vectors for {self._path.name} are not finite: reload the model")
        with disk_errors(self._path):
            self._file.write(halves.data)
        self.count += len(halves)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            with contextlib.suppress(OSError):  # what went wrong first is what counts
                self._file.close()
            return
        with disk_errors(self._path), self._file:
            self._file.seek(_COUNT_AT)
            self._file.write(self.count.to_bytes(8, "little"))
            self._file.seek(len(self._head) - 8)
            self._file.write((self.count * 2 * self._dim).to_bytes(8, "little"))


def _empty_flat(dim: int) -> bytes:
    """The bytes before the first row; the last eight are the number of bytes that follow."""
    faiss = import_faiss()
    index = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.is_trained = True
    return bytes(faiss.serialize_index(index))


class FaissStore:
    """A flat FAISS index, memory-mapped. Check the sha256 of a file you did not write first."""

    def __init__(self, path: Path) -> None:
        import torch

        faiss = import_faiss()
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise IndexCorruptError(f"{path} is not a readable FAISS index: rebuild it") from error
        if (
            not isinstance(index, faiss.IndexScalarQuantizer)
            or index.sq.qtype != faiss.ScalarQuantizer.QT_fp16
            or index.metric_type != faiss.METRIC_INNER_PRODUCT
        ):
            raise IndexCorruptError(
                f"{path} is another kind of {type(index).__name__}; expected a flat half-precision "
                "index of inner products: rebuild it"
            )
        self._index = index
        size = index.ntotal * index.code_size
        codes = faiss.rev_swig_ptr(index.codes.data(), size) if size else np.empty(0, np.uint8)
        rows = codes.view(np.float16).reshape(index.ntotal, index.d)  # a view of the mapped file
        self._halves = rows
        self._blocks = torch.split(torch.from_numpy(rows), _ROWS_AT_ONCE)

    @property
    def count(self) -> int:
        """Number of rows."""
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return int(self._index.d)

    def scores(self, queries: Floats32) -> Floats32:
        """Inner products with every row, accumulated in float32: (Q, D) to (Q, N)."""
        import torch

        q = torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32)).T  # (D, Q)
        q = q[:, 0] if q.shape[1] == 1 else q  # a matrix-vector product has less overhead
        out = torch.empty(self.count, *q.shape[1:])
        block = torch.empty(_ROWS_AT_ONCE, self.dim)
        with torch.inference_mode():  # less overhead for each of many small steps
            for rows, found in zip(self._blocks, torch.split(out, _ROWS_AT_ONCE), strict=True):
                some = block if len(rows) == _ROWS_AT_ONCE else block[: len(rows)]
                torch.matmul(some.copy_(rows), q, out=found)
        return np.ascontiguousarray(out.view(self.count, len(queries)).T.numpy())

    def search(self, queries: Floats32, k: int) -> tuple[Floats32, npt.NDArray[np.int64]]:
        """The k best rows of each query: (Q, k) scores and rows."""
        scores, rows = self._index.search(np.ascontiguousarray(queries, dtype=np.float32), k)
        return scores, rows

    def vectors(self, rows: npt.NDArray[np.int64]) -> Floats32:
        """The vectors of some rows, (R, D) float32."""
        return self.halves(rows).astype(np.float32)

    def halves(self, rows: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.float16]:
        """The vectors of some rows as they are stored, (R, D)."""
        found: npt.NDArray[np.float16] = self._halves[rows]
        return found


def import_faiss() -> Any:  # noqa: ANN401
    """FAISS, or an error that says which package brings it."""
    try:
        import faiss
    except ImportError as error:
        raise GairError(
            "FAISS is not installed: pip install 'gair-geolocator[cpu]', or [gpu] with CUDA"
        ) from error
    return faiss
