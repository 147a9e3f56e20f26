"""Claims of which it is known whether they are true, about photos whose place is known.

A *true* claim puts its point anywhere in the disc around the place. There are two kinds of false
ones: a *random* claim puts it anywhere in the index, by area; a *look-alike* puts it near a place
that looks, on the imagery, like the one where the photo was taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

import numpy as np

from gair.arrays import Bools, Floats, Ints, Vectors
from gair.geo import haversine_m
from gair.processes.crew import shared_full
from indexer.probability.claims import IN_CELL, Background, points_around, standing
from indexer.probability.likelihood_ratios import LOOKALIKE, RANDOM
from indexer.regions.cell_field import CellField, chord_of, unit_vectors
from indexer.regions.highest import highest_rows

TRUE = "true"
KINDS = (TRUE, RANDOM, LOOKALIKE)
"""Of claims that are drawn about each photo."""

_REDRAWS = 50
_ALIKE = 0.01
"""Share of the places far enough away that look most like the true one ..."""
_FEWEST_ALIKE = 10
"""... and how many there are at least."""
_PHOTOS_AT_ONCE = 256


class Place(Protocol):
    """Cells that claims are about; :class:`indexer.search.space.SearchSpace` is one."""

    @property
    def field(self) -> CellField:
        """The cells."""

    def cell_row(self, lonlat_deg: Floats) -> Ints:
        """The cell that holds each of (Q, 2) points; -1 outside the index."""

    def background(self, radius_m: float) -> Background:
        """The discs that claims of a radius are compared with."""


@dataclass(frozen=True, eq=False)
class KnownClaims:
    """One claim of a kind about each of P photos, and how well it does."""

    among: Background
    lonlat_deg: Floats
    """(P, 2) the claimed points."""
    row: Ints
    """(P,) the cells that hold them; -1 outside the index."""
    wanted: Bools
    """(P,) which claims there are: a small index has no room for some."""
    p_elsewhere: Floats
    """(P,) share of places elsewhere that do as well; NaN until it is looked at."""
    score: Floats
    """(P,) what :class:`indexer.probability.likelihood_ratios.RatioCurve` takes; the same."""

    def look(self, field: CellField, p: Floats, block: slice, sums: Floats | None = None) -> None:
        """Test the claims about a block of photos: (B, N) posteriors, :func:`standing`'s sums."""
        stands = standing(p, field, self.lonlat_deg[block], self.row[block], self.among, sums)
        wanted = self.wanted[block]
        self.p_elsewhere[block] = np.where(wanted, stands.p_elsewhere, np.nan)
        self.score[block] = np.where(wanted, stands.log_ratio, np.nan)


def look_at_all(claims: Iterable[KnownClaims], field: CellField, p: Floats, block: slice) -> None:
    """Test several claims about each of a block of photos, (B, N) posteriors.

    Discs of a background are added up once for claims of one radius that come one after another.
    """
    for among, of_radius in groupby(claims, key=lambda one: one.among):
        sums = among.discs.sums(p)
        for one in of_radius:
            one.look(field, p, block, sums)


@dataclass(frozen=True, eq=False)
class Alike:
    """How much places look like those where photos were taken."""

    lonlat_deg: Floats
    """(n, 2) the places."""
    spacing_m: float
    """Between neighbouring cells."""
    vectors: Vectors
    """(n, D) of their imagery."""
    truth_vectors: Vectors
    """(P, D) of the imagery where the photos were taken."""


def draw_claims(
    place: Place,
    truth_lonlat_deg: Floats,
    radius_m: float,
    alike: Alike | None,
    rng: np.random.Generator,
) -> dict[str, KnownClaims]:
    """One claim of each of :data:`KINDS` about each photo; no look-alikes without ``alike``."""
    true = points_around(truth_lonlat_deg, radius_m, rng)
    drawn = {TRUE: (true, np.ones(len(true), dtype=np.bool_))}
    drawn[RANDOM] = false_claims(place.field, truth_lonlat_deg, radius_m, rng)
    if alike is not None:
        # Of a stream of their own, so that the other claims are the same without them.
        own = rng.spawn(1)[0]
        drawn[LOOKALIKE] = lookalike_claims(alike, truth_lonlat_deg, radius_m, own)
    among = place.background(radius_m)
    return {
        kind: claims_at(place, points, among, wanted) for kind, (points, wanted) in drawn.items()
    }


def draw_claims_anywhere(
    place: Place, count: int, radii_m: Sequence[float], rng: np.random.Generator
) -> dict[float, KnownClaims]:
    """One claim anywhere in the index about each of ``count`` photos, for each radius."""
    return {
        radius_m: claims_at(
            place, random_points(place.field, count, rng), place.background(radius_m)
        )
        for radius_m in radii_m
    }


def claims_at(
    place: Place, lonlat_deg: Floats, among: Background, wanted: Bools | None = None
) -> KnownClaims:
    """Claims at (P, 2) points, of which nothing was looked at yet."""
    count = len(lonlat_deg)
    every = np.ones(count, dtype=np.bool_) if wanted is None else wanted
    row = place.cell_row(lonlat_deg)
    empty = shared_full((2, count), np.nan)
    return KnownClaims(among, lonlat_deg, row, every, empty[0], empty[1])


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
        points[todo] = points_around(field.lonlat_deg[cells], IN_CELL * field.spacing_m, rng)
        todo = todo[haversine_m(points[todo], truth_lonlat_deg[todo]) <= radius_m]
        if not len(todo):
            break
    away = np.ones(len(points), dtype=np.bool_)
    away[todo] = False
    return points, away


def random_points(field: CellField, count: int, rng: np.random.Generator) -> Floats:
    """(count, 2) points anywhere in the index, drawn by area."""
    share = field.area_m2 / field.area_m2.sum()
    rows = rng.choice(len(field), count, p=share)
    return points_around(field.lonlat_deg[rows], IN_CELL * field.spacing_m, rng)


def lookalike_claims(
    alike: Alike, truth_lonlat_deg: Floats, radius_m: float, rng: np.random.Generator
) -> tuple[Floats, Bools]:
    """A claim for each photo near a place that looks like the one where it was taken.

    Of the places whose disc cannot overlap the true place's, one of the few that look most like it
    is drawn, and a point anywhere in the disc around it, as a true claim's is.

    Returns:
        (P, 2) points and (P,) for which photos there is such a place.
    """
    truth, places = unit_vectors(truth_lonlat_deg), unit_vectors(alike.lonlat_deg)
    nearest = 1 - chord_of(2 * radius_m) ** 2 / 2  # cosine of the angle of two radii
    points = np.array(truth_lonlat_deg, dtype=np.float64)
    away = np.zeros(len(points), dtype=np.bool_)
    for start in range(0, len(points), _PHOTOS_AT_ONCE):
        block = slice(start, start + _PHOTOS_AT_ONCE)
        far = truth[block] @ places.T < nearest  # (B, n)
        similar = np.where(far, alike.truth_vectors[block] @ alike.vectors.T, -np.inf)
        for photo, (row, count) in enumerate(zip(similar, far.sum(axis=1), strict=True), start):
            if not count:
                continue
            most = min(int(count), max(_FEWEST_ALIKE, int(_ALIKE * count)))
            points[photo] = alike.lonlat_deg[rng.choice(highest_rows(row, most)[:most])]
            away[photo] = True
    # A true claim's place is anywhere in its cell.
    near = points_around(points, IN_CELL * alike.spacing_m, rng)
    return points_around(near, radius_m, rng), away
