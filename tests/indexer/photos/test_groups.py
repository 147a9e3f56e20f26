"""Places of photos: against a slow loop, whatever the order, and what names and clocks join."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gair.arrays import Floats, Ints
from gair.geo import haversine_m
from indexer.photos.groups import DRIVE_M, numbered, places_of
from indexer.photos.listing import ListedPhoto
from indexer.probability.out_of_index import NEAR_M

M_PER_DEG = 111_195.0


def photo(sequence: str = "", captured_at: str | None = None) -> ListedPhoto:
    return ListedPhoto("a.jpg", Path("a.jpg"), "a", None, "", None, captured_at, sequence=sequence)


def metres(east_north_m: npt.ArrayLike) -> Floats:
    """(P, 2) metres on the equator as degrees."""
    return np.asarray(east_north_m, dtype=np.float64) / M_PER_DEG


def places(lonlat_deg: npt.ArrayLike, photos: list[ListedPhoto] | None = None) -> list[int]:
    lonlat = np.asarray(lonlat_deg, dtype=np.float64).reshape(-1, 2)
    return [int(n) for n in places_of(photos or [photo()] * len(lonlat), lonlat)]


def linked_slowly(lonlat_deg: Floats) -> Ints:
    """Single linkage, one step at a time."""
    place = np.arange(len(lonlat_deg))
    changed = True
    while changed:
        changed = False
        for a in range(len(place)):
            for b in range(a):
                near = haversine_m(lonlat_deg[a], lonlat_deg[b]) <= NEAR_M
                if near and place[a] != place[b]:
                    place[a] = place[b] = min(place[a], place[b])
                    changed = True
    return place


@pytest.mark.parametrize("latitude_deg", [0.0, 60.0, -89.9])
def test_photos_linked_by_short_steps_are_one_place(latitude_deg: float) -> None:
    rng = np.random.default_rng(1)
    centres = rng.uniform(-0.05, 0.05, (12, 2)) + (179.99, latitude_deg)
    narrow = np.cos(np.radians(latitude_deg))
    lonlat = np.repeat(centres, 4, axis=0) + metres(rng.normal(0, 30, (48, 2))) / (narrow, 1)
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180  # on both sides of the antimeridian
    assert places(lonlat) == numbered(linked_slowly(lonlat)).tolist()
    assert len(set(places(lonlat))) < 30


def test_the_order_of_the_list_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    lonlat = metres(rng.uniform(0, 1500, (200, 2)))  # so many that steps lead everywhere
    order = rng.permutation(200)
    one, other = np.array(places(lonlat)), np.array(places(lonlat[order]))
    assert (numbered(one[order]) == other).all()


def test_a_town_full_of_photos_is_not_one_place() -> None:
    lonlat = metres(np.random.default_rng(3).uniform(0, 2000, (2000, 2)))
    assert len(set(linked_slowly(lonlat[:60] * 0.1))) == 1  # as dense, and linked throughout
    place = np.array(places(lonlat))
    assert 100 < place.max() < 600
    for number in np.unique(place):
        own = lonlat[place == number]
        assert haversine_m(own[:, None], own[None]).max() <= 4 * NEAR_M


def test_a_named_sequence_is_one_place_however_long_and_no_other_photo_is_of_it() -> None:
    lonlat = metres([[0, 0], [5000, 0], [5, 0], [10, 0], [0, 0]])
    photos = [photo("a"), photo("a"), photo("b"), photo(), photo()]
    assert places(lonlat, photos) == [0, 0, 1, 2, 2]


def test_clocks_join_the_photos_of_a_drive() -> None:
    east_m = [0, 400, 800, 1200, 2000, 2400]
    times = ["10:00:00", "10:00:50", "10:01:40", "10:04:00", "10:04:30", "11:00:00"]
    photos = [photo(captured_at=f"2024-05-01T{text}") for text in times]
    lonlat = metres(np.stack([east_m, np.zeros(6)], axis=1))
    assert places(lonlat, photos) == [0, 0, 0, 1, 2, 3]
    assert places(lonlat[:2], [photo(captured_at="2024-05-01")] * 2) == [0, 1]  # no clock
    assert places(lonlat[:2], [photo(captured_at="2024-05-01T00:00:00+00:00")] * 2) == [0, 1]
    corner = metres([[0, 0], [0.8 * DRIVE_M, 0.8 * DRIVE_M]])  # 566 m
    assert places(corner, photos[:2]) == [0, 1]
    zoned = [photo(captured_at="2024-05-01T10:00:00"), photo(captured_at="2024-05-01T12:00:30+02")]
    assert places(lonlat[:2], zoned) == [0, 0]


def test_photos_without_a_place_are_each_by_themselves_unless_their_sequence_is_named() -> None:
    nowhere = [[np.nan, np.nan]] * 4
    assert places(nowhere, [photo(), photo("a"), photo(), photo("a")]) == [0, 1, 2, 1]
    assert places(np.empty((0, 2))) == []
    assert places([[1.0, 2.0]]) == [0]
    assert places([[1.0, 2.0]] * 3) == [0, 0, 0]


def test_ten_thousand_photos_of_one_point_are_one_place() -> None:
    assert set(places(np.zeros((10_000, 2)) + 7)) == {0}
