"""Likelihood of a photo over places from reference photos near them.

A place x is as likely as the reference photos around it look like the photo s. With reference
photos j at x_j, a Gaussian kernel K of ``kernel_m`` metres (1 at its middle, cut off at
:data:`REACH` widths) and w_j = exp(sharpness * cos(s, s_j)),

    ratio(x) = (sum_j w_j / b K(x - x_j) + c) / (sum_j K(x - x_j) + c),

where the base rate b is the mean of w_j over all reference photos. It is the mean likeness of the
photos around x, of which :data:`PSEUDO_PHOTOS` = c more have the base rate: where there is no
reference photo the ratio is 1, and where many stand, they are not added up but averaged.

The ratio to the power of its weight g is how likely reference photos make a place beside others
that have some. It says nothing of places that have none, and the largest of thousands of ratios is
large wherever the photo was taken. So what reference photos say is shared out among the places
that have some. If p(x) is how likely imagery and location make the cells,

    said(x) = 1 - k(x) + k(x) ratio(x)^g / Z,    k(x) = n(x) / (n(x) + e),  n(x) = sum_j K(x - x_j),
    Z = sum_x p(x) k(x) ratio(x)^g / sum_x p(x) k(x),

with e = :data:`EDGE_PHOTOS`. Then sum_x p(x) said(x) = sum_x p(x): places with reference photos are
together as likely as before, and so is every place without any. The third term of a score is
log said(x), or g times the log ratio that people are shown, log said(x) / g. Where each place has
photos, Z is the same for all, and the order of places is that of the ratio. Calibrations up to
version 5 have the ratio itself for the log ratio.

Where it earns more, a photo is not compared with others one by one but with what is expected of a
place (:mod:`indexer.ground.expected`); that says something of every place, so k(x) = 1 then.

Of the sum over j, the nearest photos are looked at one by one and all others have their mean
(:mod:`indexer.ground.likeness`). Where photos count by their age or prototypes stand for several
(:mod:`indexer.ground.exemplars`), each term of the sums, and of the mean that b is, is taken so
often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, vstack
from scipy.spatial import KDTree

from gair.arrays import Floats, Ints, Scores, Vectors
from gair.errors import UsageError
from gair.processes.forks import fork_safe_lock
from indexer.ground.expected import (
    FEWEST,
    MOST_NUMBERS,
    REACH,
    CellVectors,
    ExpectedPhotos,
    cells_around,
    dense_kernels,
    sparse_kernels,
)
from indexer.ground.likeness import Comparison, Likeness, values_at
from indexer.probability.posterior import ScoreWeights
from indexer.regions.cell_field import chord_of, unit_vectors

KERNEL_M = 150.0
"""Where nothing is calibrated: a photo speaks for what lies this far around it."""
SHARPNESS = 20.0
"""Where nothing is calibrated: factor of the cosine of two photos."""
PSEUDO_PHOTOS = 3.0
"""Photos with the base rate that every place has beside its own. With 4.5 and with 45 photos a km2
of an unseen city, three made the true cells of other photos more probable than one."""

EDGE_PHOTOS = 0.1
"""A place with this many photos around it counts as one with and one without, half each."""

_ROWS_AT_ONCE = 4096
"""Reference photos whose kernels are made together."""
_NO_MASS = float(np.finfo(np.float64).tiny)
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
    rs_weight: float | None = None
    """Factor of the imagery's cosine in how likely cells are without reference photos; None: what
    these say is not shared out."""
    location_weight: float = 0.0
    """The same of the location's cosine."""
    expected_photos: float = 0.0
    """Where above 0, a photo is compared with what :mod:`indexer.ground.expected` expects of a
    place instead of with other photos one by one, and this is its p."""
    freedom: float = 0.0
    """Its degrees of freedom; 0: a normal distribution."""
    power: float = 1.0
    """Of the ratio when it is shared out: the weight that its log gets."""

    @classmethod
    def of(cls, weights: ScoreWeights) -> GroundKernel:
        """As it was fitted; the default where it was not."""
        if not weights.ground_kernel_m:
            return cls(rs_weight=weights.rs_weight, location_weight=weights.location_weight)
        return cls(
            weights.ground_kernel_m,
            weights.ground_sharpness,
            weights.ground_half_life_years,
            weights.ground_pseudo_photos,
            weights.ground_rs_weight,
            weights.ground_location_weight,
            weights.ground_expected_photos,
            weights.ground_freedom,
            weights.ground_weight if weights.ground_weight > 0 else 1.0,
        )

    def score_weights(
        self, rs_weight: float, location_weight: float, spread_m: float, weight: float
    ) -> ScoreWeights:
        """Weights with this kernel; the last of the reference photos."""
        own = astuple(replace(self, power=weight))[:-1]
        return ScoreWeights(rs_weight, location_weight, spread_m, weight, *own)

    def likely(self, rs: Scores, location: Scores, area_m2: Floats) -> Floats | None:
        """How likely cells are without reference photos; None where nothing is shared out.

        Args:
            rs: (P, N) cosines of the imagery.
            location: (P, N) cosines of the location embeddings.
            area_m2: (N,) that each cell stands for.

        Returns:
            (P, N), each photo's up to a factor.
        """
        if self.rs_weight is None:
            return None
        logs: Floats = self.rs_weight * np.asarray(rs, dtype=np.float64)
        if self.location_weight:
            logs += self.location_weight * np.asarray(location, dtype=np.float64)
        logs -= logs.max(axis=1, keepdims=True)
        return np.asarray(np.exp(logs, out=logs) * area_m2)


