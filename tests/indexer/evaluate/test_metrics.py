"""Errors, recalls, ranks and areas, each against a slow loop of its definition."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gair.arrays import Ints, Scores
from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.evaluate import judge as judging
from indexer.evaluate.judge import (
    Judge,
    Outcomes,
    Ranking,
    Truths,
    judge_all,
    judge_everywhere_alike,
)
from indexer.evaluate.metrics import (
    cell_floor_m,
    geoscores,
    nearest_of_first,
    rank_and_area,
    rank_distances,
    recall_by_area,
    shown_radii,
    span_m,
    within,
)
from indexer.probability.conformal import region_rows
from indexer.probability.posterior import ScoreWeights, area_log_prior, log_likelihood, posterior
from indexer.regions.highest import highest_rows
from indexer.search.places import distinct_places
from indexer.search.space import SearchSpace

RNG = np.random.default_rng(5)
GRID = np.stack(np.meshgrid(np.arange(20), np.arange(15)), axis=-1).reshape(-1, 2)
CELLS = np.array([13.4, 52.5]) + GRID * [0.002, 0.0012] + RNG.uniform(-1e-4, 1e-4, (300, 2))
AREA = RNG.uniform(0.8, 1.2, 300) * 18_000


def space_of(lonlat_deg: np.ndarray, area_m2: np.ndarray) -> SearchSpace:
    """Cells of no index; a point is in the cell of the nearest centre."""

    class Cells(SearchSpace):
        def cell_row(self, lonlat_deg: npt.ArrayLike) -> Ints:
            return self.field.nearest(np.asarray(lonlat_deg))[0]

    cells = SimpleNamespace(lonlat_deg=lonlat_deg, area_m2=area_m2)
    index: Any = SimpleNamespace(cells=cells, tokens=None, rs=None)
    model: Any = SimpleNamespace(config=SimpleNamespace(temperature=0.5))
    return Cells(index, model, merge_radius_m=300.0)


SPACE = space_of(CELLS, AREA)
TRUTH_ROW = RNG.integers(-1, 300, size=12)
PHOTOS = CELLS[TRUTH_ROW] + RNG.uniform(-5e-4, 5e-4, (12, 2))
SCORES = RNG.standard_normal((12, 300)).astype(np.float32)
LEVELS = (0.5, 0.9, 0.99)


def test_the_floor_is_the_corner_of_a_hexagon() -> None:
    corners = 100.0 * np.exp(1j * np.pi / 3 * np.arange(6))  # 100 m from the centre
    area = 0.5 * abs((corners * np.conj(np.roll(corners, -1))).imag.sum())
    assert cell_floor_m(np.array([area, area])) == pytest.approx(100)
    assert shown_radii(78.0)[:2] == [100, 200]
    assert shown_radii(200.0)[0] == 200


def test_what_an_index_spans() -> None:
    assert span_m(CELLS) == pytest.approx(haversine_m(CELLS[0], CELLS[-1]), rel=0.05)
    date_line = np.array([[179.9, 0.0], [-179.9, 0.0]])
    assert span_m(date_line) == pytest.approx(haversine_m(*date_line))
    everywhere = np.array([[0.0, 0], [180, 0], [90, 0], [-90, 0], [0, 90], [0, -90]])
    assert span_m(everywhere) == pytest.approx(math.pi * 6371008.8)


def test_geoscore_by_hand() -> None:
    found = geoscores(np.array([0.0, 10e3, 1492.7e3, np.inf]))
    assert found == pytest.approx([5000, 4966.6, 5000 / math.e, 0], abs=0.1)


def test_a_radius_includes_its_edge_and_nothing_that_is_no_number() -> None:
    found = within(np.array([200.0, 200.1, np.nan, np.inf]), [200.0, 1e9])
    assert found.tolist() == [[True, True], [False, True], [False, False], [False, False]]


def test_the_nearest_of_the_first() -> None:
    distances = np.array([[9.0, 4, 7, 1], [2, 5, np.inf, np.inf]])
    assert nearest_of_first(distances, (1, 3, 10)).tolist() == [[9, 4, 1], [2, 2, 2]]
    assert np.isinf(nearest_of_first(np.zeros((2, 0)), (1, 10))).all()


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


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\(12, 300\) for 12 photos and 299 cells"):
        rank_distances(SCORES, PHOTOS, CELLS[1:], 1)


def test_the_order_among_equals_is_that_of_the_photos_number() -> None:
    tied = np.zeros((12, 300))
    whole = rank_distances(tied, PHOTOS, CELLS, 5)
    rows = [7, 2]
    assert (rank_distances(tied[rows], PHOTOS[rows], CELLS, 5, numbers=rows) == whole[rows]).all()


def slow_best(row: Scores, k: int, number: int) -> Ints:
    """The k best cells, found without knowing any before: equals come by chance."""
    rng, cells = np.random.default_rng([0, number]), np.arange(len(row))
    if k < len(row):
        threshold = np.sort(row)[-k]
        above, equal = np.flatnonzero(row > threshold), np.flatnonzero(row == threshold)
        if len(equal) > k - len(above):
            equal = rng.choice(equal, size=k - len(above), replace=False)
        cells = np.concatenate([above, equal])
    return np.asarray(cells[np.lexsort((rng.random(len(cells)), -row[cells]))])


@pytest.mark.parametrize("decimals", [0, 1, 12])  # many equals, some, none
@pytest.mark.parametrize("known", [40, 120, 300])
def test_cells_known_to_be_the_best_change_nothing(decimals: int, known: int) -> None:
    scores = np.round(SCORES, decimals)
    scores[3, 5] = np.nan
    highest = [highest_rows(row, known) for row in scores]
    for k in (1, 40, *([300, 500] if known == 300 else [])):
        found = rank_distances(scores, PHOTOS, CELLS, k, highest=highest)
        assert (found == rank_distances(scores, PHOTOS, CELLS, k)).all()
        assert np.isinf(found[3]).all()
        for photo in (0, 7):
            best = slow_best(scores[photo], k, photo)
            assert (found[photo, : len(best)] == haversine_m(CELLS[best], PHOTOS[photo])).all()
    for row in range(0, 300, 7):
        truth = np.full(len(scores), row)
        truth[3] = -1
        of_some, of_all = (rank_and_area(scores, AREA, truth, best) for best in (highest, None))
        assert (np.array(of_some) == np.array(of_all)).all()


def test_the_nearest_of_the_best_cells_by_sorting() -> None:
    distances_m = rank_distances(SCORES, PHOTOS, CELLS, 1000)
    found = nearest_of_first(distances_m, (1, 3, 10, 1000))
    for photo, k in itertools.product(range(12), (1, 3, 10, 1000)):
        best = np.argsort(-SCORES[photo])[:k]
        nearest = haversine_m(CELLS[best], PHOTOS[photo]).min()
        assert found[photo, (1, 3, 10, 1000).index(k)] == nearest


def test_rank_and_area_over_all_orders_of_equal_scores() -> None:
    scores = np.array([[3.0, 1, 3, 2, 3], [5, 5, 5, 5, 5]])
    area = np.array([1.0, 2, 4, 8, 16])
    for photo, true in itertools.product((0, 1), range(5)):
        ranks, areas = [], []
        for order in itertools.permutations(range(5)):
            if any(scores[photo, a] < scores[photo, b] for a, b in itertools.pairwise(order)):
                continue
            ranks.append(order.index(true) + 1)
            areas.append(area[list(order[: ranks[-1]])].sum())
        rank, searched = rank_and_area(scores[[photo]], area, np.array([true]))
        assert (rank[0], searched[0]) == (pytest.approx(np.mean(ranks)), np.mean(areas))


def test_a_truth_outside_the_index_is_never_found() -> None:
    rank, searched = rank_and_area(SCORES[:1], AREA, np.array([-1]))
    assert np.isinf([*rank, *searched]).all()


def test_recall_by_area_by_hand() -> None:
    searched = np.array([0.5, 2.0, np.inf, 1.0])
    assert recall_by_area(searched, [0.4, 0.5, 1.5, 1e9]).tolist() == [0, 0.25, 0.5, 0.75]


def truths() -> Truths:
    s = np.zeros((14, 4), dtype=np.float32)
    places = np.concatenate([PHOTOS, [[np.nan, np.nan]], PHOTOS[:1]])
    row = np.append(TRUTH_ROW, [-1, TRUTH_ROW[0]])
    s[:12, 0] = np.arange(12)  # which scores are the photo's
    return Truths(s, places, row, np.arange(12))


def scores_of(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = s[:, 0].astype(int)
    return SCORES[rows], SCORES[rows][:, ::-1]


@pytest.mark.parametrize("weights", [None, ScoreWeights(2.0, 1.0, 120.0)])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("most_photos", [64, 2])
def test_judged_photos_against_a_loop(
    weights: ScoreWeights | None, threads: int, most_photos: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By threads, and with two photos a block by forked children."""
    monkeypatch.setattr(judging, "_MOST_PHOTOS", most_photos)
    masses = (0.3, 0.9, math.inf)
    ranking = Ranking(
        2.0, 1.0, weights, radii_m=(150.0, 900.0), levels=LEVELS, masses=lambda *_: masses
    )
    judge = Judge(SPACE)
    found = judge_all(judge, {"one": ranking}, scores_of, truths(), threads=threads, quiet=True)
    outcomes = found["one"]
    for photo in range(12):
        rs, location = SCORES[[photo]], SCORES[[photo]][:, ::-1]
        near = haversine_m(CELLS[:, None], CELLS[None]) <= 300
        by_cell = (2 * rs + location)[0]
        by_place = near @ np.exp(by_cell / 0.5)
        if weights is not None:
            blur = SPACE.field.blur(120.0)
            p = posterior(log_likelihood(rs, location, weights, blur), area_log_prior(AREA))[0]
            by_place, by_cell = near @ p, p / AREA
        best = int(np.argmax(by_place))
        assert (outcomes.shown_lonlat_deg[photo] == CELLS[best]).all()
        assert outcomes.error_m[photo] == haversine_m(CELLS[best], PHOTOS[photo])
        places = [c.row for c in distinct_places(by_place, CELLS, 10, 450.0)]
        nearest = haversine_m(CELLS[places], PHOTOS[photo]).min()
        assert outcomes.near_places_m[photo, 1] == nearest
        true = TRUTH_ROW[photo]
        if true >= 0:
            assert outcomes.rank[photo] == 1 + (by_cell > by_cell[true]).sum()
            assert outcomes.searched_m2[photo] == pytest.approx(
                AREA[by_cell >= by_cell[true]].sum()
            )
        else:
            assert np.isinf(outcomes.rank[photo])
        if weights is None:
            continue
        expected = np.log(p[true]) if true >= 0 else -np.inf
        assert outcomes.log_p[photo] == pytest.approx(expected)
        for column, radius_m in enumerate((150.0, 900.0)):
            mass = p[haversine_m(CELLS, CELLS[best]) <= radius_m].sum()
            assert outcomes.disc_mass[photo, column] == pytest.approx(mass)
        for column, mass in enumerate(masses):
            region = region_rows(p, AREA, mass)
            assert outcomes.covered[photo, column] == (true in region)
            assert outcomes.region_m2[photo, column] == pytest.approx(AREA[region].sum())


