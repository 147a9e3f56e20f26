"""Exemplars of a likelihood: what a photo is compared with, reference photos or their prototypes.

Without prototypes each reference photo is an exemplar, of mass 1. With them an exemplar is a
prototype (:mod:`indexer.ground.prototypes`), and its mass is the number of photos that it stands
for. Where age counts, a photo's part of the mass is its weight by age.

A photo's age is how long before the newest photo of its set it was taken, so it does not depend on
when somebody asks. With a half-life, a photo counts half as much for each half-life of its age.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from gair.arrays import Floats, Floats32, Ints
from indexer.ground.prototypes import Prototypes
from indexer.ground.reference_photos import ReferencePhotos

DAYS_A_YEAR = 365.25


@dataclass(frozen=True, eq=False)
class Without:
    """What is left of the exemplars when some photos are left out."""

    gone: Ints
    """Exemplars of which no photo is left, ascending."""
    changed: Ints
    """Exemplars of which some are, ascending."""
    vectors: Floats32
    """(c, D) of these, by the photos that are left."""


class Exemplars:
    """Exemplars of a set; safe to share between threads."""

    def __init__(self, photos: ReferencePhotos, prototypes: Prototypes | None = None) -> None:
        """Take the photos of a set, and the prototypes that stand for them; None for none."""
        self.photos = photos
        self.prototypes = prototypes
        self._kept: dict[float, tuple[Floats, Floats]] = {}

    def __len__(self) -> int:
        return len(self.photos if self.prototypes is None else self.prototypes)

    @property
    def lonlat_deg(self) -> Floats:
        """(e, 2) where each is: of a prototype, the mean place of its photos."""
        return (self.photos if self.prototypes is None else self.prototypes).lonlat_deg

    @property
    def places(self) -> Floats:
        """(e, 3) the same as points of the unit sphere."""
        return (self.photos if self.prototypes is None else self.prototypes).places

    @property
    def tree(self) -> KDTree:
        """The same, to look for those near a point."""
        return (self.photos if self.prototypes is None else self.prototypes).tree

    def nearest(self, s: Floats32, count: int) -> tuple[Floats32, Ints]:
        """The exemplars that look most like (m, D) photos: (m, count) cosines and rows."""
        return (self.photos if self.prototypes is None else self.prototypes).nearest(s, count)

    def vectors(self, rows: Ints) -> Floats32:
        """The vectors of some of them, (r, D)."""
        return (self.photos if self.prototypes is None else self.prototypes).vectors(rows)

    def masses(self, half_life_years: float = 0.0) -> Floats:
        """(e,) how many photos each stands for, by their age."""
        return self._masses(half_life_years)[0]

    def removed(self, photo_rows: Ints, half_life_years: float = 0.0) -> tuple[Ints, Floats]:
        """What (x,) photos count: (g,) exemplars, ascending, and their (g,) parts of the masses."""
        weights = self._masses(half_life_years)[1][photo_rows]
        if self.prototypes is None:
            return photo_rows, weights
        exemplars, own = np.unique(self.prototypes.of_photo[photo_rows], return_inverse=True)
        counted = np.bincount(own, weights=weights, minlength=len(exemplars))
        return exemplars.astype(np.int64), np.asarray(counted, dtype=np.float64)

    def without(self, photo_rows: Ints) -> Without:
        """What is left when (x,) photos, ascending, are left out."""
        if self.prototypes is None:
            none = np.empty((0, 0), dtype=np.float32)
            return Without(photo_rows, np.empty(0, dtype=np.int64), none)
        touched, counts = np.unique(self.prototypes.of_photo[photo_rows], return_counts=True)
        whole = counts == self.prototypes.counts[touched]
        changed = touched[~whole].astype(np.int64)
        vectors = np.empty((len(changed), self.prototypes.store.dim), dtype=np.float32)
        for number, prototype in enumerate(changed.tolist()):
            left = np.setdiff1d(self.prototypes.members(prototype), photo_rows)
            mean = self.photos.vectors(left).sum(axis=0)
            vectors[number] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return Without(touched[whole].astype(np.int64), changed, vectors)

    def photos_of(self, rows: Ints) -> Ints:
        """The photos that some exemplars stand for, ascending."""
        if self.prototypes is None:
            return np.sort(rows)
        members = [self.prototypes.members(row) for row in rows.tolist()]
        return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *members]))

    def _masses(self, half_life_years: float) -> tuple[Floats, Floats]:
        """(e,) masses of exemplars, and (n,) of photos."""
        kept = self._kept.get(half_life_years)
        if kept is None:
            of_photos = age_weights(self.photos.taken_on, half_life_years)
            kept = self._of_exemplars(of_photos), of_photos
            self._kept = {**self._kept, half_life_years: kept}  # one step, for other threads
        return kept

    def _of_exemplars(self, weights: Floats) -> Floats:
        if self.prototypes is None:
            return weights
        of_photo = self.prototypes.of_photo
        counted = np.bincount(of_photo, weights=weights, minlength=len(self.prototypes))
        return np.asarray(counted, dtype=np.float64)


def ages_years(taken_on: npt.NDArray[np.datetime64]) -> Floats:
    """How much older than the newest each of (n,) days is, in years; NaN for NaT."""
    days = taken_on.astype("datetime64[D]")
    ages = np.full(len(days), np.nan)
    dated = ~np.isnat(days)
    if dated.any():
        ages[dated] = (days[dated].max() - days[dated]).astype(np.float64) / DAYS_A_YEAR
    return ages


def age_weights(taken_on: npt.NDArray[np.datetime64], half_life_years: float) -> Floats:
    """How much each of (n,) photos counts, 1 for the newest.

    Args:
        taken_on: days; NaT where unknown, and such a photo counts as much as those of known days do
            on average.
        half_life_years: years in which a photo comes to count half as much; 0: all count 1.
    """
    if not half_life_years:
        return np.ones(len(taken_on))
    weights = np.exp2(-ages_years(taken_on) / half_life_years)
    unknown = np.isnan(weights)
    weights[unknown] = 1.0 if unknown.all() else weights[~unknown].mean()
    return weights
