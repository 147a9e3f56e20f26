"""Likelihood of a photo over places from reference photos near them.

A place x is as likely as the reference photos around it look like the photo s. With reference
photos j at x_j, a Gaussian kernel K of ``kernel_m`` metres (1 at its middle, cut off at
:data:`REACH` widths) and w_j = exp(sharpness * cos(s, s_j)),

    ratio(x) = (sum_j w_j / b K(x - x_j) + c) / (sum_j K(x - x_j) + c),

where the base rate b is the mean of w_j over all reference photos. It is the mean likeness of the
photos around x, of which :data:`PSEUDO_PHOTOS` = c more have the base rate: where there is no
reference photo the ratio is 1 and its log 0, so such a place is neither punished nor favoured; and
where many stand, they are not added up but averaged. Its log is the third term of a score.

Of the sum over j, the nearest photos are looked at one by one and all others have their mean
(:mod:`indexer.ground.likeness`). Where photos count by their age (:mod:`indexer.ground.ages`) or
prototypes stand for several, each term of the sums, and of the mean that b is, is taken so often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, vstack
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from gair.arrays import Floats, Ints, Vectors
from gair.geo import EARTH_RADIUS_M
from gair.processes.forks import fork_safe_lock
from indexer.ground.likeness import Comparison, Likeness, values_at
from indexer.probability.posterior import ScoreWeights
from indexer.regions.cell_field import arc_m, chord_of, chords_within, unit_vectors

KERNEL_M = 150.0
"""Where nothing is calibrated: a photo speaks for what lies this far around it."""
SHARPNESS = 20.0
"""Where nothing is calibrated: factor of the cosine of two photos."""
REACH = 4.0
"""A kernel ends at this many widths, where it is 0.0003."""
PSEUDO_PHOTOS = 3.0
"""Photos with the base rate that every place has beside its own. With 4.5 and with 45 photos a km2
of an unseen city, three made the true cells of other photos more probable than one."""

_ROWS_AT_ONCE = 4096
"""Reference photos whose kernels are made together."""
_MOST_KEPT = 20_000_000
"""Entries of kernels that are kept: 240 MB."""


@dataclass(frozen=True)
class GroundKernel:
    """How reference photos speak for the places around them."""

    kernel_m: float = KERNEL_M
    """Standard deviation, metres."""
    sharpness: float = SHARPNESS
    """Factor of the cosine of two photos."""
    half_life_years: float = 0.0
    """In which a photo comes to count half as much; 0: its age does not count."""
    pseudo_photos: float = PSEUDO_PHOTOS
    """Photos with the base rate that every place has beside its own."""

    @classmethod
    def of(cls, weights: ScoreWeights) -> GroundKernel:
        """As it was fitted; the default where it was not."""
        if not weights.ground_kernel_m:
            return cls()
        return cls(
            weights.ground_kernel_m,
            weights.ground_sharpness,
            weights.ground_half_life_years,
            weights.ground_pseudo_photos,
        )


@dataclass(frozen=True, eq=False)
class GroundEvidence:
    """What reference photos say of P photos."""

    field: GroundField
    kernel: GroundKernel
    likenesses: list[Likeness]
    """Of each photo."""
    log_ratios: Vectors
    """(P, N) at each point of the field."""

    def at(self, lonlat_deg: Floats) -> Floats:
        """The sum of the photos' log ratios at any (Q, 2) points that lie together, (Q,)."""
        each = [self.field.log_ratio_at(one, self.kernel, lonlat_deg) for one in self.likenesses]
        return np.asarray(np.sum(each, axis=0), dtype=np.float64)

    def taken(self, photos: Ints) -> GroundEvidence:
        """Of some of the photos, in this order."""
        some = [self.likenesses[number] for number in photos.tolist()]
        return GroundEvidence(self.field, self.kernel, some, self.log_ratios[photos])

    def one_by_one(self) -> list[GroundEvidence]:
        """Of each photo for itself."""
        each = enumerate(self.likenesses)
        logs = self.log_ratios
        return [GroundEvidence(self.field, self.kernel, [one], logs[[n]]) for n, one in each]


