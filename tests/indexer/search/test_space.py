"""One search space: everybody speaks of the point that people are shown; nothing outlives it."""

from __future__ import annotations

import dataclasses
import gc
import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from model_city import ModelCity, listed
from small_builds import build_box, serving_build, tiny_model
from stated import stated_within
from toy_city import photo

from gair.arrays import Floats, Vectors
from gair.geo import haversine_m
from gair.photos.photo import open_photo
from indexer.calibrate import held_out
from indexer.calibrate.calibrate import calibrate
from indexer.calibrate.held_out import HeldOut, examine
from indexer.index.milvus import MilvusStore
from indexer.probability.calibration import calibration_path
from indexer.probability.posterior import ScoreWeights
from indexer.search import by_name
from indexer.search import space as search_space
from indexer.search.geolocator import Geolocator
from indexer.search.live import LiveGeolocator
from indexer.search.query import Query
from indexer.search.ranking import refine_options, shown_points
from indexer.search.scored import Seen, confidences, posteriors
from indexer.search.space import SearchSpace


def sightings(geo: Geolocator, count: int, seed: int) -> tuple[Vectors, Floats]:
    """Photos that look somewhat like places of the index, and those places."""
    rng = np.random.default_rng(seed)
    cells = geo.index.cells.lonlat_deg
    places = cells[rng.integers(0, len(cells), count)] + rng.uniform(-4e-4, 4e-4, (count, 2))
    assert geo.space.reader is not None
    s = geo.space.reader.localized(places) + 0.1 * rng.standard_normal((count, 192))
    return (s / np.linalg.norm(s, axis=1, keepdims=True)).astype(np.float32), places


