"""Batches: the same whoever makes them, resumable anywhere, and made of what the data set holds."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_dataset import FOOTPRINT_M, LONLAT_DEG, tiny_frame, tiny_photos, write_tiny_dataset

from gair.config import GairConfig, preset
from gair.errors import DatasetError, TrainingError, UsageError
from gair.geo import Footprint
from gair.photos.photo import open_photo
from gair.preprocess import remote_sensing_pixels, street_view_pixels
from training.dataset.batches.augment import AugmentOptions
from training.dataset.batches.batch import Batch, LoaderOptions
from training.dataset.batches.loader import PairLoader
from training.dataset.shards import ShardedDataset, ShardWriter

CONFIG = dataclasses.replace(preset("tiny"), sv_image_px=32, rs_frame_px=24)
OPTIONS = LoaderOptions(batch_photos=4, photos_per_footprint=2, seed=5, workers=0)
TENSORS = ("photos", "frames", "frame_of_photo", "xy", "lonlat_deg", "photo_index")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    """18 photos, 6 footprints, 3 dates each: 4 batches of 4 an epoch."""
    folder = tmp_path_factory.mktemp("tiny") / "data"
    write_tiny_dataset(folder, photos_per_place=9, footprints_per_place=3, dates=3)
    return ShardedDataset.open(folder)


def loader(
    dataset: ShardedDataset, config: GairConfig = CONFIG, rank: int = 0, world: int = 1, **k: Any
) -> PairLoader:
    return PairLoader(dataset, dataclasses.replace(OPTIONS, **k), config, rank=rank, world=world)


def take(batches: Iterator[Batch], count: int) -> list[Batch]:
    return list(itertools.islice(batches, count))


def assert_same(batches: list[Batch], wanted: list[Batch]) -> None:
    assert [(b.epoch, b.number) for b in batches] == [(b.epoch, b.number) for b in wanted]
    for a, b in zip(batches, wanted, strict=True):
        for name in TENSORS:
            assert torch.equal(getattr(a, name), getattr(b, name)), name


@pytest.fixture(scope="module")
def reference(dataset: ShardedDataset) -> list[Batch]:
    """Three epochs in one go, in this process."""
    return take(loader(dataset), 12)


def test_workers_make_the_same_batches(dataset: ShardedDataset, reference: list[Batch]) -> None:
    before = torch.get_rng_state()
    batches = loader(dataset, workers=2)
    assert_same(take(batches, 12), reference)
    batches.close()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 4, 6])
def test_a_resumed_loader_goes_on_where_the_other_stopped(
    dataset: ShardedDataset, reference: list[Batch], workers: int, stop: int
) -> None:
    """Also at an epoch's end; batches that workers made ahead are made again."""
    first = loader(dataset, workers=workers)
    assert_same(take(first, stop), reference[:stop])
    state = first.state_dict()
    assert (state["epoch"], state["next_batch"]) == divmod(stop, 4)
    take(first, 1)
    second = loader(dataset, workers=workers)
    second.load_state_dict(state)
    assert second.state_dict() == state
    assert_same(take(second, 12 - stop), reference[stop:])
    first.load_state_dict(state)  # and the same loader, brought back
    assert_same(take(first, 1), reference[stop : stop + 1])
    first.close()
    second.close()


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_the_batches_of_one(
    dataset: ShardedDataset, reference: list[Batch], world: int
) -> None:
    ranks = [take(loader(dataset, rank=rank, world=world), 12) for rank in range(world)]
    for wanted, *parts in zip(reference, *ranks, strict=True):
        assert [len(part.photos) for part in parts] == [4 // world] * world
        for name in ("photos", "xy", "lonlat_deg", "photo_index"):
            joined = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(joined, getattr(wanted, name)), name
        frames = torch.cat([part.frames[part.frame_of_photo] for part in parts])
        assert torch.equal(frames, wanted.frames[wanted.frame_of_photo])


def test_an_epoch_has_each_photo_at_most_once(reference: list[Batch]) -> None:
    assert [(b.epoch, b.number) for b in reference] == [(e, n) for e in range(3) for n in range(4)]
    orders = []
    for epoch in range(3):
        photos = torch.cat([b.photo_index for b in reference[4 * epoch : 4 * epoch + 4]])
        assert len(photos.unique()) == 16
        orders.append(tuple(photos.tolist()))
    assert len(set(orders)) == 3


def test_a_batch_without_augmentation_is_what_the_model_sees_later(dataset: ShardedDataset) -> None:
    dates_seen = set()
    for batch in take(loader(dataset, augment=AugmentOptions.none()), 12):
        assert batch.photos.shape == (4, 3, 32, 32)
        assert batch.photos.dtype == batch.frames.dtype == batch.xy.dtype == torch.float32
        assert batch.frame_of_photo.dtype == batch.photo_index.dtype == torch.int64
        assert batch.lonlat_deg.dtype == torch.float64
        steps = batch.frame_of_photo.diff()
        assert batch.frame_of_photo[0] == 0
        assert ((steps == 0) | (steps == 1)).all()
        assert len(batch.frames) == int(batch.frame_of_photo[-1]) + 1
        footprints = dataset.footprint_of_photo[batch.photo_index]
        assert len(np.unique(footprints)) == len(batch.frames)
        for row, photo in enumerate(batch.photo_index.tolist()):
            upright = np.asarray(open_photo(dataset.photo_jpeg(photo)).rgb)
            assert torch.equal(batch.photos[row], street_view_pixels([upright], 32)[0])
            np.testing.assert_array_equal(batch.lonlat_deg[row], dataset.lonlat_deg[photo])
            wanted = dataset.footprints[footprints[row]].frame_xy(dataset.lonlat_deg[photo])[0]
            np.testing.assert_allclose(batch.xy[row], wanted, atol=1e-6)
            frame = batch.frames[batch.frame_of_photo[row]]
            choices = [
                remote_sensing_pixels(dataset.frame_dn(footprints[row], date)[None], 24)[0]
                for date in range(3)
            ]
            [date] = [date for date in range(3) if torch.equal(choices[date], frame)]
            dates_seen.add((int(footprints[row]), date))
    assert len(dates_seen) > 12  # of 18: the date is drawn anew for each batch


def test_augmentation_changes_photos_and_frames_anew_each_epoch(
    dataset: ShardedDataset, reference: list[Batch]
) -> None:
    plain = take(loader(dataset, augment=AugmentOptions.none()), 12)
    for batch, other in zip(reference, plain, strict=True):
        assert torch.equal(batch.photo_index, other.photo_index)
        assert torch.equal(batch.xy, other.xy)
        assert not any(torch.equal(a, b) for a, b in zip(batch.photos, other.photos, strict=True))
        assert not any(torch.equal(a, b) for a, b in zip(batch.frames, other.frames, strict=True))
    looks: dict[int, list[torch.Tensor]] = {}
    for batch in reference:
        for photo, pixels in zip(batch.photo_index.tolist(), batch.photos, strict=True):
            assert not any(torch.equal(pixels, before) for before in looks.get(photo, []))
            looks.setdefault(photo, []).append(pixels)
    assert max(map(len, looks.values())) == 3
    frames = torch.cat([batch.frames for batch in reference])
    assert len(frames.unique(dim=0)) == len(frames)  # anew for each batch, too


def test_the_seed_changes_everything(dataset: ShardedDataset, reference: list[Batch]) -> None:
    other = take(loader(dataset, seed=6), 4)
    assert any(
        not torch.equal(a.photo_index, b.photo_index)
        for a, b in zip(other, reference[:4], strict=True)
    )


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"batch_photos": 2}, "batch_photos was 4 and is 2"),
        ({"seed": 1}, "seed was 5 and is 1"),
        ({"photos_per_footprint": 1}, "photos_per_footprint was 2 and is 1"),
    ],
)
def test_a_state_of_other_batches_is_refused(
    dataset: ShardedDataset, change: dict[str, int], name: str
) -> None:
    state = loader(dataset).state_dict()
    with pytest.raises(TrainingError, match=name):
        loader(dataset, **change).load_state_dict(state)


