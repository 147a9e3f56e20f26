"""Distinct places, how far apart and ranked by what, against definitions that can be read."""

from __future__ import annotations

import itertools
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hand_calibration import calibrate_by_hand
from small_builds import tiny_model
from toy_city import photo

from gair.arrays import Floats
from gair.geo import haversine_m
from gair.photos.photo import open_photo
from indexer import Answer
from indexer.evaluate.judge import Judge, Outcomes, Ranking, Truths
from indexer.probability.posterior import ScoreWeights
from indexer.regions.cell_field import CellField
from indexer.search import places
from indexer.search.geolocator import Geolocator
from indexer.search.places import Place, distinct_places, first_rows
from indexer.search.scored import Seen


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
        assert first_rows(by[None], near, k)[0].tolist() == rows


def test_rows_beyond_the_first_look_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_FIRST_LOOK", 8)
    _, lonlat_deg = world(300, 7)
    near = CellField(lonlat_deg, np.ones(300)).discs(lonlat_deg, 3000.0).matrix
    smooth = -haversine_m(lonlat_deg, lonlat_deg[140])  # the best cells all merge into one place
    rows = [place.row for place in distinct_places(smooth, lonlat_deg, 3, 3000.0)]
    assert first_rows(smooth[None], near, 3)[0].tolist() == rows


@pytest.fixture(scope="module")
def plain(tiny_index: Path) -> Geolocator:
    return Geolocator.open("toy", indexes_dir=tiny_index, model=tiny_model())


@pytest.mark.parametrize("radius_m", [0.0, None, 700.0])
@pytest.mark.parametrize("photos", [1, 2])
def test_places_without_calibration_are_ranked_by_likeness_all_around(
    plain: Geolocator, radius_m: float | None, photos: int
) -> None:
    """Cell by cell: the sum of exp(score / temperature) over the cells within the radius."""
    seen = Seen.together(plain.seen([photo(n) for n in range(photos)]))
    scored, cells = plain.every_cell(seen), plain.index.cells.lonlat_deg
    score = 0.7 * scored.rs.astype(np.float64) + 0.3 * scored.location
    like = np.exp(score.mean(axis=0) * (photos / shared_by(score, plain)) / 0.07)
    within_m = plain.space.merge_radius_m if radius_m is None else radius_m
    around = [sum(like[haversine_m(cells, centre) <= within_m]) for centre in cells]
    answer = plain.search(
        seen, k=6, merge_radius_m=radius_m, rs_weight=0.7, location_weight=0.3, refine=False
    )
    wanted = by_definition(np.log(around), cells, 6, 1.5 * within_m)
    assert [c.row for c in answer.candidates] == [place.row for place in wanted]
    if radius_m is None and photos == 1:  # an evaluation judges what a search shows
        truths = Truths(seen.s, cells[[5]], np.array([5]), np.array([0]))
        outcomes = Outcomes.failed(1, Ranking(0.7, 0.3))
        Judge(plain.space).judge(
            Ranking(0.7, 0.3), (scored.rs, scored.location), truths, outcomes, np.array([0])
        )
        first = cells[answer.candidates[0].row]
        assert outcomes.shown_lonlat_deg[0] == pytest.approx(first)


def shared_by(score: Floats, geo: Geolocator) -> float:
    """One for one photo; else from the correlation of two maps, by area."""
    if len(score) == 1:
        return 1.0
    area = geo.index.cells.area_m2 / geo.index.cells.area_m2.sum()
    away = score - (score * area).sum(axis=1, keepdims=True)
    covariance = (away * area) @ away.T
    rho = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    return 1 + min(1.0, max(0.6, rho))


def test_likeness_far_below_the_best_is_ranked_by_score(plain: Geolocator) -> None:
    """Where exp(score / temperature) is too small for a float there is still an order."""
    (seen,) = plain.seen([photo(1)])
    answer = plain.search(seen, k=500, merge_radius_m=0, rs_weight=3000, location_weight=0)
    scores = [c.score for c in answer.candidates]
    assert len(scores) == answer.cells_searched
    assert scores == sorted(scores, reverse=True)


def looks_like(geo: Geolocator, place: Floats) -> Seen:
    """A photo whose location score has its peak at a place, and falls off in all directions."""
    assert geo.space.reader is not None
    return Seen((open_photo(photo(1)),), geo.space.reader.locations(place))


def check_climbed(geo: Geolocator, answer: Answer, peak: Floats, half_m: float) -> None:
    """Each place moved to the peak or half way to the next place, but for a step of the grid."""
    assert geo.space.reader is not None
    points = [c.refined_lonlat_deg for c in answer.candidates]
    assert len(points) == 5
    for n, (candidate, point) in enumerate(zip(answer.candidates, points, strict=True)):
        assert point is not None
        centre = (candidate.lon_deg, candidate.lat_deg)
        moved_m, to_peak_m = (float(haversine_m(centre, there)) for there in (point, peak))
        assert moved_m <= 1.001 * half_m
        assert moved_m > min(to_peak_m, half_m) - 0.36 * geo.space.reader.token_m
        for other in points[:n]:
            assert other is not None
            assert haversine_m(point, other) > 1


@pytest.mark.parametrize("merge_radius_m", [0.0, None, 800.0])
def test_places_climb_half_way_to_the_next_one_and_no_farther(
    plain: Geolocator, merge_radius_m: float | None
) -> None:
    peak = plain.index.cells.lonlat_deg.mean(axis=0)
    answer = plain.search(
        looks_like(plain, peak), rs_weight=0, location_weight=1e4, merge_radius_m=merge_radius_m
    )
    half_m = max(1.5 * answer.merge_radius_m, plain.space.field.spacing_m) / 2
    check_climbed(plain, answer, peak, half_m)


@pytest.mark.parametrize("radii", [1.5, 2.0])
def test_likely_places_are_as_far_apart_as_calibrated_and_climb_half_of_it(
    radii: float, tiny_index: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_index / "toy", tmp_path / "toy")
    weights = ScoreWeights(0.0, 1e5, 0.0, apart_radii=radii)
    calibrate_by_hand(tmp_path / "toy", weights=weights)
    toy = Geolocator.open("toy", indexes_dir=tmp_path, model=tiny_model())
    peak = toy.index.cells.lonlat_deg.mean(axis=0)
    answer = toy.search(looks_like(toy, peak))
    check_climbed(toy, answer, peak, radii / 2 * toy.space.merge_radius_m)
    points = [(c.lon_deg, c.lat_deg) for c in answer.candidates]
    nearest_m = min(haversine_m(a, b) for a, b in itertools.combinations(points, 2))
    assert nearest_m > radii * toy.space.merge_radius_m