@dataclass(frozen=True, eq=False)
class GroundEvidence:
    """What reference photos say of P photos."""

    field: GroundField
    kernel: GroundKernel
    likenesses: list[Likeness]
    """Of each photo."""
    log_ratios: Vectors
    """(P, N) at each point of the field."""
    levels: Floats | None
    """(P,) log Z of each photo; None where nothing is shared out."""

    def at(self, lonlat_deg: Floats) -> Floats:
        """The sum of the photos' log ratios at any (Q, 2) points that lie together, (Q,)."""
        levels = [None] * len(self.likenesses) if self.levels is None else self.levels
        each = [
            self.field.log_ratio_at(likeness, self.kernel, lonlat_deg, level)
            for likeness, level in zip(self.likenesses, levels, strict=True)
        ]
        return np.asarray(np.sum(each, axis=0), dtype=np.float64)

    def one_by_one(self) -> list[GroundEvidence]:
        """Of each photo for itself."""
        parts = [slice(number, number + 1) for number in range(len(self.likenesses))]
        return [
            replace(
                self,
                likenesses=self.likenesses[part],
                log_ratios=self.log_ratios[part],  # no copy
                levels=None if self.levels is None else self.levels[part],
            )
            for part in parts
        ]


class GroundField:
    """Reference photos around some points, such as the centres of cells; safe between threads."""

    def __init__(
        self, comparison: Comparison, lonlat_deg: Floats, z: CellVectors | None = None
    ) -> None:
        """Take a comparison with reference photos and (N, 2) points.

        Args:
            comparison: with the reference photos.
            lonlat_deg: the points.
            z: the imagery's vectors of some of them; without it no photos can be expected.
        """
        self.comparison = comparison
        self._points = KDTree(unit_vectors(lonlat_deg))
        self._z = z
        self._expected: ExpectedPhotos | None = None
        self._part_of: tuple[GroundField, Ints] | None = None
        self._lock = fork_safe_lock()
        self._density: dict[tuple[float, float], Floats] = {}
        self._kept: dict[float, csr_array] = {}

    @property
    def expects(self) -> bool:
        """Whether photos of places can be expected: there are enough, and the index is not huge."""
        exemplars = self.comparison.exemplars
        if self._z is None or len(exemplars) < FEWEST:
            return False
        dimensions: int = exemplars.vectors(np.arange(1)).shape[1]
        if int(self._points.n) * dimensions > MOST_NUMBERS:
            return False
        return int((cells_around(exemplars, self._points) >= 0).sum()) >= FEWEST

    def expected(self) -> ExpectedPhotos:
        """What photos of places should look like; made when it is first asked for."""
        if self._part_of is not None:
            return self._part_of[0].expected()
        with self._lock:
            if self._expected is None:
                if self._z is None:
                    raise UsageError("no photos can be expected of points without imagery")
                made = ExpectedPhotos(self.comparison.exemplars, self._points, self._z)
                self._expected = made
            return self._expected

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

    def prepare(self, kernel: GroundKernel) -> None:
        """Do now what the first photo would wait for."""
        if kernel.expected_photos:
            self.expected().prepare(kernel.kernel_m, kernel.half_life_years, kernel.expected_photos)
        else:
            self.density(kernel.kernel_m, kernel.half_life_years)

    def evidence(
        self,
        s: Vectors,
        kernel: GroundKernel,
        left_out: Sequence[Ints] | None = None,
        likely: Floats | None = None,
    ) -> GroundEvidence:
        """What the reference photos say of some photos.

        Args:
            s: (P, D) vectors of the photos.
            kernel: how reference photos speak.
            left_out: of each photo, the rows of those that are no evidence of it; None for none.
            likely: (P, N) of :meth:`GroundKernel.likely`.
        """
        return self.read(self.comparison.likenesses(s, left_out), kernel, likely)

    def read(
        self, likenesses: Sequence[Likeness], kernel: GroundKernel, likely: Floats | None = None
    ) -> GroundEvidence:
        """The same of photos that were compared before."""
        logs = np.empty((len(likenesses), self._points.n), dtype=np.float32)
        levels = None if likely is None else np.zeros(len(likenesses))
        for number, likeness in enumerate(likenesses):
            ratio, covered = self.ratio(likeness, kernel)
            if likely is not None and levels is not None:
                levels[number] = level_of(ratio, covered, likely[number], kernel.power)
                ratio = shared_out(ratio, covered, levels[number], kernel.power) / kernel.power
            logs[number] = ratio
        return GroundEvidence(self, kernel, list(likenesses), logs, levels)

    def ratio(self, likeness: Likeness, kernel: GroundKernel) -> tuple[Floats, Floats]:
        """The log of the ratio of one photo at each point, (N,), and k, (N,), how far it has any.

        Nothing is shared out yet. Of every place a photo can be expected, so there k is 1.
        """
        if kernel.expected_photos:
            assert likeness.s is not None
            logs = self.expected().log_ratio(
                likeness.s,
                kernel.kernel_m,
                kernel.expected_photos,
                freedom=kernel.freedom,
                half_life_years=kernel.half_life_years,
                left_out=likeness.left_out,
                rows=None if self._part_of is None else self._part_of[1],
            )
            return logs, np.ones(len(logs))
        around = self.density(kernel.kernel_m, kernel.half_life_years)
        excess, other, removed, parts = self._counted(likeness, kernel)
        near = self._sum(likeness.rows, excess, kernel.kernel_m)
        if len(removed):
            around = around - self._sum(removed, parts, kernel.kernel_m)
        return _log_ratio(near, other, around, kernel.pseudo_photos)

    def _counted(
        self, likeness: Likeness, kernel: GroundKernel
    ) -> tuple[Floats, float, Ints, Floats]:
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
        self,
        likeness: Likeness,
        kernel: GroundKernel,
        lonlat_deg: npt.ArrayLike,
        level: float | None = None,
    ) -> Floats:
        """What is said of one photo at any (Q, 2) points that lie together, (Q,).

        Args:
            likeness: of the photo.
            kernel: how reference photos speak.
            lonlat_deg: the points.
            level: log Z of the photo; None where nothing is shared out.
        """
        points = unit_vectors(lonlat_deg)
        if not len(points):
            return np.empty(0)
        if kernel.expected_photos:
            assert likeness.s is not None
            ratio = self.expected().log_ratio_at(
                likeness.s,
                points,
                kernel.kernel_m,
                kernel.expected_photos,
                freedom=kernel.freedom,
                half_life_years=kernel.half_life_years,
                left_out=likeness.left_out,
            )
            if level is None:
                return ratio
            return shared_out(ratio, np.ones(len(ratio)), level, kernel.power) / kernel.power
        exemplars, reach_m = self.comparison.exemplars, REACH * kernel.kernel_m
        middle = points.mean(axis=0)
        reach = chord_of(reach_m) + np.linalg.norm(points - middle, axis=1).max()
        around = exemplars.tree.query_ball_point(middle, float(reach))
        rows = np.sort(np.array(around, dtype=np.int64))
        excess, other, removed, parts = self._counted(likeness, kernel)
        masses = exemplars.masses(kernel.half_life_years)[rows] - values_at(rows, removed, parts)
        order = np.argsort(likeness.rows)
        more = values_at(rows, likeness.rows[order], excess[order])
        # So few points that a dense matrix is quicker than the machinery of a sparse one.
        near, total = np.zeros(len(points)), np.zeros(len(points))
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            kernels = dense_kernels(points, exemplars.places[rows[block]], kernel.kernel_m)
            near += kernels @ more[block]
            total += kernels @ masses[block]
        ratio, covered = _log_ratio(near, other, total, kernel.pseudo_photos)
        if level is None:
            return ratio
        return shared_out(ratio, covered, level, kernel.power) / kernel.power

    def part(self, rows: Ints, lonlat_deg: Floats) -> GroundField:
        """The same at (n,) of the points alone, (n, 2); their density is not added up again."""
        field = GroundField(self.comparison, lonlat_deg)
        with self._lock:
            field._density = {key: density[rows] for key, density in self._density.items()}
        field._part_of = self, rows
        return field

    def _sum(self, rows: Ints, weights: Floats, kernel_m: float) -> Floats:
        """Sum of the kernels of (r,) reference photos, each times its weight: (N,)."""
        kept = self._kept.get(kernel_m)
        if kept is None:
            places = self.comparison.exemplars.places[rows]
            return np.asarray(sparse_kernels(places, self._points, kernel_m).T @ weights)
        return np.asarray(kept[rows].T @ weights)

    def _added_up(self, kernel_m: float, masses: Floats) -> tuple[Floats, csr_array | None]:
        """The density, and the kernels that it is the sum of; None where these are many."""
        every = self.comparison.exemplars.places
        total = np.zeros(self._points.n)
        blocks: list[csr_array] | None = []
        for start in range(0, len(every), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            kernels = sparse_kernels(every[block], self._points, kernel_m)
            total += np.asarray(kernels.T @ masses[block])
            if blocks is not None:
                blocks.append(kernels)
                blocks = None if sum(block.nnz for block in blocks) > _MOST_KEPT else blocks
        return total, vstack(blocks, format="csr") if blocks else None


def _log_ratio(near: Floats, other: float, around: Floats, pseudo: float) -> tuple[Floats, Floats]:
    """Log of the ratio at (N,) points, and k, (N,), how far each has reference photos.

    Args:
        near: (N,) sum of the kernels of the photos that were looked at, times what each weighs more
            than the others.
        other: what each of the others weighs.
        around: (N,) sum of all kernels.
        pseudo: how many photos of the base rate every place has beside its own.
    """
    # Where kernels were taken away again, rounding may leave a little less than nothing.
    around = np.maximum(around, 0.0)
    alike = np.maximum(near + other * around, 0.0)
    logs = np.log((alike + pseudo) / (around + pseudo))
    return np.asarray(logs), around / (around + EDGE_PHOTOS)


def level_of(log_ratio: Floats, covered: Floats, likely: Floats, power: float) -> float:
    """Log Z of one photo; 0 where no likely place has reference photos.

    Args:
        log_ratio: (N,) at each cell.
        covered: (N,) k at each.
        likely: (N,) how likely each is without reference photos, up to a factor.
        power: of the ratio.
    """
    counts = likely * covered
    total = float(counts.sum())
    top = power * float(log_ratio.max(initial=0.0))
    whole = float(counts @ np.exp(power * log_ratio - top))
    return float(np.log(whole / total)) + top if min(total, whole) > _NO_MASS else 0.0


def shared_out(log_ratio: Floats, covered: Floats, level: float | Floats, power: float) -> Floats:
    """Log of what reference photos say at (N,) points; of (P, N) with (P, 1) levels."""
    logs = np.asarray(power * log_ratio - level)
    if (covered == 1).all():  # where a log of nearly nothing would be rounded to nothing
        return logs
    return np.asarray(np.log1p(covered * np.expm1(logs)))
