"""An evaluation on Greater London at H3 10: 2,000 photos, every baseline, the report written.

Vectors are random; only their number matters. The photos' own vectors are taken as cached.
"""

from __future__ import annotations

import functools
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from measuring import process_memory_gb, report

from gair.arrays import Vectors
from indexer.evaluate import methods
from indexer.evaluate.evaluate import evaluate
from indexer.evaluate.options import EvaluateOptions
from indexer.evaluate.report.report import write_report
from indexer.index.vectors import FaissStore, FlatWriter
from indexer.photos.listing import ListedPhoto
from indexer.photos.vectors import PhotoVectors
from indexer.probability.calibration import SCHEMA_VERSION, Calibration
from indexer.probability.confidence import Curve
from indexer.probability.out_of_index import fit_out_of_index
from indexer.probability.posterior import ScoreWeights
from indexer.regions.cell_field import CellField
from indexer.regions.cells import Cells, cells_of
from indexer.regions.region import named_region
from indexer.search.geolocator import Geolocator

PHOTOS = 2000
DIM = 768
MOST_S = 180.0


def unit(rng: np.random.Generator, count: int) -> Vectors:
    vectors = rng.standard_normal((count, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def store(path: Path, rng: np.random.Generator, count: int) -> FaissStore:
    with FlatWriter(path, DIM) as writer:
        for start in range(0, count, 10_000):
            writer.append(unit(rng, min(10_000, count - start)))
    return FaissStore(path)


class London(Geolocator):
    """An index of random vectors."""

    merge_radius_m = 200.0
    attribution = ""

    def __init__(self, folder: Path, cells: Cells) -> None:
        rng = np.random.default_rng(0)
        count = len(cells)
        manifest = SimpleNamespace(
            name="london",
            build="none",
            created_utc="",
            query_mode="nili",
            h3_resolution=10,
            cells_indexed=count,
            imagery={"scenes": []},
            region={"name": "london", "bbox_wsen_deg": [-0.51, 51.28, 0.34, 51.7]},
            model=SimpleNamespace(name="", source="", licence="", trained=False, fingerprint=""),
            warnings=[],
        )
        rows = SimpleNamespace(h3=cells.ids, lonlat_deg=cells.lonlat_deg, area_m2=cells.area_m2)
        self.index: Any = SimpleNamespace(
            name="london",
            manifest=manifest,
            cells=rows,
            rs=store(folder / "rs", rng, count),
            location=store(folder / "location", rng, count),
            tokens=object(),
        )
        self.discs = functools.lru_cache(4)(self._discs)
        self.calibration = Calibration(
            schema_version=SCHEMA_VERSION,
            build="none",
            model_fingerprint="",
            created_utc="",
            photos=PHOTOS,
            left_out={},
            weights=ScoreWeights(150.0, 50.0, 65.0),
            masses=np.linspace(0.01, 0.99, PHOTOS),
            confidence={r: Curve(1.0, 0.0) for r in (200.0, 500.0, 1000.0, 2000.0, 5000.0)},
            out_of_index=fit_out_of_index(unit(rng, PHOTOS), np.arange(500), rng.normal(size=500)),
            claims={},
            false_claims={},
            photo_lonlat_deg=cells.lonlat_deg[rng.integers(count, size=PHOTOS)],
            measured={},
        )

    @functools.cached_property
    def field(self) -> CellField:
        return CellField(self.index.cells.lonlat_deg, self.index.cells.area_m2)


def test_two_thousand_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = cells_of(named_region("london").geometry, 10)
    london = London(tmp_path, cells)
    rng = np.random.default_rng(1)
    monkeypatch.setattr(methods, "_localized", lambda *_: unit(rng, len(cells)))
    listed = [ListedPhoto(str(n), tmp_path, str(n), None) for n in range(PHOTOS)]
    places = cells.lonlat_deg[rng.integers(len(cells), size=PHOTOS)] + 1e-4
    photos = PhotoVectors(listed, unit(rng, PHOTOS), places, {})
    since, cpu_since = time.perf_counter(), time.process_time()
    found = evaluate(london, photos, EvaluateOptions(quiet=True))
    evaluated_s = time.perf_counter() - since
    page, _ = write_report(found, tmp_path / "report")
    total_s = time.perf_counter() - since
    measured = sum(method["measured"] for method in found["methods"])
    report(
        f"{PHOTOS:,} photos, {len(cells):,} cells, {DIM} dimensions, {measured} methods",
        f"evaluation {evaluated_s:6.1f} s, report {total_s - evaluated_s:.1f} s, "
        f"{page.stat().st_size / 1e6:.1f} MB (wanted at most {MOST_S:.0f} s)",
        f"processors {time.process_time() - cpu_since:6.1f} s",
        f"memory now {process_memory_gb()[0]:.2f} GB, at most {process_memory_gb()[1]:.2f} GB",
    )
    assert len(cells) > 100_000
    assert total_s <= MOST_S
