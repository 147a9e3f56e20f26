"""Recall, median error and chance, each against a slow loop of its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gair.errors import UsageError
from gair.geo import EARTH_RADIUS_M, haversine_m
from indexer.evaluate import baselines
from indexer.evaluate.metrics import rank_distances
from training import retrieval
from training.retrieval import nearest_first_distances, retrieval_metrics

RNG = np.random.default_rng(5)
CELLS = np.array([13.4, 52.5]) + RNG.uniform(-0.02, 0.02, size=(40, 2))
PHOTOS = np.array([13.4, 52.5]) + RNG.uniform(-0.02, 0.02, size=(17, 2))
SCORES = RNG.standard_normal((17, 40))


def recall(distances_m: np.ndarray, k: int, radius_m: float) -> float:
    metrics = retrieval_metrics(distances_m, PHOTOS, CELLS, ks=(k,), radii_m=(radius_m,))
    return metrics[f"recall@{k}_{radius_m:g}m"]


def chance(cells: np.ndarray, k: int, radius_m: float) -> float:
    distances_m = np.zeros((len(PHOTOS), k))
    metrics = retrieval_metrics(distances_m, PHOTOS, cells, ks=(k,), radii_m=(radius_m,))
    return metrics[f"chance_recall@{k}_{radius_m:g}m"]


def test_a_score_that_is_no_number_makes_a_miss_not_a_missing_photo() -> None:
    scores = SCORES.copy()
    scores[4, 7] = np.nan
    distances_m = rank_distances(scores, PHOTOS, CELLS, 40)
    assert np.isinf(distances_m[4]).all()
    assert recall(distances_m, 40, 1e7) == 16 / 17


def test_blocks_of_photos_give_what_one_product_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = RNG.standard_normal((17, 6)).astype(np.float32)
    cells = RNG.integers(0, 2, size=(40, 6)).astype(np.float32)  # with equal scores
    whole = nearest_first_distances(photos, cells, PHOTOS, CELLS, 5)
    assert (whole == rank_distances(photos @ cells.T, PHOTOS, CELLS, 5)).all()
    by_chance = chance(CELLS, 3, 500.0)
    for module in (retrieval, baselines):
        monkeypatch.setattr(module, "_BLOCK_NUMBERS", 100)
    assert (whole == nearest_first_distances(photos, cells, PHOTOS, CELLS, 5)).all()
    assert by_chance == chance(CELLS, 3, 500.0)


@pytest.mark.parametrize(("k", "radius_m"), [(1, 300.0), (5, 300.0), (5, 1000.0), (10, 0.0)])
def test_recall_against_a_loop(k: int, radius_m: float) -> None:
    distances = rank_distances(SCORES, PHOTOS, CELLS, 10)
    hits = 0
    for row in distances:
        hits += any(distance <= radius_m for distance in row[:k])
    assert recall(distances, k, radius_m) == hits / len(PHOTOS)


def test_recall_needs_photos_and_as_many_columns_as_k() -> None:
    with pytest.raises(UsageError, match="recall@3"):
        recall(np.ones((4, 2)), 3, 1.0)
    with pytest.raises(UsageError, match="there must be a photo"):
        recall(np.ones((0, 2)), 1, 1.0)
    with pytest.raises(UsageError, match="k between 1 and"):
        recall(np.ones((4, 2)), 0, 1.0)


@pytest.mark.parametrize(
    ("first", "median"),
    [([5.0, 1.0, 9.0], 5.0), ([5.0, 1.0, 9.0, 2.0], 3.5), ([1.0, np.inf, np.nan], np.inf)],
)
def test_median_error(first: list[float], median: float) -> None:
    distances = np.stack([first, np.zeros(len(first))], axis=1)
    metrics = retrieval_metrics(distances, PHOTOS[: len(first)], CELLS, ks=(1,))
    assert metrics["median_error_m"] == median


@pytest.mark.parametrize(("k", "radius_m"), [(1, 800.0), (2, 400.0), (3, 800.0), (9, 500.0)])
def test_chance_against_every_possible_choice(k: int, radius_m: float) -> None:
    cells = CELLS[:9]
    hits = total = 0
    for photo in PHOTOS:
        near = haversine_m(cells, photo) <= radius_m
        for choice in itertools.combinations(range(9), k):
            hits += bool(near[list(choice)].any())
            total += 1
    assert chance(cells, k, radius_m) == pytest.approx(hits / total, abs=1e-12)


def test_chance_with_fewer_cells_than_k_is_whether_any_is_near() -> None:
    near = [(haversine_m(CELLS[:3], photo) <= 600).any() for photo in PHOTOS]
    assert chance(CELLS[:3], 100, 600.0) == pytest.approx(np.mean(near))
    assert chance(CELLS[:0], 10, 600.0) == 0


def test_distances_from_chords_are_great_circles() -> None:
    cells = np.array([[13.4, 52.5], [13.4003, 52.5], [13.5, 52.5], [-166.6, -52.4]])
    ((_, squared),) = baselines.squared_chords(cells[:1], cells)
    arc_m = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(squared[0]) / 2)
    np.testing.assert_allclose(arc_m, haversine_m(cells, cells[0]), rtol=1e-5, atol=0.2)


def test_chance_of_the_median_error_against_all_pairs() -> None:
    distances_m = rank_distances(SCORES, PHOTOS, CELLS, 1)
    pairs = haversine_m(PHOTOS[:, None], CELLS[None])
    metrics = retrieval_metrics(distances_m, PHOTOS, CELLS, ks=(1,))
    assert abs(metrics["chance_median_error_m"] - np.median(pairs)) < 10
    nowhere = retrieval_metrics(distances_m, PHOTOS, CELLS[:0], ks=(1,))
    assert nowhere["chance_median_error_m"] == np.inf


def test_metrics_name_k_and_metres_with_chance_beside() -> None:
    distances = rank_distances(SCORES, PHOTOS, CELLS, 10)
    metrics = retrieval_metrics(distances, PHOTOS, CELLS, ks=(1, 10), radii_m=(250.0,))
    assert metrics["recall@10_250m"] == recall(distances, 10, 250.0)
    assert metrics["chance_recall@10_250m"] == chance(CELLS, 10, 250.0)
    assert metrics["median_error_m"] == np.median(distances[:, 0])
    assert metrics["photos"] == 17
    assert metrics["cells"] == 40
    assert "chance_median_error_m" in metrics
