"""One running page for all browser tests of a session: several indexes, and examples.

* ``toy``: untrained, not calibrated, with a hole;
* ``known``: the same cells with a calibration made by hand;
* ``ground``: the same as ``toy``, with reference photos;
* ``older``: built when no pictures and no token maps were kept;
* ``days``: of imagery of two days.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from app_pages import RunningPage, running_page
from hand_calibration import calibrate_by_hand
from reference_samples import give_references, reference_photos
from small_builds import build_box, rewrite_manifest, serving_build
from toy_city import photo, write_city

from indexer.index.index import open_index
from indexer.probability.decisions import Trials

TINY = "untrained:tiny"
REFERENCES = 300
"""Reference photos of the index ``ground``."""
EXAMPLES = 26
"""Two more than the page offers."""
TRIALS = Trials((200.0, 1000.0), np.full((300, 2), 0.5), np.full(300, 400.0), np.full(300, 0.4))
"""Of the index ``known``: places that all miss by 400 m."""


@contextmanager
def running_site(indexes: Path, folder: Path) -> Iterator[RunningPage]:
    """The page over all three indexes; it starts with ``toy``."""
    write_examples(folder / "examples")
    (folder / "run").mkdir()
    with running_page(indexes, folder / "run", folder / "examples") as page:
        yield page


def write_examples(folder: Path) -> None:
    """A folder of photos with a manifest, as ``python -m training.synthetic city`` writes it."""
    (folder / "photos").mkdir(parents=True)
    rows = ["file,lat,lon,source"]
    for number in range(EXAMPLES):
        file = f"photos/example-{number:02d}.jpg"
        photo(100 + number).save(folder / file)
        rows.append(
            f"{file},{51.491 + number / 1000:.5f},{-0.11234 + number / 1000:.5f},synthetic:test"
        )
    (folder / "photos.csv").write_text("\n".join(rows) + "\n")


def make_indexes(tiny_index: Path, folder: Path) -> Path:
    """The folder of the indexes."""
    indexes = folder / "indexes"
    shutil.copytree(tiny_index / "toy", indexes / "toy")
    _renamed(tiny_index / "toy", indexes / "known")
    calibrate_by_hand(indexes / "known", trials=TRIALS)
    _give_photos(_renamed(tiny_index / "toy", indexes / "ground"))
    older = _renamed(tiny_index / "toy", indexes / "older")
    for name in ("picture.tif", "tokens.npy"):
        (serving_build(older) / name).unlink()
    rewrite_manifest(older, tokens=None, pictures=[])
    _build_days(indexes, folder / "days")
    return indexes


def _build_days(indexes: Path, imagery: Path) -> None:
    imagery.mkdir()
    for seed, day in enumerate(("2024:03:01", "2024:06:11"), start=1):
        path = write_city(imagery / f"city-{seed}.tif", side_px=200, seed=seed)
        with rasterio.open(path, "r+") as file:
            file.update_tags(TIFFTAG_DATETIME=f"{day} 11:00:00")
    bbox = (-0.128, 51.502, -0.106, 51.518)
    build_box(imagery, indexes, name="days", bbox_wsen_deg=bbox, resolution=9, model_source=TINY)


def _give_photos(folder: Path) -> None:
    """Photos all over an index, whose vectors are of nothing."""
    index = open_index(folder)
    rng = np.random.default_rng(4)
    lonlat_deg = index.cells.lonlat_deg[rng.integers(0, len(index.cells), REFERENCES)]
    s = rng.normal(size=(REFERENCES, index.rs.dim)).astype(np.float32)
    numbers = range(REFERENCES)
    photos = reference_photos(
        lonlat_deg + rng.normal(0, 5e-4, (REFERENCES, 2)),
        resolution=9,
        heading_deg=[float(n) for n in numbers],
        captured_at=["2024-05-06"] * REFERENCES,
        source=["Mapillary"] * REFERENCES,
        link=[f"https://photos.example/{n}" for n in numbers],
        licence=["CC BY-SA 4.0"] * REFERENCES,
        attribution=[f"by P{n}" for n in numbers],
    )
    give_references(folder, photos, s / np.linalg.norm(s, axis=1, keepdims=True))


def _renamed(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    rewrite_manifest(target, name=target.name)
    return target
