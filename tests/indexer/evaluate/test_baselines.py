"""Blind picks against every possible pick; the density of photos against its formula."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gair.geo import EARTH_RADIUS_M, haversine_m
from indexer.evaluate import baselines
from indexer.evaluate.baselines import BIN_M, blind_picks, found_by_chance, photo_density
from indexer.evaluate.summary import Scale, blind_numbers

RNG = np.random.default_rng(6)
CELLS = np.array([13.4, 52.5]) + RNG.uniform(-0.02, 0.02, size=(60, 2))
PHOTOS = np.array([13.4, 52.5]) + RNG.uniform(-0.02, 0.02, size=(17, 2))
PAIRS = haversine_m(PHOTOS[:, None], CELLS[None])
RADII = (300.0, 1000.0)


@pytest.fixture(params=[100, 1 << 20])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_BLOCK_NUMBERS", request.param)


@pytest.mark.usefixtures("block")
def test_distances_of_all_pairs() -> None:
    picks = blind_picks(PHOTOS, CELLS, RADII)
    for column, radius_m in enumerate(RADII):
        assert (picks.near[:, column] == (radius_m >= PAIRS).sum(axis=1)).all()
    assert picks.mean_m == pytest.approx(PAIRS.mean(axis=1), rel=1e-6)
    for share in (0.1, 0.5, 0.9):
        expected = np.quantile(PAIRS, share, method="inverted_cdf")
        assert picks.quantile_m(share) == pytest.approx(expected, abs=BIN_M)
    for away_m in (200.0, 1500.0, 1e7):
        expected = (away_m >= PAIRS).mean()
        assert picks.share_within(np.array([away_m]))[0] == pytest.approx(expected, abs=0.01)


def test_failed_photos_are_infinitely_far_from_every_pick() -> None:
    picks = blind_picks(PHOTOS, CELLS, RADII)
    pooled = np.append(PAIRS.ravel(), np.full(17 * 60, np.inf))  # as many failed as not
    expected = np.quantile(pooled, 0.4, method="inverted_cdf")
    assert picks.quantile_m(0.4, failed=17) == pytest.approx(expected, abs=BIN_M)
    assert picks.quantile_m(0.6, failed=17) == np.inf
    assert picks.share_within(np.array([1e7]), failed=17)[0] == pytest.approx(0.5)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_chance_of_a_pick_against_every_choice(k: int) -> None:
    cells = CELLS[:9]
    expected = np.zeros(2)
    for photo, choice in itertools.product(PHOTOS, itertools.combinations(range(9), k)):
        away = haversine_m(cells[list(choice)], photo)
        expected += [(away <= radius_m).any() for radius_m in RADII]
    expected /= 17 * len(list(itertools.combinations(range(9), k)))
    found = blind_picks(PHOTOS, cells, RADII).found(k).mean(axis=0)
    assert found == pytest.approx(expected)
    assert found_by_chance([0, 1, 9], 9, 100).tolist() == [0, 1, 1]


def test_no_photos_and_no_cells() -> None:
    assert blind_picks(PHOTOS[:0], CELLS, RADII).quantile_m(0.5, failed=3) == np.inf
    assert blind_picks(PHOTOS, CELLS[:0], RADII).near.sum() == 0


def test_blind_numbers_by_hand() -> None:
    scale = Scale(radii_m=RADII, cells=60, area_m2=6e6, worldwide=True)
    picks = blind_picks(PHOTOS, CELLS, RADII)
    numbers = blind_numbers(picks, 3, scale, outside=2)  # 20 photos: 3 failed, 15 in the index
    assert numbers["accuracy"]["300"]["value"] == pytest.approx((PAIRS <= 300).sum() / 60 / 20)
    assert numbers["mean_m"]["value"] == "inf"
    assert numbers["mean_answered_m"]["value"] == pytest.approx(PAIRS.mean(), rel=1e-6)
    assert numbers["median_rank"]["value"] == pytest.approx(0.5 / 0.75 * 61)
    assert numbers["half_found_km2"]["value"] == pytest.approx(6 * 0.5 / 0.75)
    assert numbers["nine_in_ten_found_km2"]["value"] == "inf"
    assert numbers["cell_in_first_1_percent"]["value"] == pytest.approx(0.75 / 60)
    expected = (5000 * np.exp(-PAIRS / 1492.7e3)).sum() / 60 / 20
    assert numbers["geoscore"]["value"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.usefixtures("block")
def test_the_density_of_photos_against_its_formula() -> None:
    area = RNG.uniform(1, 2, size=60) * 1e4
    photos = np.concatenate([PHOTOS, PHOTOS[:5], [[np.nan, 1.0]]])
    p, spread_m = photo_density(CELLS, area, photos)
    known = photos[:22]
    east = np.radians(known[:, 0] - known[:, 0].mean()) * np.cos(np.radians(52.5))
    north = np.radians(known[:, 1] - known[:, 1].mean())
    own = np.sqrt((east.var() + north.var()) / 2) * EARTH_RADIUS_M
    assert spread_m == pytest.approx(own * 22 ** (-1 / 6), rel=1e-3)
    expected = (
        np.array(
            [
                sum(np.exp(-0.5 * (haversine_m(cell, photo) / spread_m) ** 2) for photo in known)
                for cell in CELLS
            ]
        )
        * area
    )
    assert p == pytest.approx(expected / expected.sum(), rel=1e-4)


def test_photos_of_one_spot_still_have_a_density() -> None:
    p, spread_m = photo_density(CELLS, np.full(60, 1e4), np.tile(PHOTOS[:1], (4, 1)))
    assert spread_m == pytest.approx(100)
    assert np.argmax(p) == np.argmin(haversine_m(CELLS, PHOTOS[0]))
    assert (p > 0).all()
