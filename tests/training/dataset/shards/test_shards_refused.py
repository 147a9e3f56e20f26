"""Data sets that must not be written, and damaged ones: one line that names the file."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_builds import fill_disk, small_disk, snapshot
from tiny_dataset import FOOTPRINT_M, LONLAT_DEG, tiny_frame, tiny_photos, write_tiny_dataset

from gair.errors import DatasetError, GairError, StorageError, UsageError
from gair.geo import Footprint
from training.dataset.shards import ShardedDataset, ShardWriter
from training.dataset.shards.schema import FrameRecord, PhotoRecord

SQUARE = Footprint.web_mercator_square(LONLAT_DEG, FOOTPRINT_M)
OTHER = Footprint.web_mercator_square((LONLAT_DEG[0] + 1, LONLAT_DEG[1]), FOOTPRINT_M)


def frame(name: str = "f", place: str = "sea", square: Footprint = SQUARE, **k: Any) -> FrameRecord:
    return tiny_frame(name, place, square, np.random.default_rng(0), **k)


def photos(
    name: str = "f", place: str = "sea", square: Footprint = SQUARE, count: int = 2
) -> list[PhotoRecord]:
    return tiny_photos(name, place, square, np.random.default_rng(0), count=count)


Act = Callable[[ShardWriter], object]


def add_frame(split: str, *of: Any, **more: Any) -> Act:
    return lambda writer: writer.add_frame(split, frame(*of, **more))


def add_photos(split: str, *of: Any, count: int = 2, first: int = 0) -> Act:
    return lambda writer: writer.add_photos(split, photos(*of, count=count)[first:])


def write(writer: ShardWriter, acts: list[Act]) -> None:
    with writer:
        for act in acts:
            act(writer)


def interrupt(writer: ShardWriter) -> None:
    raise KeyboardInterrupt


def add_mixed(writer: ShardWriter) -> None:
    writer.add_photos("train", [*photos("g", "lake", OTHER), *photos("h", "lake", OTHER)])


REFUSED: list[tuple[type[GairError], str, list[Act]]] = [
    (
        DatasetError,
        "place 'sea' is in the splits 'train' and 'val'",
        [add_frame("val", "g", "sea", OTHER)],
    ),
    (
        DatasetError,
        "footprint 'f' is in the places 'sea' and 'lake'",
        [add_frame("train", "f", "lake", acquired="2024-09-09")],
    ),
    (DatasetError, "different bounds", [add_frame("train", "f", "sea", OTHER)]),
    (DatasetError, "two frames of '2024-05-01'", [add_frame("train")]),
    (DatasetError, "photo 'f/0' comes twice", [add_photos("train", count=1)]),
    (DatasetError, "add one footprint at once", [add_mixed]),
    (
        DatasetError,
        "add the photos of a footprint in one go",
        [
            add_frame("train", "g", "lake", OTHER),
            add_photos("train", "g", "lake", OTHER),
            add_photos("train", count=3, first=2),
        ],
    ),
    (
        DatasetError,
        "lies outside its footprint 'g'",
        [add_frame("val", "g", "lake", OTHER), add_photos("val", "g", "lake", SQUARE)],
    ),
    (
        DatasetError,
        "photo 'g/0' at longitude -29.997",
        [add_photos("val", "g", "lake", SQUARE), add_frame("val", "g", "lake", OTHER)],
    ),
    (
        DatasetError,
        "footprint 'g' has 2 photos and no frame",
        [add_photos("train", "g", "lake", OTHER)],
    ),
    (UsageError, "unknown split 'dev'", [add_frame("dev", "g", "lake", OTHER)]),
]


@pytest.mark.parametrize(("kind", "told", "acts"), REFUSED, ids=[row[1] for row in REFUSED])
def test_contradictions_are_refused_and_nothing_stays(
    tmp_path: Path, kind: type[GairError], told: str, acts: list[Act]
) -> None:
    folder = tmp_path / "data"
    writer = ShardWriter(folder, footprint_mercator_m=FOOTPRINT_M)
    with pytest.raises(kind) as caught:
        write(writer, [add_frame("train"), add_photos("train"), *acts])
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_no_photos_make_no_data_set(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "data", footprint_mercator_m=FOOTPRINT_M)
    with pytest.raises(DatasetError, match="no photos"):
        write(writer, [add_frame("train")])
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lonlat_deg": (0.0, 91.0)}, "latitude 91.0"),
        ({"lonlat_deg": (float("nan"), 0.0)}, "longitude nan"),
        ({"lonlat_deg": (181.0, 0.0)}, "longitude 181.0"),
        ({"heading_deg": float("nan")}, "heading nan"),
        ({"jpeg": b"\x89PNG"}, "not a JPEG"),
    ],
)
def test_impossible_photos_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        dataclasses.replace(photos()[0], **change)


@pytest.mark.parametrize(
    "dn",
    [
        np.zeros((9, 4, 4), np.uint16),
        np.zeros((10, 4, 4), np.int32),
        np.zeros((10, 4), np.uint16),
        np.zeros((10, 0, 4), np.uint16),
    ],
)
def test_impossible_frames_are_refused(dn: Any) -> None:
    with pytest.raises(DatasetError, match="expected \\(10, height, width\\), uint16"):
        dataclasses.replace(frame(), dn=dn)


def test_an_earlier_data_set_is_only_replaced_when_told_and_complete(tmp_path: Path) -> None:
    folder = write_tiny_dataset(tmp_path / "data")
    before = snapshot(folder)
    with pytest.raises(UsageError, match="holds a data set"):
        ShardWriter(folder, footprint_mercator_m=FOOTPRINT_M)
    writer = ShardWriter(folder, footprint_mercator_m=FOOTPRINT_M, overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        write(writer, [add_frame("train"), add_photos("train"), interrupt])
    assert snapshot(folder) == before
    with ShardWriter(folder, footprint_mercator_m=FOOTPRINT_M, overwrite=True) as writer:
        writer.add_frame("train", frame())
        writer.add_photos("train", photos())
    assert len(ShardedDataset.open(folder, verify=True)) == 2
    assert sorted(str(f.relative_to(folder)) for f in folder.rglob("*.parquet")) == [
        "frames/train-00000.parquet",
        "photos/train-00000.parquet",
    ]


def test_files_of_others_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/holiday.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"holiday\.jpg is in the way"):
        ShardWriter(tmp_path, footprint_mercator_m=FOOTPRINT_M, overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        ShardWriter(tmp_path / "file", footprint_mercator_m=FOOTPRINT_M)


KILLED = """
import os, signal, sys
from pathlib import Path
from training.dataset.shards import ShardWriter
with ShardWriter(Path(sys.argv[1]), footprint_mercator_m=2446.0):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_the_next_writer_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "data")]
    assert subprocess.run(command, check=False).returncode == -9
    assert [f.name[:9] for f in (tmp_path / "data").iterdir()] == [".writing-"]
    with pytest.raises(DatasetError, match=r"has no dataset\.json"):
        ShardedDataset.open(tmp_path / "data")
    folder = write_tiny_dataset(tmp_path / "data")
    assert sorted(f.name for f in folder.iterdir()) == ["dataset.json", "frames", "photos"]


