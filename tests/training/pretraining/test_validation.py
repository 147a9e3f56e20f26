"""Validation by retrieval, against a slow loop over photos and cells."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_dataset import FOOTPRINT_M, tiny_frame, tiny_photos, write_tiny_dataset
from tiny_run import small_model

from gair.geo import Footprint, haversine_m
from gair.photos.photo import open_photo
from gair.preprocess import remote_sensing_pixels, street_view_pixels
from training.dataset.shards import ShardedDataset, ShardWriter
from training.dataset.shards.schema import PhotoRecord
from training.pretraining.validation import (
    LOCATION_WEIGHTS,
    ValidationOptions,
    Validator,
    goodness,
    inner_grid,
    summary,
)


@pytest.fixture(scope="module")
def val(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    folder = tmp_path_factory.mktemp("data")
    write_tiny_dataset(folder, photos_per_place=20, photo_px=(40, 32))
    return ShardedDataset.open(folder, "val")


def test_the_grid_covers_the_inner_part_evenly() -> None:
    grid = inner_grid()
    assert len(np.unique(grid, axis=0)) == 144
    along = np.unique(grid[:, 0])
    assert np.allclose(np.diff(along), 2 / 16)
    assert np.allclose([along[0], along[-1]], [-0.75 + 1 / 16, 0.75 - 1 / 16])


@pytest.mark.parametrize("mode", ["nili", "mean"])
@torch.no_grad()
def test_metrics_against_a_loop(val: ShardedDataset, mode: str) -> None:
    model = small_model()
    validator = Validator(val, ValidationOptions(mode=mode, quiet=True))  # type: ignore[arg-type]
    measured = validator(model)

    cells, z = [], []
    for number, footprint in enumerate(val.footprints):
        dn = val.frame_dn(number, validator.date_of_footprint[number])
        tokens = model.encode_remote_sensing(remote_sensing_pixels(dn[None], 32))
        for xy in inner_grid():
            cells.append(footprint.lonlat_deg(xy)[0])
            point = torch.from_numpy(xy)[None, None]
            z.append(model.localize(tokens, point, mode=mode, form="general")[0, 0])  # type: ignore[arg-type]
    errors, near, hits = [], [], 0
    for photo, lonlat in enumerate(val.lonlat_deg):
        rgb = np.asarray(open_photo(val.photo_jpeg(photo)).rgb)
        pixels = street_view_pixels([rgb], 32)
        s = model.encode_street_view(pixels)[0]
        scores = [float(s @ vector) for vector in z]
        distances = [float(haversine_m(cell, lonlat)) for cell in cells]
        by_score = sorted(range(len(cells)), key=lambda cell: -scores[cell])
        errors.append(distances[by_score[0]])
        hits += any(distances[cell] <= 1000 for cell in by_score[:10])
        near.append(np.mean(np.asarray(distances) <= 1000))
    assert measured["photos"] == len(val.lonlat_deg) == 40
    assert measured["cells"] == 2 * 144
    assert measured["chance_recall@1_1000m"] == pytest.approx(np.mean(near))
    if mode == "nili":  # the mean scores all cells of a frame alike
        assert measured["median_error_m"] == pytest.approx(np.median(errors))
        assert measured["recall@10_1000m"] == pytest.approx(hits / 40)


@torch.no_grad()
def test_locations_are_weighed_against_a_loop(val: ShardedDataset) -> None:
    """Weight by weight, cell by cell; and the weight that is named finds most."""
    model = small_model(seed=5)
    validator = Validator(val, ValidationOptions(quiet=True))
    measured = validator(model)
    from gair.progress import Progress

    with Progress("images", 1, "image", quiet=True) as progress:
        z = validator._cell_vectors(model, progress)
        s = validator._photo_vectors(model, progress)
    e = [
        model.encode_location(torch.from_numpy(lonlat)[None])[0].numpy()
        for lonlat in validator.cell_lonlat_deg
    ]
    recall = "recall@10_200m"

    def by_loop(rs_weight: float, location_weight: float) -> float:
        hits = 0
        for photo, vector in zip(validator.photos, s, strict=True):
            scores = [
                rs_weight * vector @ a + location_weight * vector @ b
                for a, b in zip(z, e, strict=True)
            ]
            best = sorted(range(len(scores)), key=lambda cell: -scores[cell])[:10]
            places = validator.cell_lonlat_deg[best]
            hits += bool(haversine_m(places, val.lonlat_deg[photo]).min() <= 200)
        return hits / len(s)

    by_weight = {weight: by_loop(1, weight) for weight in LOCATION_WEIGHTS}
    assert measured[recall] == pytest.approx(by_weight[0.0])
    for weight in LOCATION_WEIGHTS[1:]:
        name = f"{recall}_location_weight_{weight:g}"
        assert measured[name] == pytest.approx(by_weight[weight]), weight
    assert measured[f"{recall}_location_only"] == pytest.approx(by_loop(0, 1))
    assert len(set(by_weight.values())) > 1
    best = max(by_weight.values())
    assert measured["location_weight"] == min(w for w, r in by_weight.items() if r == best)


def test_a_location_encoder_that_nothing_trains_weighs_nothing(val: ShardedDataset) -> None:
    measured = Validator(val, ValidationOptions(photos=5, locations=False, quiet=True))(
        small_model()
    )
    assert measured["location_weight"] == 0
    assert not any("location_only" in name for name in measured)


def test_the_same_photos_are_asked_for_each_time(val: ShardedDataset) -> None:
    first, second = (Validator(val, ValidationOptions(photos=7, quiet=True)) for _ in range(2))
    assert first.photos.tolist() == second.photos.tolist()
    assert len(set(first.photos.tolist())) == 7
    other = Validator(val, ValidationOptions(photos=7, seed=3, quiet=True))
    assert other.photos.tolist() != first.photos.tolist()
    model = small_model()
    assert first(model) == second(model)


def test_half_precision_gives_nearly_the_same(val: ShardedDataset) -> None:
    model = small_model()
    exact = Validator(val, ValidationOptions(quiet=True))
    half = Validator(val, ValidationOptions(autocast=torch.bfloat16, quiet=True))
    from gair.progress import Progress

    with Progress("cells", 1, "cell", quiet=True) as progress:
        a, b = (v._cell_vectors(model, progress) for v in (exact, half))
    assert a.dtype == b.dtype == np.float32
    assert 0 < np.abs(a - b).max() < 0.05


def test_a_photo_that_cannot_be_decoded_is_a_miss(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    square = Footprint.web_mercator_square((-30.0, 45.0), FOOTPRINT_M)
    photos = tiny_photos("a", "sea", square, rng, count=4)
    broken = PhotoRecord(**{**vars(photos[0]), "photo_id": "b", "jpeg": b"\xff\xd8 no more"})
    with ShardWriter(tmp_path / "data", footprint_mercator_m=FOOTPRINT_M) as writer:
        writer.add_frame("val", tiny_frame("a", "sea", square, rng))
        writer.add_photos("val", [*photos, broken])
    dataset = ShardedDataset.open(tmp_path / "data", "val")
    measured = Validator(dataset, ValidationOptions(quiet=True))(small_model())
    assert measured["photos"] == 5
    assert measured["recall@100_1000m"] == pytest.approx(4 / 5)


def test_better_is_more_found_and_then_nearer() -> None:
    def metrics(recall: float, error_m: float) -> dict[str, float]:
        return {"recall@10_200m": recall, "median_error_m": error_m}

    assert goodness(metrics(0.2, 900)) > goodness(metrics(0.1, 100))
    assert goodness(metrics(0.0, 800)) > goodness(metrics(0.0, math.inf))


def test_a_summary_names_chance_too(val: ShardedDataset) -> None:
    measured = Validator(val, ValidationOptions(photos=5, quiet=True))(small_model())
    line = summary({**measured, "step": 40})
    assert line.startswith("validation at step 40: recall@10 within 200 m ")
    assert line.count("(chance ") == 2
    assert line.endswith(f"best weight of locations {measured['location_weight']:g}")
