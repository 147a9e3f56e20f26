"""Every photo judged under every way to answer, in blocks and on several threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from gair.arrays import Floats, Ints, Vectors
from gair.geo import haversine_m
from gair.progress import Progress
from indexer.evaluate.judge import Judge, Outcomes, Ranking
from indexer.evaluate.metrics import nearest_of_first

ScoresOf = Callable[[Vectors], tuple[Vectors, Vectors]]
"""(B, D) photo vectors to (B, N) cosines of the imagery and of the location."""

_BLOCK_NUMBERS = 4 << 20
"""Numbers of a (photos, cells) matrix that one thread holds at once: 32 MB."""
_MOST_PHOTOS = 64


@dataclass(frozen=True, eq=False)
class Truths:
    """The photos that are judged."""

    s: Vectors
    """(P, D) vectors of all that are listed."""
    lonlat_deg: Floats
    """(P, 2) where they were taken."""
    cell_row: Ints
    """(P,) the cells they are in; -1 for none."""
    rows: Ints
    """Those with a vector and a place; all others have failed."""


def threads_here() -> int:
    """As many as this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def judge_all(
    judge: Judge,
    rankings: Mapping[str, Ranking],
    scores_of: ScoresOf,
    truths: Truths,
    *,
    threads: int | None = None,
    quiet: bool = False,
) -> dict[str, Outcomes]:
    """Judge all photos under several rankings of the same scores.

    Args:
        judge: of the index.
        rankings: by name.
        scores_of: scores a block of photos; it may be called from several threads.
        truths: the photos.
        threads: as many as there are processors if None; the result is the same.
        quiet: no progress bar.

    Returns:
        Outcomes of all that are listed, by the ranking's name.
    """
    count = len(truths.s)
    outcomes = {name: Outcomes.failed(count, ranking) for name, ranking in rankings.items()}
    for ranking in rankings.values():
        judge.prepare(ranking)
    step = min(_MOST_PHOTOS, max(1, _BLOCK_NUMBERS // max(1, len(judge.field))))
    blocks = [truths.rows[i : i + step] for i in range(0, len(truths.rows), step)]

    def work(rows: Ints) -> int:
        scores = scores_of(truths.s[rows])
        truth = truths.lonlat_deg[rows], truths.cell_row[rows]
        for name, ranking in rankings.items():
            judge.judge(ranking, scores, truth, outcomes[name], rows)
        return len(rows)

    what = ", ".join(rankings)
    with (
        ThreadPoolExecutor(threads or threads_here()) as pool,
        Progress(f"judge {what}", len(truths.rows), "photo", quiet=quiet) as progress,
    ):
        try:
            for done in pool.map(work, blocks):
                progress.advance(done)
        except BaseException:  # Ctrl-C, too: what has not begun need not
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return outcomes


def judge_everywhere_alike(judge: Judge, p: Floats, truths: Truths) -> Outcomes:
    """Judge one answer for all photos: (N,) probabilities of the cells.

    Places and cells are ranked once; only the truths differ.
    """
    outcomes = Outcomes.failed(len(truths.s), Ranking(0, 0))
    rows, lonlat_deg = truths.rows, truths.lonlat_deg[truths.rows]
    cells, area_m2 = judge.field.lonlat_deg, judge.field.area_m2
    places = judge.places(p)
    order = np.argsort(-p / area_m2, kind="stable")
    outcomes.best_row[rows] = places[0]
    outcomes.near_places_m[rows] = _nearest(cells[places], lonlat_deg, judge.ks[:-1])
    outcomes.error_m[rows] = outcomes.near_places_m[rows, 0]
    outcomes.near_cells_m[rows] = _nearest(cells[order[: max(judge.ks)]], lonlat_deg, judge.ks)
    density = (p / area_m2)[order]
    reached = np.concatenate([[0.0], np.cumsum(area_m2[order])])
    inside = rows[truths.cell_row[rows] >= 0]
    own = (p / area_m2)[truths.cell_row[inside]]
    first, last = (np.searchsorted(-density, -own, side=side) for side in ("left", "right"))
    outcomes.rank[inside] = (first + 1 + last) / 2
    own_m2 = area_m2[truths.cell_row[inside]]
    outcomes.searched_m2[inside] = (reached[first] + reached[last] + own_m2) / 2
    outcomes.log_p[rows] = -np.inf
    outcomes.log_p[inside] = np.log(p[truths.cell_row[inside]])
    return outcomes


def _nearest(places_deg: Floats, lonlat_deg: Floats, ks: Sequence[int]) -> Floats:
    """How far the nearest of the first k of (K, 2) places is from each of (P, 2) truths."""
    found = np.empty((len(lonlat_deg), len(ks)))
    for row, truth in enumerate(lonlat_deg):
        found[row] = nearest_of_first(haversine_m(places_deg, truth)[None], ks)[0]
    return found
