"""Footprints of different splits never overlap, however photos are divided."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from packing_samples import column, pack_quietly, random_lonlats, write_photos

from training.dataset.pack.checks import IN_BUFFER
from training.dataset.pack.options import SplitOptions
from training.dataset.pack.split import SPLITS
from training.dataset.shards import ShardedDataset


def squares_of(out: Path) -> dict[str, list[shapely.Geometry]]:
    squares: dict[str, list[shapely.Geometry]] = {}
    for split in json.loads((out / "dataset.json").read_bytes())["splits"]:
        dataset = ShardedDataset.open(out, split)
        squares[split] = [shapely.box(*footprint.bounds_wsen) for footprint in dataset.footprints]
    return squares


@pytest.mark.parametrize(
    ("footprints", "by", "seed"),
    [("tiles", "city", 0), ("tiles", "block", 1), ("centred", "city", 1), ("centred", "block", 0)],
)
def test_no_footprint_of_two_splits_overlaps(
    city_tif: Path, tmp_path: Path, footprints: str, by: str, seed: int
) -> None:
    lonlat_deg = random_lonlats(250, seed=seed, inset_m=300)
    # Cities whose photos lie among one another at their borders.
    noisy = np.random.default_rng(seed).normal(0, 0.002, lonlat_deg.shape) + lonlat_deg
    cities = [f"{math.floor(x * 90)},{math.floor(y * 140)}" for x, y in noisy.tolist()]
    manifest = write_photos(tmp_path / "in", lonlat_deg, cities)
    split = SplitOptions(
        by=by,
        block_m=1000,
        buffer_m=100,
        shares=(0.6, 0.2, 0.2),
        seed=seed,  # type: ignore[arg-type]
    )
    report = pack_quietly(
        manifest, city_tif, tmp_path / "out", footprints=footprints, footprint_m=500.0, split=split
    )
    assert list(report.splits) == list(SPLITS)
    assert report.left_out[IN_BUFFER] > 0
    places = set(column(tmp_path / "out", "photos", "place"))
    assert 9 <= len(places) <= 25
    assert {place.startswith("block ") for place in places} == {by == "block"}
    squares = {
        name: shapely.union_all(boxes) for name, boxes in squares_of(tmp_path / "out").items()
    }
    on_map_m = 100 / math.cos(math.radians(51.5))
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        assert squares[a].distance(squares[b]) >= on_map_m * 0.99
    assert any("lie in the buffer" in warning for warning in report.warnings)
