"""A model city with reference photos that look like what is photographed near them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from model_city import ModelCity, listed, unit
from references import references

from gair.arrays import Floats, Vectors
from indexer.ground.likelihood import GroundField
from indexer.ground.likeness import Comparison
from indexer.photos.vectors import PhotoVectors
from indexer.probability.posterior import ScoreWeights

LOOKS_M = 250.0
"""Over which the looks of streets change."""


class GroundedCity(ModelCity):
    """Photos look like their street, which the imagery does not show at all."""

    def __init__(self, count: int = 400, seed: int = 5) -> None:
        super().__init__(ScoreWeights(1e-6, 0.0, 0.0), seed, (-0.11, 51.5, -0.08, 51.515))
        rng = np.random.default_rng(seed)
        low, high = self.field.lonlat_deg.min(axis=0), self.field.lonlat_deg.max(axis=0)
        self._centres = rng.uniform(low, high, (60, 2))
        self._looks = unit(rng, 60)
        places = self.somewhere(count, rng)
        self.reference_s = self.looks(places, rng)
        self.give(self.reference_s, places)

    def somewhere(self, count: int, rng: np.random.Generator) -> Floats:
        """Places in cells of the city, (count, 2)."""
        rows = rng.integers(0, len(self.field), count)
        metres = rng.uniform(-40, 40, (count, 2)) / (69_000.0, 111_000.0)
        places = self.field.lonlat_deg[rows] + metres
        inside = self.cell_row(places) >= 0
        places[~inside] = self.field.lonlat_deg[rows[~inside]]
        return np.asarray(places)

    def looks(self, lonlat_deg: Floats, rng: np.random.Generator, noise: float = 0.5) -> Vectors:
        """What photos of places look like."""
        away_m = np.linalg.norm(
            (lonlat_deg[:, None] - self._centres) * (69_000.0, 111_000.0), axis=-1
        )
        share = np.exp(-0.5 * (away_m / LOOKS_M) ** 2)
        s = share @ self._looks + noise * share.sum(axis=1, keepdims=True) * unit(
            rng, len(lonlat_deg)
        )
        return np.asarray(s / np.linalg.norm(s, axis=1, keepdims=True), dtype=np.float32)

    def give(self, s: Vectors, lonlat_deg: Floats, sequence: Sequence[str] | None = None) -> None:
        """Have these reference photos instead."""
        photos = references(s, lonlat_deg, sequence)
        self.ground = GroundField(
            Comparison(photos), self.index.cells.lonlat_deg, self.index.rs.vectors
        )

    def asked(self, count: int, seed: int) -> PhotoVectors:
        """Photos of places of the city as they look."""
        rng = np.random.default_rng((seed, 9))
        places = self.somewhere(count, rng)
        return listed(self.looks(places, rng), places)
