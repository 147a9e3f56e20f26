"""Trains inverted lists, has them written, and tunes how they are searched.

A search is tuned to look into the fewest lists that still find what scoring every cell finds.
Queries are photos wherever photos are known: photo vectors do not lie where the cells' vectors do,
so an index tuned on its own vectors looks better than it is. Photos are known where the index, or
one that it grew from, was calibrated. Otherwise cells' vectors are turned away at random until
their cosine with where they came from is that of a good photo, and the manifest says so.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gair.arrays import Floats32, Ints
from gair.errors import SearchIndexError
from gair.progress import Progress
from indexer.index.ivf import SHORTLIST, IndexType, InvertedLists, index_type_for
from indexer.index.ivf_files import write_lists
from indexer.index.storage import LOCATION_FILE, LOCATION_LISTS, RS_FILE, RS_LISTS
from indexer.index.vectors import FaissStore, import_faiss

ROWS_A_LIST = 48
"""Training rows for each list: FAISS wants 39 at least."""
ITERATIONS = 8
"""Of k-means; more change nothing that tuning would notice."""
_DIMS_A_CODE = 6
"""Dimensions in each half byte of ivf-pq, about."""
_MOST_LISTS = 1 << 16
GATE = 0.95
"""Share of the ten best cells that a search must find, or the index is searched flat."""
BEST = 10
QUERIES = 256
"""Photos, or cells in their place, that recall is measured with, in two halves that must both pass:
what passes on the queries that chose it would look better than it is."""
PHOTO_COSINE = 0.6
"""Of a good photo with the imagery of its cell, as the demo model has it (docs/evidence.md)."""
WAYS = ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5))
"""Weights of imagery and location that must all pass: alone, and together as when uncalibrated."""
_MOST_SHARE = 0.5
"""Looking into more than this share of the lists is slower than scoring everything."""
_ROWS_SCORED = 16_384


@dataclass(frozen=True, eq=False)
class TuningQueries:
    """Vectors to tune with."""

    s: Floats32
    """(Q, D) of unit length."""
    description: str
    """What they are, for people."""


def make_search(
    folder: Path,
    wanted: str = "auto",
    photos: TuningQueries | None = None,
    *,
    shortlist: int = SHORTLIST,
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """Give a build whose flat files are written what it needs to be searched quickly.

    Args:
        folder: of the build; the second files are written here where the type has any.
        wanted: ``auto``, or an index type.
        photos: photos' vectors to tune with; the index's own, turned, if None.
        shortlist: cells a kind that a search scores exactly.
        seed: chooses training rows and queries.
        quiet: no progress.

    Returns:
        The manifest's field ``search``.
    """
    rs, location = FaissStore(folder / RS_FILE), FaissStore(folder / LOCATION_FILE)
    kind = index_type_for(rs.count, wanted)
    field: dict[str, Any] = {"type": kind, "wanted": wanted, "note": ""}
    if kind == "flat" or not rs.count:
        return {**field, "type": "flat"}
    began = time.perf_counter()
    count = build_lists(folder / RS_LISTS, rs, kind, seed=seed, quiet=quiet)
    build_lists(folder / LOCATION_LISTS, location, kind, seed=seed, quiet=quiet)
    queries = photos or turned_cells(rs, seed)
    truth = best_rows(rs, location, queries.s)
    lists = InvertedLists(folder / RS_LISTS, 1), InvertedLists(folder / LOCATION_LISTS, 1)
    probes, recall = _tuned(lists, queries.s, truth, shortlist)
    measured = {
        "lists": count,
        "shortlist": shortlist,
        "recall": recall,
        "gate": GATE,
        "queries": queries.description,
        "seconds": round(time.perf_counter() - began, 1),
    }
    if probes is not None:
        return {**field, **measured, "probes": probes}
    for name in (RS_LISTS, LOCATION_LISTS):
        (folder / name).unlink()
    return {
        **field,
        **measured,
        "type": "flat",
        "note": f"{kind} found {recall:.1%} of the ten best cells, less than {GATE:.0%}, so every "
        "cell is scored",
    }


def calibration_photos(index_folder: Path, fingerprint: str, seed: int = 0) -> TuningQueries | None:
    """Photos that any build of an index was calibrated with by the same model; None if none was."""
    from indexer.probability.calibration import load_calibration

    for file in sorted(index_folder.glob("calibration-*.npz"), reverse=True):
        build = file.stem.removeprefix("calibration-")
        try:
            calibration = load_calibration(index_folder, build, fingerprint)
        except SearchIndexError:  # of another model, or damaged: then it is of no use here
            continue
        if calibration is not None:
            s = calibration.out_of_index.s.astype(np.float32)
            rng = np.random.default_rng(seed)
            rows = np.sort(rng.choice(len(s), min(QUERIES, len(s)), replace=False))
            return TuningQueries(s[rows], f"{len(rows)} photos of the calibration of {build}")
    return None


def turned_cells(rs: FaissStore, seed: int = 0) -> TuningQueries:
    """Vectors of cells, each turned away in a random direction to :data:`PHOTO_COSINE`."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(rs.count, min(QUERIES, rs.count), replace=False))
    cells = rs.vectors(rows)
    away = rng.standard_normal(cells.shape, dtype=np.float32)
    away -= (away * cells).sum(axis=1, keepdims=True) * cells  # at a right angle to its cell
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    s = PHOTO_COSINE * cells + np.sqrt(1 - PHOTO_COSINE**2) * away
    return TuningQueries(
        np.asarray(s, dtype=np.float32),
        f"{len(s)} vectors of its own cells turned to a cosine of {PHOTO_COSINE}, in place of "
        "photos",
    )


