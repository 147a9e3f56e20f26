"""Standing of a claimed place beside the rest of an index: the numbers behind a verdict.

A claim is a point and a radius: the photo was taken within so many metres of it. What speaks for it
is the posterior mass of its *disc*: the cells whose centre lies within the radius, and the one that
holds the point. The mass is compared with that of discs of the same radius all over the index;
those that overlap the claim's say nothing about it and are left aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gair.arrays import Bools, Floats, Ints
from gair.geo import EARTH_RADIUS_M
from indexer.regions.cell_field import CellField, Discs, chord_of, unit_vectors

RADII_M = (100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
"""Radii that calibration tests claims at, metres."""

_MOST_DISCS = 2000
_FEWEST_DISCS = 200
_MOST_MEMBERS = 1_000_000
"""Cells of all background discs together: what comparing one photo costs."""
_SEED = 20261124
"""Of the background: calibration and every later claim are compared with the same discs."""
IN_CELL = 0.4
"""In distances between cells: a point this near to a centre lies in the cell."""
_SURE = 1e-12
"""Shares are kept this far from 0 and 1, where log odds are infinite."""


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
    area_share: Floats
    """(P,) the area of each claim's disc, as a share of the index's."""
    as_good: Ints
    """(P,) discs of the background with at least that."""
    compared: Ints
    """(P,) discs of the background that do not overlap the claim's."""
    overlapping: Ints
    """(P,) discs of the background that do."""

    @property
    def log_ratio(self) -> Floats:
        """(P,) log odds of the disc under the posterior, over those by area alone.

        It is the score that :mod:`indexer.probability.likelihood_ratios` calibrates. Under a
        posterior that is right, it is the log likelihood ratio against the rest of the index.
        """
        return _log_odds(self.mass) - _log_odds(self.area_share)

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
    points = points_around(field.lonlat_deg[rows], IN_CELL * field.spacing_m, rng)
    discs = claim_discs(field, points, rows, radius_m)
    return Background(discs, unit_vectors(points), radius_m)


def standing(
    p: Floats,
    field: CellField,
    lonlat_deg: Floats,
    own_row: Ints,
    among: Background,
    sums: Floats | None = None,
) -> Standing:
    """How each photo's claim does beside the background.

    Args:
        p: (P, N) posteriors.
        field: the N cells.
        lonlat_deg: (P, 2) the claimed point of each photo.
        own_row: (P,) the cell that holds it; -1 outside the index.
        among: the background; its radius is the claims'.
        sums: (P, C) what each posterior gives each disc of the background, where that is known.
    """
    photo, cell, _, _ = _in_discs(field, lonlat_deg, own_row, among.radius_m)
    mass: Floats = np.bincount(photo, p[photo, cell], minlength=len(p)).astype(np.float64)
    area_m2 = np.bincount(photo, field.area_m2[cell], minlength=len(p))
    area_share = area_m2 / field.area_m2.sum()
    apart = _apart(lonlat_deg, among)
    sums = among.discs.sums(p) if sums is None else sums
    as_good = (sums >= mass[:, None]) & apart  # (P, C)
    counts = apart.sum(axis=1)
    return Standing(mass, area_share, as_good.sum(axis=1), counts, apart.shape[1] - counts)


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


def places_compared(field: CellField, lonlat_deg: Floats, among: Background) -> float:
    """How many distinct places the discs that one claim (2,) is compared with amount to.

    The discs overlap. All of them together cover an area; it is told in discs of mean size.
    """
    apart = among.discs.matrix[_apart(lonlat_deg.reshape(1, 2), among)[0]]
    if not apart.nnz:
        return 0.0
    covered_m2 = field.area_m2[np.unique(apart.indices)].sum()
    return float(covered_m2 / (apart @ field.area_m2).mean())


def disc_points(lonlat_deg: Floats, radius_m: float, count: int = 500) -> Floats:
    """(count, 2) points spread evenly over the disc around one (2,) point: a sunflower's seeds."""
    number = np.arange(count) + 0.5
    far_deg = np.degrees(radius_m * np.sqrt(number / count) / EARTH_RADIUS_M)
    return _displaced(lonlat_deg.reshape(1, 2), far_deg, number * np.pi * (3 - np.sqrt(5)))


