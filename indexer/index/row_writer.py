"""Writes files of equal rows behind a head, in any order and in bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

import numpy as np
import numpy.typing as npt

from gair.arrays import Halves, Ints
from gair.files import disk_errors


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
    """Slices of consecutive rows: each is one write."""
    if not len(rows):
        return
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    for begin, end in zip([0, *breaks], [*breaks, len(rows)], strict=True):
        yield slice(int(begin), int(end))
