"""An evaluation on Greater London at H3 10: 2,000 photos, every baseline, the report written.

Vectors are random, between the cells, too; only their number matters. The photos' own vectors are
taken as cached. Everything between the cells counts as indexed: neither decoding tokens nor looking
up which points the index holds is measured here.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from measuring import process_memory_gb, report

from gair.arrays import Floats, Vectors
from gair.config import preset
from gair.encoders.location import LocationEncoder
from indexer.evaluate import methods
from indexer.evaluate.evaluate import evaluate
from indexer.evaluate.options import EvaluateOptions
from indexer.evaluate.report.report import write_report
from indexer.index.manifest import ModelRecord
from indexer.index.table import CellRows
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
from indexer.search.space import SearchSpace

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


def london(folder: Path, cells: Cells) -> SearchSpace:
    """An index of random vectors."""
    rng = np.random.default_rng(0)
    count = len(cells)
    manifest = SimpleNamespace(
        name="london",
        build="none",
        created_utc="",
        query_mode="nili",
        h3_resolution=10,
        cells_indexed=count,
        imagery={"scenes": [], "attribution": ""},
        region={"name": "london", "attribution": "", "bbox_wsen_deg": [-0.51, 51.28, 0.34, 51.7]},
        model=ModelRecord("", "", "", False, ""),
        warnings=[],
    )
    frame = np.zeros(count, dtype=np.int64)
    rows = CellRows(cells.ids, cells.lonlat_deg, cells.area_m2, frame)
    index: Any = SimpleNamespace(
        name="london",
        manifest=manifest,
        cells=rows,
        rs=store(folder / "rs", rng, count),
        location=store(folder / "location", rng, count),
        tokens=object(),
    )
    curves = {r: Curve(1.0, 0.0) for r in (200.0, 500.0, 1000.0, 2000.0, 5000.0)}
    calibration = Calibration(
        schema_version=SCHEMA_VERSION,
        build="none",
        model_fingerprint="",
        created_utc="",
        photos=PHOTOS,
        left_out={},
        weights=ScoreWeights(150.0, 50.0, 65.0),
        masses=np.linspace(0.01, 0.99, PHOTOS),
        confidence=curves,
        refined_confidence=curves,
        out_of_index=fit_out_of_index(unit(rng, PHOTOS), np.arange(500), rng.normal(size=500)),
        claims={},
        false_claims={},
        photo_lonlat_deg=cells.lonlat_deg[rng.integers(count, size=PHOTOS)],
        measured={},
    )
    model: Any = None
    space = SearchSpace(index, model, calibration, merge_radius_m=200.0)
    space.reader = Readable(space.field)  # type: ignore[assignment]
    return space


class Readable:
    """Vectors by chance between the cells: how fast a model decodes tokens is not measured here."""

    name, token_m = "london", 160.0
    model = SimpleNamespace(location=LocationEncoder(preset("base")))

    def __init__(self, field: CellField) -> None:
        self.field = field
        self._vectors = unit(np.random.default_rng(2), 4096)

    def expect_many(self) -> None:
        """Nothing to prepare."""

    def indexed(self, lonlat_deg: Floats) -> npt.NDArray[np.bool_]:
        return np.ones(len(np.atleast_2d(lonlat_deg)), dtype=np.bool_)

    def holding_discs(self, lonlat_deg: Floats, radius_m: float) -> npt.NDArray[np.bool_]:
        return self.indexed(lonlat_deg)

    def localized(self, lonlat_deg: Floats) -> Vectors:
        return self._vectors[np.arange(len(lonlat_deg)) % len(self._vectors)]

    locations = localized


def processors_s() -> float:
    """Seconds that this process and its children, once they have ended, computed."""
    return sum(os.times()[:4])


def test_two_thousand_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = cells_of(named_region("london").geometry, 10)
    space = london(tmp_path, cells)
    rng = np.random.default_rng(1)
    monkeypatch.setattr(methods, "TokenReader", lambda *_, **__: space.reader)
    listed = [ListedPhoto(str(n), tmp_path, str(n), None) for n in range(PHOTOS)]
    places = cells.lonlat_deg[rng.integers(len(cells), size=PHOTOS)] + 1e-4
    photos = PhotoVectors(listed, unit(rng, PHOTOS), places, {})
    since, cpu_since = time.perf_counter(), processors_s()
    found = evaluate(space, photos, EvaluateOptions(quiet=True))
    evaluated_s = time.perf_counter() - since
    page, _ = write_report(found, tmp_path / "report")
    total_s = time.perf_counter() - since
    measured = sum(method["measured"] for method in found["methods"])
    child_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    report(
        f"{PHOTOS:,} photos, {len(cells):,} cells, {DIM} dimensions, {measured} methods",
        f"evaluation {evaluated_s:6.1f} s, report {total_s - evaluated_s:.1f} s, "
        f"{page.stat().st_size / 1e6:.1f} MB (wanted at most {MOST_S:.0f} s)",
        f"processors {processors_s() - cpu_since:6.1f} s, forked children among them",
        f"memory now {process_memory_gb()[0]:.2f} GB, at most {process_memory_gb()[1]:.2f} GB; "
        f"of a child at most {child_kb / 1e6:.2f} GB, with what it shares",
    )
    assert len(cells) > 100_000
    assert total_s <= MOST_S