@pytest.mark.process
def test_a_full_disk_is_one_line_and_leaves_no_data_set(tmp_path: Path) -> None:
    told: list[str] = []
    with small_disk(tmp_path / "disk") as disk:
        for pages in range(60):
            fill_disk(disk, pages * 4096)
            try:
                write_tiny_dataset(disk / "data", places=1, photos_per_place=24)
            except StorageError as error:
                told.append(str(error))
            else:
                break
            (disk / "filler").unlink()
            assert not list(disk.glob("data/*")), told[-1]
        assert len(ShardedDataset.open(disk / "data", verify=True)) == 24
    assert all("no space left on the device: free some" in line for line in told)
    assert not any("\n" in line for line in told)
    for name in ("train-00000.parquet", "val-00000.parquet", "dataset.json"):
        assert any(name in line for line in told), (name, told)


@pytest.mark.process
def test_a_full_disk_leaves_the_earlier_data_set(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        folder = write_tiny_dataset(disk / "data", places=1)
        before = snapshot(folder)
        for pages in range(5):  # the new one needs more
            fill_disk(disk, pages * 4096)
            writer = ShardWriter(folder, footprint_mercator_m=FOOTPRINT_M, overwrite=True)
            with pytest.raises(StorageError):
                write(writer, [add_frame("train"), add_photos("train")])
            (disk / "filler").unlink()
            assert snapshot(folder) == before


def test_only_drawn_splits_may_lack_pictures(tmp_path: Path) -> None:
    bare = [dataclasses.replace(photo, jpeg=b"") for photo in photos()]
    drawn = ShardWriter(tmp_path, footprint_mercator_m=FOOTPRINT_M, drawn_splits=["train"])
    with drawn as writer:
        writer.add_frame("train", frame())
        writer.add_photos("train", bare)
        with pytest.raises(DatasetError, match=f"{bare[0].photo_id!r} has no picture"):
            writer.add_photos("val", bare)
    assert ShardedDataset.open(tmp_path, "train").is_drawn