def test_a_state_of_another_data_set_or_split_is_refused(
    dataset: ShardedDataset, tmp_path: Path
) -> None:
    state = loader(dataset).state_dict()
    other = ShardedDataset.open(write_tiny_dataset(tmp_path / "data", seed=9))
    with pytest.raises(TrainingError, match=f"dataset was '{dataset.fingerprint()}' and is"):
        loader(other).load_state_dict(state)
    val = ShardedDataset.open(dataset.folder, "val")
    with pytest.raises(TrainingError, match="split was 'train' and is 'val'"):
        loader(val).load_state_dict(state)


def test_batches_that_cannot_be_are_refused(dataset: ShardedDataset) -> None:
    with pytest.raises(DatasetError, match="has 18 photos in its split 'train', less than one"):
        loader(dataset, batch_photos=19)
    with pytest.raises(UsageError, match="batch_photos 4 cannot be dealt to 3 ranks"):
        loader(dataset, rank=0, world=3)
    for name in ("batch_photos", "photos_per_footprint", "seed", "workers", "prefetch"):
        with pytest.raises(UsageError, match=f"`{name}` is -1"):
            dataclasses.replace(OPTIONS, **{name: -1})


def write_broken(folder: Path, broken: list[int], count: int = 12) -> ShardedDataset:
    """Two footprints of equally many photos, some of which are cut off."""
    rng = np.random.default_rng(0)
    with ShardWriter(folder, footprint_mercator_m=FOOTPRINT_M) as writer:
        for name, lon_deg in (("a", LONLAT_DEG[0]), ("b", LONLAT_DEG[0] + 1)):
            square = Footprint.web_mercator_square((lon_deg, LONLAT_DEG[1]), FOOTPRINT_M)
            photos = tiny_photos(name, "sea", square, rng, count=count // 2)
            for number, photo in enumerate(photos):
                if len(photos) * (name == "b") + number in broken:
                    cut = len(photo.jpeg) // 2 if number % 2 else 30  # in the pixels, the header
                    photos[number] = dataclasses.replace(photo, jpeg=photo.jpeg[:cut])
            writer.add_frame("train", tiny_frame(name, "sea", square, rng))
            writer.add_photos("train", photos)
    return ShardedDataset.open(folder, verify=True)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("number", "name"), [(4, "a/4"), (7, "b/1")])
