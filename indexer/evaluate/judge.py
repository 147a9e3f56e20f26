"""Judges answers: how far each photo's is from the truth, under one ranking of the cells.

Scores of all photos at all cells would fill the memory, so photos are judged a block at a time and
a few numbers a photo are kept (:class:`Outcomes`). Blocks are shared out among threads; what comes
out depends on neither.

An answer is what a search gives, made by the same code. Without a calibration the best cell has the
best fused score. With one it is the cell whose disc of ``merge_radius_m`` has most probability.
Further places follow in that order, none within that radius of a better one, with probabilities
none within twice that. The first few are refined to the points that people are shown, where the
ranking says so. Single cells are ranked by fused score or by probability per area.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from gair.arrays import Bools, Floats, Ints, Scores, Vectors
from gair.geo import haversine_m
from gair.processes.crew import shared_full, work_off, workers_here
from gair.progress import Progress
from indexer.evaluate.metrics import KS, nearest_of_first, rank_and_area, rank_distances
from indexer.ground.left_out import LeftOut
from indexer.ground.likelihood import GroundEvidence, GroundKernel
from indexer.probability.conformal import FIRST_LOOK, nested_regions
from indexer.probability.posterior import ScoreWeights, apart_radii_of
from indexer.regions.highest import highest_rows
from indexer.search.places import first_rows
from indexer.search.ranking import MOST_REFINED, shown_points
from indexer.search.refine import RefineOptions
from indexer.search.scored import likeness_mass, posteriors
from indexer.search.space import SearchSpace

ScoresOf = Callable[[Vectors], tuple[Vectors, Vectors]]
"""(B, D) photo vectors to (B, N) cosines of the imagery and of the location."""
Look = Callable[[Ints, tuple[Vectors, Vectors], Floats, GroundEvidence | None], None]
"""Takes (B,) rows of photos, their (B, N) cosines and posteriors, and what reference photos say.

It may be called in threads and in forked children (:mod:`gair.processes.crew`)."""

_BLOCK_NUMBERS = 4 << 20
"""Numbers of a (photos, cells) matrix that one thread holds at once: 32 MB."""

_MOST_PHOTOS = 64
_SCORED_STEPS = 4
"""Times as many are scored at once."""
_CELLS_AT_ONCE = 512


@dataclass(frozen=True)
class Ranking:
    """One way to rank the cells of an index."""

    rs_weight: float
    """Of the imagery's cosine."""
    location_weight: float
    """Of the location's cosine."""
    weights: ScoreWeights | None = None
    """Turns scores into probabilities; with it the other weights are not used."""
    refine: RefineOptions | None = None
    """How the first places are refined; None: a place is the centre of its cell."""
    radii_m: tuple[float, ...] = ()
    """Around the best guess, for its probability."""
    around_shown: bool = True
    """Whether those radii are around the refined point; else around the centre of its cell."""
    levels: tuple[float, ...] = ()
    """Of regions."""
    masses: Callable[[float, int], tuple[float, ...]] | None = None
    """How much probability they have: of the sureness of an answer, which is the probability of its
    best place, and the photo's row."""
    ground_weight: float = 0.0
    """Of what reference photos say."""
    look: Look | None = None
    """Looks at posteriors while they are at hand."""

    @property
    def bare(self) -> Ranking:
        """The same order of cells and places, with nothing said of the places but their cells."""
        own = self.rs_weight, self.location_weight, self.weights
        return Ranking(*own, ground_weight=self.ground_weight)

    @property
    def reads_ground(self) -> bool:
        """Whether reference photos have a weight."""
        of_weights = self.weights.ground_weight if self.weights is not None else 0.0
        return max(of_weights, self.ground_weight) > 0

    def kernel(self, space: SearchSpace) -> GroundKernel | None:
        """How reference photos are read; None where they have no weight."""
        if not self.reads_ground:
            return None
        if self.weights is not None:
            return GroundKernel.of(self.weights)
        alone = not (self.rs_weight or self.location_weight)
        return GroundKernel.of(space.weights.ground_alone if alone else space.weights)

    def reads_location(self, space: SearchSpace) -> bool:
        """Whether the location's cosine is looked at."""
        kernel = self.kernel(space)
        return self.location_weight > 0 or (kernel is not None and kernel.location_weight > 0)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of P photos; what failed is infinitely far away, and never looked at in time."""

    shown_lonlat_deg: Floats
    """(P, 2) the best guess: the point that people are shown; NaN where there is none."""
    error_m: Floats
    """(P,) from the best guess to the truth."""
    near_places_m: Floats
    """(P, K) from the nearest of the first k places to the truth, for k of ``KS``."""
    near_centres_m: Floats
    """(P, K) the same from the centres of the places' cells, before anything is refined."""
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
    """(P, M) whether the region of each level holds the true cell."""
    region_m2: Floats
    """(P, M) how large it is; NaN where it is not known."""
    sureness: Floats
    """(P,) probability of the best place; NaN where it is not known."""

    @classmethod
    def failed(cls, photos: int, ranking: Ranking) -> Outcomes:
        """As if every photo had failed."""

        def fill(value: float, *shape: int) -> Floats:
            return shared_full((photos, *shape), value)

        masses = len(ranking.levels)
        return cls(
            shown_lonlat_deg=fill(np.nan, 2),
            error_m=fill(np.inf),
            near_places_m=fill(np.inf, len(KS)),
            near_centres_m=fill(np.inf, len(KS)),
            near_cells_m=fill(np.inf, len(KS) + 1),
            rank=fill(np.inf),
            searched_m2=fill(np.inf),
            log_p=fill(np.nan),
            disc_mass=fill(np.nan, len(ranking.radii_m)),
            covered=shared_full((photos, masses), False, bool),
            region_m2=fill(np.nan, masses),
            sureness=fill(np.nan),
        )

    @property
    def at_centres(self) -> Outcomes:
        """As if places were shown at the centres of their cells; for errors and recalls only."""
        return replace(self, error_m=self.near_centres_m[:, 0], near_places_m=self.near_centres_m)


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
    left_out: LeftOut | None = None
    """The reference photos that are no evidence of each; None where there are none."""


