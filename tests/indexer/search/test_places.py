"""Distinct places: against a definition so plain that it can be read."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest

from gair.arrays import Floats
from gair.geo import haversine_m
from indexer.regions.cell_field import CellField
from indexer.search import places
from indexer.search.places import Place, distinct_places, first_rows


def by_definition(
    scores: npt.NDArray[np.float32], lonlat_deg: Floats, k: int, radius_m: float
) -> list[Place]:
    """From the best down; a cell near a better place is merged into the nearest such place."""
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))
    peaks: list[int] = []
    for row in order:
        near = any(haversine_m(lonlat_deg[row], lonlat_deg[p]) <= radius_m for p in peaks)
        if not near and len(peaks) < k:
            peaks.append(row)
    merged: dict[int, list[float]] = {peak: [] for peak in peaks}
    for row in set(order) - set(peaks):
        distances = [float(haversine_m(lonlat_deg[row], lonlat_deg[p])) for p in peaks]
        if min(distances) <= radius_m:
            merged[peaks[int(np.argmin(distances))]].append(min(distances))
    return [Place(p, len(merged[p]), max(merged[p], default=0.0)) for p in peaks]


def world(count: int, seed: int) -> tuple[npt.NDArray[np.float32], Floats]:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=count).astype(np.float32),
        rng.uniform((-0.15, 51.45), (-0.05, 51.55), (count, 2)),
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("k", "radius_m"), [(1, 500), (5, 300), (20, 1500), (7, 0), (400, 900)])
def test_places_equal_the_definition(seed: int, k: int, radius_m: float) -> None:
    scores, lonlat = world(150, seed)
    if seed % 2:
        scores = np.round(scores)  # many ties
    places = distinct_places(scores, lonlat, k, radius_m)
    wanted = by_definition(scores, lonlat, k, radius_m)
    assert [(p.row, p.merged) for p in places] == [(p.row, p.merged) for p in wanted]
    assert [p.spread_m for p in places] == pytest.approx([p.spread_m for p in wanted])


@pytest.mark.parametrize("seed", range(4))
def test_places_are_distinct_and_in_order(seed: int) -> None:
    scores, lonlat = world(5000, seed)
    places = distinct_places(scores, lonlat, 12, 800)
    assert len(places) == 12
    for a, b in itertools.combinations(places, 2):
        assert haversine_m(lonlat[a.row], lonlat[b.row]) > 800
        assert scores[a.row] >= scores[b.row]
    assert all(0 <= p.spread_m <= 800 for p in places)
    assert places[0].row == scores.argmax()


def test_a_look_at_the_best_cells_finds_what_a_look_at_all_finds() -> None:
    # 4000 excellent cells on one spot, then worse ones elsewhere: the first look sees one place.
    rng = np.random.default_rng(0)
    crowd = np.array([-0.1, 51.5]) + rng.uniform(-1e-4, 1e-4, (4000, 2))
    others = rng.uniform((-0.15, 51.45), (-0.05, 51.55), (200, 2))
    lonlat = np.concatenate([crowd, others])
    scores = np.concatenate([rng.uniform(10, 11, 4000), rng.uniform(0, 1, 200)]).astype(np.float32)
    places = distinct_places(scores, lonlat, 5, 300)
    wanted = by_definition(scores, lonlat, 5, 300)
    assert [(p.row, p.merged) for p in places] == [(p.row, p.merged) for p in wanted]
    assert places[0].merged >= 3999


def test_equal_scores_go_by_row() -> None:
    lonlat = np.stack([np.linspace(0, 1, 3000), np.zeros(3000)], axis=1)
    scores = np.zeros(3000, dtype=np.float32)
    assert [p.row for p in distinct_places(scores, lonlat, 3, 0)] == [0, 1, 2]
    scores[[7, 2999]] = 1
    assert [p.row for p in distinct_places(scores, lonlat, 3, 0)] == [7, 2999, 0]


@pytest.mark.parametrize("look", [1, 40, 1024])
def test_equal_scores_go_by_row_however_many_are_looked_at_first(
    monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    monkeypatch.setattr(places, "_FIRST_LOOK", look)
    scores, lonlat = world(1200, 3)
    scores = np.floor(scores)  # some hundred cells on each level
    merged = distinct_places(scores, lonlat, 4, 600)
    wanted = by_definition(scores, lonlat, 4, 600)
    assert [p.row for p in merged] == [p.row for p in wanted]
    flat = distinct_places(np.zeros_like(scores), lonlat, 4, 600)
    assert [p.row for p in flat] == [p.row for p in by_definition(0 * scores, lonlat, 4, 600)]
    assert flat[0].row == 0


def test_fewer_places_than_asked_for() -> None:
    lonlat = np.array([[0.0, 0.0], [0.001, 0.0], [1.0, 0.0]])
    places = distinct_places(np.array([1, 2, 3], dtype=np.float32), lonlat, 10, 500)
    assert [(p.row, p.merged) for p in places] == [(2, 0), (1, 1)]
    assert places[1].spread_m == pytest.approx(111.2, abs=0.1)
    one = distinct_places(np.zeros(1, dtype=np.float32), np.zeros((1, 2)), 5, 1e9)
    assert one == [Place(0, 0, 0.0)]


def test_cells_on_one_spot_are_one_place_even_without_a_radius() -> None:
    places = distinct_places(np.arange(4, dtype=np.float32), np.zeros((4, 2)), 4, 0)
    assert places == [Place(3, 3, 0.0)]


def test_the_antimeridian_does_not_part_neighbours() -> None:
    lonlat = np.array([[179.9999, 10.0], [-179.9999, 10.0], [0.0, 10.0]])
    places = distinct_places(np.array([3, 2, 1], dtype=np.float32), lonlat, 3, 100)
    assert [(p.row, p.merged) for p in places] == [(0, 1), (2, 0)]


def test_asking_for_every_place_of_a_city_needs_no_table_of_all_pairs() -> None:
    scores, lonlat = world(40_000, 0)
    tracemalloc.start()
    try:
        places = distinct_places(scores, lonlat, 10**9, 250)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 30e6  # 40,000 cells x 1,000 places x 8 bytes would be 320 MB
    assert 500 < len(places) < 2500
    assert sum(p.merged for p in places) + len(places) == 40_000


@pytest.mark.parametrize("k", [1, 5, 40, 300])
def test_rows_by_known_neighbours_are_those_of_distinct_places(k: int) -> None:
    scores, lonlat_deg = world(300, 7)
    near = CellField(lonlat_deg, np.ones(300)).discs(lonlat_deg, 400.0).matrix
    tied = np.random.default_rng(8).integers(0, 4, size=300).astype(np.float32)
    for by in (scores, tied):
        rows = [place.row for place in distinct_places(by, lonlat_deg, k, 400.0)]
        assert first_rows(by, near, k).tolist() == rows


def test_rows_beyond_the_first_look_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_FIRST_LOOK", 8)
    _, lonlat_deg = world(300, 7)
    near = CellField(lonlat_deg, np.ones(300)).discs(lonlat_deg, 3000.0).matrix
    smooth = -haversine_m(lonlat_deg, lonlat_deg[140])  # the best cells all merge into one place
    rows = [place.row for place in distinct_places(smooth, lonlat_deg, 3, 3000.0)]
    assert first_rows(smooth, near, 3).tolist() == rows
