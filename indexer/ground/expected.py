"""Expected photos: what a photo of a place should look like, by its imagery and the photos near it.

A model that never saw a city reads its imagery as it learned elsewhere. Reference photos tell how
photos of *this* city differ from that, everywhere a little and near their places more. With z(x)
the imagery's vector of the cell around x, s_j the vector of a reference photo and c(j) the cell it
stands in,

    s_j = mean s + B (z(c(j)) - mean z) + e_j

is fitted over the reference photos by ridge regression. W whitens what is left: the covariance of
e_j, drawn to a sphere by :data:`SHRINKAGE`. Near one another photos differ from B alike, so the
residuals are spread over the cells by a Gaussian kernel K of ``kernel_m`` metres, as the posterior
mean of an offset that is the same around x, of which a photo sees one part in 1 + p:

    m(x) = W (B (z(x) - mean z) + sum_j K(x - c(j)) e_j / (n(x) + p)),   n(x) = sum_j K(x - c(j)),
    v(x) = 1 - n(x) / ((1 + p) (n(x) + p)).

Some photos are farther from what is expected than others, wherever they were taken: at night, in
fog, by a bad lens. So a photo s is as likely at x as a t distribution of f degrees of freedom says,
of d dimensions that are the mean square of W e_j,

    log ratio(x) = -1/2 ((f + d) (log(1 + |W (s - mean s) - m(x)|^2 / (f v(x)))
                                  - log(1 + |W (s - mean s)|^2 / f)) + d log v(x)),

beside a place of which nothing is known. Without f it is a normal distribution, its limit, as in
calibrations from before:

    log ratio(x) = -1/2 (|W (s - mean s) - m(x)|^2 / v(x) - |W (s - mean s)|^2 + d log v(x)).

A photo speaks from the middle of its cell, so a million of them cost what their cells cost. Between
the cells' centres the imagery is that of the nearest one. Prototypes count as the photos that they
stand for.

The map B and the spread W are two tables for a whole city: they are fitted on all reference
photos. Photos that are no evidence of one that is judged are taken out of the sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache
from scipy.sparse import csr_array
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from gair.arrays import Floats, Floats32, Ints, Scores, Vectors
from gair.geo import EARTH_RADIUS_M
from gair.processes.forks import fork_safe_lock
from indexer.ground.exemplars import Exemplars
from indexer.regions.cell_field import arc_m, chord_of, chords_within

REACH = 4.0
"""A kernel ends at this many widths, where it is 0.0003."""
RIDGE = 0.15
"""Of the regression, in mean variances of the imagery's dimensions."""
SHRINKAGE = 0.6
"""How far the residuals' covariance is drawn to a sphere."""
FEWEST = 200
"""Reference photos that two tables of a whole city are fitted on, at least."""
FITTED_ON = 20_000
"""The most of them: a fixed random sample."""
MOST_NUMBERS = 100_000_000
"""Cells times dimensions of what is held in memory; larger indexes do without."""
STRAY_M = 500.0
"""A reference photo as far as this from the middle of every cell stands in none."""

_AT_ONCE = 8192
_KERNELS_KEPT = 2
"""Of how many kernels what is expected of all cells is kept."""
_LEAST_VARIANCE = 1e-6
"""Where photos or imagery are all the same."""
CellVectors = Callable[[Ints], Vectors]
"""Of some cells, by their rows: (r, D) vectors of their imagery."""


