"""Offset and noise tests: planted photos match their own place best, by exactly the definition."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from small_builds import tiny_model

from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.evaluate.offset import (
    DISTANCES_M,
    OffsetOptions,
    OffsetTask,
    displaced,
    noise_rows,
    offset_rows,
)
from indexer.index.index import Index, open_index
from indexer.search.space import SearchSpace
from indexer.search.token_reader import TokenReader


@pytest.fixture(scope="module")
def toy(tiny_index: Path) -> Index:
    return open_index(tiny_index / "toy")


@pytest.fixture(scope="module")
def planted(toy: Index) -> OffsetTask:
    """Twenty-four photos whose vectors are exactly what the imagery shows where they were taken."""
    reader = TokenReader(toy, tiny_model())
    middle = toy.cells.lonlat_deg.mean(axis=0)
    places = middle + np.random.default_rng(3).uniform(-0.015, 0.015, (24, 2))
    space = SearchSpace(toy, tiny_model(), None)
    return OffsetTask(space, reader.localized(places), places)


def test_displaced_places_are_as_far_and_in_the_direction_that_was_asked_for() -> None:
    rng = np.random.default_rng(0)
    places = np.stack([rng.uniform(-180, 180, 200), rng.uniform(-80, 80, 200)], axis=1)
    bearing_rad, distance_m = rng.uniform(0, 2 * np.pi, 200), rng.uniform(0, 5000, 200)
    moved = displaced(places, bearing_rad, distance_m)
    np.testing.assert_allclose(haversine_m(places, moved), distance_m, atol=1e-3)
    assert (np.abs(moved[:, 0]) <= 180).all()
    north = displaced(places, np.zeros(200), np.full(200, 1000.0))
    np.testing.assert_allclose(north, places + [0, np.degrees(1000 / 6371008.8)], atol=1e-9)
    east = displaced(np.array([179.999, 10.0]), np.array(np.pi / 2), np.array(1000.0))
    assert east[0] == pytest.approx(-179.992, abs=1e-3)
    assert east[1] == pytest.approx(10, abs=1e-4)


def test_planted_photos_match_less_the_farther_away(planted: OffsetTask) -> None:
    rows = offset_rows(planted)
    by_mode = {
        mode: [row for row in rows if row["mode"] == mode]
        for mode in ("nili", "frame", "bilinear", "mean")
    }
    nili = by_mode["nili"]
    assert [row["distance_m"] for row in nili] == list(DISTANCES_M)
    assert (nili[0]["score"], nili[0]["drop"]) == (pytest.approx(1, abs=1e-6), 0)
    near = [row["drop"] for row in nili if row["distance_m"] <= 300]
    assert all(later < earlier for earlier, later in zip(near, near[1:], strict=False))
    for row in nili[1:]:
        assert row["drop"] < -4 * row["drop_standard_error"]
    frame = {row["distance_m"]: row for row in by_mode["frame"]}
    assert abs(frame[100]["drop"]) < 0.2 * abs(nili[4]["drop"])  # most stay in their frame
    for mode in by_mode:  # the same points for all
        assert [row["points"] for row in by_mode[mode]] == [row["points"] for row in nili]
    for row in rows:
        assert row["points"] + row["points_outside"] == 24 * 4
    assert nili[0]["points_outside"] == 0
    assert nili[-1]["points_outside"] > 0


def test_every_number_is_what_a_slow_loop_gives(planted: OffsetTask) -> None:
    options = OffsetOptions(distances_m=(0, 60, 1500), bearings=3, modes=("bilinear",), seed=7)
    places = np.concatenate([planted.lonlat_deg[:4], [[np.nan, np.nan]], [[-0.132, 51.505]]])
    s = np.concatenate([planted.s[:4], planted.s[:1], planted.s[:1]])
    task = dataclasses.replace(planted, s=s, lonlat_deg=places)
    reader = TokenReader(planted.space.index, tiny_model(), mode="bilinear")
    usable = [0, 1, 2, 3, 5]
    bearing_rad = np.random.default_rng(7).uniform(0, 2 * np.pi, (5, 3, 3))
    for column, row in enumerate(offset_rows(task, options)):
        scores, drops, outside = [], [], 0
        for number, photo in enumerate(usable):
            means = []
            for d in (0, column):
                found = []
                for bearing in bearing_rad[number, d]:
                    distance = np.array(options.distances_m[d])
                    point = displaced(places[photo], np.array(bearing), distance)
                    if reader.indexed(point)[0]:
                        found.append(float(reader.localized(point)[0] @ s[photo]))
                    elif d == column:
                        outside += 1
                means.append(np.mean(found) if found else np.nan)
            scores.append(means[1])
            drops.append(means[1] - means[0])
        outside = outside if column else outside // 2
        known = np.array(scores)[np.isfinite(scores)]
        both = np.array(drops)[np.isfinite(drops)]
        assert row["photos"] == len(known)
        assert row["points_outside"] == outside
        assert row["points"] == 15 - outside
        assert row["score"] == pytest.approx(known.mean(), abs=1e-6)
        wanted = known.std(ddof=1) / np.sqrt(len(known))
        assert row["standard_error"] == pytest.approx(wanted, abs=1e-6)
        assert row["drop"] == pytest.approx(both.mean(), abs=1e-6)
        wanted = both.std(ddof=1) / np.sqrt(len(both))
        assert row["drop_standard_error"] == pytest.approx(wanted, abs=1e-6)


def test_the_same_seed_gives_the_same_rows(planted: OffsetTask) -> None:
    options = OffsetOptions(distances_m=(0, 100), modes=("nili",))
    again, other = (offset_rows(planted, dataclasses.replace(options, seed=n)) for n in (0, 1))
    assert offset_rows(planted, options) == again != other


def test_noise_on_the_coordinates_costs_recall(planted: OffsetTask) -> None:
    cells = planted.space.field.lonlat_deg
    inner = planted.space.field.nearest(planted.lonlat_deg)[0]
    s = planted.space.index.rs.vectors(inner)
    task = dataclasses.replace(planted, s=s, lonlat_deg=cells[inner])
    rows = noise_rows(task, noise_m=(0, 20, 400), k=1, within_m=1)
    assert (rows[0]["recall"], rows[0]["score"]) == (1, pytest.approx(1, abs=1e-3))
    assert rows[0]["cells_unread"] == 0
    assert [row["noise_m"] for row in rows] == [0, 20, 400]
    assert rows[1]["recall"] > rows[2]["recall"] < 0.8
    assert 1 > rows[1]["score"] > rows[2]["score"]
    assert rows[2]["cells_unread"] > 0
    half = s.copy()
    half[::2] = np.nan  # photos that could not be read are not found
    row = noise_rows(dataclasses.replace(task, s=half), noise_m=(0,), k=1, within_m=1)[0]
    assert (row["recall"], row["photos"]) == (0.5, 24)
    assert row["recall_standard_error"] == pytest.approx(np.sqrt(0.25 / 24))


def test_noise_is_along_both_axes_as_strong_as_said(planted: OffsetTask) -> None:
    """Cells answer for their neighbours once the noise is as wide as they are apart."""
    task = dataclasses.replace(planted, s=planted.s[:3], lonlat_deg=planted.lonlat_deg[:3])
    read: list[np.ndarray] = []

    class Watching(TokenReader):
        def localized(self, lonlat_deg: np.ndarray) -> np.ndarray:
            read.append(lonlat_deg)
            return super().localized(lonlat_deg)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("indexer.evaluate.offset.TokenReader", Watching)
        noise_rows(task, noise_m=(100, 200))
    cells = planted.space.field.lonlat_deg
    m_per_deg = np.radians(6371008.8) * np.array([np.cos(np.radians(51.5)), 1])
    east_north_m = [(places - cells) * m_per_deg for places in read]
    for strength_m, moved_m in zip((100, 200), east_north_m, strict=True):
        np.testing.assert_allclose(moved_m.std(axis=0), strength_m, rtol=0.2)
        assert (np.abs(moved_m.mean(axis=0)) < 0.3 * strength_m).all()
    np.testing.assert_allclose(east_north_m[1], 2 * east_north_m[0], rtol=0, atol=0.5)


def test_without_a_usable_photo_nothing_is_measured(planted: OffsetTask) -> None:
    nowhere = dataclasses.replace(planted, lonlat_deg=np.full((24, 2), np.nan))
    for measure in (offset_rows, noise_rows):
        with pytest.raises(UsageError, match="no photo has both a vector and a place"):
            measure(nowhere)
