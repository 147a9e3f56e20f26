"""What photos whose place is known show of an index's errors: one pass over those held back.

The photos go through in blocks, so that the memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gair.arrays import Floats, Ints, Vectors
from gair.geo import haversine_m
from gair.progress import Progress
from indexer.probability.claims import (
    RADII_M,
    Background,
    background,
    false_claims,
    own_sums,
    points_around,
    standing,
)
from indexer.probability.conformal import mass_to_reach, region_rows
from indexer.probability.out_of_index import evidence_of
from indexer.probability.posterior import ScoreWeights, area_log_prior, log_likelihood, posterior

if TYPE_CHECKING:
    from indexer.search.geolocator import Geolocator


CONFIDENCE_RADII_M = (200.0, 500.0, 1000.0, 2000.0, 5000.0)
"""Radii around the best guess that confidence is calibrated for, metres."""

_ENTRIES_AT_ONCE = 4_000_000
"""Photos times cells in one step: 32 MB an array."""


@dataclass(frozen=True, eq=False)
class HeldBack:
    """Photos that nothing was fitted on, and where they were taken."""

    s: Vectors
    """(P, D)."""
    lonlat_deg: Floats
    """(P, 2)."""
    truth_row: Ints
    """(P,) the cells they were taken in."""

    def __len__(self) -> int:
        return len(self.s)


@dataclass(frozen=True, eq=False)
class Findings:
    """What the photos show."""

    nll: Floats
    """(P,) negative log of the probability of the true cell, nats."""
    masses: Floats
    """(P,) mass that a region has when it first holds the truth."""
    evidence: Floats
    """(P,) how well any place explains the photo."""
    miss_m: Floats
    """(P,) from the best guess to where the photo was taken."""
    disc_mass: dict[float, Floats]
    """Radius to (P,): posterior mass around the best guess."""
    true_claims: dict[float, Floats]
    """Radius to (P,): share of places elsewhere that do as well as a true claim."""
    false_claims: dict[float, Floats]
    """Radius to (P,): the same of a random false claim; NaN where the index has no room for one."""

    @classmethod
    def of(cls, count: int) -> Findings:
        """Room for some photos."""
        nll, masses, evidence, miss_m = np.full((4, count), np.nan)
        return cls(
            *(nll, masses, evidence, miss_m),
            disc_mass={radius_m: np.full(count, np.nan) for radius_m in CONFIDENCE_RADII_M},
            true_claims={radius_m: np.full(count, np.nan) for radius_m in RADII_M},
            false_claims={radius_m: np.full(count, np.nan) for radius_m in RADII_M},
        )


@dataclass(frozen=True, eq=False)
class _Claims:
    """One claim a photo."""

    among: Background
    lonlat_deg: Floats
    row: Ints
    wanted: npt.NDArray[np.bool_]
    into: Floats
    """(P,) takes the share of places elsewhere that do as well."""

    def look(self, examiner: Examiner, p: Floats, block: slice) -> None:
        """Test the claims about a block of photos."""
        place, row = self.lonlat_deg[block], self.row[block]
        found = standing(p, examiner.field, place, row, self.among).p_elsewhere
        self.into[block] = np.where(self.wanted[block], found, np.nan)


class Examiner:
    """An index with the numbers fitted to it."""

    def __init__(self, geolocator: Geolocator, weights: ScoreWeights) -> None:
        self.geolocator = geolocator
        self.field = geolocator.field
        self.weights = weights
        self._blur: csr_array | None = self.field.blur(weights.spread_m)
        self._log_prior = area_log_prior(self.field.area_m2)

    def evidence(self, s: Vectors) -> Floats:
        """How well any place explains each photo, (P,)."""
        found = [
            evidence_of(*self._scores(s[block]), self.weights, self.field.area_m2)
            for block in self._blocks(len(s))
        ]
        return np.concatenate(found)

    def region_area_m2(self, s: Vectors, mass: float) -> Floats:
        """How large the regions of a mass are, (P,)."""
        areas = [
            self.field.area_m2[region_rows(p, self.field.area_m2, mass)].sum()
            for block in self._blocks(len(s))
            for p in self._posterior(*self._scores(s[block]))
        ]
        return np.array(areas)

    def examine(self, photos: HeldBack, *, seed: int, quiet: bool) -> Findings:
        """Look at every photo; ``seed`` draws the claims."""
        found = Findings.of(len(photos))
        claims = self._draw_claims(photos, found, np.random.default_rng(seed))
        around = self.field.discs(self.field.lonlat_deg, self.geolocator.merge_radius_m)
        with Progress("calibration", len(photos), "photo", quiet=quiet) as progress:
            for block in self._blocks(len(photos)):
                rs, location = self._scores(photos.s[block])
                area_m2 = self.field.area_m2
                found.evidence[block] = evidence_of(rs, location, self.weights, area_m2)
                p = self._posterior(rs, location)
                truth = photos.truth_row[block]
                own = np.take_along_axis(p, truth[:, None], axis=1)[:, 0]
                found.nll[block] = -np.log(np.maximum(own, np.finfo(np.float64).tiny))
                found.masses[block] = mass_to_reach(p, area_m2, truth)
                best = self.field.lonlat_deg[around.sums(p).argmax(axis=1)]
                found.miss_m[block] = haversine_m(best, photos.lonlat_deg[block])
                for radius_m, mass in found.disc_mass.items():
                    mass[block] = own_sums(p, self.field.discs(best, radius_m))
                for claim in claims:
                    claim.look(self, p, block)
                progress.advance(len(p))
        return found

    def _draw_claims(
        self, photos: HeldBack, found: Findings, rng: np.random.Generator
    ) -> list[_Claims]:
        """A true and a false claim about each photo at each radius."""
        cell_row = self.geolocator.cell_row
        all_of_them = np.ones(len(photos), dtype=np.bool_)
        claims = []
        for radius_m in RADII_M:
            among = background(self.field, radius_m)
            true = points_around(photos.lonlat_deg, radius_m, rng)
            into = found.true_claims[radius_m]
            claims.append(_Claims(among, true, cell_row(true), all_of_them, into))
            false, away = false_claims(self.field, photos.lonlat_deg, radius_m, rng)
            into = found.false_claims[radius_m]
            claims.append(_Claims(among, false, cell_row(false), away, into))
        return claims

    def _blocks(self, count: int) -> Iterator[slice]:
        """Photos that go through together."""
        step = max(1, _ENTRIES_AT_ONCE // len(self.field))
        return (slice(start, min(start + step, count)) for start in range(0, count, step))

    def _scores(self, s: Vectors) -> tuple[Vectors, Vectors]:
        rs = self.geolocator.index.rs.scores(s)
        if not self.weights.location_weight:
            return rs, rs  # not looked at
        return rs, self.geolocator.index.location.scores(s)

    def _posterior(self, rs: Vectors, location: Vectors) -> Floats:
        likelihood = log_likelihood(rs, location, self.weights, self._blur)
        return posterior(likelihood, self._log_prior)
