"""Search space: the cells of an index with everything that a search asks of them.

A space knows its cells' vectors, areas and neighbourhoods, what a calibration says of its scores,
and how to read it between cells. Search, verify, heat map, calibration and evaluation ask it the
same questions, for one photo or for many. What is slow to make is kept, and freed with the space.

A *part* of a space has some of its rows, of which each may stand for several cells
(:mod:`indexer.search.shortlist`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from gair.arrays import Floats, Ints, Scores, Vectors
from gair.processes.forks import fork_safe_lock, renew_in_child
from indexer.ground.likelihood import GroundEvidence, GroundField, GroundKernel
from indexer.photos.encoder import Runtime, runtime_of
from indexer.probability.basis import NOT_WEIGHED
from indexer.probability.claims import Background, background, claim_masses
from indexer.probability.known_claims import Alike
from indexer.probability.posterior import LEAST_SHARED, ScoreWeights, area_log_prior
from indexer.regions.cell_field import CellField, Discs, spacing_m
from indexer.regions.cells import cells_at
from indexer.search.answer import UNCALIBRATED
from indexer.search.token_reader import TokenReader
from indexer.search.weights import SearchWeights, default_weights

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from gair.model import Gair
    from indexer.index.index import Index
    from indexer.index.vectors import VectorStore
    from indexer.probability.calibration import Calibration

PAPER_TEMPERATURE = 0.07
"""Where nothing is calibrated: what GAIR was trained with."""
SAMPLE = 4096
"""Cells that stand for those off a shortlist."""
SCORED_AT_ONCE = 2048
"""Rows in float32 at a time: 6 MB at 768 dimensions."""
ENTRIES_AT_ONCE = 4_000_000
"""Photos times cells in one step: 32 MB an array."""
MOST_DISC_ENTRIES = 20_000_000
"""Cells times those within a radius of them up to which the pairs are kept: 240 MB."""

Value = TypeVar("Value")


class SearchSpace:
    """Cells of an index, or a part of them; safe to share between threads."""

    def __init__(
        self,
        index: Index,
        model: Gair,
        calibration: Calibration | None = None,
        *,
        ground: GroundField | None = None,
        stands_for: Floats | None = None,
        merge_radius_m: float | None = None,
    ) -> None:
        """Take an index and what belongs to it.

        Args:
            index: an open index; of a part of one, its cells are those of the part.
            model: the model that built it.
            calibration: of this build; None where there is none.
            ground: reference photos around the cells; None where the index has none.
            stands_for: (N,) how many cells each row stands for; None for itself alone.
            merge_radius_m: what :attr:`merge_radius_m` is, where that is known.
        """
        self.index = index
        self.model = model
        self.calibration = calibration
        self.ground = ground
        self.stands_for = stands_for
        self.merge_radius_m = (
            _merge_radius_m(index, model) if merge_radius_m is None else merge_radius_m
        )
        """Closer cells are one place: a token of imagery, or 1.5 cells where they are coarser."""
        self._lock = fork_safe_lock()
        renew_in_child(self)
        self._discs: LRUCache[float, Discs] = LRUCache(4)
        self._blurs: LRUCache[float, tuple[csr_array | None]] = LRUCache(4)
        self._backgrounds: LRUCache[float, Background] = LRUCache(8)

    def after_fork(self) -> None:
        """Nothing of its own: its lock and its cached properties are seen to."""

    def part(self, rows: Ints, stands_for: Floats, warning: str) -> SearchSpace:
        """Some rows alone, ascending, for one answer; it says the warning beside its own."""
        manifest = self.index.manifest
        noted = replace(manifest, warnings=[*manifest.warnings, warning])
        index = replace(self.index, cells=self.index.cells.taken(rows), manifest=noted)
        return SearchSpace(
            index,
            self.model,
            self.calibration,
            ground=self.ground and self.ground.part(rows, index.cells.lonlat_deg),
            stands_for=stands_for,
            merge_radius_m=self.merge_radius_m,
        )

    def beside(self, ground: GroundField | None) -> SearchSpace:
        """The same cells beside other reference photos, not calibrated with them.

        What does not depend on these is shared: neighbourhoods, and what reads between cells.
        """
        space = SearchSpace(
            self.index,
            self.model,
            ground=ground,
            stands_for=self.stands_for,
            merge_radius_m=self.merge_radius_m,
        )
        space._discs, space._blurs, space._backgrounds = (
            self._discs,
            self._blurs,
            self._backgrounds,
        )
        space._lock = self._lock
        vars(space).update(field=self.field, reader=self.reader)
        return space

    @functools.cached_property
    def field(self) -> CellField:
        """The cells as points and areas."""
        return CellField(self.index.cells.lonlat_deg, self.index.cells.area_m2)

    @functools.cached_property
    def reader(self) -> TokenReader | None:
        """What reads the index between its cells.

        None where the index keeps no token maps, or where its model is a photo tower alone.
        """
        if not self.index.tokens or self.lacks_decoder:
            return None
        return TokenReader(self.index, self.model, self.field)

    @property
    def runtime(self) -> Runtime:
        """What encodes photos."""
        return runtime_of(self.model)

    @property
    def lacks_decoder(self) -> bool:
        """Whether the index could be read between its cells, and its model here cannot."""
        return bool(self.index.tokens) and self.runtime == "onnx"

    @functools.cached_property
    def sample(self) -> tuple[Ints, Vectors, Vectors]:
        """Random rows, always the same, that stand for others in a part; and both their vectors."""
        count = min(SAMPLE, len(self.index.cells))
        drawn = np.random.default_rng(0).choice(len(self.index.cells), count, replace=False)
        rows = np.sort(drawn)
        return rows, self.index.rs.vectors(rows), self.index.location.vectors(rows)

    @property
    def area_m2(self) -> Floats:
        """(N,) the area that each row stands for: its own, unless this is a part of an index."""
        own = self.index.cells.area_m2
        return own if self.stands_for is None else own * self.stands_for

    @functools.cached_property
    def sampled(self) -> bool:
        """Whether some rows stand for others, so that sums over cells are estimates."""
        return self.stands_for is not None and bool((self.stands_for > 1).any())

    @functools.cached_property
    def log_prior(self) -> Floats:
        """(N,) equally likely everywhere."""
        return area_log_prior(self.area_m2)

    @property
    def least_shared(self) -> float:
        """How much of their errors photos of one place share at least."""
        shared = None if self.calibration is None else self.calibration.shared
        return LEAST_SHARED if shared is None else shared.least

    @property
    def weights(self) -> ScoreWeights:
        """How scores become likelihoods: as calibrated, or as the model was trained."""
        if self.calibration is not None:
            return self.calibration.weights
        of = self.default_weights
        rs, location, ground = (w / PAPER_TEMPERATURE for w in (of.rs, of.location, of.ground))
        kernel = GroundKernel(rs_weight=rs, location_weight=location)
        return kernel.score_weights(rs, location, 0.0, ground)

    @property
    def default_weights(self) -> SearchWeights:
        """What cosines are weighed with where a query gives no weights."""
        ground = 0.0 if self.ground is None else PAPER_TEMPERATURE  # a nat of theirs is a nat
        return default_weights(self.index.manifest.model, self.calibration, ground)

    def ground_evidence(
        self,
        s: Vectors,
        scores: tuple[Scores, Scores],
        weights: ScoreWeights,
        left_out: Sequence[Ints] | None = None,
    ) -> GroundEvidence | None:
        """What reference photos say of some photos; None where they have no weight.

        Args:
            s: (P, D) vectors of the photos.
            scores: (P, N) cosines of the imagery and of the location.
            weights: as scores are weighed.
            left_out: of each photo, the rows of those that are no evidence of it.
        """
        if not weights.ground_weight:
            return None
        return self.ground_read(s, scores, GroundKernel.of(weights), left_out)

    def ground_read(
        self,
        s: Vectors,
        scores: tuple[Scores, Scores],
        kernel: GroundKernel,
        left_out: Sequence[Ints] | None = None,
    ) -> GroundEvidence | None:
        """The same as a kernel reads them, whatever their weight; None where there are none."""
        if self.ground is None:
            return None
        return self.ground.evidence(s, kernel, left_out, kernel.likely(*scores, self.area_m2))

    def discs(self, radius_m: float) -> Discs:
        """The cells within a radius of each cell."""
        return self._kept(
            self._discs, radius_m, lambda: self.field.discs(self.field.lonlat_deg, radius_m)
        )

    def blur(self, spread_m: float) -> csr_array | None:
        """(N, N) averages over a Gaussian neighbourhood: :meth:`CellField.blur`."""
        return self._kept(self._blurs, spread_m, lambda: (self.field.blur(spread_m),))[0]

    def background(self, radius_m: float) -> Background:
        """The discs that a claim of this radius is compared with."""
        return self._kept(self._backgrounds, radius_m, lambda: background(self.field, radius_m))

    def alike(self, truth_row: Ints) -> Alike:
        """How much places of the index look like the (P,) cells where photos were taken."""
        rows, vectors, _ = self.sample
        truth_vectors = self.index.rs.vectors(truth_row)
        return Alike(self.field.lonlat_deg[rows], self.field.spacing_m, vectors, truth_vectors)

    @property
    def forkable(self) -> bool:
        """Whether forked children can read it: the connection to a server's store is one's own."""
        from indexer.index.milvus import MilvusStore

        return not isinstance(self.index.rs, MilvusStore)

    def expect_many(self, weights: ScoreWeights | None, kernel: GroundKernel | None = None) -> None:
        """Make what answers about many photos share, before threads or forked children ask for it.

        Args:
            weights: as scores are weighed; None where they stay scores.
            kernel: how reference photos are read; None where they have no weight.
        """
        if self._pairs_fit(self.merge_radius_m):
            self.discs(self.merge_radius_m)
        if weights is not None:
            self.blur(weights.spread_m)
        if self.reader is not None:
            self.reader.expect_many()
        if self.ground is not None and kernel is not None:
            self.ground.prepare(kernel)

    def _pairs_fit(self, radius_m: float) -> bool:
        """Whether the cells within a radius of each fit in memory, cell by cell."""
        return len(self.field) * self.field.disc_cells(radius_m) <= MOST_DISC_ENTRIES

    def _kept(self, kept: LRUCache[float, Value], key: float, make: Callable[[], Value]) -> Value:
        """The value that is kept for a key, or is made now."""
        # No decorator: its methods would hold the space that holds them, and a replaced build would
        # wait for the garbage collector.
        with self._lock:
            if key in kept:
                return kept[key]
        value = make()
        with self._lock:
            kept[key] = value
        return value

    def cell_row(self, lonlat_deg: npt.ArrayLike) -> Ints:
        """The row of the cell that contains each of (Q, 2) points; -1 outside."""
        return self.index.cells.rows_of(cells_at(lonlat_deg, self.index.manifest.h3_resolution))

    def scores(self, s: Vectors, rows: Ints | None = None) -> tuple[Vectors, Vectors]:
        """Cosines of (P, D) photos with imagery and location: (P, N) each, or (P, n) of ``rows``.

        Not for a part: the vectors are those of the whole index.
        """
        return tuple(  # type: ignore[return-value]
            store.scores(s) if rows is None else _scores_of(store, s, rows)
            for store in (self.index.rs, self.index.location)
        )

    def blocks(self, photos: int) -> Iterator[slice]:
        """So many photos in blocks whose (P, N) scores fit in memory."""
        step = max(1, ENTRIES_AT_ONCE // len(self.index.cells))
        return (slice(start, min(start + step, photos)) for start in range(0, photos, step))

    def each_cell(self, p: Floats) -> Floats:
        """(..., N) probabilities of what rows stand for, as those of the rows' own cells."""
        return p if self.stands_for is None else p / self.stands_for

    def place_mass(self, p: Floats, radius_m: float | None = None) -> Floats:
        """Probability within the merge radius, or another one, of each cell: (P, N) to (P, N).

        A cell that cannot be the place, because a prior rules it out, has none: its neighbours'
        would make it as good a place as they are.
        """
        radius_m = self.merge_radius_m if radius_m is None else radius_m
        each = self.each_cell(p)
        if self._pairs_fit(radius_m):
            sums = self.discs(radius_m).sums(each)
        else:
            sums = self.field.disc_sums(each, radius_m)
        return np.where(p > 0, sums, 0.0)

    def masses_within(self, p: Floats, lonlat_deg: Floats, radii_m: Sequence[float]) -> Floats:
        """Probability within radii of one point a photo.

        Args:
            p: (P, N) posteriors.
            lonlat_deg: (P, 2).
            radii_m: R of them.

        Returns:
            (P, R). A disc has the cells whose centre lies in it, and the one that holds its point.
        """
        own_row = self.cell_row(lonlat_deg)
        return claim_masses(self.each_cell(p), self.field, lonlat_deg, own_row, radii_m)

    @property
    def attribution(self) -> str:
        """What the imagery and the region ask to be shown."""
        manifest = self.index.manifest
        parts = [str(manifest.imagery["attribution"]), str(manifest.region["attribution"])]
        return "; ".join(part for part in parts if part)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before believing an answer."""
        own = self.index.manifest.warnings
        if self.calibration is None:
            return (*own, UNCALIBRATED)
        unweighed = self.ground is not None and self.calibration.ground is None
        return (*own, NOT_WEIGHED) if unweighed else tuple(own)


def _merge_radius_m(index: Index, model: Gair) -> float:
    latitude_deg = float(index.cells.lonlat_deg[:, 1].mean())
    token_m = model.config.footprint_ground_m(latitude_deg) / model.config.rs_grid
    return max(token_m, 1.5 * spacing_m(index.cells.area_m2))


def _scores_of(store: VectorStore, s: Vectors, rows: Ints) -> Vectors:
    """Cosines with some rows, (P, n)."""
    blocks = np.split(rows, np.arange(SCORED_AT_ONCE, len(rows), SCORED_AT_ONCE))
    return np.concatenate([s @ store.vectors(block).T for block in blocks], axis=1)
