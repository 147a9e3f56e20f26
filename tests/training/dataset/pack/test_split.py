"""Training, validation and test apart by place."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gair.errors import UsageError
from gair.geo import EARTH_RADIUS_M, WEB_MERCATOR_CIRCUMFERENCE_M, haversine_m
from training.dataset.pack.options import SplitOptions
from training.dataset.pack.split import SPLITS, assign_splits, block_places, city_places, too_near
from training.dataset.shards import schema


def test_splits_are_those_of_the_format() -> None:
    assert SPLITS == schema.SPLITS


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_met_by_whole_places(seed: int) -> None:
    sizes = np.random.default_rng(seed).integers(1, 100, 200).tolist()
    places = {f"place {n}": size for n, size in enumerate(sizes)}
    split_of = assign_splits(places, (0.7, 0.2, 0.1), seed)
    assert set(split_of) == set(places)
    photos: Counter[str] = Counter()
    for place, split in split_of.items():
        photos[split] += places[place]
    for split, share in zip(SPLITS, (0.7, 0.2, 0.1), strict=True):
        assert photos[split] == pytest.approx(share * sum(sizes), abs=100)


def test_the_seed_decides_and_the_order_of_places_does_not() -> None:
    places = {f"place {n}": 10 for n in range(30)}
    split_of = assign_splits(places, (0.6, 0.2, 0.2), 3)
    assert assign_splits(dict(reversed(places.items())), (0.6, 0.2, 0.2), 3) == split_of
    others = [assign_splits(places, (0.6, 0.2, 0.2), seed) for seed in range(4, 8)]
    assert all(other != split_of for other in others)


@pytest.mark.parametrize("seed", range(10))
def test_few_places(seed: int) -> None:
    assert assign_splits({"a": 5}, (0.1, 0.45, 0.45), seed) == {"a": "train"}
    assert set(assign_splits({"a": 5, "b": 1}, (0.5, 0.25, 0.25), seed).values()) >= {"train"}
    assert Counter(assign_splits({"a": 1, "b": 1, "c": 1}, (0.8, 0.1, 0.1), seed).values()) == {
        "train": 3
    }
    thirds = assign_splits({"a": 1, "b": 1, "c": 1}, (0.34, 0.33, 0.33), seed)
    assert sorted(thirds.values()) == sorted(SPLITS)


def test_a_split_without_a_share_gets_nothing() -> None:
    places = {f"place {n}": 1 for n in range(50)}
    assert set(assign_splits(places, (0.0, 0.5, 0.5), 0).values()) == {"val", "test"}
    assert set(assign_splits(places, (1.0, 0.0, 0.0), 0).values()) == {"train"}


@pytest.mark.parametrize("lat_deg", [0.0, 51.5, -69.0])
@pytest.mark.parametrize("block_m", [300.0, 2000.0])
def test_blocks_are_as_large_as_stated(lat_deg: float, block_m: float) -> None:
    rng = np.random.default_rng(0)
    metres = rng.uniform(0, 5 * block_m, (4000, 2))
    m_per_deg = np.pi * EARTH_RADIUS_M / 180
    lonlat_deg = np.stack(
        [
            13.0 + metres[:, 0] / m_per_deg / np.cos(np.radians(lat_deg)),
            lat_deg + metres[:, 1] / m_per_deg,
        ],
        axis=1,
    )
    names = block_places(lonlat_deg, block_m)
    assert 25 <= len(set(names)) <= 49
    extents = []
    for name in set(names):
        inside = lonlat_deg[[n == name for n in names]]
        west, south = inside.min(axis=0)
        east, north = inside.max(axis=0)
        middle = (south + north) / 2
        extents.append(
            (
                haversine_m((west, middle), (east, middle)),
                haversine_m((west, south), (west, north)),
            )
        )
        _, lat, lon = name.split()
        assert haversine_m((float(lon), float(lat)), inside).max() <= 0.72 * block_m + 12
    assert np.max(extents) <= block_m * 1.001
    assert np.max(extents) > block_m * 0.9


def test_cities_keep_their_names_and_others_are_grouped() -> None:
    lonlat_deg = np.array([[9.0, 48.0], [9.0, 48.001], [9.0, 48.5], [9.0, 48.002]])
    places = city_places(lonlat_deg, ["Ulm", "", "", ""], join_km=1.0)
    assert places == ["Ulm", "around 48.0010 9.0000", "around 48.5000 9.0000", places[1]]


@pytest.mark.parametrize(("lon", "lat"), [(9.0, 48.0), (179.999, 0.0), (0.0, 84.0)])
def test_groups_are_apart_and_hold_together(lon: float, lat: float) -> None:
    rng = np.random.default_rng(5)
    lonlat_deg = np.array([lon, lat]) + rng.uniform(-0.3, 0.3, (250, 2))
    lonlat_deg[:, 0] = (lonlat_deg[:, 0] + 180) % 360 - 180
    places = np.array(city_places(lonlat_deg, [""] * 250, join_km=1.5))
    groups = sorted(set(places))
    if lat < 80:
        assert 5 < len(groups) < 250
    km = haversine_m(lonlat_deg[:, None], lonlat_deg[None]) / 1000
    for group in groups:
        inside = places == group
        if not inside.all():
            assert km[inside][:, ~inside].min() >= 1.5
        reached = np.zeros(250, dtype=bool)
        reached[np.flatnonzero(inside)[0]] = True
        for _ in range(250):
            reached |= inside & (km[reached] <= 1.5 * 3.5).any(axis=0)
        assert reached.sum() == inside.sum()


def gaps_m(a_wsen: np.ndarray, b_wsen: np.ndarray) -> float:
    """Gap of two Web-Mercator squares on the ground; below 0 where they overlap."""
    gap = max(
        max(a_wsen[0], b_wsen[0]) - min(a_wsen[2], b_wsen[2]),
        max(a_wsen[1], b_wsen[1]) - min(a_wsen[3], b_wsen[3]),
    )
    y = max(abs(v) for v in (*a_wsen[[1, 3]], *b_wsen[[1, 3]]))
    return float(gap / np.cosh(y * 2 * np.pi / WEB_MERCATOR_CIRCUMFERENCE_M))


@pytest.mark.parametrize("buffer_m", [0.0, 500.0])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("north_m", [0.0, -9e6])
def test_afterwards_nothing_of_two_splits_is_near(
    buffer_m: float, seed: int, north_m: float
) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60_000, (150, 2)) + [0.0, north_m]
    bounds = np.concatenate([corner, corner + 2446.0], axis=1)
    splits = rng.choice(SPLITS, 150, p=(0.7, 0.15, 0.15))
    left_out = too_near(bounds, splits.tolist(), buffer_m)
    assert not left_out[splits == "test"].any()
    assert 0 < left_out.sum() < 150
    kept = np.flatnonzero(~left_out)
    for i in kept:
        for j in kept:
            if splits[i] != splits[j]:
                assert gaps_m(bounds[i], bounds[j]) >= buffer_m * 0.999
    for i in np.flatnonzero(left_out):  # each for a reason
        stronger = [j for j in kept if SPLITS.index(splits[j]) > SPLITS.index(splits[i])]
        assert min(gaps_m(bounds[i], bounds[j]) for j in stronger) <= buffer_m * 1.003 + 0.01


def test_tiles_side_by_side_do_not_overlap() -> None:
    edges = np.arange(4) * 2446.0 + 1e7
    bounds = np.array([[edges[n], 0.0, edges[n + 1], 2446.0] for n in range(3)])
    splits = ["train", "val", "test"]
    assert not too_near(bounds, splits, 0.0).any()
    assert too_near(bounds, splits, 1.0).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"shares": (0.5, 0.5)}, "`shares` 0.5,0.5 are not three shares"),
        ({"shares": (0.8, 0.3, -0.1)}, "`shares` 0.8,0.3,-0.1"),
        ({"shares": (0.8, 0.1, 0.2)}, "sum to 1: give, for example, 0.8,0.1,0.1"),
        ({"shares": (float("nan"), 0.5, 0.5)}, "`shares` nan"),
        ({"buffer_m": -1.0}, "`buffer_m` -1.0"),
        ({"buffer_m": float("nan")}, "`buffer_m` nan"),
        ({"block_m": 5.0}, "`block_m` 5.0 is below 100 metres"),
        ({"join_km": 0.0}, "`join_km` 0.0"),
        ({"seed": -1}, "`seed` -1"),
    ],
)
def test_options_that_cannot_work(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        SplitOptions(**wrong)  # type: ignore[arg-type]
    assert words in str(caught.value)
