"""Judges answers: how far each photo's is from the truth, under one ranking of the cells.

Scores of all photos at all cells would fill the memory, so photos are judged a block at a time and
a few numbers a photo are kept (:class:`Outcomes`). Blocks are shared out among threads; what comes
out depends on neither.

An answer is what a search gives. Without a calibration the best cell has the best fused score. With
one it is the cell whose disc of ``merge_radius_m`` has most probability. Further places follow in
that order, none within that radius of a better one, with probabilities none within twice that.
Single cells are ranked by fused score or by probability per area.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gair.arrays import Bools, Floats, Ints, Vectors
from gair.geo import haversine_m
from gair.progress import Progress
from indexer.evaluate.metrics import KS, nearest_of_first, rank_and_area, rank_distances
from indexer.probability.conformal import nested_regions
from indexer.probability.posterior import ScoreWeights, area_log_prior, log_likelihood, posterior
from indexer.regions.cell_field import CellField, Discs
from indexer.search.places import APART_RADII

Scores = npt.NDArray[np.floating]

ScoresOf = Callable[[Vectors], tuple[Vectors, Vectors]]
"""(B, D) photo vectors to (B, N) cosines of the imagery and of the location."""

_BLOCK_NUMBERS = 4 << 20
"""Numbers of a (photos, cells) matrix that one thread holds at once: 32 MB."""

_MOST_PHOTOS = 64

_FIRST_LOOK = 1024
"""Cells sorted at first; more only if they merge into too few places."""


@dataclass(frozen=True)
class Ranking:
    """One way to rank the cells of an index."""

    rs_weight: float
    """Of the imagery's cosine."""
    location_weight: float
    """Of the location's cosine."""
    sharpness: ScoreWeights | None = None
    """Turns scores into probabilities; with it the two weights above are not used."""
    radii_m: tuple[float, ...] = ()
    """Around the best guess, for its probability."""
    masses: tuple[float, ...] = ()
    """How much probability regions have."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of P photos; what failed is infinitely far away, and never looked at in time."""

    best_row: Ints
    """(P,) the cell of the best guess; -1 where there is none."""
    error_m: Floats
    """(P,) from the best guess to the truth."""
    near_places_m: Floats
    """(P, K) from the nearest of the first k places to the truth, for k of ``KS``."""
    near_cells_m: Floats
    """(P, K + 1) the same of the k best single cells; the last is one cell in a hundred."""
    rank: Floats
    """(P,) of the true cell among all cells, 1 for the best."""
    searched_m2: Floats
    """(P,) how much area is looked at, best cells first, until the true cell is."""
    log_p: Floats
    """(P,) log-probability of the true cell; NaN where it is not known."""
    disc_mass: Floats
    """(P, R) probability within each radius of the best guess; NaN where it is not known."""
    covered: Bools
    """(P, M) whether the region of each mass holds the true cell."""
    region_m2: Floats
    """(P, M) how large it is; NaN where it is not known."""

    @classmethod
    def failed(cls, photos: int, ranking: Ranking) -> Outcomes:
        """As if every photo had failed."""

        def fill(value: float, *shape: int) -> Floats:
            return np.full((photos, *shape), value)

        masses = len(ranking.masses)
        return cls(
            best_row=np.full(photos, -1),
            error_m=fill(np.inf),
            near_places_m=fill(np.inf, len(KS)),
            near_cells_m=fill(np.inf, len(KS) + 1),
            rank=fill(np.inf),
            searched_m2=fill(np.inf),
            log_p=fill(np.nan),
            disc_mass=fill(np.nan, len(ranking.radii_m)),
            covered=np.zeros((photos, masses), dtype=bool),
            region_m2=fill(np.nan, masses),
        )


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

    names = ", ".join(rankings)
    with (
        ThreadPoolExecutor(threads or threads_here()) as pool,
        Progress(f"judge {names}", len(truths.rows), "photo", quiet=quiet) as progress,
    ):
        try:
            for done in pool.map(work, blocks):
                progress.advance(done)
        except BaseException:  # Ctrl-C, too: what has not begun need not
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return outcomes


