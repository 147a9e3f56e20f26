"""Highest cells: the rows of the highest values, in order, without sorting the rest."""

from __future__ import annotations

import numpy as np

from gair.arrays import Ints, Scores

_SAMPLE = 4096
"""Values that a first guess of the threshold is made from."""
_SPARE = 1.5
"""The guess lets so many times more values through than are wanted: rarely too few then."""
_CROWD = 8
"""More than so many times what is wanted is no gain over looking at all."""


def highest_rows(values: Scores, count: int) -> Ints:
    """Rows of the ``count`` highest of (N,) values, highest first, equals by row.

    Returns:
        More than ``count`` where others equal the last one; all rows where there are no more.
    """
    rows = _at_least_the_last(values, count) if 0 < count < len(values) else np.arange(len(values))
    ascending = -values[rows]
    order = np.argsort(ascending)  # much the quicker sort, and as good where no two are equal
    if not (ascending[order[1:]] > ascending[order[:-1]]).all():
        order = np.argsort(ascending, kind="stable")
    return np.asarray(rows[order], dtype=np.int64)


def _at_least_the_last(values: Scores, count: int) -> Ints:
    """Rows, ascending, of the values that are no lower than the ``count``-th highest."""
    some = _guessed(values, count)
    if some is None:
        return np.flatnonzero(values >= _nth_highest(values, count))
    among = values[some]
    return np.asarray(some[among >= _nth_highest(among, count)])


def _guessed(values: Scores, count: int) -> Ints | None:
    """Rows that surely hold the highest: those above a quantile of a sample; None if it misled.

    Comparing all values with one number takes a tenth of the time of finding the number.
    """
    if len(values) < 16 * count:
        return None
    sample = values[:: max(1, len(values) // _SAMPLE)]
    through = int(_SPARE * count * len(sample) / len(values)) + 16
    if through >= len(sample):
        return None
    rows = np.flatnonzero(values >= _nth_highest(sample, through))
    return rows if count <= len(rows) <= _CROWD * count else None


def _nth_highest(values: Scores, n: int) -> float:
    return float(np.partition(values, len(values) - n)[len(values) - n])
