"""Vector stores: one row a cell, inner product of unit vectors.

The default is FAISS's flat half-precision index: exact but for rounding to 11 bits, half the memory
of float32, and memory-mapped without a copy, so opening costs nothing and processes share it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gair.errors import GairError, IndexCorruptError
from indexer.storage import library_writes

FloatArray = npt.NDArray[np.float32]

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

    def scores(self, queries: FloatArray) -> FloatArray:
        """Inner products of (Q, D) queries with every row: (Q, N)."""

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """The k best rows of each query: scores and rows, (Q, k) each, best first."""

    def vectors(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        """The vectors of some rows, (R, D)."""


class FaissWriter:
    """Collects vectors row by row and writes them as one flat half-precision FAISS index."""

    def __init__(self, dim: int) -> None:
        faiss = import_faiss()
        self._index = faiss.IndexScalarQuantizer(
            dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        self._index.is_trained = True

    def append(self, vectors: FloatArray) -> None:
        """Add (N, D) unit vectors after the rows already there."""
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def write(self, path: Path) -> None:
        """Write the file; the caller makes it visible."""
        faiss = import_faiss()
        with library_writes(path, RuntimeError):
            faiss.write_index(self._index, str(path))
            # FAISS only prints a line when the disk is full at the very end.
            if path.stat().st_size < self._index.ntotal * self._index.code_size:
                raise RuntimeError(f"{path} is shorter than its vectors")


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
        self._rows = torch.from_numpy(rows)
        self._blocks = torch.split(self._rows, _ROWS_AT_ONCE)

    @property
    def count(self) -> int:
        """Number of rows."""
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return int(self._index.d)

    def scores(self, queries: FloatArray) -> FloatArray:
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

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """The k best rows of each query: (Q, k) scores and rows."""
        scores, rows = self._index.search(np.ascontiguousarray(queries, dtype=np.float32), k)
        return scores, rows

    def vectors(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        """The vectors of some rows, (R, D) float32."""
        import torch

        return self._rows[torch.from_numpy(np.asarray(rows, dtype=np.int64))].float().numpy()


def import_faiss() -> Any:  # noqa: ANN401
    """FAISS, or an error that says which package brings it."""
    try:
        import faiss
    except ImportError as error:
        raise GairError(
            "FAISS is not installed: pip install 'gair-geolocator[cpu]', or [gpu] with CUDA"
        ) from error
    return faiss
