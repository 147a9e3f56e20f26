"""Reference photos of a place: by distance, by likeness, and what leaves in a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from explored_city import COUNT, explored_city
from small_builds import tiny_model

from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.explore.files import explored_csv, explored_geojson
from indexer.explore.near_photos import photos_near_place
from indexer.search.geolocator import Geolocator

ROW = 60
OUTSIDE = (-0.2, 51.5)


@pytest.fixture(scope="module")
def city(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    return explored_city(tiny_index, tmp_path_factory.mktemp("explored"))


def test_the_closest_photos_come_first_with_their_cosine(city: Geolocator) -> None:
    assert city.space.ground is not None
    photos = city.space.ground.comparison.photos
    lon_deg, lat_deg = (float(v) for v in city.index.cells.lonlat_deg[ROW])
    explored = photos_near_place(city, lon_deg, lat_deg, k=7)
    away_m = [float(haversine_m((lon_deg, lat_deg), place)) for place in photos.lonlat_deg]
    z = city.index.rs.vectors(np.array([ROW]))[0]
    cosine = [float(photos.vectors([row])[0] @ z) for row in range(COUNT)]
    first = sorted(range(COUNT), key=lambda row: away_m[row])[:7]
    assert [p.link for p in explored.photos] == [p.link for p in photos.details(first)]
    for photo, row in zip(explored.photos, first, strict=True):
        assert photo.distance_m == pytest.approx(away_m[row], abs=1e-3)
        assert photo.cosine == pytest.approx(cosine[row], abs=1e-4)
        as_like = sum(other >= cosine[row] - 1e-7 for other in cosine) / COUNT
        assert photo.as_like_share == pytest.approx(as_like)
    assert explored.median_cosine == pytest.approx(np.median(cosine), abs=1e-4)
    by_likeness = photos_near_place(city, lon_deg, lat_deg, k=COUNT + 5, order="likeness")
    ranked = sorted(range(COUNT), key=lambda row: -cosine[row])
    assert [p.link for p in by_likeness.photos] == [p.link for p in photos.details(ranked)]
    assert by_likeness.photos[0].as_like_share == 1 / COUNT


def test_a_place_without_a_cell_has_photos_and_no_cosine(city: Geolocator) -> None:
    explored = photos_near_place(city, *OUTSIDE, k=3)
    assert explored.h3_cell is None
    assert [photo.cosine for photo in explored.photos] == [None] * 3
    assert "cosine" in next(csv.DictReader(io.StringIO(explored_csv(explored))))
    with pytest.raises(UsageError, match="no imagery to compare with"):
        photos_near_place(city, *OUTSIDE, order="likeness")


def test_private_photos_stay_out_of_files(city: Geolocator) -> None:
    lon_deg, lat_deg = (float(v) for v in city.index.cells.lonlat_deg[ROW])
    explored = photos_near_place(city, lon_deg, lat_deg, k=COUNT)
    private = {photo.link for photo in explored.photos if photo.private}
    assert len(private) == COUNT // 10
    document = json.loads(explored_geojson(explored))
    assert document["private_photos_left_out"] == len(private)
    links = {feature["properties"]["link"] for feature in document["features"]}
    assert len(links) == COUNT - len(private)
    assert not links & private
    rows = list(csv.DictReader(io.StringIO(explored_csv(explored))))
    assert {row["link"] for row in rows} == links
    assert all(row["attribution"].startswith("'=by") for row in rows)  # no formula


def test_what_makes_no_sense_is_refused(city: Geolocator, tiny_index: Path) -> None:
    with pytest.raises(UsageError, match="`k` is 0"):
        photos_near_place(city, -0.1, 51.5, k=0)
    with pytest.raises(UsageError, match="no place on Earth"):
        photos_near_place(city, -0.1, float("nan"))
    bare = Geolocator.open(tiny_index / "toy", model=tiny_model())
    with pytest.raises(UsageError, match="no reference photos: add some with"):
        photos_near_place(bare, -0.1, 51.5)
