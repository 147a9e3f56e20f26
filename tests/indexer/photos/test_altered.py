"""Altered photos of a list: measured as they would be if they were asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_city import photo

from gair.photos.conditions import SIDE_PX, measure
from gair.photos.photo import conditions_of, open_photo
from indexer.photos import altered
from indexer.photos.alterations import TAUGHT, enlarged, in_fog, in_snowfall
from indexer.photos.altered import altered_photos
from indexer.photos.listing import ListedPhoto
from indexer.photos.vectors import PhotoVectors


def listed(folder: Path) -> PhotoVectors:
    """Six photos: two of one place, one without a place, one that is gone."""
    photos, conditions = [], {}
    lonlat = np.array(
        [(0.0, 51.0), (0.0, 51.0), (0.1, 51.0), (0.2, 51.0), (np.nan,) * 2, (0.3, 51)]
    )
    for row, place in enumerate(lonlat):
        path = folder / f"{row}.png"
        photo(row).save(path)
        where = None if np.isnan(place[0]) else (float(place[0]), float(place[1]))
        photos.append(ListedPhoto(path.name, path, str(row), where))
        conditions[row] = conditions_of(open_photo(path))
    (folder / "5.png").unlink()
    return PhotoVectors(photos, np.eye(6, 8, dtype=np.float32), lonlat, {}, conditions)


def test_photos_of_different_places_are_altered_and_measured(tmp_path: Path) -> None:
    told = altered_photos(listed(tmp_path), quiet=True)
    assert told.rows.tolist() == [0, 1, 2, 3]
    assert set(told.values) == set(TAUGHT)
    grid = photo(2).resize((SIDE_PX, SIDE_PX), Image.Resampling.NEAREST)
    for name, picture in (
        ("fog", in_fog(grid)),
        ("snow", in_snowfall(grid)),
        ("an enlargement", enlarged(photo(2))),
    ):
        np.testing.assert_array_equal(told.values[name][2], measure(picture).values)
    some = set(altered_photos(listed(tmp_path), most=4, quiet=True).rows.tolist())
    assert some in ({0, 2, 3}, {1, 2, 3}), "one of each place before any second one"


def test_forked_children_measure_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = listed(tmp_path)
    alone = altered_photos(photos, quiet=True)
    monkeypatch.setattr(altered, "_AT_ONCE", 1)
    together = altered_photos(photos, quiet=True)
    np.testing.assert_array_equal(together.rows, alone.rows)
    for name, values in alone.values.items():
        np.testing.assert_array_equal(together.values[name], values)


def test_what_is_measured_on_the_grid_is_what_a_whole_photo_in_fog_says(tmp_path: Path) -> None:
    told = altered_photos(listed(tmp_path), quiet=True)
    whole = measure(in_fog(photo(1)))
    np.testing.assert_allclose(told.values["fog"][1], whole.values, rtol=0.05, atol=0.02)


def test_those_among_some_rows_are_found_by_their_number(tmp_path: Path) -> None:
    told = altered_photos(listed(tmp_path), quiet=True)
    some = told.among(np.array([1, 3, 5]))
    assert some.rows.tolist() == [0, 1]
    np.testing.assert_array_equal(some.values["fog"], told.values["fog"][[1, 3]])
