"""Fixtures every test file may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Torch's threads wait for one another by spinning: where tests start processes of their own beside
# it, two threads on two cores are many times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of reference data beside the checkout; tests that need it skip without it."""
    if not (SHARED / "reference").is_dir():
        pytest.skip(f"no reference data folder at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def city_tif(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four by four kilometres of made-up imagery. Do not write to it."""
    from toy_city import write_city

    return write_city(tmp_path_factory.mktemp("city") / "city.tif")


@pytest.fixture(scope="session")
def tiny_index(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of indexes that holds one, named ``toy``. Copy it before changing anything."""
    from indexer.cli import main

    indexes = tmp_path_factory.mktemp("shared-indexes")
    argv = ["build", "--imagery", str(city_tif), "--model", "untrained:tiny", "--resolution", "9"]
    assert main([*argv, "--name", "toy", "--out", str(indexes), "--quiet"]) == 0
    return indexes


@pytest.fixture(scope="module")
def boxes(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of indexes that holds one small box, made anew for each test file."""
    from small_builds import build_box

    folder = tmp_path_factory.mktemp("boxes")
    build_box(city_tif, folder)
    return folder