def best_rows(rs: FaissStore, location: FaissStore, s: Floats32) -> Ints:
    """The exact answer: (Q, D) queries to (W, Q, 10) rows, for each of the :data:`WAYS`."""
    scores = np.full((len(WAYS), len(s), BEST), -np.inf, dtype=np.float32)
    rows = np.full(scores.shape, -1, dtype=np.int64)
    for start in range(0, rs.count, _ROWS_SCORED):
        block = slice(start, start + _ROWS_SCORED)
        r, e = (s @ store.halves(block).astype(np.float32).T for store in (rs, location))
        for way, (rs_weight, location_weight) in enumerate(WAYS):
            fused = rs_weight * r + location_weight * e  # (Q, B)
            # The best ten so far compete with this block: (Q, 10 + B), of which ten stay.
            every = np.concatenate([scores[way], fused], axis=1)
            numbers = np.broadcast_to(np.arange(start, start + fused.shape[1]), fused.shape)
            candidates = np.concatenate([rows[way], numbers], axis=1)
            best = np.argpartition(-every, BEST - 1, axis=1)[:, :BEST]
            scores[way] = np.take_along_axis(every, best, axis=1)
            rows[way] = np.take_along_axis(candidates, best, axis=1)
    return rows


def _tuned(
    lists: tuple[InvertedLists, InvertedLists], s: Floats32, truth: Ints, shortlist: int
) -> tuple[int | None, float]:
    """The fewest lists that pass, and their recall; or None, and the recall of the most.

    Recall is that of the half of the queries that does worse.
    """
    halves = [slice(half, None, 2) for half in range(min(2, len(s)))]
    most = max(1, int(lists[0].lists * _MOST_SHARE))
    probes, recall = 1, 0.0
    while True:
        recall = min(
            recall_of(lists, s[half], truth[:, half], shortlist, probes) for half in halves
        )
        if recall >= GATE:
            return probes, recall
        if probes == most:
            return None, recall
        probes = min(2 * probes, most)


def recall_of(
    lists: tuple[InvertedLists, InvertedLists],
    s: Floats32,
    truth: Ints,
    shortlist: int,
    probes: int,
) -> float:
    """Share of the ten best cells that are on the shortlists, of the worst of the ways.

    What is on a shortlist is scored exactly, so the best ten of it that are also the best ten of
    all come out as such.
    """
    rs, location = (kind.probed(s, shortlist, probes) for kind in lists)
    shares = []
    for way, (rs_weight, location_weight) in enumerate(WAYS):
        hits = total = 0
        for query, wanted in enumerate(truth[way]):
            listed = [rs[query]] * (rs_weight > 0) + [location[query]] * (location_weight > 0)
            true = wanted[wanted >= 0]
            hits += int(np.isin(true, np.concatenate(listed)).sum())
            total += len(true)
        shares.append(hits / total)
    return min(shares)


def list_count(rows: int) -> int:
    """How many lists: a power of two near the square root, each with rows enough to train it."""
    near = 1 << max(round(math.log2(max(rows, 1)) / 2), 0)
    while near > 1 and near * ROWS_A_LIST > rows:
        near //= 2
    return min(near, _MOST_LISTS)


def build_lists(
    path: Path, store: FaissStore, kind: IndexType, *, seed: int = 0, quiet: bool = False
) -> int:
    """Train lists on rows of a store and write all its rows into them.

    Args:
        path: of the new file.
        store: the flat vectors.
        kind: ``ivf-sq8`` or ``ivf-pq``.
        seed: chooses the rows to train on.
        quiet: no progress.

    Returns:
        How many lists there are.

    Raises:
        StorageError: the disk refused.
    """
    index = _trained(store, kind, seed, quiet)
    write_lists(path, store, index, quiet=quiet)
    return int(index.nlist)


def _trained(store: FaissStore, kind: IndexType, seed: int, quiet: bool) -> Any:  # noqa: ANN401
    """An index without rows."""
    faiss = import_faiss()
    lists, dim = list_count(store.count), store.dim
    quantizer = faiss.IndexFlatIP(dim)
    if kind == "ivf-sq8":
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, dim, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
    else:
        index = faiss.IndexIVFPQFastScan(
            quantizer, dim, lists, _codes(dim), 4, faiss.METRIC_INNER_PRODUCT
        )
    index.cp.spherical = True
    index.cp.niter = ITERATIONS
    index.cp.seed = 1 + seed
    index.cp.min_points_per_centroid = 1  # small indexes come this way on request only
    rng = np.random.default_rng(seed)
    count = min(store.count, max(lists * ROWS_A_LIST, 4096))
    rows = np.sort(rng.choice(store.count, count, replace=False))
    with Progress("training lists", count, "row", quiet=quiet) as progress:
        index.train(store.vectors(rows))
        progress.advance(count)
    return index


def _codes(dim: int) -> int:
    """Parts of a vector that get a code each: an even number that divides the dimensions."""
    most = max(dim // _DIMS_A_CODE, 1)
    return next(n for n in range(most, 0, -1) if dim % n == 0)