def test_the_cell_that_fills_a_region_up_is_in_it() -> None:
    weights = ScoreWeights(2.0, 1.0, 0.0)
    photo = int(np.flatnonzero(TRUTH_ROW >= 0)[0])
    rs, location = SCORES[[photo]], SCORES[[photo]][:, ::-1]
    p = posterior(log_likelihood(rs, location, weights, None), area_log_prior(AREA))[0]
    own = p[TRUTH_ROW[photo]]
    before = p[p / AREA > own / AREA[TRUTH_ROW[photo]]].sum()
    around = (before - own / 2, before + own / 2, before + own)
    ranking = Ranking(2.0, 1.0, weights, levels=LEVELS, masses=lambda *_: around)
    found = judge_all(Judge(SPACE), {"one": ranking}, scores_of, truths(), quiet=True)["one"]
    assert found.covered[photo].tolist() == [False, True, True]


def test_failed_photos_stay_as_misses() -> None:
    ranking = Ranking(1.0, 0.0)
    found = judge_all(Judge(SPACE), {"one": ranking}, scores_of, truths(), quiet=True)["one"]
    for row in (12, 13):
        assert np.isnan(found.shown_lonlat_deg[row]).all()
        assert np.isinf(found.error_m[row])
        assert np.isinf([*found.near_places_m[row], *found.near_cells_m[row]]).all()
        assert np.isinf([found.rank[row], found.searched_m2[row]]).all()
    assert len(Outcomes.failed(3, ranking).error_m) == 3


