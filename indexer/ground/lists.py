"""Inverted lists of a large set of reference photos: which rows are worth scoring exactly.

Up to :data:`FLAT_UP_TO` photos every one is scored. Above, FAISS finds a shortlist as it does for
the cells of a large index (:mod:`indexer.index.ivf`), of the same types, and the rows on it are
scored exactly from the flat file. How many lists are looked into is tuned on photos of the set
itself, each without its own row: unlike the cells of an index, they are what queries are.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from gair.arrays import Floats32, Ints
from indexer.ground.manifest import LISTS_FILE, VECTORS_FILE
from indexer.index.ivf import GpuLists, IndexType, InvertedLists, index_type_for, on_gpu
from indexer.index.ivf_build import GATE, QUERIES, build_lists
from indexer.index.manifest import FLAT
from indexer.index.vectors import FaissStore

FLAT_UP_TO = 200_000
"""Photos up to which every one is scored: fewer than cells, because a search looks at both."""
BEST = 100
"""How many of the best photos must be found."""
TIMES = 3
"""Rows on a shortlist for each that is wanted: a byte a dimension ranks near ones roughly."""
LOOKED_AT = 65_536
"""Rows in the lists that a search looks into, at least: 50 MB of codes at 768 dimensions. A photo
unlike all others has its nearest in many lists, which those that are tuned with do not."""
_MOST_SHARE = 0.5
_SCORES_AT_ONCE = 1 << 25
"""Cosines in memory together: 128 MB."""


def reference_index_type(photos: int, wanted: str = "auto") -> IndexType:
    """The type of a set with so many photos.

    Raises:
        UsageError: there is no such type.
    """
    kind = index_type_for(photos, wanted)
    return "ivf-sq8" if wanted == "auto" and kind == "flat" and photos > FLAT_UP_TO else kind


def make_reference_lists(
    folder: Path,
    wanted: str = "auto",
    *,
    of: str = VECTORS_FILE,
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """Give a set whose vectors are written lists, where its type has any.

    Args:
        folder: of the set.
        wanted: ``auto``, or an index type.
        of: the file of the vectors that are searched: of the photos, or of their prototypes.
        seed: chooses training rows and queries.
        quiet: no progress.

    Returns:
        The manifest's field ``search``.

    Raises:
        StorageError: the disk refused.
    """
    store = FaissStore(folder / of)
    kind = reference_index_type(store.count, wanted)
    field: dict[str, Any] = {**FLAT, "wanted": wanted}
    if kind == "flat":
        return field
    began = time.perf_counter()
    count = build_lists(folder / LISTS_FILE, store, kind, seed=seed, quiet=quiet)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(store.count, min(QUERIES, store.count), replace=False))
    s = store.vectors(rows)
    probes, recall = _tuned(InvertedLists(folder / LISTS_FILE, 1), s, best_others(store, rows))
    field |= {
        "lists": count,
        "recall": recall,
        "gate": GATE,
        "queries": f"{len(rows)} of its own photos, each without itself",
        "seconds": round(time.perf_counter() - began, 1),
    }
    if probes is not None:
        return {**field, "type": kind, "probes": probes}
    (folder / LISTS_FILE).unlink()
    note = f"{kind} found {recall:.1%} of the {BEST} nearest photos, less than {GATE:.0%}"
    return {**field, "note": f"{note}, so every photo is scored"}


def open_reference_lists(folder: Path, search: dict[str, Any]) -> InvertedLists | GpuLists | None:
    """The lists of a set, as its manifest describes them; None for a flat one.

    Raises:
        IndexCorruptError: the file holds none.
    """
    if search["type"] == "flat":
        return None
    return on_gpu(InvertedLists(folder / LISTS_FILE, int(search["probes"])))


def best_others(store: FaissStore, rows: Ints) -> Ints:
    """The exact answer for (Q,) rows of a store, without themselves: (Q, 100) rows."""
    scores = store.scores(store.vectors(rows))
    scores[np.arange(len(rows)), rows] = -np.inf
    count = min(BEST, store.count - 1)
    return np.argpartition(-scores, count - 1, axis=1)[:, :count].astype(np.int64)


def _tuned(lists: InvertedLists, s: Floats32, truth: Ints) -> tuple[int | None, float]:
    """The fewest lists that pass, and their recall; or None, and the recall of the most.

    Recall is that of the half of the queries that does worse: what passes on the queries that
    chose it would look better than it is.
    """
    halves = [slice(half, None, 2) for half in range(min(2, len(s)))]
    most = max(1, int(lists.lists * _MOST_SHARE))
    probes = 1
    while True:
        listed = lists.probed(s, TIMES * BEST, probes)
        hits = np.array(
            [np.isin(true, own).mean() for true, own in zip(truth, listed, strict=True)]
        )
        recall = min(float(hits[half].mean()) for half in halves)
        if recall >= GATE:
            return probes, recall
        if probes == most:
            return None, recall
        probes = min(2 * probes, most)


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
        # Lists were tuned to find fewer rows than a search asks for, and for photos like these.
        rows_wanted = max(LOOKED_AT, TIMES * count)
        probes = max(lists.probes, math.ceil(rows_wanted * lists.lists / total))
        listed = lists.probed(queries, TIMES * count, probes)
        for query, s_of_one in enumerate(queries):
            likely = np.unique(listed[query][listed[query] >= 0])
            if len(likely) < count:  # the lists that were looked into are short
                likely = in_more_lists(lists, total, s_of_one, count, probes)
            exact = store.vectors(likely) @ s_of_one
            cosines[query], places = _best(exact[None], count)
            rows[query] = likely[places[0]]
        return cosines, rows
    step = max(_SCORES_AT_ONCE // total, 1)
    for start in range(0, len(queries), step):
        block = slice(start, start + step)
        cosines[block], rows[block] = _best(store.scores(queries[block]), count)
    return cosines, rows


def in_more_lists(
    lists: InvertedLists | GpuLists, total: int, s: Floats32, count: int, probes: int
) -> Ints:
    """Rows that are worth scoring for one (D,) photo, ascending: ``count`` or more of ``total``.

    Args:
        lists: what finds them.
        total: rows that there are.
        s: the photo's vector.
        count: how many are wanted.
        probes: lists that held fewer.
    """
    while probes < lists.lists:
        probes *= 2
        rows = lists.probed(s[None], TIMES * count, probes)
        likely = np.unique(rows[rows >= 0])
        if len(likely) >= count:
            return likely
    return np.arange(total)  # more than a GPU gives at once


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
