"""Rows of a mapped file: asked of the disk all at once, before they are read one by one.

A thread that reads a mapped page which is not in memory waits for the disk, and only then comes to
the next one: ten thousand scattered rows are ten thousand waits, and the kernel reads megabytes
around the first of them. Asked for together they are read side by side, each page once.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gair.arrays import Ints

LEAST_ROWS = 64
"""Fewer are read as they are."""
_LOOKED_AT = 64
"""Pages that tell whether any is missing: rows that were searched lately are in memory."""
_PAGE_BYTES = 4096


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
    last = (begin + rows * row_bytes + row_bytes - 1) // _PAGE_BYTES
    wide = int((last - first).max()) + 1
    pages = np.unique(np.minimum(first[:, None] + np.arange(wide), last[:, None]))
    breaks = np.flatnonzero(np.diff(pages) != 1) + 1
    starts = pages[np.concatenate([[0], breaks])]
    ends = pages[np.concatenate([breaks - 1, [len(pages) - 1]])]
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:  # moved away: what is mapped stays readable
        return 0
    try:
        if not _any_missing(file, pages):
            return 0
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            length = (end - start + 1) * _PAGE_BYTES
            os.posix_fadvise(file, start * _PAGE_BYTES, length, os.POSIX_FADV_WILLNEED)
    except OSError:  # a file system that cannot say or be asked
        return 0
    finally:
        os.close(file)
    return len(starts)


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