class GroundField:
    """Reference photos around some points, such as the centres of cells; safe between threads."""

    def __init__(self, comparison: Comparison, lonlat_deg: Floats) -> None:
        """Take a comparison with reference photos and (N, 2) points."""
        self.comparison = comparison
        self._points = KDTree(unit_vectors(lonlat_deg))
        self._lock = fork_safe_lock()
        self._density: dict[tuple[float, float], Floats] = {}
        self._kept: dict[float, csr_array] = {}

    def density(self, kernel_m: float, half_life_years: float = 0.0) -> Floats:
        """(N,) sum of the kernels of all reference photos: about how many stand around."""
        key = (kernel_m, half_life_years)
        with self._lock:
            if key in self._density:
                return self._density[key]
            kernels = self._kept.get(kernel_m)
        masses = self.comparison.exemplars.masses(half_life_years)
        if kernels is not None:
            total = np.asarray(kernels.T @ masses)
        else:
            total, kernels = self._added_up(kernel_m, masses)
        with self._lock:
            self._density[key] = total
            if kernels is not None:
                self._kept[kernel_m] = kernels
        return total

    def evidence(
        self, s: Vectors, kernel: GroundKernel, left_out: Sequence[Ints] | None = None
    ) -> GroundEvidence:
        """What the reference photos say of (P, D) photos, but for what is left out for each."""
        likenesses = self.comparison.likenesses(s, left_out)
        return GroundEvidence(self, kernel, likenesses, self.log_ratios(likenesses, kernel))

    def log_ratios(self, likenesses: Sequence[Likeness], kernel: GroundKernel) -> Vectors:
        """The log of the ratio of each of P photos at each point, (P, N); 0 without photos."""
        density = self.density(kernel.kernel_m, kernel.half_life_years)
        logs = np.empty((len(likenesses), len(density)), dtype=np.float32)
        for number, likeness in enumerate(likenesses):
            excess, other, removed, parts = self._read(likeness, kernel)
            near = self._sum(likeness.rows, excess, kernel.kernel_m)
            around = density
            if len(removed):
                around = density - self._sum(removed, parts, kernel.kernel_m)
            logs[number] = _log_ratio(near, other, around, kernel.pseudo_photos)
        return logs

    def _read(self, likeness: Likeness, kernel: GroundKernel) -> tuple[Floats, float, Ints, Floats]:
        """What the exemplars count that one photo looks like, and those that are left out for it.

        Returns:
            (m,) what each of its nearest weighs more than the others, times its mass; what each of
            the others weighs; (g,) exemplars that lose photos, ascending; and (g,) how many.
        """
        if kernel.half_life_years or likeness.masses is None:
            likeness = self.comparison.by_age(likeness, kernel.half_life_years)
        weights, other = likeness.weights(kernel.sharpness)
        removed, parts = self.comparison.exemplars.removed(
            likeness.left_out, kernel.half_life_years
        )
        assert likeness.masses is not None
        return likeness.masses * (weights - other), other, removed, parts

    def log_ratio_at(
        self, likeness: Likeness, kernel: GroundKernel, lonlat_deg: npt.ArrayLike
    ) -> Floats:
        """The same of one photo at any (Q, 2) points that lie together, (Q,)."""
        points = unit_vectors(lonlat_deg)
        if not len(points):
            return np.empty(0)
        exemplars, reach_m = self.comparison.exemplars, REACH * kernel.kernel_m
        middle = points.mean(axis=0)
        reach = chord_of(reach_m) + np.linalg.norm(points - middle, axis=1).max()
        around = exemplars.tree.query_ball_point(middle, float(reach))
        rows = np.sort(np.array(around, dtype=np.int64))
        excess, other, removed, parts = self._read(likeness, kernel)
        masses = exemplars.masses(kernel.half_life_years)[rows] - values_at(rows, removed, parts)
        order = np.argsort(likeness.rows)
        more = values_at(rows, likeness.rows[order], excess[order])
        # So few points that a dense matrix is quicker than the machinery of a sparse one.
        near, total = np.zeros(len(points)), np.zeros(len(points))
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            kernels = _dense_kernels(points, exemplars.places[rows[block]], kernel.kernel_m)
            near += kernels @ more[block]
            total += kernels @ masses[block]
        return _log_ratio(near, other, total, kernel.pseudo_photos)

    def part(self, rows: Ints, lonlat_deg: Floats) -> GroundField:
        """The same at (n,) of the points alone, (n, 2); their density is not added up again."""
        field = GroundField(self.comparison, lonlat_deg)
        with self._lock:
            field._density = {key: density[rows] for key, density in self._density.items()}
        return field

    def _sum(self, rows: Ints, weights: Floats, kernel_m: float) -> Floats:
        """Sum of the kernels of (r,) reference photos, each times its weight: (N,)."""
        kept = self._kept.get(kernel_m)
        if kept is None:
            places = self.comparison.exemplars.places[rows]
            return np.asarray(_kernels(places, self._points, kernel_m).T @ weights)
        return np.asarray(kept[rows].T @ weights)

    def _added_up(self, kernel_m: float, masses: Floats) -> tuple[Floats, csr_array | None]:
        """The density, and the kernels that it is the sum of; None where these are many."""
        every = self.comparison.exemplars.places
        total = np.zeros(self._points.n)
        blocks: list[csr_array] | None = []
        for start in range(0, len(every), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            kernels = _kernels(every[block], self._points, kernel_m)
            total += np.asarray(kernels.T @ masses[block])
            if blocks is not None:
                blocks.append(kernels)
                blocks = None if sum(block.nnz for block in blocks) > _MOST_KEPT else blocks
        return total, vstack(blocks, format="csr") if blocks else None


def _kernels(places: Floats, points: KDTree, kernel_m: float) -> csr_array:
    """(r, N) kernels of (r, 3) reference photos at the points of a tree."""
    if not len(places):
        return csr_array((0, points.n))
    kernels = chords_within(places, points, REACH * kernel_m)
    kernels.data[:] = np.exp(-0.5 * (arc_m(kernels.data) / kernel_m) ** 2)
    return kernels


def _dense_kernels(points: Floats, places: Floats, kernel_m: float) -> Floats:
    """(Q, r) kernels of (r, 3) reference photos at (Q, 3) points; 0 beyond their reach."""
    # Over some kilometres an arc is as long as its chord, but for a part in a hundred million.
    squares = cdist(points, places, "sqeuclidean")
    beyond = squares > chord_of(REACH * kernel_m) ** 2
    squares *= -0.5 * (EARTH_RADIUS_M / kernel_m) ** 2
    kernels = np.exp(squares, out=squares)
    kernels[beyond] = 0.0
    return np.asarray(kernels)


def _log_ratio(near: Floats, other: float, around: Floats, pseudo: float) -> Floats:
    """Log of the ratio at (N,) points.

    Args:
        near: (N,) sum of the kernels of the photos that were looked at, times what each weighs more
            than the others.
        other: what each of the others weighs.
        around: (N,) sum of all kernels.
        pseudo: how many photos of the base rate every place has beside its own.
    """
    # Where kernels were taken away again, rounding may leave a little less than nothing.
    around = np.maximum(around, 0.0)
    likely = np.maximum(near + other * around, 0.0)
    return np.asarray(np.log((likely + pseudo) / (around + pseudo)))
