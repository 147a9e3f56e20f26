"""Training with photos that are not where they claim: one error a photo, and only if asked."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from tiny_dataset import write_tiny_dataset

from gair.config import preset
from gair.errors import UsageError
from gair.geo import haversine_m
from training.dataset.batches.batch import Batch, LoaderOptions
from training.dataset.batches.loader import PairLoader
from training.dataset.shards import ShardedDataset
from training.pretraining.build import loader_options
from training.pretraining.config import PRESETS

CONFIG = dataclasses.replace(preset("tiny"), sv_image_px=32, rs_frame_px=24)
OPTIONS = LoaderOptions(batch_photos=4, photos_per_footprint=2, seed=5, workers=0)
TENSORS = ("photos", "frames", "frame_of_photo", "xy", "lonlat_deg", "photo_index")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    """40 photos in 6 footprints: 10 batches of 4 an epoch."""
    folder = tmp_path_factory.mktemp("tiny") / "data"
    write_tiny_dataset(folder, photos_per_place=20, footprints_per_place=3, dates=2)
    return ShardedDataset.open(folder)


def batches(dataset: ShardedDataset, noise_m: float, count: int = 20, **k: int) -> list[Batch]:
    options = dataclasses.replace(OPTIONS, coordinate_noise_m=noise_m)
    ranks = {name: k.pop(name) for name in ("rank", "world") if name in k}
    loader = PairLoader(dataset, dataclasses.replace(options, **k), CONFIG, **ranks)
    batches = list(itertools.islice(loader, count))
    loader.close()
    return batches


def assert_same(batches: list[Batch], wanted: list[Batch]) -> None:
    for a, b in zip(batches, wanted, strict=True):
        for name in TENSORS:
            assert torch.equal(getattr(a, name), getattr(b, name)), name


def test_no_noise_changes_nothing(dataset: ShardedDataset) -> None:
    plain = list(itertools.islice(PairLoader(dataset, OPTIONS, CONFIG), 20))
    assert_same(batches(dataset, 0.0), plain)
    for batch in plain:
        photos = batch.photo_index.numpy()
        assert np.array_equal(batch.lonlat_deg.numpy(), dataset.lonlat_deg[photos])
        for row, photo in enumerate(photos):
            shape = dataset.footprints[dataset.footprint_of_photo[photo]]
            wanted = shape.frame_xy(dataset.lonlat_deg[[photo]]).astype(np.float32)[0]
            assert np.array_equal(batch.xy[row].numpy(), wanted)


def test_each_photo_has_one_error_of_the_strength_that_was_asked_for(
    dataset: ShardedDataset,
) -> None:
    before = dataset.lonlat_deg.copy()
    plain, noisy = batches(dataset, 0.0), batches(dataset, 50.0)
    place: dict[int, tuple[float, float]] = {}
    moved_m = []
    for wanted, misplaced in zip(plain, noisy, strict=True):
        for name in set(TENSORS) - {"xy", "lonlat_deg"}:
            assert torch.equal(getattr(misplaced, name), getattr(wanted, name)), name
        for row, photo in enumerate(misplaced.photo_index.tolist()):
            lon, lat = misplaced.lonlat_deg[row].tolist()
            assert place.setdefault(photo, (lon, lat)) == (lon, lat)  # in both epochs
            shape = dataset.footprints[dataset.footprint_of_photo[photo]]
            back = shape.frame_xy([[lon, lat]])[0]
            np.testing.assert_allclose(misplaced.xy[row], back, atol=1e-5)
            truth = dataset.lonlat_deg[photo]
            east = haversine_m((lon, truth[1]), truth) * np.sign(lon - truth[0])
            north = haversine_m((truth[0], lat), truth) * np.sign(lat - truth[1])
            moved_m.append((east, north))
    assert len(place) == 40
    spread = np.std(moved_m, axis=0)
    np.testing.assert_allclose(spread, 50, rtol=0.3)
    assert (np.abs(np.mean(moved_m, axis=0)) < 25).all()
    assert np.array_equal(dataset.lonlat_deg, before)


def test_the_error_does_not_depend_on_who_makes_the_batch(dataset: ShardedDataset) -> None:
    alone = batches(dataset, 80.0, 4)
    assert_same(batches(dataset, 80.0, 4, workers=1), alone)
    halves = [batches(dataset, 80.0, 4, rank=rank, world=2) for rank in range(2)]
    for wanted, *parts in zip(alone, *halves, strict=True):
        for name in ("xy", "lonlat_deg"):
            together = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(together, getattr(wanted, name))
    other = batches(dataset, 80.0, 4, seed=6)
    assert not torch.equal(other[0].xy, alone[0].xy)


def test_an_error_ends_where_the_frame_does(dataset: ShardedDataset) -> None:
    xy = torch.cat([batch.xy for batch in batches(dataset, 1e6, 10)])
    assert (xy.abs() <= 1).all()
    assert (xy.abs() == 1).any(dim=1).float().mean() > 0.9


def test_the_configuration_carries_it() -> None:
    config = dataclasses.replace(PRESETS["smoke"], coordinate_noise_m=25.0)
    assert loader_options(config, 8).coordinate_noise_m == 25
    assert all(preset.coordinate_noise_m == 0 for preset in PRESETS.values())
    for bad in (-1.0, float("nan")):
        with pytest.raises(UsageError, match="coordinate_noise_m"):
            dataclasses.replace(PRESETS["smoke"], coordinate_noise_m=bad)
        with pytest.raises(UsageError, match="coordinate_noise_m"):
            dataclasses.replace(OPTIONS, coordinate_noise_m=bad)