def _by_photo(values: Floats) -> Floats:
    """(B, N) values with those of a photo side by side, as sorting them needs."""
    if values.flags.c_contiguous:
        return values
    out = np.empty(values.shape, dtype=values.dtype)
    for start in range(0, values.shape[1], _CELLS_AT_ONCE):  # so many stay in the cache
        block = slice(start, start + _CELLS_AT_ONCE)
        out[:, block] = values[:, block]
    return out


def _numbered(counts: Sequence[int]) -> tuple[Ints, Ints]:
    """Of so many items a photo, in one list, the photo of each and its number among the photo's."""
    photo = np.repeat(np.arange(len(counts)), counts)
    return photo, np.concatenate([np.arange(count) for count in counts])


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
        scores_of: scores a block of photos; it may be called in threads and in forked children.
        truths: the photos.
        threads: or children, at once; as many as there are processors if None. The result is the
            same.
        quiet: no progress bar.

    Returns:
        Outcomes of all that are listed, by the ranking's name.
    """
    count = len(truths.s)
    outcomes = {name: Outcomes.failed(count, ranking) for name, ranking in rankings.items()}
    for ranking in rankings.values():
        judge.prepare(ranking)
    step = min(_MOST_PHOTOS, max(1, _BLOCK_NUMBERS // max(1, len(judge.field))))
    blocks = _cut(truths.rows, _SCORED_STEPS * step)

    def work(rows: Ints) -> int:
        # Stored vectors are converted once for all that are scored together.
        each_kind = scores_of(truths.s[rows])
        for start, some in zip(range(0, len(rows), step), _cut(rows, step), strict=True):
            rs, location = (of_kind[start : start + step] for of_kind in each_kind)
            ground = judge.ground_evidence(rankings.values(), truths, some, (rs, location))
            for name, ranking in rankings.items():
                of_ranking = ground.get(ranking.kernel(judge.space))
                judge.judge(ranking, (rs, location), truths, outcomes[name], some, of_ranking)
        return len(rows)

    names, workers = ", ".join(rankings), threads or workers_here()
    forked = judge.space.forkable
    with Progress(f"judge {names}", len(truths.rows), "photo", quiet=quiet) as progress:
        work_off(work, blocks, workers, forked=forked, done=progress.advance)
    return outcomes


def _cut(rows: Ints, count: int) -> list[Ints]:
    """So many after so many."""
    return [rows[start : start + count] for start in range(0, len(rows), count)]


def judge_everywhere_alike(judge: Judge, p: Floats, truths: Truths) -> Outcomes:
    """Judge one answer for all photos: (N,) probabilities of the cells.

    Places and cells are ranked once; only the truths differ.
    """
    outcomes = Outcomes.failed(len(truths.s), Ranking(0, 0))
    rows, lonlat_deg = truths.rows, truths.lonlat_deg[truths.rows]
    cells, area_m2 = judge.field.lonlat_deg, judge.field.area_m2
    places = judge.places(p)
    order = np.argsort(-p / area_m2, kind="stable")
    outcomes.shown_lonlat_deg[rows] = cells[places[0]]
    outcomes.near_places_m[rows] = _nearest(cells[places], lonlat_deg, KS)
    outcomes.near_centres_m[rows] = outcomes.near_places_m[rows]
    outcomes.error_m[rows] = outcomes.near_places_m[rows, 0]
    outcomes.near_cells_m[rows] = _nearest(cells[order[: max(judge.ks)]], lonlat_deg, judge.ks)
    density = (p / area_m2)[order]
    reached = np.concatenate([[0.0], np.cumsum(area_m2[order])])
    inside = rows[truths.cell_row[rows] >= 0]
    own = (p / area_m2)[truths.cell_row[inside]]
    # Cells as dense as the true one are at places first to last - 1: its mean rank is between.
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

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.field = space.field
        self.ks = (*KS, max(1, round(len(self.field) / 100)))

    def prepare(self, ranking: Ranking) -> None:
        """Make what a ranking needs, once and before threads come."""
        self._near(ranking.weights)
        self.space.expect_many(ranking.weights, ranking.kernel(self.space))

    def ground_evidence(
        self,
        rankings: Iterable[Ranking],
        truths: Truths,
        rows: Ints,
        scores: tuple[Vectors, Vectors],
    ) -> dict[GroundKernel | None, GroundEvidence]:
        """What reference photos say of some photos, by kernel, as far as rankings ask."""
        own = None if truths.left_out is None else truths.left_out.taken(rows).rows
        said: dict[GroundKernel | None, GroundEvidence] = {}
        for kernel in {ranking.kernel(self.space) for ranking in rankings}:
            if kernel is None:
                continue
            read = self.space.ground_read(truths.s[rows], scores, kernel, own)
            if read is not None:
                said[kernel] = read
        return said

    def _near(self, weights: ScoreWeights | None) -> csr_array:
        """(N, N) which cells are too near to each to be another place."""
        return self.space.discs(apart_radii_of(weights) * self.space.merge_radius_m).matrix

    def judge(
        self,
        ranking: Ranking,
        scores: tuple[Vectors, Vectors],
        truths: Truths,
        outcomes: Outcomes,
        rows: Ints,
        ground: GroundEvidence | None = None,
    ) -> None:
        """Judge some photos whose vector and place are known.

        Args:
            ranking: how cells are ranked.
            scores: (B, N) cosines of the imagery and of the location.
            truths: of all photos.
            outcomes: receives the result.
            rows: (B,) which of the photos.
            ground: of these; None where reference photos have no weight.
        """
        rs, location = scores
        if ranking.weights is None:
            fused = ranking.rs_weight * rs + ranking.location_weight * location
            if ground is not None:
                fused = fused + np.float32(ranking.ground_weight) * ground.log_ratios
            alike = _by_photo(likeness_mass(self.space, fused))
            self._judge_places(ranking, alike, truths, outcomes, rows, ground)
            self._judge_cells(fused, truths, outcomes, rows)
            return
        p = posteriors(self.space, rs, location, ranking.weights, ground=ground)
        around = _by_photo(self.space.place_mass(p))
        p = _by_photo(p)
        if ranking.look is not None:
            ranking.look(rows, scores, p, ground)
        centres = self._judge_places(ranking, around, truths, outcomes, rows, ground)
        outcomes.sureness[rows] = around.max(axis=1)
        densest = self._judge_cells(p / self.field.area_m2, truths, outcomes, rows)
        if ranking.radii_m:
            points = outcomes.shown_lonlat_deg[rows] if ranking.around_shown else centres
            outcomes.disc_mass[rows] = self.space.masses_within(p, points, ranking.radii_m)
        self._judge_probabilities(ranking, (p, densest), truths.cell_row[rows], outcomes, rows)

    def places(self, p: Floats) -> Ints:
        """The places that an answer lists: (N,) probabilities to at most the largest k rows."""
        return first_rows(self.space.place_mass(p[None]), self._near(None), max(KS))[0]

    def _judge_places(
        self,
        ranking: Ranking,
        by_place: Scores,
        truths: Truths,
        outcomes: Outcomes,
        rows: Ints,
        ground: GroundEvidence | None,
    ) -> Floats:
        """Judge places in the order of (B, N) scores; returns the (B, 2) centres of the first."""
        near, cells = self._near(ranking.weights), self.field.lonlat_deg
        places = first_rows(by_place, near, max(KS))
        away_m = np.full((len(rows), max(KS)), np.inf)
        # All places of all photos in one list: photo by photo, best place first.
        of_photo, rank = _numbered([len(rows_of) for rows_of in places])
        centres, truth_deg = cells[np.concatenate(places)], truths.lonlat_deg[rows]
        away_m[of_photo, rank] = haversine_m(centres, truth_deg[of_photo])
        outcomes.near_centres_m[rows] = nearest_of_first(away_m, KS)
        first = cells[[rows_of[0] for rows_of in places]]
        outcomes.shown_lonlat_deg[rows] = first
        if ranking.refine is not None:
            refined = [rows_of[:MOST_REFINED] for rows_of in places]
            of_photo, rank = _numbered([len(rows_of) for rows_of in refined])
            s, cell = truths.s[rows], np.concatenate(refined)
            points = shown_points(self.space, s, cell, ranking.refine, ground, of_photo)
            away_m[of_photo, rank] = haversine_m(points, truth_deg[of_photo])
            outcomes.shown_lonlat_deg[rows] = points[rank == 0]
        outcomes.near_places_m[rows] = nearest_of_first(away_m, KS)
        outcomes.error_m[rows] = away_m[:, 0]
        return first

    def _judge_cells(
        self, by_cell: Scores, truths: Truths, outcomes: Outcomes, rows: Ints
    ) -> list[Ints]:
        """Judge single cells in the order of (B, N) scores; returns the best rows of each."""
        k, cells = max(self.ks), self.field
        highest = [highest_rows(scores, max(k, FIRST_LOOK)) for scores in by_cell]
        truth_deg, truth_row = truths.lonlat_deg[rows], truths.cell_row[rows]
        best_m = rank_distances(
            by_cell, truth_deg, cells.lonlat_deg, k, numbers=rows, highest=highest
        )
        outcomes.near_cells_m[rows] = nearest_of_first(best_m, self.ks)
        rank, area = rank_and_area(by_cell, cells.area_m2, truth_row, highest)
        outcomes.rank[rows], outcomes.searched_m2[rows] = rank, area
        return highest

    def _judge_probabilities(
        self,
        ranking: Ranking,
        posterior: tuple[Floats, list[Ints]],
        truth_row: Ints,
        outcomes: Outcomes,
        rows: Ints,
    ) -> None:
        """Judge (B, N) probabilities, with the densest cells of each photo."""
        p, densest = posterior
        inside = truth_row >= 0
        own = np.take_along_axis(p, np.where(inside, truth_row, 0)[:, None], axis=1)[:, 0]
        with np.errstate(divide="ignore"):
            outcomes.log_p[rows] = np.where(inside, np.log(own), -np.inf)
        if ranking.masses is None:
            return
        for number, row in enumerate(rows.tolist()):
            masses = ranking.masses(float(outcomes.sureness[row]), row)
            regions = nested_regions(p[number], self.field.area_m2, masses, densest[number])
            outcomes.covered[row] = [bool((r == truth_row[number]).any()) for r in regions]
            outcomes.region_m2[row] = [self.field.area_m2[r].sum() for r in regions]