def test_one_in_a_hundred_cells_is_the_last_column() -> None:
    found = judge_all(Judge(SPACE), {"one": Ranking(1.0, 0.0)}, scores_of, truths(), quiet=True)[
        "one"
    ]
    for photo in range(12):
        best = np.argsort(-SCORES[photo])[:3]  # of 300
        assert found.near_cells_m[photo, 3] == haversine_m(CELLS[best], PHOTOS[photo]).min()
        assert found.near_cells_m[photo, 0] == haversine_m(CELLS[best[0]], PHOTOS[photo])


def test_one_answer_for_all_photos() -> None:
    p = RNG.random(300)
    p /= p.sum()
    judge = Judge(SPACE)
    found = judge_everywhere_alike(judge, p, truths())
    near = haversine_m(CELLS[:, None], CELLS[None]) <= 300
    places = [c.row for c in distinct_places(near @ p, CELLS, 100, 450.0)]
    assert (found.shown_lonlat_deg[:12] == CELLS[places[0]]).all()
    best = np.argsort(-(p / AREA), kind="stable")
    for photo in range(12):
        away = haversine_m(CELLS, PHOTOS[photo])
        assert found.error_m[photo] == away[places[0]]
        for column, k in enumerate((1, 10, 100)):
            assert found.near_places_m[photo, column] == away[places[:k]].min()
        for column, k in enumerate((1, 10, 100, 3)):
            assert found.near_cells_m[photo, column] == away[best[:k]].min()
    rank, searched = rank_and_area(np.tile(p / AREA, (12, 1)), AREA, TRUTH_ROW)
    assert found.rank[:12].tolist() == rank.tolist()
    assert found.searched_m2[:12] == pytest.approx(searched)
    inside = np.flatnonzero(TRUTH_ROW >= 0)
    assert found.log_p[inside] == pytest.approx(np.log(p[TRUTH_ROW[inside]]))
    assert np.isinf(found.error_m[12:]).all()


def test_one_flat_answer_has_the_mean_rank_and_area() -> None:
    found = judge_everywhere_alike(
        Judge(space_of(CELLS, np.full(300, 2.0))), np.full(300, 1 / 300), truths()
    )
    inside = np.flatnonzero(TRUTH_ROW >= 0)
    assert set(found.rank[inside]) == {150.5}
    assert set(found.searched_m2[inside]) == {301.0}
