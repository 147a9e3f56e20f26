"""What an evaluation was made of: index, model, photos, program."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from indexer.evaluate.bootstrap import LEVEL, as_json
from indexer.evaluate.judge import Outcomes
from indexer.evaluate.judge_all import Truths

if TYPE_CHECKING:
    from indexer.evaluate.task import EvaluateOptions
    from indexer.photos.vectors import PhotoVectors
    from indexer.search.geolocator import Geolocator

SCHEMA = "gair-evaluation"
SCHEMA_VERSION = 1
"""Raised when an old reader could misread a new report."""

_LIBRARIES = ("gair-geolocator", "numpy", "scipy", "torch", "faiss-cpu", "faiss-gpu", "h3")


def heading(
    geolocator: Geolocator, photos: PhotoVectors, options: EvaluateOptions
) -> dict[str, Any]:
    """The part of a report that is no measurement."""
    manifest = geolocator.index.manifest
    calibration = geolocator.calibration
    weights = options.query.weights(calibration)
    scenes = manifest.imagery.get("scenes", [])
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "made": {
            "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": options.command,
            "seed": options.seed,
            "resamples": options.resamples,
            "interval": LEVEL,
            "versions": {"python": platform.python_version(), **_versions()},
        },
        "index": {
            "name": manifest.name,
            "build": manifest.build,
            "created_utc": manifest.created_utc,
            "region": manifest.region["name"],
            "cells": manifest.cells_indexed,
            "h3_resolution": manifest.h3_resolution,
            "query_mode": manifest.query_mode,
            "attribution": geolocator.attribution,
            "imagery_dates": sorted(
                {str(when)[:10] for scene in scenes for when in scene.get("dates", [])}
            ),
            "warnings": list(manifest.warnings),
        },
        "model": {
            "name": manifest.model.name,
            "source": manifest.model.source,
            "licence": manifest.model.licence,
            "trained": manifest.model.trained,
            "fingerprint": manifest.model.fingerprint,
        },
        "search": {
            "calibrated": options.query.score_weights(calibration) is not None,
            "rs_weight": weights[0],
            "location_weight": weights[1],
        },
        "photos": {
            "manifest": options.manifest,
            "listed": len(photos),
            "failures": photos.left_out(),
        },
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def photo_rows(
    photos: PhotoVectors,
    outcomes: Outcomes,
    truths: Truths,
    cell_lonlat_deg: npt.NDArray[np.float64],
) -> list[dict[str, Any]]:
    """What became of each photo, in the order of the manifest: the data of the map."""
    rows = []
    for number, photo in enumerate(photos.photos):
        best = int(outcomes.best_row[number])
        rows.append(
            {
                "name": photo.name,
                "lonlat_deg": _place(photos.lonlat_deg[number]),
                "best_lonlat_deg": _place(cell_lonlat_deg[best]) if best >= 0 else None,
                "error_m": as_json(round(float(outcomes.error_m[number]), 1)),
                "rank": as_json(float(outcomes.rank[number])),
                "in_index": bool(truths.cell_row[number] >= 0),
                "failure": photos.failures.get(number, ""),
            }
        )
    return rows


def _place(lonlat_deg: npt.NDArray[np.float64]) -> list[float] | None:
    if not np.isfinite(lonlat_deg).all():
        return None
    return [round(float(degrees), 6) for degrees in lonlat_deg]
