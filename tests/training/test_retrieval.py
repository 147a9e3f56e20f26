"""Recall, median error and chance, each against a slow loop of its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gair.errors import UsageError
from gair.geo import EARTH_RADIUS_M, haversine_m
from indexer.evaluate import baselines
from training import retrieval
from training.retrieval import (
    chance_median_error_m,
    chance_recall,
    median_error_m,
    nearest_first_distances,
    rank_distances,
    recall_at,
    retrieval_metrics,
)

RNG = np.random.default_rng(5)
CELLS = np.array([13.4, 52.5]) + RNG.uniform(-0.02, 0.02, size=(40, 2))
PHOTOS = np.array([13.4, 52.5]) + RNG.uniform(-0.02, 0.02, size=(17, 2))
SCORES = RNG.standard_normal((17, 40))


@pytest.mark.parametrize("k", [1, 3, 40])
def test_the_best_cells_come_first(k: int) -> None:
    found = rank_distances(SCORES, PHOTOS, CELLS, k)
    for photo in range(len(PHOTOS)):
        by_score = sorted(range(len(CELLS)), key=lambda cell: -SCORES[photo, cell])
        for rank, cell in enumerate(by_score[:k]):
            assert found[photo, rank] == haversine_m(CELLS[cell], PHOTOS[photo])


def test_fewer_cells_than_asked_for_are_filled_up_with_infinity() -> None:
    found = rank_distances(SCORES[:, :3], PHOTOS, CELLS[:3], 5)
    assert np.isfinite(found[:, :3]).all()
    assert np.isinf(found[:, 3:]).all()
    assert np.isinf(rank_distances(SCORES[:, :0], PHOTOS, CELLS[:0], 2)).all()


def test_a_score_that_is_no_number_makes_a_miss_not_a_missing_photo() -> None:
    scores = SCORES.copy()
    scores[4, 7] = np.nan
    found = rank_distances(scores, PHOTOS, CELLS, 40)
    assert np.isinf(found[4]).all()
    assert recall_at(found, 40, 1e7) == 16 / 17


def test_equal_scores_are_ordered_by_chance_and_the_seed() -> None:
    scores = np.zeros((2000, 4))
    scores[:, 2] = 1
    photos = np.tile(PHOTOS[:1], (2000, 1))
    distances = haversine_m(CELLS[:4], PHOTOS[0])
    for k in (2, 4):  # of the equal ones, one is wanted or all
        found = rank_distances(scores, photos, CELLS[:4], k)
        assert (found[:, 0] == distances[2]).all()
        for cell in (0, 1, 3):  # a third each
            assert abs((found[:, 1] == distances[cell]).mean() - 1 / 3) < 0.05
    found = rank_distances(scores, photos, CELLS[:4], 2)
    assert (found == rank_distances(scores, photos, CELLS[:4], 2)).all()
    assert (found != rank_distances(scores, photos, CELLS[:4], 2, seed=1)).any()


def test_blocks_of_photos_give_what_one_product_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = RNG.standard_normal((17, 6)).astype(np.float32)
    cells = RNG.integers(0, 2, size=(40, 6)).astype(np.float32)  # with equal scores
    whole = nearest_first_distances(photos, cells, PHOTOS, CELLS, 5)
    assert (whole == rank_distances(photos @ cells.T, PHOTOS, CELLS, 5)).all()
    chance = chance_recall(PHOTOS, CELLS, 3, 500.0)
    for module in (retrieval, baselines):
        monkeypatch.setattr(module, "_BLOCK_NUMBERS", 100)
    assert (whole == nearest_first_distances(photos, cells, PHOTOS, CELLS, 5)).all()
    assert chance == chance_recall(PHOTOS, CELLS, 3, 500.0)


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\(17, 40\) for 17 photos and 39 cells"):
        rank_distances(SCORES, PHOTOS, CELLS[1:], 1)


@pytest.mark.parametrize(("k", "radius_m"), [(1, 300.0), (5, 300.0), (5, 1000.0), (10, 0.0)])
def test_recall_against_a_loop(k: int, radius_m: float) -> None:
    distances = rank_distances(SCORES, PHOTOS, CELLS, 10)
    hits = 0
    for row in distances:
        hits += any(distance <= radius_m for distance in row[:k])
    assert recall_at(distances, k, radius_m) == hits / len(PHOTOS)


def test_recall_needs_photos_and_as_many_columns_as_k() -> None:
    with pytest.raises(UsageError, match="recall@3"):
        recall_at(np.ones((4, 2)), 3, 1.0)
    with pytest.raises(UsageError, match="there must be a photo"):
        recall_at(np.ones((0, 2)), 1, 1.0)


@pytest.mark.parametrize(
    ("first", "median"),
    [([5.0, 1.0, 9.0], 5.0), ([5.0, 1.0, 9.0, 2.0], 3.5), ([1.0, np.inf, np.nan], np.inf)],
)
def test_median_error(first: list[float], median: float) -> None:
    distances = np.stack([first, np.zeros(len(first))], axis=1)
    assert median_error_m(distances) == median


@pytest.mark.parametrize(("k", "radius_m"), [(1, 800.0), (2, 400.0), (3, 800.0), (9, 500.0)])
def test_chance_against_every_possible_choice(k: int, radius_m: float) -> None:
    cells = CELLS[:9]
    found = total = 0
    for photo in PHOTOS:
        near = haversine_m(cells, photo) <= radius_m
        for choice in itertools.combinations(range(9), k):
            found += bool(near[list(choice)].any())
            total += 1
    assert chance_recall(PHOTOS, cells, k, radius_m) == pytest.approx(found / total, abs=1e-12)


def test_chance_with_fewer_cells_than_k_is_whether_any_is_near() -> None:
    near = [(haversine_m(CELLS[:3], photo) <= 600).any() for photo in PHOTOS]
    assert chance_recall(PHOTOS, CELLS[:3], 100, 600.0) == pytest.approx(np.mean(near))
    assert chance_recall(PHOTOS, CELLS[:0], 10, 600.0) == 0


def test_distances_from_chords_are_great_circles() -> None:
    cells = np.array([[13.4, 52.5], [13.4003, 52.5], [13.5, 52.5], [-166.6, -52.4]])
    ((_, found),) = baselines.squared_chords(cells[:1], cells)
    arc_m = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(found[0]) / 2)
    np.testing.assert_allclose(arc_m, haversine_m(cells, cells[0]), rtol=1e-5, atol=0.2)


def test_chance_of_the_median_error_against_all_pairs() -> None:
    pairs = haversine_m(PHOTOS[:, None], CELLS[None])
    assert abs(chance_median_error_m(PHOTOS, CELLS) - np.median(pairs)) < 10
    assert chance_median_error_m(PHOTOS, CELLS[:0]) == np.inf


def test_metrics_name_k_and_metres_with_chance_beside() -> None:
    distances = rank_distances(SCORES, PHOTOS, CELLS, 10)
    found = retrieval_metrics(distances, PHOTOS, CELLS, ks=(1, 10), radii_m=(250.0,))
    assert found["recall@10_250m"] == recall_at(distances, 10, 250.0)
    assert found["chance_recall@10_250m"] == chance_recall(PHOTOS, CELLS, 10, 250.0)
    assert found["median_error_m"] == median_error_m(distances)
    assert found["photos"] == 17
    assert found["cells"] == 40
    assert "chance_median_error_m" in found
