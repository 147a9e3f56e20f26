"""Places in MGRS and UTM, as plus codes and as H3 cells, against values from their publishers."""

from __future__ import annotations

import h3
import pytest

from gair.coordinates.text import parse_coordinates
from gair.errors import UsageError
from gair.geo import haversine_m

EIFFEL_TOWER = (2.2945, 48.8582)
"""31U DQ 48251 11932, 448251 m east and 5411932 m north in zone 31, and 8FW4V75V+7Q."""


@pytest.mark.parametrize(
    ("text", "within_m"),
    [
        ("31UDQ4825111932", 2),
        ("31U DQ 48251 11932", 2),
        ("31u dq 48251 11932", 2),
        ("MGRS 31U DQ 4825111932", 2),
        ("31UDQ48251193", 10),  # squares of 10 m, 100 m and 1 km: their middles
        ("31UDQ482119", 71),
        ("31U DQ 48 11", 710),
        ("31U 448252 5411933", 2),
        ("UTM 31U 448252 5411933", 2),
        ("31N 448252 5411933", 2),
        ("31 north 448252, 5411933", 2),
        ("zone 31 N, 448252 mE, 5411933 mN", 2),
        ("31U 448252mE 5411933mN", 2),
        ("31U E 448252 N 5411933", 2),
        ("448252 5411933 31U", 2),
        ("448252E 5411933N 31U", 2),
        ("EPSG:32631 448252 5411933", 2),
        ("8FW4V75V+7QG", 6),
        ("8fw4v75v+7q", 10),
        ("8FW4V75V+7Q Paris", 10),
        ("https://plus.codes/8FW4V75V+7Q", 10),
        ("https://www.google.com/maps/place/8FW4V75V%2B7Q", 10),
    ],
)
def test_one_place_in_every_grid(text: str, within_m: float) -> None:
    assert haversine_m([parse_coordinates(text)], EIFFEL_TOWER)[0] < within_m


def test_the_middle_of_a_square_not_its_corner() -> None:
    corner, middle = parse_coordinates("31UDQ4800011000"), parse_coordinates("31UDQ4811")
    assert haversine_m([corner], middle)[0] == pytest.approx(500 * 2**0.5, abs=3)


def test_south_of_the_equator_and_what_n_and_s_mean() -> None:
    opera_house = (151.2153, -33.8568)
    for text in ("56H 334894 6252278", "56 south 334894 6252278", "56S 334894 6252278"):
        assert haversine_m([parse_coordinates(text)], opera_house)[0] < 50, text
    # 11S is the band of Los Angeles where the metres lie in it.
    assert parse_coordinates("11S 384614 3768263") == pytest.approx((-118.25, 34.05), abs=0.01)


def test_an_h3_cell_is_its_middle() -> None:
    cell = h3.latlng_to_cell(51.5, -0.12, 10)
    lat_deg, lon_deg = h3.cell_to_latlng(cell)
    assert parse_coordinates(cell) == parse_coordinates(cell.upper()) == (lon_deg, lat_deg)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("GV4C+WV London", "short plus code"),
        ("9C3X0000+", "kilometres wide"),
        ("9C3XGV4C+W", "no plus code"),
        ("31UDQ", "a square of 100 km"),
        ("31UDQ482511193", "as many for east as for north"),
        ("31UDQ 4825 11932", "as many for east as for north"),
        ("31UZZ4825111932", "no place in MGRS"),
        ("61UDQ4825111932", "no place in MGRS"),
        ("61N 448252 5411933", "zone 61"),
        ("31 448252 5411933", "write 31 north or 31 south"),
        ("31N 048252 5411933", "metres east go from 100,000"),
        ("31C 448252 5411933", "outside band C"),
        ("89195da49cbfffe", "no cell of H3"),
    ],
)
def test_what_names_no_one_place_is_said(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        parse_coordinates(text)
    assert len(str(caught.value)) < 200
