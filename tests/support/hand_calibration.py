"""A calibration with numbers chosen by hand, to put beside a small index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gair.photos.conditions import COLOURS, LIGHT, NAMES
from gair.photos.together import Usual
from indexer.index.index import open_index
from indexer.probability.calibration import SCHEMA_VERSION, Calibration, calibration_path
from indexer.probability.conditions import ALL_NAMES, CalibratedConditions
from indexer.probability.confidence import Curve
from indexer.probability.out_of_index import OutOfIndexTest
from indexer.probability.posterior import ScoreWeights

WEIGHTS = ScoreWeights(rs_weight=9.0, location_weight=3.0, spread_m=90.0)
MASSES = np.linspace(0.05, 0.95, 39)
"""The 20th is 0.5, the 36th 0.879: what 50 and 90 % need."""

ANY_CONDITIONS = CalibratedConditions(
    values=np.ones((1, len(NAMES) + COLOURS), np.float32),
    middle=np.zeros(len(ALL_NAMES)),
    scale=np.ones(len(ALL_NAMES)),
    deviations=np.full(39, np.inf),
    labels=np.full(1, -1),
    usual=Usual(np.full(LIGHT + COLOURS, np.nan), np.eye(LIGHT + COLOURS)),
)
"""No photo is unlike these."""


def hand_calibration(index_folder: Path, **changes: Any) -> Calibration:
    """A calibration of the build that serves, with some fields changed."""
    index = open_index(index_folder)
    rng = np.random.default_rng(0)
    s = rng.normal(size=(30, index.rs.dim))
    values: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "build": index.manifest.build,
        "model_fingerprint": index.manifest.model.fingerprint,
        "created_utc": "2026-01-01T00:00:00+00:00",
        "photos": 390,
        "places": 130,
        "left_out": {},
        "weights": WEIGHTS,
        "masses": MASSES,
        "confidence": {200.0: Curve(1.0, 0.0), 1000.0: Curve(1.0, 0.0)},
        "refined_confidence": {200.0: Curve(1.0, 0.0), 1000.0: Curve(1.0, 0.0)},
        "out_of_index": OutOfIndexTest(
            s=(s / np.linalg.norm(s, axis=1, keepdims=True)).astype(np.float16),
            evidence=(0.0, 1.0),
            likeness=(0.0, 1.0),
            scores=np.linspace(-3, 3, 99),
            level=0.05,
        ),
        "claims": {500.0: np.linspace(0.01, 0.9, 99)},
        "false_claims": {500.0: np.linspace(0.02, 1, 99)},
        "photo_lonlat_deg": index.cells.lonlat_deg[:5],
        "measured": {},
        "conditions": ANY_CONDITIONS,
    }
    return Calibration(**values | changes)


def calibrate_by_hand(index_folder: Path, **changes: Any) -> Calibration:
    """The same, kept beside the build."""
    made = hand_calibration(index_folder, **changes)
    made.save(calibration_path(index_folder, made.build))
    return made
