"""An index with reference photos of known and of private places, to be explored."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from reference_samples import give_references, reference_photos
from small_builds import tiny_model

from indexer.index.index import open_index
from indexer.search.geolocator import Geolocator

COUNT = 80
"""Reference photos, of which every tenth is private."""


def explored_city(tiny_index: Path, folder: Path) -> Geolocator:
    """A copy of the small index with photos of random vectors."""
    shutil.copytree(tiny_index / "toy", folder / "toy")
    index = open_index(folder / "toy")
    rng = np.random.default_rng(3)
    s = rng.normal(size=(COUNT, index.rs.dim)).astype(np.float32)
    cells = index.cells.lonlat_deg[rng.integers(0, len(index.cells), COUNT)]
    numbers = range(COUNT)
    photos = reference_photos(
        cells + rng.normal(0, 5e-4, (COUNT, 2)),
        9,
        link=[f"https://photos.example/{n}" for n in numbers],
        attribution=[f"=by P{n}" for n in numbers],
        private=[n % 10 == 0 for n in numbers],
    )
    give_references(folder / "toy", photos, s / np.linalg.norm(s, axis=1, keepdims=True))
    return Geolocator.open(folder / "toy", model=tiny_model())
