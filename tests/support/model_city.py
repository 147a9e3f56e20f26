"""A city where the posterior is right: every photo's place is drawn from its own posterior."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from shapely.geometry import box
from small_builds import tiny_model

from gair.arrays import Floats, Ints, Vectors
from indexer.index.index import Index
from indexer.index.manifest import Manifest, ModelRecord
from indexer.index.table import CellRows, FrameRows
from indexer.photos.listing import ListedPhoto
from indexer.photos.vectors import PhotoVectors
from indexer.probability.claims import points_around
from indexer.probability.posterior import ScoreWeights
from indexer.regions.cells import Cells, cells_of
from indexer.search.scored import posteriors
from indexer.search.space import SearchSpace

DIM = 16
RESOLUTION = 10


@dataclass(frozen=True)
class ArrayStore:
    """A vector store in memory."""

    rows: Vectors

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        return int(self.rows.shape[1])

    def scores(self, queries: Vectors) -> Vectors:
        return np.asarray(queries, dtype=np.float32) @ self.rows.T

    def vectors(self, rows: Ints) -> Vectors:
        return np.asarray(self.rows[rows])


@functools.cache
def city_cells(bbox_wsen_deg: tuple[float, float, float, float], resolution: int) -> Cells:
    return cells_of(box(*bbox_wsen_deg), resolution)


def unit(rng: np.random.Generator, count: int) -> Vectors:
    vectors = rng.normal(size=(count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def index_in_memory(cells: Cells, rs: Vectors, location: Vectors) -> Index:
    """An index of cells with these vectors and no token maps."""
    count = len(cells)
    manifest = Manifest(
        schema_version=3,
        name="city",
        build="20260101T000000Z-0000",
        created_utc="2026-01-01T00:00:00+00:00",
        model=ModelRecord("city", "nowhere", "none", True, "f" * 64),
        region={"name": "city", "attribution": "", "bbox_wsen_deg": []},
        h3_resolution=RESOLUTION,
        containment="center",
        cells_in_region=count,
        cells_indexed=count,
        missing={},
        frames={},
        imagery={"attribution": ""},
        query_mode="nili",
        metric="inner product",
        vectors={},
        tokens=None,
        warnings=[],
        libraries={},
        seconds={},
        files={},
    )
    frame = np.zeros(count, dtype=np.int64)
    return Index(
        path=Path("city/20260101T000000Z-0000"),
        manifest=manifest,
        cells=CellRows(cells.ids, cells.lonlat_deg, cells.area_m2, frame),
        rs=ArrayStore(rs),
        location=ArrayStore(location),
        outline={},
        frames=FrameRows(np.zeros((1, 4)), np.ones(1)),
        tokens=None,
    )


class ModelCity(SearchSpace):
    """A search space with vectors of chance, and photos whose places follow its posterior."""

    def __init__(
        self,
        true_weights: ScoreWeights,
        seed: int = 0,
        bbox_wsen_deg: tuple[float, float, float, float] = (-0.13, 51.49, -0.07, 51.52),
    ) -> None:
        rng = np.random.default_rng(seed)
        cells = city_cells(bbox_wsen_deg, RESOLUTION)
        rs, location = unit(rng, len(cells)), unit(rng, len(cells))
        super().__init__(index_in_memory(cells, rs, location), tiny_model())
        self.true_weights = true_weights
        self.seed = seed

    def posterior(self, s: Vectors) -> Floats:
        return posteriors(self, *self.scores(s), self.true_weights)

    def photos(self, count: int, seed: int) -> PhotoVectors:
        """Photos of anything, each taken where its own posterior says."""
        rng = np.random.default_rng((self.seed, 1 + seed))
        s = unit(rng, count)
        reached = np.cumsum(self.posterior(s), axis=1)
        row = (reached < rng.random((count, 1)) * reached[:, -1:]).sum(axis=1)
        lonlat = points_around(self.field.lonlat_deg[row], 0.45 * self.field.spacing_m, rng)
        return listed(s, lonlat)


def listed(s: Vectors, lonlat_deg: Floats) -> PhotoVectors:
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
    city.calibration = calibrate(city, city.photos(900, 0), out_of_index=elsewhere, quiet=True)
    return city
