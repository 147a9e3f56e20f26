"""Errors of an index on held-out photos, whose place is known: one pass over them.

The photos go through in blocks, so that the memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gair.arrays import Floats, Ints, Vectors
from gair.geo import haversine_m
from gair.processes.crew import shared_full, work_off, workers_here
from gair.progress import Progress
from indexer.ground.left_out import LeftOut
from indexer.ground.likelihood import GroundKernel
from indexer.probability.claims import RADII_M
from indexer.probability.conformal import mass_to_reach, region_rows
from indexer.probability.decisions import Trials
from indexer.probability.known_claims import KnownClaims, draw_claims, look_at_all
from indexer.probability.out_of_index import evidence_of
from indexer.probability.posterior import ScoreWeights
from indexer.search.query import Query
from indexer.search.ranking import refine_options, shown_points
from indexer.search.scored import posterior_blocks, posteriors, ratios_of, scores_for
from indexer.search.space import SearchSpace

CONFIDENCE_RADII_M = (200.0, 500.0, 1000.0, 2000.0, 5000.0)
"""Radii around the best guess that confidence is calibrated for, metres."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Photos that nothing was fitted on, and where they were taken."""

    s: Vectors
    """(P, D)."""
    lonlat_deg: Floats
    """(P, 2)."""
    truth_row: Ints
    """(P,) the cells they were taken in."""
    left_out: LeftOut | None = None
    """The reference photos that are no evidence of each; None where there are none."""

    def __len__(self) -> int:
        return len(self.s)

    def taken(self, rows: Ints) -> HeldOut:
        """Some of them, in this order."""
        left_out = None if self.left_out is None else self.left_out.taken(rows)
        return HeldOut(self.s[rows], self.lonlat_deg[rows], self.truth_row[rows], left_out)

    def own(self, block: slice = slice(None)) -> Sequence[Ints] | None:
        """Of each of them, or of a block, the reference photos that are no evidence of it."""
        return None if self.left_out is None else self.left_out.rows[block]


@dataclass(frozen=True, eq=False)
class Guesses:
    """One point a photo as the best guess, and what is true of it."""

    miss_m: Floats
    """(P,) from the point to where the photo was taken."""
    disc_mass: dict[float, Floats]
    """Radius to (P,): posterior mass around the point."""

    @classmethod
    def room_for(cls, count: int) -> Guesses:
        """Nothing known yet."""
        return cls(
            shared_full(count, np.nan),
            {radius_m: shared_full(count, np.nan) for radius_m in CONFIDENCE_RADII_M},
        )

    def look(self, space: SearchSpace, p: Floats, at: tuple[Floats, Floats], block: slice) -> None:
        """Take a block of photos: (B, N) posteriors, (B, 2) guesses and (B, 2) true places."""
        guess, truth = at
        self.miss_m[block] = haversine_m(guess, truth)
        masses = space.masses_within(p, guess, CONFIDENCE_RADII_M)
        for into, mass in zip(self.disc_mass.values(), masses.T, strict=True):
            into[block] = mass


@dataclass(frozen=True, eq=False)
class Findings:
    """What the photos show."""

    nll: Floats
    """(P,) negative log of the probability of the true cell, nats."""
    masses: Floats
    """(P,) mass that a region has when it first holds the truth."""
    evidence: Floats
    """(P,) how well any place explains the photo."""
    sureness: Floats
    """(P,) posterior mass of the best place."""
    centre: Guesses
    """The centre of the best cell."""
    refined: Guesses | None
    """The refined point, as a search shows it; None where the index has no token maps."""
    claims: dict[float, dict[str, KnownClaims]]
    """Radius to claims by :data:`indexer.probability.known_claims.KINDS`."""

    @property
    def shown(self) -> Guesses:
        """The best guesses that people are shown."""
        return self.refined or self.centre


def examine(
    space: SearchSpace, weights: ScoreWeights, photos: HeldOut, *, seed: int, quiet: bool
) -> Findings:
    """Look at every photo.

    Args:
        space: the cells.
        weights: that were fitted on other photos.
        photos: whose place is known.
        seed: draws the claims.
        quiet: no progress bar.
    """
    count = len(photos)
    nll, masses, evidence, sureness = shared_full((4, count), np.nan)
    findings = Findings(
        *(nll, masses, evidence, sureness),
        centre=Guesses.room_for(count),
        refined=None if space.reader is None else Guesses.room_for(count),
        claims=_draw_claims(space, photos, np.random.default_rng(seed)),
    )
    claims = [claims for of_radius in findings.claims.values() for claims in of_radius.values()]
    area_m2, options = space.field.area_m2, refine_options(space, Query(), weights)

    def look(block: slice) -> int:
        s, truth_deg = photos.s[block], photos.lonlat_deg[block]
        truth = photos.truth_row[block]
        scores = scores_for(space, s, weights)
        ground = space.ground_evidence(s, scores, weights, photos.own(block))
        findings.evidence[block] = evidence_of(*scores, weights, area_m2, ratios_of(ground))
        p = posteriors(space, *scores, weights, ground=ground)
        own = np.take_along_axis(p, truth[:, None], axis=1)[:, 0]  # (B,) of the true cells
        findings.nll[block] = -np.log(np.maximum(own, np.finfo(np.float64).tiny))
        findings.masses[block] = mass_to_reach(p, area_m2, truth)
        around = space.place_mass(p)
        findings.sureness[block] = around.max(axis=1)
        best = around.argmax(axis=1)  # the first of equals, as in a search
        findings.centre.look(space, p, (space.field.lonlat_deg[best], truth_deg), block)
        if findings.refined is not None:
            shown = shown_points(space, s, best, options, ground)
            findings.refined.look(space, p, (shown, truth_deg), block)
        look_at_all(claims, space.field, p, block)
        return len(p)

    space.expect_many(weights, GroundKernel.of(weights) if weights.ground_weight else None)
    blocks = list(space.blocks(count))
    with Progress("calibration", count, "photo", quiet=quiet) as progress:
        work_off(look, blocks, workers_here(), forked=space.forkable, done=progress.advance)
    return findings


def trials_of(findings: Findings, place: Ints, seed: int) -> Trials:
    """What decisions are learnt on: one photo of each place, chosen by a seed.

    Args:
        findings: of P photos.
        place: (P,) which of them are of one place.
        seed: chooses.
    """
    order = np.random.default_rng(seed).permutation(len(place))
    rows = np.sort(order[np.unique(place[order], return_index=True)[1]])
    shown = findings.shown
    masses = np.stack(list(shown.disc_mass.values()), axis=1)
    return Trials(tuple(shown.disc_mass), masses[rows], shown.miss_m[rows], findings.masses[rows])


def region_areas_m2(
    space: SearchSpace, weights: ScoreWeights, photos: HeldOut, mass: Floats
) -> Floats:
    """How large the regions of (P,) masses are, (P,)."""
    area_m2 = space.field.area_m2
    blocks = posterior_blocks(space, photos.s, weights, photos.own())
    each = (p for _, block in blocks for p in block)
    areas = [
        area_m2[region_rows(p, area_m2, float(own))].sum()
        for p, own in zip(each, mass, strict=True)
    ]
    return np.array(areas)


def _draw_claims(
    space: SearchSpace, photos: HeldOut, rng: np.random.Generator
) -> dict[float, dict[str, KnownClaims]]:
    """Claims of each kind about each photo at each radius."""
    alike = space.alike(photos.truth_row)
    return {
        radius_m: draw_claims(space, photos.lonlat_deg, radius_m, alike, rng)
        for radius_m in RADII_M
    }