@pytest.fixture(scope="module")
def calibrated(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    folder = tmp_path_factory.mktemp("shown") / "toy"
    shutil.copytree(tiny_index / "toy", folder)
    geo = Geolocator.open(folder, model=tiny_model())
    made = calibrate(geo.space, listed(*sightings(geo, 150, 1)), quiet=True)
    made.save(calibration_path(folder, made.build))
    return Geolocator.open(folder, model=tiny_model())


def test_search_confidence_and_calibration_speak_of_one_point(calibrated: Geolocator) -> None:
    space, calibration = calibrated.space, calibrated.calibration
    assert calibration is not None
    s, places = sightings(calibrated, 24, 2)
    photos = HeldOut(s, places, space.cell_row(places))
    findings = examine(space, calibration.weights, photos, seed=0, quiet=True)
    assert findings.refined is not None
    masses = np.stack(list(findings.refined.disc_mass.values()), axis=1)
    said = calibration.confidences(masses, refined=True)
    moved_m = []
    for number in range(len(s)):
        answer = calibrated.search(Seen((open_photo(photo(1)),), s[[number]]))
        best = answer.candidates[0]
        assert best.refined_lonlat_deg is not None
        miss_m = float(haversine_m(best.refined_lonlat_deg, places[number]))
        assert findings.refined.miss_m[number] == pytest.approx(miss_m, abs=0.1)
        centre_miss_m = float(haversine_m((best.lon_deg, best.lat_deg), places[number]))
        assert findings.centre.miss_m[number] == pytest.approx(centre_miss_m)
        assert stated_within(space, answer) == pytest.approx(said[number], abs=1e-3)
        moved_m.append(abs(miss_m - centre_miss_m))
    assert np.median(moved_m) > 1  # refinement is no matter of rounding


def test_many_photos_at_once_get_the_answers_of_single_searches(calibrated: Geolocator) -> None:
    space = calibrated.space
    assert space.calibration is not None
    s, _ = sightings(calibrated, 40, 3)  # more than are refined at once
    p = posteriors(space, *space.scores(s), space.weights)
    rows = space.place_mass(p).argmax(axis=1)
    points = shown_points(space, s, rows, refine_options(space, Query()))
    said = confidences(space, p, points, refined=True)
    assert said.shape == (40, len(space.calibration.radii_m))
    for number in range(40):
        answer = calibrated.search(Seen((open_photo(photo(1)),), s[[number]]), k=2)
        assert answer.candidates[0].row == rows[number]
        assert haversine_m(answer.candidates[0].refined_lonlat_deg, points[number]) < 0.1
        assert stated_within(space, answer) == pytest.approx(said[number], abs=1e-3)
        np.testing.assert_allclose(answer.posterior, p[number], rtol=1e-3)


def test_without_token_maps_the_centre_is_shown_and_calibrated() -> None:
    city = ModelCity(ScoreWeights(14.0, 0.0, 95.0), seed=3)
    made = calibrate(city, city.photos(120, 0), quiet=True)
    assert made.refined_confidence == {}
    rows = np.array([3, 1])
    points = shown_points(city, city.photos(2, 1).s, rows, refine_options(city, Query()))
    np.testing.assert_array_equal(points, city.field.lonlat_deg[rows])


def test_a_part_keeps_what_is_its_own(calibrated: Geolocator) -> None:
    space = calibrated.space
    rows, each = np.array([2, 5, 9]), np.array([1.0, 1.0, 20.0])
    part = space.part(rows, each, "a part")
    assert part.index.manifest.warnings[-1] == "a part"
    assert "a part" not in space.index.manifest.warnings
    assert part.merge_radius_m == space.merge_radius_m
    np.testing.assert_array_equal(part.field.lonlat_deg, space.field.lonlat_deg[rows])
    np.testing.assert_array_equal(part.cell_row(space.field.lonlat_deg[rows]), [0, 1, 2])
    assert part.area_m2 == pytest.approx(space.area_m2[rows] * each)
    s = np.ones((2, 192), np.float32)
    for whole, own in zip(space.scores(s), space.scores(s, rows), strict=True):
        np.testing.assert_allclose(own, whole[:, rows], rtol=1e-5)
    assert space.discs(300.0) is space.discs(300.0)
    assert part.discs(300.0).matrix.shape == (3, 3)


def test_wide_discs_are_summed_without_their_pairs(
    calibrated: Geolocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = calibrated.search(photo(1), merge_radius_m=700.0)
    monkeypatch.setattr("indexer.search.space.MOST_DISC_ENTRIES", 0)
    monkeypatch.setattr("indexer.search.refine._READ_AT_ONCE", 100)
    geo = Geolocator.open(calibrated.index.path.parent, model=tiny_model())
    answer = geo.search(photo(1), merge_radius_m=700.0)
    assert [c.row for c in answer.candidates] == [c.row for c in wanted.candidates]
    for one, other in zip(answer.candidates, wanted.candidates, strict=True):
        assert one.probability == pytest.approx(other.probability, rel=1e-3)
        assert haversine_m(one.shown_lonlat_deg, other.shown_lonlat_deg) < 0.1
    assert not geo.space._discs


def heavy_parts(geo: Geolocator) -> list[weakref.ref[Any]]:
    """References to what an open index holds, after every kind of question."""
    geo.search(photo(1))
    geo.search([photo(1), photo(2)], same_place=True)
    geo.verify(photo(1), *geo.index.cells.lonlat_deg[0])
    geo.heatmap(photo(1))
    parts = [
        geo,
        geo.space,
        geo.space.field,
        geo.index,
        geo.index.rs,
        geo.index.tokens,
        geo.space.reader,
    ]
    parts += [geo.space.background(500.0), geo.space.discs(geo.space.merge_radius_m)]
    return [weakref.ref(part) for part in parts]


def alive(references: list[weakref.ref[Any]]) -> list[Any]:
    gc.collect()
    return [part for reference in references if (part := reference()) is not None]


@pytest.mark.parametrize("known", [True, False])
def test_an_index_that_is_dropped_is_freed(tiny_index: Path, tmp_path: Path, known: bool) -> None:
    shutil.copytree(tiny_index / "toy", tmp_path / "toy")
    if known:
        calibrate_by_hand(tmp_path / "toy")
    geo = Geolocator.open("toy", indexes_dir=tmp_path, model=tiny_model())
    references = heavy_parts(geo)
    gc.disable()  # nothing goes in circles: it need not wait for the collector
    try:
        del geo
        assert [part for reference in references if (part := reference()) is not None] == []
    finally:
        gc.enable()


def test_a_build_that_was_replaced_is_freed(city_tif: Path, tmp_path: Path) -> None:
    build_box(city_tif, tmp_path)
    live = LiveGeolocator("box", indexes_dir=tmp_path, model=tiny_model())
    references = heavy_parts(live.current())
    first = serving_build(tmp_path / "box")
    build_box(city_tif, tmp_path, bbox_wsen_deg=(-0.1080, 51.5030, -0.0990, 51.5080))
    assert live.newest().index.path != first
    assert alive(references) == []


def test_a_replaced_build_is_not_kept_by_its_name(city_tif: Path, tmp_path: Path) -> None:
    build_box(city_tif, tmp_path)
    references = heavy_parts(by_name.opened("box", tmp_path))
    assert by_name.opened("box", tmp_path) is by_name.opened("box", tmp_path)
    build_box(city_tif, tmp_path, bbox_wsen_deg=(-0.1080, 51.5030, -0.0990, 51.5080))
    assert by_name.opened("box", tmp_path).index.path == serving_build(tmp_path / "box")
    assert alive(references) == []


def test_forked_children_do_not_share_the_connection_to_a_server(calibrated: Geolocator) -> None:
    index = calibrated.index
    there = MilvusStore(None, "milvus://localhost:19530", "rs", index.rs.count, index.rs.dim)
    assert calibrated.space.forkable
    remote = SearchSpace(dataclasses.replace(index, rs=there), calibrated.model, None)
    assert not remote.forkable


def test_forked_children_find_what_threads_find(
    calibrated: Geolocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, calibration = calibrated.space, calibrated.calibration
    assert calibration is not None
    s, places = sightings(calibrated, 24, 2)
    photos = HeldOut(s, places, space.cell_row(places))
    monkeypatch.setattr(search_space, "ENTRIES_AT_ONCE", 6 * len(space.index.cells))  # 4 blocks
    monkeypatch.setattr(held_out, "workers_here", lambda: 1)  # by a thread
    threads = examine(space, calibration.weights, photos, seed=0, quiet=True)
    monkeypatch.setattr(held_out, "workers_here", lambda: 2)
    children = examine(space, calibration.weights, photos, seed=0, quiet=True)
    for name in ("nll", "masses", "evidence", "sureness"):
        found, wanted = getattr(children, name), getattr(threads, name)
        assert np.isfinite(wanted).all()
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_allclose(children.shown.miss_m, threads.shown.miss_m, rtol=1e-6)
    for radius_m, kinds in threads.claims.items():
        for kind, claims in kinds.items():
            found = children.claims[radius_m][kind]
            np.testing.assert_allclose(found.p_elsewhere, claims.p_elsewhere, rtol=1e-6)
            assert np.isfinite(found.score[found.wanted]).all()
