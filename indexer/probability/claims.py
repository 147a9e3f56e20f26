"""Standing of a claimed place beside the rest of an index: the numbers behind a verdict.

A claim is a point and a radius: the photo was taken within so many metres of it. What speaks for it
is the posterior mass of its *disc*: the cells whose centre lies within the radius, and the one that
holds the point. The mass is compared with that of discs of the same radius all over the index;
those that overlap the claim's say nothing about it and are left aside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gair.arrays import Bools, Floats, Ints
from gair.geo import EARTH_RADIUS_M, haversine_m
from indexer.regions.cell_field import CellField, Discs, chord_of, unit_vectors

RADII_M = (100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
"""Radii that calibration tests claims at, metres."""

_MOST_DISCS = 2000
_FEWEST_DISCS = 200
_MOST_MEMBERS = 1_000_000
"""Cells of all background discs together: what comparing one photo costs."""
_SEED = 20261124
"""Of the background: calibration and every later claim are compared with the same discs."""
_REDRAWS = 50
_IN_CELL = 0.4
"""In distances between cells: a point this near to a centre lies in the cell."""


@dataclass(frozen=True, eq=False)
class Background:
    """Discs all over the index, for comparison."""

    discs: Discs
    points: Floats
    """(C, 3) the points they are around, on the unit sphere."""
    radius_m: float


@dataclass(frozen=True, eq=False)
class Standing:
    """How claims do beside the background."""

    mass: Floats
    """(P,) posterior mass of each claim's disc."""
    as_good: Ints
    """(P,) discs of the background with at least that."""
    compared: Ints
    """(P,) discs of the background that do not overlap the claim's."""
    overlapping: Ints
    """(P,) discs of the background that do."""

    @property
    def p_elsewhere(self) -> Floats:
        """(P,) share of places that do at least as well, the claim itself counted."""
        return np.asarray((1 + self.as_good) / (1 + self.compared))

    @property
    def p_false(self) -> Floats:
        """(P,) bound on the share of random claims that do as well: those overlapping count as if.

        Of claims drawn by area at most 5 % get less than 0.05, which
        :attr:`p_elsewhere` does not promise where discs cover much of the index.
        """
        bad = 1 + self.as_good + self.overlapping
        return np.asarray(bad / (1 + self.compared + self.overlapping))


def background(field: CellField, radius_m: float) -> Background:
    """Discs around points drawn by area, the same ones each time; fewer where they are large.

    It takes time: :meth:`indexer.search.space.SearchSpace.background` keeps it.
    """
    members = np.pi * radius_m**2 / field.area_m2.mean() + 1
    count = int(np.clip(_MOST_MEMBERS / members, _FEWEST_DISCS, _MOST_DISCS))
    rng = np.random.default_rng(_SEED)
    share = field.area_m2 / field.area_m2.sum()
    rows = np.sort(rng.choice(len(field), min(count, len(field)), replace=False, p=share))
    points = points_around(field.lonlat_deg[rows], _IN_CELL * field.spacing_m, rng)
    own = csr_array((np.ones(len(rows)), (np.arange(len(rows)), rows)), (len(rows), len(field)))
    within = field.discs(points, radius_m).matrix
    return Background(Discs(csr_array(within.maximum(own))), unit_vectors(points), radius_m)


def standing(
    p: Floats, field: CellField, lonlat_deg: Floats, own_row: Ints, among: Background
) -> Standing:
    """How each photo's claim does beside the background.

    Args:
        p: (P, N) posteriors.
        field: the N cells.
        lonlat_deg: (P, 2) the claimed point of each photo.
        own_row: (P,) the cell that holds it; -1 outside the index.
        among: the background; its radius is the claims'.
    """
    mass = claim_mass(p, field, lonlat_deg, own_row, among.radius_m)
    apart = _apart(lonlat_deg, among)
    as_good = (among.discs.sums(p) >= mass[:, None]) & apart  # (P, C)
    counts = apart.sum(axis=1)
    return Standing(mass, as_good.sum(axis=1), counts, apart.shape[1] - counts)


def masses_elsewhere(p: Floats, lonlat_deg: Floats, among: Background) -> Floats:
    """What one posterior (N,) gives those discs of the background that do not overlap a claim's.

    They are what :func:`standing` compares the claim's own mass with.
    """
    return np.asarray(among.discs.sums(p[None])[0][_apart(lonlat_deg.reshape(1, 2), among)[0]])


