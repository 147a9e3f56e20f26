"""What became of each photo: how far its answer is from the truth, under one way to rank cells.

Scores of all photos at all cells would fill the memory, so photos are judged a block at a time and
a few numbers a photo are kept (:class:`Outcomes`). Blocks are shared out among threads; what comes
out depends on neither.

An answer is what a search gives. Without a calibration the best cell has the best fused score. With
one it is the cell whose disc of ``merge_radius_m`` has most probability. Further places follow in
that order, none within that radius of a better one, with probabilities none within twice that.
Single cells are ranked by fused score or by probability per area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gair.arrays import Bools, Floats, Ints
from gair.geo import haversine_m
from indexer.evaluate.metrics import KS, nearest_of_best_cells, nearest_of_first, rank_and_area
from indexer.probability.posterior import ScoreWeights, area_log_prior, log_likelihood, posterior
from indexer.regions.cell_field import CellField, Discs
from indexer.search.places import APART_RADII

Scores = npt.NDArray[np.floating]

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
        # The last k, one in a hundred, may be less than those before it.
        order = np.argsort(self.ks, kind="stable")
        found = nearest_of_best_cells(
            by_cell, self.field.lonlat_deg, lonlat_deg, [self.ks[i] for i in order]
        )
        outcomes.near_cells_m[rows] = found[:, np.argsort(order)]
        rank, area = rank_and_area(by_cell, self.field.area_m2, truth_row)
        outcomes.rank[rows], outcomes.searched_m2[rows] = rank, area

    def _judge_probabilities(
        self, ranking: Ranking, p: Floats, truth_row: Ints, outcomes: Outcomes, rows: Ints
    ) -> None:
        known = truth_row >= 0
        own = np.take_along_axis(p, np.where(known, truth_row, 0)[:, None], axis=1)[:, 0]
        with np.errstate(divide="ignore"):
            outcomes.log_p[rows] = np.where(known, np.log(own), -np.inf)
        best = self.field.lonlat_deg[outcomes.best_row[rows]]
        for column, radius_m in enumerate(ranking.radii_m):
            disc = self.field.discs(best, radius_m).matrix.tocoo()
            mass = np.bincount(disc.row, weights=p[disc.row, disc.col], minlength=len(rows))
            outcomes.disc_mass[rows, column] = mass
        for number, row in enumerate(rows):
            covered, area_m2 = _regions(p[number], self.field.area_m2, truth_row[number], ranking)
            outcomes.covered[row], outcomes.region_m2[row] = covered, area_m2


def first_places(scores: Scores, near: csr_array, k: int) -> Ints:
    """The rows that :func:`indexer.search.places.distinct_places` names, from neighbours known before.

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


def _regions(
    p: Floats, area_m2: Floats, truth_row: int, ranking: Ranking
) -> tuple[list[bool], list[float]]:
    """Whether each region holds the true cell, and its square metres.

    The cells are those of :func:`indexer.probability.conformal.region_rows`. The mass that comes before the
    true cell says whether it is in; only the area needs all cells in order, and there the order of
    equal ones hardly matters: so the faster sort will do.
    """
    density = p / area_m2
    order = np.argsort(-density)
    reached, area = np.cumsum(p[order]), np.cumsum(area_m2[order])
    before = math.inf
    if truth_row >= 0:
        earlier = density > density[truth_row]
        earlier[:truth_row] |= density[:truth_row] == density[truth_row]
        before = float(p[earlier].sum())
    covered, areas = [], []
    for mass in ranking.masses:
        wanted = mass * (1 - 1e-12)
        needed = min(int(np.searchsorted(reached, wanted)) + 1, len(order))
        covered.append(before < wanted or (truth_row >= 0 and needed == len(order)))
        areas.append(float(area[needed - 1]))
    return covered, areas