@dataclass(frozen=True, eq=False)
class Looks:
    """How photos of a city follow its imagery."""

    mean_z: Floats
    mean_s: Floats
    mapping: Floats
    """(D, D) B, to be multiplied from the right."""
    whitening: Floats
    """(D, D) W, the same way."""
    energy: float
    """d, the mean square of whitened residuals."""

    @classmethod
    def fitted(cls, z: Vectors, s: Vectors) -> Looks:
        """From (n, D) vectors of imagery and of the photos that stand in it."""
        mean_z = np.asarray(z.mean(axis=0, dtype=np.float64))
        mean_s = np.asarray(s.mean(axis=0, dtype=np.float64))
        seen, looks = z - mean_z, s - mean_s
        square = seen.T @ seen
        eye = np.eye(len(square))
        ridge = max(RIDGE * np.trace(square) / len(eye), _LEAST_VARIANCE)
        mapping = np.linalg.solve(square + ridge * eye, seen.T @ looks)
        rest = looks - seen @ mapping
        spread = rest.T @ rest / len(rest)
        sphere = max(np.trace(spread) / len(eye), _LEAST_VARIANCE) * eye
        spread = (1 - SHRINKAGE) * spread + SHRINKAGE * sphere
        whitening = np.linalg.cholesky(np.linalg.inv(spread))
        energy = float(np.square(rest @ whitening).sum(axis=1).mean())
        return cls(mean_z, mean_s, mapping, whitening, energy)


@dataclass(frozen=True, eq=False)
class _Residuals:
    """Whitened residuals of the reference photos, added up in the (u,) cells that have some."""

    tree: KDTree
    """The cells' middles."""
    sums: Floats32
    """(u, D)."""
    counts: Floats
    """(u,) how many photos."""


@dataclass(frozen=True, eq=False)
class _Expected:
    """What is expected at each cell by one kernel."""

    means: Floats32
    """(N, D) m."""
    squares: Floats32
    """(N,) their squares."""
    around: Floats
    """(N,) n(x)."""


def cells_around(exemplars: Exemplars, points: KDTree) -> Ints:
    """(e,) the cell that each exemplar stands in, by the (N, 3) middles of cells; -1 for none."""
    cell = points.query(exemplars.places, distance_upper_bound=chord_of(STRAY_M))[1]
    return np.where(cell < points.n, cell, -1).astype(np.int64)