def _apart(lonlat_deg: Floats, among: Background) -> Bools:
    """(P, C) which discs of the background do not overlap each claim's."""
    cosine = unit_vectors(lonlat_deg) @ among.points.T
    if 2 * among.radius_m >= np.pi * EARTH_RADIUS_M:  # discs of half the Earth
        return np.zeros(cosine.shape, dtype=np.bool_)
    # Of unit vectors, chord^2 = 2 - 2 cosine; discs are apart where centres are two radii apart.
    return np.asarray(cosine < 1 - chord_of(2 * among.radius_m) ** 2 / 2)


def claim_mass(
    p: Floats, field: CellField, lonlat_deg: Floats, own_row: Ints, radius_m: float
) -> Floats:
    """Posterior mass of each photo's own disc and of the cell that holds its point, (P,)."""
    discs = field.discs(lonlat_deg, radius_m)
    photo = np.repeat(np.arange(len(p)), np.diff(discs.matrix.indptr))  # (M,) of each entry
    missed = own_row >= 0  # (P,) a disc may be smaller than the cell around its point
    missed[photo[discs.matrix.indices == own_row[photo]]] = False
    own = np.where(missed, p[np.arange(len(p)), own_row], 0.0)
    return own_sums(p, discs) + own


def own_sums(p: Floats, discs: Discs) -> Floats:
    """What the cells of each photo's own disc add up to: (P, N) and P discs to (P,)."""
    photo = np.repeat(np.arange(len(p)), np.diff(discs.matrix.indptr))
    sums = np.bincount(photo, weights=p[photo, discs.matrix.indices], minlength=len(p))
    return np.asarray(sums, dtype=np.float64)


def points_around(lonlat_deg: npt.ArrayLike, radius_m: float, rng: np.random.Generator) -> Floats:
    """A point within a radius of each of (P, 2) points, drawn evenly over the disc.

    The metres are those of a small disc: good to a part in a thousand up to 100 km from a pole.
    """
    lonlat = np.asarray(lonlat_deg, dtype=np.float64).reshape(-1, 2)
    far_deg = np.degrees(radius_m * np.sqrt(rng.random(len(lonlat))) / EARTH_RADIUS_M)
    angle = 2 * np.pi * rng.random(len(lonlat))
    lat = np.clip(lonlat[:, 1] + far_deg * np.cos(angle), -90, 90)
    lon = lonlat[:, 0] + far_deg * np.sin(angle) / np.maximum(np.cos(np.radians(lat)), 1e-6)
    return np.stack([(lon + 180) % 360 - 180, lat], axis=1)


def false_claims(
    field: CellField, truth_lonlat_deg: Floats, radius_m: float, rng: np.random.Generator
) -> tuple[Floats, Bools]:
    """A claim for each photo that is not true: somewhere in the index, drawn by area.

    Returns:
        (P, 2) points and (P,) which of them are farther than the radius from where the photo was
        taken; not all are where the index is hardly larger than a disc.
    """
    share = field.area_m2 / field.area_m2.sum()
    points = np.empty((len(truth_lonlat_deg), 2))
    todo = np.arange(len(points))
    for _ in range(_REDRAWS):
        cells = rng.choice(len(field), len(todo), p=share)
        points[todo] = points_around(field.lonlat_deg[cells], _IN_CELL * field.spacing_m, rng)
        todo = todo[haversine_m(points[todo], truth_lonlat_deg[todo]) <= radius_m]
        if not len(todo):
            break
    away = np.ones(len(points), dtype=np.bool_)
    away[todo] = False
    return points, away


def calibrated_radius_m(radius_m: float) -> float | None:
    """The radius that a claim is tested at: the next of :data:`RADII_M`; None beyond the last."""
    return next((r for r in RADII_M if r >= radius_m), None)


def share_as_bad(p_elsewhere: npt.ArrayLike, of_claims: Floats) -> Floats:
    """Conformal p-values: which share of some claims did as badly.

    Args:
        p_elsewhere: (Q,) how the claims in question do.
        of_claims: (n,) how others do, ascending.
    """
    better = np.searchsorted(of_claims, np.asarray(p_elsewhere), side="left")
    return np.asarray((1 + len(of_claims) - better) / (1 + len(of_claims)), dtype=np.float64)


def share_as_good(p_elsewhere: npt.ArrayLike, of_claims: Floats) -> Floats:
    """Conformal p-values: which share of some claims did as well. See :func:`share_as_bad`."""
    as_good = np.searchsorted(of_claims, np.asarray(p_elsewhere), side="right")
    return np.asarray((1 + as_good) / (1 + len(of_claims)), dtype=np.float64)
