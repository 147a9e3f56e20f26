"""Real photos and real Sentinel-2 chips become a data set."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from packing_samples import column, pack_quietly, write_manifest

from training.dataset.pack.checks import (
    CONTRADICTORY,
    NO_COORDINATES,
    NULL_ISLAND,
    OUTSIDE,
    SWAPPED,
)
from training.dataset.pack.options import SplitOptions
from training.dataset.shards import ShardedDataset


@pytest.mark.shared
def test_the_published_pairs(shared_dir: Path, tmp_path: Path) -> None:
    pairs = shared_dir / "data" / "gair_pairs"
    report = pack_quietly(pairs / "pairs.csv", pairs, tmp_path / "out")
    assert (report.photos_in, report.photos_packed) == (3, 3)
    dataset = ShardedDataset.open(tmp_path / "out", verify=True)
    assert sorted(dataset.dates) == [["2021-06-23"], ["2024-01-17"], ["2024-08-24"]]
    assert min(column(tmp_path / "out", "frames", "valid_fraction")) > 0.99
    thirds = SplitOptions(shares=(0.34, 0.33, 0.33))
    report = pack_quietly(pairs / "pairs.csv", pairs, tmp_path / "thirds", split=thirds)
    assert [split.photos for split in report.splits.values()] == [1, 1, 1]
    small = {"footprints": "centred", "footprint_m": 1200.0}
    report = pack_quietly(pairs / "pairs.csv", pairs, tmp_path / "small", **small)
    assert report.photos_packed == 3
    assert min(column(tmp_path / "small", "frames", "valid_fraction")) > 0.8


@pytest.mark.shared
def test_real_photos_beside_the_pairs(shared_dir: Path, tmp_path: Path) -> None:
    data = shared_dir / "data"
    with (data / "photos" / "photos.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            [str(data / "photos" / row["file"]), row["lat"], row["lon"], row["licence"]]
            for row in csv.DictReader(file)
        ]
    rows[0][1:3] = ["0", "0"]
    rows[1][1:3] = ["35.6665", "139.7568"]  # in the chip of Tokyo
    rows[2][1:3] = ["139.7568", "35.6665"]
    rows[3][1:3] = ["", ""]
    with (data / "gair_pairs" / "pairs.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            photo = str(data / "gair_pairs" / row["sv_image"])
            rows.append([photo, row["lat"], row["lon"], "CC BY-NC 4.0"])
    write_manifest(tmp_path / "all.csv", ["file", "lat", "lon", "licence"], rows)
    report = pack_quietly(tmp_path / "all.csv", data / "gair_pairs", tmp_path / "out")
    assert (report.photos_in, report.photos_packed) == (60, 4)
    assert report.left_out == {
        NULL_ISLAND: 1,
        SWAPPED: 1,
        NO_COORDINATES: 1,
        CONTRADICTORY: 6,  # a name of both Berlin and Lund
        OUTSIDE: 47,
    }
    assert ShardedDataset.open(tmp_path / "out").manifest["licences"] == {
        "CC BY-NC 4.0": 3,
        "CC BY-SA 4.0 (Mapillary)": 1,
    }