def claim_masses(
    p: Floats, field: CellField, lonlat_deg: Floats, own_row: Ints, radii_m: Sequence[float]
) -> Floats:
    """Posterior mass of each photo's own discs, with the cell that holds its point.

    The cells of the largest disc are looked up, and those of the others are among them.

    Args:
        p: (P, N) posteriors.
        field: the cells.
        lonlat_deg: (P, 2) a point a photo.
        own_row: (P,) the cell that holds it; -1 for none.
        radii_m: R of them.

    Returns:
        (P, R).
    """
    if not len(radii_m):
        return np.empty((len(p), 0))
    photo, cell, chord, own = _in_discs(field, lonlat_deg, own_row, max(radii_m))
    weights = p[photo, cell]
    masses = np.empty((len(p), len(radii_m)))
    for column, radius_m in enumerate(radii_m):
        inside = own | (chord <= chord_of(radius_m))
        masses[:, column] = np.bincount(photo[inside], weights[inside], minlength=len(p))
    return masses


def _in_discs(
    field: CellField, lonlat_deg: Floats, own_row: Ints, radius_m: float
) -> tuple[Ints, Ints, Floats, Bools]:
    """The cells of discs around (P, 2) points and the ones that hold the points, disc after disc.

    Returns:
        (n,) the disc of each and its cell, ascending; the chord between, infinite beyond the
        radius; and whether the cell holds the point.
    """
    near = field.chords(lonlat_deg, radius_m)
    photo = np.repeat(np.arange(len(lonlat_deg)), np.diff(near.indptr))
    cell, chord = near.indices, near.data
    # A point's own cell may lie farther off than the radius.
    missing = own_row >= 0
    missing[photo[cell == own_row[photo]]] = False
    if missing.any():
        photo = np.concatenate([photo, np.flatnonzero(missing)])
        cell = np.concatenate([cell, own_row[missing]])
        chord = np.concatenate([chord, np.full(missing.sum(), np.inf)])
        order = np.lexsort((cell, photo))
        photo, cell, chord = photo[order], cell[order], chord[order]
    return photo, cell, chord, np.asarray(cell == own_row[photo])


def claim_discs(field: CellField, lonlat_deg: Floats, own_row: Ints, radius_m: float) -> Discs:
    """The discs around (C, 2) points; with the cell that holds the point, (C,), -1 for none."""
    inside = np.flatnonzero(own_row >= 0)  # a disc may be smaller than the cell around its point
    shape = (len(own_row), len(field))
    own = csr_array((np.ones(len(inside)), (inside, own_row[inside])), shape)
    within = field.discs(lonlat_deg, radius_m).matrix
    return Discs(csr_array(within.maximum(own)))


def points_around(lonlat_deg: npt.ArrayLike, radius_m: float, rng: np.random.Generator) -> Floats:
    """A point within a radius of each of (P, 2) points, drawn evenly over the disc.

    The metres are those of a small disc: good to a part in a thousand up to 100 km from a pole.
    """
    lonlat = np.asarray(lonlat_deg, dtype=np.float64).reshape(-1, 2)
    far_deg = np.degrees(radius_m * np.sqrt(rng.random(len(lonlat))) / EARTH_RADIUS_M)
    angle = 2 * np.pi * rng.random(len(lonlat))
    return _displaced(lonlat, far_deg, angle)


def _displaced(lonlat_deg: Floats, far_deg: Floats, angle: Floats) -> Floats:
    lat = np.clip(lonlat_deg[:, 1] + far_deg * np.cos(angle), -90, 90)
    east_deg = far_deg * np.sin(angle) / np.maximum(np.cos(np.radians(lat)), 1e-6)
    return np.stack([(lonlat_deg[:, 0] + east_deg + 180) % 360 - 180, lat], axis=1)


def _log_odds(share: Floats) -> Floats:
    sure = np.clip(share, _SURE, 1 - _SURE)
    return np.asarray(np.log(sure / (1 - sure)))


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