def test_a_broken_photo_is_named_with_its_shard(
    tmp_path: Path, number: int, name: str, workers: int
) -> None:
    broken = write_broken(tmp_path / "data", [number])
    with pytest.raises(DatasetError) as caught:
        take(loader(broken, workers=workers), 3)
    told = str(caught.value)
    assert told.startswith(f"photo '{name}' of {tmp_path}/data/photos/train-00000.parquet")
    assert "\n" not in told


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_photos_may_be_replaced_and_counted(tmp_path: Path, workers: int) -> None:
    """After the last photo comes the first, of another footprint: the order must be mended."""
    broken = write_broken(tmp_path / "data", [4, 11])
    plain = AugmentOptions.none()
    batches = loader(broken, workers=workers, skip_broken=True, augment=plain, batch_photos=3)
    for batch in take(batches, 8):
        photos = batch.photo_index.tolist()
        assert len(set(photos)) == 3
        assert not {4, 11} & set(photos)
        footprints = broken.footprint_of_photo[photos]
        assert (np.diff(footprints) >= 0).all()
        np.testing.assert_array_equal(
            batch.frame_of_photo, np.unique(footprints, return_inverse=True)[1]
        )
        upright = [np.asarray(open_photo(broken.photo_jpeg(photo)).rgb) for photo in photos]
        assert torch.equal(batch.photos, street_view_pixels(upright, 32))
    assert batches.skipped == {"a/4": 2, "b/5": 2}  # once an epoch
    batches.close()


def test_too_many_broken_photos_are_an_error_all_the_same(tmp_path: Path) -> None:
    broken = write_broken(tmp_path / "data", list(range(8)), count=8)
    with pytest.raises(DatasetError, match="none to take its place"):
        take(loader(broken, skip_broken=True), 1)
    one = write_broken(tmp_path / "one", [0], count=4)
    with pytest.raises(DatasetError, match="none to take its place"):
        take(loader(one, skip_broken=True), 1)


def test_a_large_photo_looks_the_same_in_training_and_in_a_search(tmp_path: Path) -> None:
    """Fine detail over 3 megapixels: decoded at a part of its size it would look other."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    square = Footprint.web_mercator_square(LONLAT_DEG, FOOTPRINT_M)
    photos = tiny_photos("a", "sea", square, rng, count=2, photo_px=(2048, 1536), grain=40)
    with ShardWriter(folder, footprint_mercator_m=FOOTPRINT_M) as writer:
        writer.add_frame("train", tiny_frame("a", "sea", square, rng))
        writer.add_photos("train", photos)
    plain = AugmentOptions.none()
    [batch] = take(loader(ShardedDataset.open(folder), batch_photos=2, augment=plain), 1)
    for row, photo in enumerate(batch.photo_index.tolist()):
        searched = street_view_pixels([np.asarray(open_photo(photos[photo].jpeg).rgb)], 32)
        assert torch.equal(batch.photos[row], searched[0])


def test_turned_frames_come_with_their_points(dataset: ShardedDataset) -> None:
    """The pixel under each photo is the one of the frame that was not turned."""
    plain = AugmentOptions.none()
    turned = dataclasses.replace(plain, frame_symmetries=True)
    moved = 0
    for a, b in zip(
        take(loader(dataset, augment=plain), 12),
        take(loader(dataset, augment=turned), 12),
        strict=True,
    ):
        assert torch.equal(a.photos, b.photos)
        assert torch.equal(a.lonlat_deg, b.lonlat_deg)
        for frame, before, after in zip(a.frame_of_photo, a.xy, b.xy, strict=True):
            assert torch.equal(
                pixel_under(a.frames[frame], before), pixel_under(b.frames[frame], after)
            )
            moved += not torch.equal(before, after)
    assert moved > 30  # of 48: one symmetry in eight leaves a frame as it is


def pixel_under(frame: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
    side = frame.shape[-1]
    column, row = (min(side - 1, int((float(q) + 1) / 2 * side)) for q in xy)
    return frame[:, row, column]


def test_cropped_photos_are_parts_of_the_whole(dataset: ShardedDataset) -> None:
    plain = AugmentOptions.none()
    cropped = dataclasses.replace(plain, crop=0.3)
    whole, parts = (take(loader(dataset, augment=a), 4) for a in (plain, cropped))
    for a, b in zip(whole, parts, strict=True):
        assert torch.equal(a.frames, b.frames)
        assert torch.equal(a.xy, b.xy)
        assert not any(torch.equal(p, q) for p, q in zip(a.photos, b.photos, strict=True))


def test_a_batch_moves_whole(reference: list[Batch]) -> None:
    moved = reference[0].to("meta")
    assert all(getattr(moved, name).device.type == "meta" for name in TENSORS)
    assert (moved.epoch, moved.number) == (0, 0)
