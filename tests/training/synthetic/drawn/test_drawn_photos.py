"""Photos drawn in training: the same in any process, never twice, never where none may be."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pyproj
import pytest
import torch

from gair.config import preset
from gair.errors import DatasetError
from training.dataset.batches.augment import AugmentOptions
from training.dataset.batches.batch import Batch, LoaderOptions
from training.dataset.batches.loader import PairLoader
from training.dataset.cli import main as dataset_command
from training.dataset.shards import ShardedDataset
from training.synthetic import dataset
from training.synthetic.areas import BUFFER_M, GAP_BUFFER_M, held_out, in_gap
from training.synthetic.city import City
from training.synthetic.dataset import write_world
from training.synthetic.drawn.photos import WORLDS_FOLDER, DrawnPhotos
from training.synthetic.options import WorldOptions

SEEN = City(seed=1, side_m=3200.0)
CONFIG = preset("tiny")
OPTIONS = LoaderOptions(batch_photos=8, workers=0, seed=3, augment=AugmentOptions.none())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    patch = pytest.MonkeyPatch()
    patch.setattr(dataset, "SEEN_CITY", SEEN)
    patch.setattr(dataset, "VALIDATION_CITY", City(seed=2, side_m=2300.0))
    size = {"cities": 1, "side_km": 2.3, "photos": 20, "validation_photos": 5, "dates": 1}
    write_world(folder, WorldOptions(**size, processes=1))
    patch.undo()
    return folder


@pytest.fixture(scope="module")
def train(folder: Path) -> ShardedDataset:
    return ShardedDataset.open(folder, "train")


def loader(train: ShardedDataset, rank: int = 0, world: int = 1, **changes: object) -> PairLoader:
    options = dataclasses.replace(OPTIONS, **changes)  # type: ignore[arg-type]
    return PairLoader(train, options, CONFIG, rank=rank, world=world, source=DrawnPhotos(train))


def assert_same(batches: list[Batch], others: list[Batch]) -> None:
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        for name in ("photos", "frames", "xy", "lonlat_deg", "photo_index"):
            assert torch.equal(getattr(batch, name), getattr(other, name)), name


@pytest.fixture(scope="module")
def two_epochs(train: ShardedDataset) -> list[Batch]:
    batches = loader(train)
    return list(itertools.islice(batches, 2 * batches.batches_per_epoch))


@pytest.mark.process
def test_a_worker_and_this_process_draw_the_same(
    train: ShardedDataset, two_epochs: list[Batch]
) -> None:
    batches = loader(train, workers=1)
    try:
        assert_same(list(itertools.islice(batches, 3)), two_epochs[:3])
    finally:
        batches.close()


def test_two_ranks_draw_the_parts_of_one(train: ShardedDataset, two_epochs: list[Batch]) -> None:
    for rank in range(2):
        half = next(loader(train, rank, world=2))
        part = slice(4 * rank, 4 * rank + 4)
        assert torch.equal(half.photos, two_epochs[0].photos[part])
        assert torch.equal(half.lonlat_deg, two_epochs[0].lonlat_deg[part])


def test_after_a_resume_the_next_batch_is_drawn(
    train: ShardedDataset, two_epochs: list[Batch]
) -> None:
    first = loader(train)
    next(first), next(first)
    again = loader(train)
    again.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert_same([next(again)], two_epochs[2:3])


def test_no_photo_is_seen_twice(train: ShardedDataset, two_epochs: list[Batch]) -> None:
    numbers = torch.cat([batch.photo_index for batch in two_epochs])
    assert len(numbers.unique()) < 0.7 * len(numbers)  # the numbers do come twice
    photos = torch.cat([batch.photos for batch in two_epochs]).flatten(1)
    distances = torch.cdist(photos, photos) + 1e9 * torch.eye(len(photos))
    assert distances.min() > 5  # of pixels with a standard deviation of about 1
    places = torch.cat([batch.lonlat_deg for batch in two_epochs])
    assert len(places.unique(dim=0)) == len(places)
    other = next(loader(train, seed=4))
    assert not set(map(tuple, other.lonlat_deg.tolist())) & set(map(tuple, places.tolist()))


def test_drawn_places_lie_in_their_footprint_and_where_photos_may_be(
    train: ShardedDataset,
) -> None:
    source = DrawnPhotos(train)
    seen = np.array([train.places[f] == SEEN.name for f in train.footprint_of_photo])
    west, north = SEEN.west_north_m
    to_crs = pyproj.Transformer.from_crs("OGC:CRS84", SEEN.crs, always_xy=True)
    for epoch in range(4):
        taken = source.take(np.arange(len(train)), seed=0, epoch=epoch, image_px=16)
        places = np.array([photo.lonlat_deg for photo in taken])  # type: ignore[union-attr]
        for number, place in enumerate(places):
            square = train.footprints[train.footprint_of_photo[number]]
            assert np.abs(square.frame_xy(place[None])).max() < 1
        x, y = to_crs.transform(*places[seen].T)
        assert not in_gap(1, x - west, north - y, grow_m=GAP_BUFFER_M - 3).any()
        assert not held_out(1, x - west, north - y, grow_m=BUFFER_M - 3).any()
        moved = np.abs(places - train.lonlat_deg).max(axis=1)
        assert (moved > 1e-6).all()


def test_pictures_have_the_size_that_is_asked_for(train: ShardedDataset) -> None:
    (taken,) = DrawnPhotos(train).take(np.array([3]), seed=0, epoch=0, image_px=96)
    assert taken.rgb.shape == (96, 128, 3)  # type: ignore[union-attr]


def test_worlds_that_are_gone_are_drawn_again(
    folder: Path, tmp_path: Path, two_epochs: list[Batch]
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    worlds = tmp_path / "copy" / WORLDS_FOLDER
    content = {path.name: path.read_bytes() for path in worlds.iterdir()}
    assert set(content) == {"city-1", "city-100"}
    (worlds / "city-1").unlink()
    damaged = bytearray(content["city-100"])
    damaged[-100] ^= 1
    (worlds / "city-100").write_bytes(damaged)
    train = ShardedDataset.open(tmp_path / "copy", "train")
    assert_same([next(loader(train))], two_epochs[:1])
    assert {path.name: path.read_bytes() for path in worlds.iterdir()} == content


def test_a_world_of_another_version_of_the_program_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    manifest = tmp_path / "copy" / "dataset.json"
    facts = json.loads(manifest.read_text())
    facts["drawn"]["cities"]["city-100"]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(facts))
    with pytest.raises(DatasetError, match="draws city-100 otherwise"):
        DrawnPhotos(ShardedDataset.open(tmp_path / "copy", "train"))


def test_a_drawn_split_says_so(
    folder: Path, train: ShardedDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.is_drawn
    val = ShardedDataset.open(folder, "val", verify=True)
    assert not val.is_drawn
    assert val.photo_jpeg(0)[:2] == b"\xff\xd8"
    with pytest.raises(DatasetError, match="--drawn-ahead"):
        train.photo_jpeg(0)
    with pytest.raises(DatasetError, match="--drawn-ahead"):
        next(PairLoader(train, OPTIONS, CONFIG))
    assert dataset_command(["info", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "drawn     photos of train: other places" in said
    assert "2 cities in worlds/" in said
