"""Damaged data sets: one line that names the file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_dataset import write_tiny_dataset

from gair.errors import DatasetError
from training.dataset.shards import ShardedDataset


def newer(folder: Path) -> None:
    manifest = json.loads((folder / "dataset.json").read_bytes())
    (folder / "dataset.json").write_text(json.dumps(manifest | {"format_version": 2}))


def other_bands(folder: Path) -> None:
    manifest = json.loads((folder / "dataset.json").read_bytes())
    (folder / "dataset.json").write_text(json.dumps(manifest | {"bands": ["B4"]}))


def garbled(name: str, where: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        at = int(where * (len(content) - 64))
        content[at : at + 64] = bytes(64)
        (folder / name).write_bytes(content)

    return damage


PHOTOS, FRAMES = "photos/train-00000.parquet", "frames/train-00000.parquet"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "dataset.json").unlink(), "python -m training.dataset pack"),
        (lambda f: (f / "dataset.json").write_text("{"), "dataset.json is damaged"),
        (lambda f: (f / "dataset.json").write_text("[]"), "dataset.json is damaged"),
        (lambda f: (f / "dataset.json").write_text('{"format_version": 1}'), "lacks its splits"),
        (newer, "dataset.json has format version 2; this program reads 1"),
        (other_bands, "dataset.json has bands ['B4']"),
        (lambda f: (f / PHOTOS).unlink(), f"{PHOTOS} is missing"),
        (lambda f: (f / FRAMES).unlink(), f"{FRAMES} is missing"),
        (lambda f: os.truncate(f / PHOTOS, 5000), f"{PHOTOS} has 5000 bytes instead of"),
        (lambda f: os.truncate(f / FRAMES, 5000), f"{FRAMES} has 5000 bytes instead of"),
        (garbled(PHOTOS, 1), f"{PHOTOS} ("),
        (garbled(FRAMES, 1), f"{FRAMES} ("),
        (garbled(PHOTOS, 0.5), f"{PHOTOS} differs from what was written"),
        (garbled(FRAMES, 0.5), f"{FRAMES} differs from what was written"),
    ],
)
def test_damage_is_one_line_that_names_the_file(
    tmp_path: Path, damage: Callable[[Path], object], told: str
) -> None:
    folder = write_tiny_dataset(tmp_path / "data")
    damage(folder)
    with pytest.raises(DatasetError) as caught:
        ShardedDataset.open(folder, verify=True)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damage_met_while_reading_names_the_file(tmp_path: Path) -> None:
    folder = write_tiny_dataset(tmp_path / "data")
    garbled(FRAMES, 0.2)(folder)
    dataset = ShardedDataset.open(folder)
    with pytest.raises(DatasetError, match=FRAMES):
        [dataset.frame_dn(footprint, date) for footprint in range(2) for date in range(2)]


def test_an_unknown_split_lists_the_known_ones(tmp_path: Path) -> None:
    folder = write_tiny_dataset(tmp_path / "data")
    with pytest.raises(DatasetError, match="no split 'test'; there are: train, val"):
        ShardedDataset.open(folder, "test")
