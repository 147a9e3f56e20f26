"""Pairs of calibration photos: which are compared, and a chance that comes true."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from grounded_city import GroundedCity
from model_city import listed, unit

from gair.geo import haversine_m
from indexer.calibrate.pairs import compare_pairs
from indexer.photos.vectors import PhotoVectors
from indexer.probability.likelihood_ratios import FEWEST_PLACES, SAME_PLACE_M


@pytest.fixture(scope="module")
def city() -> GroundedCity:
    return GroundedCity(count=10)


def one_each(photos: PhotoVectors) -> np.ndarray:
    return np.arange(len(photos))


def with_facts(photos: PhotoVectors, **facts: list[str]) -> PhotoVectors:
    changed = [
        dataclasses.replace(photo, **{name: values[n] for name, values in facts.items()})
        for n, photo in enumerate(photos.photos)
    ]
    return dataclasses.replace(photos, photos=changed)


def slow_pairs(photos: PhotoVectors) -> list[tuple[int, int]]:
    """Pairs within the radius, one after the other."""
    return [
        (a, b)
        for a in range(len(photos))
        for b in range(a + 1, len(photos))
        if haversine_m(photos.lonlat_deg[a], photos.lonlat_deg[b]) <= SAME_PLACE_M
    ]


def test_all_near_pairs_of_different_walks_are_compared(city: GroundedCity) -> None:
    photos = city.asked(150, 1)
    near = slow_pairs(photos)
    measured = compare_pairs(photos, one_each(photos))
    assert measured.pairs == len(near) > 100
    assert measured.places == len({a for a, _ in near})
    walks = [str(n % 3) if n % 2 else "" for n in range(150)]
    apart = [(a, b) for a, b in near if not walks[a] or walks[a] != walks[b]]
    assert len(apart) < len(near)
    assert compare_pairs(with_facts(photos, sequence=walks), one_each(photos)).pairs == len(apart)
    times = [f"2024-05-06T{n % 24:02d}:10:00" if n % 4 else "2024-05-06" for n in range(150)]
    hours = [n % 24 if n % 4 else None for n in range(150)]
    apart = [
        (a, b)
        for a, b in near
        if hours[a] is None or hours[b] is None or abs(hours[a] - hours[b]) > 1
    ]
    clocked = with_facts(photos, captured_at=times)
    assert compare_pairs(clocked, one_each(photos)).pairs == len(apart) < len(near)


def test_a_copy_is_no_pair(city: GroundedCity) -> None:
    photos = city.asked(100, 2)
    again = dataclasses.replace(
        photos,
        photos=photos.photos * 2,
        s=np.concatenate([photos.s, photos.s]),
        lonlat_deg=np.concatenate([photos.lonlat_deg, photos.lonlat_deg]),
    )
    place = np.concatenate([np.arange(100), np.arange(100)])
    assert compare_pairs(again, place).pairs == 4 * len(slow_pairs(photos))


def test_too_few_places_give_no_ratio(city: GroundedCity) -> None:
    photos = city.asked(150, 1)
    measured = compare_pairs(photos, np.arange(150) % (FEWEST_PLACES - 1))
    assert measured.ratio is None
    assert measured.places < FEWEST_PLACES
    assert measured.pairs > 100
    alone = compare_pairs(photos.taken(np.arange(2)), np.arange(2))
    assert (alone.pairs, alone.ratio) == (len(slow_pairs(photos.taken(np.arange(2)))), None)


def test_the_chance_comes_true_on_other_photos(city: GroundedCity) -> None:
    photos = city.asked(900, 3)
    measured = compare_pairs(photos, one_each(photos))
    assert measured.auroc is not None
    assert measured.auroc > 0.7
    others = city.asked(900, 4)
    first, second = np.triu_indices(900, 1)
    away_m = np.asarray(haversine_m(others.lonlat_deg[first], others.lonlat_deg[second]))
    same = away_m <= SAME_PLACE_M
    cosine = np.einsum("pd,pd->p", others.s[first], others.s[second])
    odds = same.mean() / (1 - same.mean()) * np.exp(measured.log_ratio(cosine))
    chance = odds / (1 + odds)
    assert chance.mean() == pytest.approx(same.mean(), rel=0.25)
    for low, high in ((0.0, 0.02), (0.02, 0.1), (0.1, 1.0)):
        some = (chance >= low) & (chance < high)
        assert some.sum() > 500
        assert same[some].mean() == pytest.approx(chance[some].mean(), rel=0.5)


def test_photos_of_nothing_tell_nothing(city: GroundedCity) -> None:
    rng = np.random.default_rng(8)
    photos = listed(unit(rng, 600), city.somewhere(600, rng))
    measured = compare_pairs(photos, one_each(photos))
    assert measured.auroc == pytest.approx(0.5, abs=0.05)
    assert np.abs(measured.log_ratio(np.linspace(-0.5, 0.5, 21))).max() < 0.7