class ExpectedPhotos:
    """Expected photos of the cells of an index; safe to share between threads."""

    def __init__(self, exemplars: Exemplars, points: KDTree, z: CellVectors) -> None:
        """Fit the tables.

        Args:
            exemplars: what stands for the reference photos.
            points: the (N, 3) middles of the cells.
            z: their imagery.
        """
        self._exemplars, self._points = exemplars, points
        self._cell = cells_around(exemplars, points)
        placed = np.flatnonzero(self._cell >= 0)
        sample = placed
        if len(placed) > FITTED_ON:
            drawn = np.random.default_rng(0).choice(len(placed), FITTED_ON, replace=False)
            sample = placed[np.sort(drawn)]
        self.looks = Looks.fitted(z(self._cell[sample]), exemplars.vectors(sample))
        self._base = self._expected_of(z)
        self._lock = fork_safe_lock()
        self._residuals: dict[float, _Residuals] = {}
        self._expected: LRUCache[tuple[float, float, float], _Expected] = LRUCache(_KERNELS_KEPT)

    def prepare(self, kernel_m: float, half_life_years: float, pseudo_photos: float) -> None:
        """Do now what the first photo would wait for."""
        self._expected_by(kernel_m, half_life_years, pseudo_photos)

    def log_ratio(
        self,
        s: Vectors,
        kernel_m: float,
        pseudo_photos: float,
        *,
        freedom: float = 0.0,
        half_life_years: float = 0.0,
        left_out: Ints | None = None,
        rows: Ints | None = None,
    ) -> Floats:
        """The log ratio of a photo at the cells.

        Args:
            s: (D,) the photo's vector.
            kernel_m: how far a reference photo speaks, standard deviation in metres.
            pseudo_photos: p.
            freedom: f; 0: the normal distribution.
            half_life_years: in which a reference photo comes to count half as much; 0: none does.
            left_out: rows of reference photos that count as if they were not there.
            rows: (n,) the cells; None for all.

        Returns:
            (n,).
        """
        white = self._whitened(s)
        whole = self._expected_by(kernel_m, half_life_years, pseudo_photos)
        taken = slice(None) if rows is None else rows
        products = whole.means[taken] @ white.astype(np.float32), whole.squares[taken]
        variance = _variance(whole.around[taken], pseudo_photos)
        logs = self._log(white, products, variance, freedom)
        if left_out is None or not len(left_out):
            return logs
        gone, minus, less = self._without(left_out, half_life_years)
        kernels = sparse_kernels(self._points.data[gone], self._points, kernel_m)
        changed = np.flatnonzero(np.bincount(kernels.indices, minlength=self._points.n))
        at = changed if rows is None else changed[np.isin(changed, rows)]
        if len(at):
            there, around, base = kernels[:, at], whole.around[at], self._base[at]
            sums = (whole.means[at] - base) * (around + pseudo_photos)[:, None] - there.T @ minus
            around = around - there.T @ less
            where = at if rows is None else np.searchsorted(rows, at)
            logs[where] = self._told(white, base, sums, around, pseudo_photos, freedom)
        return logs

    def log_ratio_at(
        self,
        s: Vectors,
        points: Floats,
        kernel_m: float,
        pseudo_photos: float,
        *,
        freedom: float = 0.0,
        half_life_years: float = 0.0,
        left_out: Ints | None = None,
    ) -> Floats:
        """The same at any (Q, 3) points of the unit sphere that lie together, (Q,)."""
        of_cells = self._added_up(half_life_years)
        middle = points.mean(axis=0)
        reach = chord_of(REACH * kernel_m) + np.linalg.norm(points - middle, axis=1).max()
        near = np.sort(np.array(of_cells.tree.query_ball_point(middle, float(reach)), np.int64))
        kernels = dense_kernels(points, of_cells.tree.data[near], kernel_m)
        sums, around = kernels @ of_cells.sums[near], kernels @ of_cells.counts[near]
        if left_out is not None and len(left_out):
            gone, minus, less = self._without(left_out, half_life_years)
            kernels = dense_kernels(points, self._points.data[gone], kernel_m)
            sums, around = sums - kernels @ minus, around - kernels @ less
        base = self._base[self._points.query(points)[1]]
        white = self._whitened(s)
        return self._told(white, base, sums, around, pseudo_photos, freedom)

    def _whitened(self, s: Vectors) -> Floats:
        return np.asarray((np.asarray(s, np.float64) - self.looks.mean_s) @ self.looks.whitening)

    def _expected_of(self, z: CellVectors) -> Floats32:
        """(N, D) what the imagery alone lets expect, whitened."""
        looks = self.looks
        table = (looks.mapping @ looks.whitening).astype(np.float32)
        mean_z = looks.mean_z.astype(np.float32)
        base = np.empty((self._points.n, len(table)), dtype=np.float32)
        for start in range(0, len(base), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(base)))
            base[rows] = (z(rows) - mean_z) @ table
        return base

    def _added_up(self, half_life_years: float) -> _Residuals:
        """The residuals, where photos count by their age."""
        with self._lock:
            if (kept := self._residuals.get(half_life_years)) is not None:
                return kept
        masses = self._exemplars.masses(half_life_years)
        placed = np.flatnonzero((self._cell >= 0) & (masses > 0))
        cells, own = np.unique(self._cell[placed], return_inverse=True)
        counts = np.bincount(own, weights=masses[placed], minlength=len(cells)).astype(np.float64)
        total = np.zeros((len(cells), len(self.looks.mean_s)))
        for start in range(0, len(placed), _AT_ONCE):
            block = slice(start, start + _AT_ONCE)
            where = own[block], np.arange(len(own[block]))
            there = csr_array((masses[placed[block]], where), (len(cells), len(where[1])))
            total += there @ self._exemplars.vectors(placed[block]).astype(np.float64)
        total = (total - counts[:, None] * self.looks.mean_s) @ self.looks.whitening
        sums = (total - counts[:, None] * self._base[cells]).astype(np.float32)
        made = _Residuals(KDTree(self._points.data[cells]), sums, counts)
        with self._lock:
            self._residuals[half_life_years] = made
        return made

    def _expected_by(self, kernel_m: float, half_life_years: float, pseudo: float) -> _Expected:
        """What is expected at the cells."""
        key = kernel_m, half_life_years, pseudo
        with self._lock:
            if (kept := self._expected.get(key)) is not None:
                return kept
        of_cells = self._added_up(half_life_years)
        means, around = np.zeros_like(self._base), np.zeros(len(self._base))
        for start in range(0, len(of_cells.counts), _AT_ONCE):
            block = slice(start, start + _AT_ONCE)
            kernels = sparse_kernels(of_cells.tree.data[block], self._points, kernel_m).T.tocsr()
            means += kernels.astype(np.float32) @ of_cells.sums[block]
            around += kernels @ of_cells.counts[block]
        means *= (1 / (around + pseudo)).astype(np.float32)[:, None]
        means += self._base
        made = _Expected(means, np.square(means).sum(axis=1), around)
        with self._lock:
            self._expected[key] = made
        return made

    def _without(self, photo_rows: Ints, half_life_years: float) -> tuple[Ints, Floats, Floats]:
        """What photos count: their (g,) cells, (g, D) residuals times masses, and (g,) masses."""
        exemplars, parts = self._exemplars.removed(photo_rows, half_life_years)
        cell = self._cell[exemplars]
        placed = cell >= 0
        exemplars, parts, cell = exemplars[placed], parts[placed], cell[placed]
        white = self._whitened(self._exemplars.vectors(exemplars)) - self._base[cell]
        return cell, white * parts[:, None], parts

    def _told(
        self,
        white: Floats,
        base: Floats32,
        sums: Floats,
        around: Floats,
        pseudo: float,
        freedom: float,
    ) -> Floats:
        around = np.maximum(around, 0.0)  # rounding may leave a little less than nothing
        means = base + sums / (around + pseudo)[:, None]
        products = means @ white, np.square(means).sum(axis=1)
        return self._log(white, products, _variance(around, pseudo), freedom)

    def _log(
        self, white: Floats, products: tuple[Scores, Scores], variance: Floats, freedom: float
    ) -> Floats:
        """The log ratio from the products m W(s - mean s), the squares of m, and v."""
        own, d = float(white @ white), self.looks.energy
        # Rounding may leave a little less than nothing of a square.
        away = np.maximum(own - 2 * products[0].astype(np.float64) + products[1], 0.0)
        logs = away / variance
        if freedom:
            logs = (freedom + d) * (np.log1p(logs / freedom) - np.log1p(own / freedom))
        else:
            logs -= own
        return np.asarray(-0.5 * (logs + d * np.log(variance)))


def sparse_kernels(places: Floats, points: KDTree, kernel_m: float) -> csr_array:
    """(r, N) kernels of (r, 3) reference photos at the points of a tree."""
    if not len(places):
        return csr_array((0, points.n))
    kernels = chords_within(places, points, REACH * kernel_m)
    kernels.data[:] = np.exp(-0.5 * (arc_m(kernels.data) / kernel_m) ** 2)
    return kernels


def dense_kernels(points: Floats, places: Floats, kernel_m: float) -> Floats:
    """(Q, r) kernels of (r, 3) reference photos at (Q, 3) points; 0 beyond their reach."""
    # Over some kilometres an arc is as long as its chord, but for a part in a hundred million.
    squares = cdist(points, places, "sqeuclidean")
    beyond = squares > chord_of(REACH * kernel_m) ** 2
    squares *= -0.5 * (EARTH_RADIUS_M / kernel_m) ** 2
    kernels = np.exp(squares, out=squares)
    kernels[beyond] = 0.0
    return np.asarray(kernels)


def _variance(around: Floats, pseudo: float) -> Floats:
    """v: 1 where nothing is near, and less with every photo around."""
    return np.asarray(1 - around / ((1 + pseudo) * (around + pseudo)))
