"""Similar places: the formula cell by cell, what is left out, and what is written of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import geojson_validator
import numpy as np
import pytest
from explored_city import explored_city

from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.explore.files import explored_csv, explored_geojson, write_explored
from indexer.explore.similar import SimilarPlaces, similar_places
from indexer.search.geolocator import Geolocator

LIKE, UNLIKE = (5, 80), (120,)
APART_M = 600.0


@pytest.fixture(scope="module")
def city(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    return explored_city(tiny_index, tmp_path_factory.mktemp("explored"))


def at(city: Geolocator, *rows: int) -> list[tuple[float, float]]:
    return [(float(lon), float(lat)) for lon, lat in city.index.cells.lonlat_deg[list(rows)]]


def asked(city: Geolocator, k: int = 8, apart_m: float = APART_M) -> SimilarPlaces:
    return similar_places(city, at(city, *LIKE), at(city, *UNLIKE), k=k, apart_m=apart_m)


def test_places_are_ranked_by_the_formula(city: Geolocator) -> None:
    index, merge_m = city.index, city.space.merge_radius_m
    z, centres = index.rs.vectors(np.arange(len(index.cells))), index.cells.lonlat_deg
    score = {}
    for row in range(len(z)):
        near = [float(haversine_m(centres[row], centres[e])) for e in (*LIKE, *UNLIKE)]
        if min(near) > APART_M:
            like = sum(float(z[row] @ z[e]) for e in LIKE) / len(LIKE)
            score[row] = like - sum(float(z[row] @ z[e]) for e in UNLIKE) / len(UNLIKE)
    explored = asked(city)
    assert explored.cells_compared == len(score)
    assert explored.cells_left_out == len(z) - len(score) > 3
    assert explored.median_similarity == pytest.approx(np.median(list(score.values())), abs=1e-5)
    taken: list[int] = []
    for row in sorted(score, key=lambda row: -score[row]):
        if all(float(haversine_m(centres[row], centres[other])) > merge_m for other in taken):
            taken.append(row)
    assert [place.row for place in explored.places] == taken[:8]
    for place in explored.places:
        assert place.similarity == pytest.approx(score[place.row], abs=1e-5)
        at_least = sum(other >= score[place.row] for other in score.values())
        assert place.as_similar_share == pytest.approx(at_least / len(score))
        away = min(float(haversine_m(centres[place.row], centres[e])) for e in LIKE)
        assert place.distance_m == pytest.approx(away)


def test_a_counter_example_pushes_what_is_like_it_away(city: Geolocator) -> None:
    alone = similar_places(city, at(city, 5), k=100, apart_m=0)
    pushed = similar_places(city, at(city, 5), at(city, alone.places[0].row), k=100, apart_m=0)
    assert alone.places[0].row not in [place.row for place in pushed.places]
    assert -1 <= alone.places[-1].similarity <= alone.places[0].similarity <= 1
    assert alone.places[0].as_similar_share == 1 / alone.cells_compared
    assert alone.cells_left_out == 1


def test_an_example_counts_once(city: Geolocator) -> None:
    once = similar_places(city, at(city, 5, 80))
    again = similar_places(city, at(city, 5, 5, 80, 5))
    assert once == again
    assert len(once.like) == 2
    assert once.apart_m == 2 * city.space.merge_radius_m


@pytest.mark.parametrize(
    ("like", "unlike", "options", "told"),
    [
        ([], [(-0.1, 51.5)], {}, "no example"),
        ([(0.5, 51.5)], [], {}, r"no cell of index 'toy' is at 51.50000, 0.50000; .* km away"),
        ([(-0.1, 51.5)], [(-0.1, 51.5)], {}, "an example and a counter-example"),
        ([(-0.1, 91.0)], [], {}, "no place on Earth"),
        ([(float("nan"), 51.5)], [], {}, "no place on Earth"),
        ([(-0.1, 51.5)] * 101, [], {}, "101 places for like: give 100 or fewer"),
        ([(-0.1, 51.5)], [], {"k": 0}, "`k` is 0"),
        ([(-0.1, 51.5)], [], {"apart_m": -1.0}, "`apart_m` is -1"),
        ([(-0.1, 51.5)], [], {"apart_m": 1e7}, "no cell of the index is as far"),
    ],
)
def test_what_makes_no_sense_is_refused(
    city: Geolocator, like: list, unlike: list, options: dict, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        similar_places(city, like, unlike, **options)


def test_files_say_the_same(city: Geolocator, tmp_path: Path) -> None:
    explored = asked(city)
    values = json.loads(json.dumps(explored.to_dict(), allow_nan=False))
    assert values["schema_version"] == 1
    document = json.loads(explored_geojson(explored))
    problems = geojson_validator.validate_structure(document)
    assert not problems, problems
    kinds = [feature["properties"]["kind"] for feature in document["features"]]
    assert kinds == ["place"] * 8 + ["like"] * 2 + ["unlike"]
    rows = list(csv.DictReader(io.StringIO(explored_csv(explored))))
    for place, row, feature in zip(explored.places, rows, document["features"], strict=False):
        assert feature["geometry"]["coordinates"] == [
            round(place.lon_deg, 7),
            round(place.lat_deg, 7),
        ]
        assert (int(row["rank"]), row["h3_cell"]) == (place.rank, place.h3_cell)
        assert float(row["lat"]) == pytest.approx(place.lat_deg, abs=1e-6)
        assert float(row["lon"]) == pytest.approx(place.lon_deg, abs=1e-6)
        assert float(row["similarity"]) == pytest.approx(place.similarity, rel=1e-4)
    write_explored(explored, tmp_path / "like.CSV")
    assert (tmp_path / "like.CSV").read_text() == explored_csv(explored)
    with pytest.raises(UsageError, match=r"must end in \.geojson or \.csv"):
        write_explored(explored, tmp_path / "like.kml")