def threads_here() -> int:
    """As many as this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


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
    nearest_m = np.empty((len(lonlat_deg), len(ks)))
    for row, truth in enumerate(lonlat_deg):
        nearest_m[row] = nearest_of_first(haversine_m(places_deg, truth)[None], ks)[0]
    return nearest_m


class Judge:
    """Judges answers about the cells of one index; safe to share between threads."""

    def __init__(self, field: CellField, merge_radius_m: float, near: Discs | None = None) -> None:
        """Take the cells, and which lie within the radius of each where that is known."""
        self.field = field
        self.merge_radius_m = merge_radius_m
        self._near = near or field.discs(field.lonlat_deg, merge_radius_m)
        self._apart: csr_array | None = None
        self._log_prior = area_log_prior(field.area_m2)
        self._blurs: dict[float, csr_array | None] = {}
        self.ks = (*KS, max(1, round(len(field) / 100)))

    def prepare(self, ranking: Ranking) -> None:
        """Make what a ranking needs, once and before threads come."""
        if ranking.sharpness is not None:
            spread_m = ranking.sharpness.spread_m
            self._blurs.setdefault(spread_m, self.field.blur(spread_m))
            self._apart_places()

    def _apart_places(self) -> csr_array:
        """Which cells are too near to each to be another likely place."""
        if self._apart is None:
            radius_m = APART_RADII * self.merge_radius_m
            self._apart = self.field.discs(self.field.lonlat_deg, radius_m).matrix
        return self._apart

    def judge(
        self,
        ranking: Ranking,
        scores: tuple[Scores, Scores],
        truth: tuple[Floats, Ints],
        outcomes: Outcomes,
        rows: Ints,
    ) -> None:
        """Judge some photos whose vector and place are known.

        Args:
            ranking: how cells are ranked.
            scores: (B, N) cosines of the imagery and of the location.
            truth: (B, 2) places in degrees, and (B,) the cells they are in, -1 for none.
            outcomes: receives the result.
            rows: (B,) which rows of it.
        """
        rs, location = scores
        if ranking.sharpness is None:
            fused = ranking.rs_weight * rs + ranking.location_weight * location
            self._judge_scores((fused, self._near.matrix), fused, truth, outcomes, rows)
            return
        blur = self._blurs[ranking.sharpness.spread_m]
        p = posterior(log_likelihood(rs, location, ranking.sharpness, blur), self._log_prior)
        by_place = self._near.sums(p), self._apart_places()
        self._judge_scores(by_place, p / self.field.area_m2, truth, outcomes, rows)
        if ranking.radii_m or ranking.masses:
            self._judge_probabilities(ranking, p, truth[1], outcomes, rows)

    def places(self, p: Floats) -> Ints:
        """The places that an answer lists: (N,) probabilities to at most the largest k rows."""
        return first_places(self._near.sums(p[None])[0], self._apart_places(), max(KS))

    def _judge_scores(
        self,
        by_place: tuple[Scores, csr_array],
        by_cell: Scores,
        truth: tuple[Floats, Ints],
        outcomes: Outcomes,
        rows: Ints,
    ) -> None:
        """Judge places in the order of (B, N) scores, and cells in the order of others.

        With the places' scores goes which cells are too near to each to be another place.
        """
        lonlat_deg, truth_row = truth
        away_m = np.full((len(rows), max(KS)), np.inf)
        for number, row in enumerate(rows):
            places = first_places(by_place[0][number], by_place[1], max(KS))
            outcomes.best_row[row] = places[0]
            cells = self.field.lonlat_deg[places]
            away_m[number, : len(places)] = haversine_m(cells, lonlat_deg[number])
        outcomes.error_m[rows] = away_m[:, 0]
        outcomes.near_places_m[rows] = nearest_of_first(away_m, KS)
        best_m = rank_distances(
            by_cell, lonlat_deg, self.field.lonlat_deg, max(self.ks), numbers=rows
        )
        outcomes.near_cells_m[rows] = nearest_of_first(best_m, self.ks)
        rank, area = rank_and_area(by_cell, self.field.area_m2, truth_row)
        outcomes.rank[rows], outcomes.searched_m2[rows] = rank, area

    def _judge_probabilities(
        self, ranking: Ranking, p: Floats, truth_row: Ints, outcomes: Outcomes, rows: Ints
    ) -> None:
        inside = truth_row >= 0
        own = np.take_along_axis(p, np.where(inside, truth_row, 0)[:, None], axis=1)[:, 0]
        with np.errstate(divide="ignore"):
            outcomes.log_p[rows] = np.where(inside, np.log(own), -np.inf)
        best = self.field.lonlat_deg[outcomes.best_row[rows]]
        for column, radius_m in enumerate(ranking.radii_m):
            disc = self.field.discs(best, radius_m).matrix.tocoo()
            mass = np.bincount(disc.row, weights=p[disc.row, disc.col], minlength=len(rows))
            outcomes.disc_mass[rows, column] = mass
        for number, row in enumerate(rows):
            regions = nested_regions(p[number], self.field.area_m2, ranking.masses)
            outcomes.covered[row] = [bool((r == truth_row[number]).any()) for r in regions]
            outcomes.region_m2[row] = [self.field.area_m2[r].sum() for r in regions]


def first_places(scores: Scores, near: csr_array, k: int) -> Ints:
    """The rows that :func:`indexer.search.places.distinct_places` names, by known neighbours.

    Args:
        scores: (N,) higher is better; equal ones go by row.
        near: (N, N) which cells are within the merge radius of each, itself among them.
        k: how many places.

    Returns:
        At most k rows, best first.
    """
    look = min(len(scores), max(_FIRST_LOOK, 16 * k))
    while True:
        found = _merged(_best_rows(scores, look), near, k)
        if len(found) == k or look == len(scores):
            return np.array(found, dtype=np.int64)
        look = min(len(scores), 8 * look)


def _merged(rows: Ints, near: csr_array, k: int) -> list[int]:
    starts, columns = near.indptr, near.indices
    taken = np.zeros(near.shape[0], dtype=bool)
    places: list[int] = []
    for row in rows.tolist():
        if not taken[row]:
            places.append(row)
            if len(places) == k:
                break
            taken[columns[starts[row] : starts[row + 1]]] = True
    return places


def _best_rows(scores: Scores, count: int) -> Ints:
    rows = np.arange(len(scores))
    if count < len(scores):
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
        rows = np.flatnonzero(scores >= threshold)
    return np.asarray(rows[np.lexsort((rows, -scores[rows]))])
