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
    ascending = -values[rows]
    order = np.argsort(ascending)  # much the quicker sort, and as good where no two are equal
    if not (ascending[order[1:]] > ascending[order[:-1]]).all():
        order = np.argsort(ascending, kind="stable")
    return np.asarray(rows[order], dtype=np.int64)
