"""Highest cells: the rows of the highest values, in order, without sorting the rest."""

from __future__ import annotations

import numpy as np

from gair.arrays import Ints, Scores


def highest_rows(values: Scores, count: int) -> Ints:
    """Rows of the ``count`` highest of (N,) values, highest first, equals by row.

    Returns:
        More than ``count`` where others equal the last one; all rows where there are no more.
    """
    rows = np.arange(len(values))
    if 0 < count < len(values):
        threshold = np.partition(values, len(values) - count)[len(values) - count]
        rows = np.flatnonzero(values >= threshold)
    return np.asarray(rows[np.argsort(-values[rows], kind="stable")], dtype=np.int64)
