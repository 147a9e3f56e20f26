"""A city where the posterior is right: every photo's place is drawn from its own posterior."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from shapely.geometry import box

from gair.arrays import Floats
from indexer.photos.listing import ListedPhoto
from indexer.photos.vectors import PhotoVectors
from indexer.probability.calibration import Calibration
from indexer.probability.claims import points_around
from indexer.probability.posterior import ScoreWeights, area_log_prior, log_likelihood, posterior
from indexer.regions.cell_field import CellField
from indexer.regions.cells import Cells, cells_at, cells_of

DIM = 16


@dataclass(frozen=True)
class ArrayStore:
    """A vector store in memory."""

    rows: npt.NDArray[np.float32]

    @property
    def count(self) -> int:
        return len(self.rows)

    def scores(self, queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(queries, dtype=np.float32) @ self.rows.T


@functools.cache
def city_cells(bbox_wsen_deg: tuple[float, float, float, float], resolution: int) -> Cells:
    return cells_of(box(*bbox_wsen_deg), resolution)


def unit(rng: np.random.Generator, count: int) -> npt.NDArray[np.float32]:
    vectors = rng.normal(size=(count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@dataclass
class ModelCity:
    """What calibration needs of a geolocator, with vectors of chance."""

    weights: ScoreWeights
    seed: int = 0
    bbox_wsen_deg: tuple[float, float, float, float] = (-0.13, 51.49, -0.07, 51.52)
    calibration: Calibration | None = None
    merge_radius_m: float = 200.0
    cells: Cells = dataclasses.field(init=False)
    field: CellField = dataclasses.field(init=False)
    index: Any = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.cells = city_cells(self.bbox_wsen_deg, 10)
        self.field = CellField(self.cells.lonlat_deg, self.cells.area_m2)
        self.index = SimpleNamespace(
            rs=ArrayStore(unit(rng, len(self.cells))),
            location=ArrayStore(unit(rng, len(self.cells))),
            manifest=SimpleNamespace(
                build="20260101T000000Z-0000", model=SimpleNamespace(fingerprint="f" * 64)
            ),
        )

    def cell_row(self, lonlat_deg: npt.ArrayLike) -> npt.NDArray[np.int64]:
        ids = cells_at(lonlat_deg, 10)
        row = np.minimum(np.searchsorted(self.cells.ids, ids), len(self.cells) - 1)
        return np.where(self.cells.ids[row] == ids, row, -1)

    def posterior(self, s: npt.NDArray[np.float32]) -> Floats:
        rs, location = self.index.rs.scores(s), self.index.location.scores(s)
        blur = self.field.blur(self.weights.spread_m)
        likelihood = log_likelihood(rs, location, self.weights, blur)
        return posterior(likelihood, area_log_prior(self.field.area_m2))

    def photos(self, count: int, seed: int) -> PhotoVectors:
        """Photos of anything, each taken where its own posterior says."""
        rng = np.random.default_rng((self.seed, 1 + seed))
        s = unit(rng, count)
        reached = np.cumsum(self.posterior(s), axis=1)
        row = (reached < rng.random((count, 1)) * reached[:, -1:]).sum(axis=1)
        lonlat = points_around(self.field.lonlat_deg[row], 0.45 * self.field.spacing_m, rng)
        return listed(s, lonlat)


def listed(s: npt.NDArray[np.float32], lonlat_deg: Floats) -> PhotoVectors:
    """Vectors and places as if photos of these had been encoded."""
    photos = [
        ListedPhoto(f"{n}.jpg", Path(f"{n}.jpg"), str(n), (float(lon), float(lat)))
        for n, (lon, lat) in enumerate(lonlat_deg)
    ]
    return PhotoVectors(photos, s, lonlat_deg, {})


def at_most(count: int, rate: float) -> int:
    """More than this many of ``count`` happen once in a thousand times where the rate is right."""
    from scipy.stats import binom

    return int(binom.ppf(0.999, count, rate))


@functools.cache
def calibrated_city() -> ModelCity:
    """A city whose calibration rests on 900 photos. Do not change it."""
    from indexer.calibrate.calibrate import calibrate

    city = ModelCity(ScoreWeights(14.0, 0.0, 95.0), seed=3)
    elsewhere = listed(unit(np.random.default_rng(9), 200), np.full((200, 2), np.nan))
    city.calibration = calibrate(city, city.photos(900, 0), out_of_index=elsewhere, quiet=True)  # type: ignore[arg-type]
    return city
