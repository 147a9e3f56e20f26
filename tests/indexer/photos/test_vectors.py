"""Vectors of listed photos: every row is accounted for, and nothing is encoded twice."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_builds import tiny_model
from toy_city import photo

from gair.errors import DatasetError, StorageError
from gair.photos.photo import Photo, open_photo
from indexer.photos.vectors import PhotoVectors, photo_vectors
from indexer.search.geolocator import Geolocator

ROWS = [
    ("a.jpg", "51.5", "-0.1"),
    ("b.jpg", "", ""),
    ("gone.jpg", "51.5", "-0.1"),
    ("broken.jpg", "51.5", "-0.1"),
    ("c.jpg", "95", "-0.1"),
    ("d.jpg", "0", "0"),
]


class Counting(Geolocator):
    """Counts the photos that are really encoded."""

    encoded = 0

    def embed(self, photos: Any) -> Any:
        self.encoded += len(photos)
        return super().embed(photos)


@pytest.fixture
def geolocator(boxes: Path) -> Counting:
    return Counting.open("box", indexes_dir=boxes, model=tiny_model())  # type: ignore[return-value]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    for number, name in enumerate("abcd"):
        photo(number).save(tmp_path / f"{name}.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    lines = ["file,lat,lon", *(",".join(row) for row in ROWS)]
    (tmp_path / "photos.csv").write_text("\n".join(lines))
    return tmp_path / "photos.csv"


def found_of(geolocator: Geolocator, manifest: Path, cache: Path | None) -> PhotoVectors:
    return photo_vectors(geolocator, manifest, cache=cache, quiet=True)


def test_every_row_has_a_vector_or_a_reason(geolocator: Counting, manifest: Path) -> None:
    found = found_of(geolocator, manifest, None)
    assert len(found) == len(ROWS)
    assert found.usable.tolist() == [True, False, False, False, False, False]
    assert sorted(found.failures) == [2, 3]
    assert found.left_out() == {
        "no coordinates": 1,
        "photo cannot be read": 2,
        "impossible coordinates": 2,
    }
    one: Photo = open_photo(manifest.parent / "a.jpg")
    np.testing.assert_allclose(found.s[0], geolocator.embed([one])[0], atol=1e-6)
    assert np.isnan(found.s[2:4]).all()
    assert np.isnan(found.lonlat_deg[[1, 4, 5]]).all()


def test_a_photo_is_encoded_once_a_model(
    geolocator: Counting, manifest: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first = found_of(geolocator, manifest, cache)
    assert geolocator.encoded == 4
    again = found_of(geolocator, manifest, cache)
    assert geolocator.encoded == 4
    np.testing.assert_array_equal(first.s, again.s)
    assert sorted(first.conditions) == [0, 1, 4, 5]
    np.testing.assert_array_equal(first.condition_values, again.condition_values)
    photo(9).save(manifest.parent / "a.jpg")  # other bytes under the same name
    changed = found_of(geolocator, manifest, cache)
    assert geolocator.encoded == 5
    assert not np.array_equal(changed.s[0], first.s[0])


def test_a_store_from_before_conditions_is_not_encoded_again(
    geolocator: Counting, manifest: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first = found_of(geolocator, manifest, cache)
    (store,) = cache.glob("*.sqlite")
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("DROP TABLE conditions_4")
    again = found_of(geolocator, manifest, cache)
    assert geolocator.encoded == 4
    assert again.conditions.keys() == first.conditions.keys()
    np.testing.assert_array_equal(again.condition_values, first.condition_values)
    np.testing.assert_array_equal(again.s, first.s)


def test_a_date_that_the_photo_does_not_carry_is_the_lists(
    geolocator: Counting, manifest: Path
) -> None:
    lines = [
        "file,lat,lon,captured_at",
        "a.jpg,51.5,-0.1,2024-02-01T09:30:00",
        "b.jpg,51.5,-0.1,2024-02-01T09:30:00+00:00",
        "c.jpg,51.5,-0.1,",
    ]
    manifest.write_text("\n".join(lines))
    clock = found_of(geolocator, manifest, None).condition_values[:, [4, 5]]
    np.testing.assert_array_equal(clock, [[32, 9.5], [32, np.nan], [np.nan, np.nan]])


def test_a_store_that_is_none_is_named(
    geolocator: Counting, manifest: Path, tmp_path: Path
) -> None:
    found_of(geolocator, manifest, tmp_path / "cache")
    (store,) = (tmp_path / "cache").glob("*.sqlite")
    store.write_bytes(b"something else, and long enough to be looked at" * 100)
    with pytest.raises(StorageError, match=r"sqlite .*delete it, or choose another cache"):
        found_of(geolocator, manifest, tmp_path / "cache")


def test_a_list_that_is_not_there_is_named(geolocator: Counting, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no photos at"):
        found_of(geolocator, tmp_path / "nowhere", None)
