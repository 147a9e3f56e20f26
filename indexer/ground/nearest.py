"""Nearest rows of a store of vectors: every row scored, or those on a shortlist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Floats32, Ints
from indexer.ground.lists import TIMES
from indexer.index.vectors import FaissStore

if TYPE_CHECKING:
    from indexer.index.ivf import GpuLists, InvertedLists

_SCORES_AT_ONCE = 1 << 25
"""Cosines in memory together: 128 MB."""


def nearest_rows(
    store: FaissStore,
    lists: InvertedLists | GpuLists | None,
    total: int,
    s: Floats32,
    count: int,
) -> tuple[Floats32, Ints]:
    """The rows whose vectors are most like some others.

    Args:
        store: of the vectors.
        lists: what finds the rows that are scored; None where all are.
        total: rows of the store.
        s: (m, D) unit vectors.
        count: how many.

    Returns:
        (m, count) cosines and rows, best first; fewer columns where the store has fewer rows.
    """
    queries = np.atleast_2d(np.asarray(s, dtype=np.float32))
    count = min(count, total)
    cosines = np.empty((len(queries), count), dtype=np.float32)
    rows = np.empty((len(queries), count), dtype=np.int64)
    if not count:
        return cosines, rows
    if lists is not None and TIMES * count < total:
        listed = lists.shortlist(queries, TIMES * count)
        for query, s_of_one in enumerate(queries):
            likely = np.unique(listed[query][listed[query] >= 0])
            if len(likely) < count:  # few were in the lists that were looked into
                likely = np.arange(total)
            exact = store.vectors(likely) @ s_of_one
            cosines[query], places = _best(exact[None], count)
            rows[query] = likely[places[0]]
        return cosines, rows
    step = max(_SCORES_AT_ONCE // total, 1)
    for start in range(0, len(queries), step):
        block = slice(start, start + step)
        cosines[block], rows[block] = _best(store.scores(queries[block]), count)
    return cosines, rows


def _best(scores: Floats32, count: int) -> tuple[Floats32, Ints]:
    """The largest of each row, (m, n) to (m, count) values and columns; equal ones by column."""
    columns = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    columns.sort(axis=1)
    values = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return (
        np.take_along_axis(values, order, axis=1),
        np.take_along_axis(columns, order, axis=1).astype(np.int64),
    )
