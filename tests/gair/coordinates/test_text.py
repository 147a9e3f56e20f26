"""Coordinates in the usual forms, and what is said of others."""

from __future__ import annotations

import math

import pytest

from gair.coordinates.text import check_lonlat, parse_coordinates
from gair.errors import UsageError


@pytest.mark.parametrize(
    "text",
    [
        "51.50735, -0.12776",
        "51.50735 -0.12776",
        "  51.50735;-0.12776\n",
        "51.50735/-0.12776",
        "51.50735, −0.12776",
        "51,50735; -0,12776",
        "51,50735 -0,12776",
        "51.50735N 0.12776W",
        "51.50735° N, 0.12776° W",
        "N 51.50735, W 0.12776",
        "0.12776W, 51.50735N",
        "W0.12776 N51.50735",
        "51°30'26.46\"N 0°7'39.936\"W",
        "51° 30′ 26.46″ N, 0° 7′ 39.936″ W",
        "51 30 26.46 N 0 7 39.936 W",
        "51 30.441 N 0 7.6656 W",
        "51 30 26.46, -0 7 39.936",
        "geo:51.50735,-0.12776;u=35",
        "https://www.openstreetmap.org/#map=16/51.50735/-0.12776",
        "https://www.openstreetmap.org/?mlat=51.50735&mlon=-0.12776#map=5/1.0/2.0",
        "https://www.google.com/maps/@51.50735,-0.12776,15z",
        "https://www.google.com/maps/place/X/@1.5,2.5,17z/data=!3m1!4b1!3d51.50735!4d-0.12776",
        "https://maps.google.com/?q=51.50735,-0.12776",
        "https://www.google.com/maps/search/?api=1&query=51.50735%2C-0.12776",
        "https://maps.apple.com/?ll=51.50735,-0.12776&z=15",
        "https://www.bing.com/maps?cp=51.50735~-0.12776&lvl=15",
        "+51.50735, -0.12776",
        "+51.50735-000.12776/",  # ISO 6709
        "(51.50735, -0.12776)",  # of "the photo carries coordinates (...)"
        "51.50735,N,0.12776,W",
        "51 deg 30' 26.46\" N, 0 deg 7' 39.936\" W",  # exiftool
        "51d30'26.46\"N 0d7'39.936\"W",
        "lat 51.50735 lon -0.12776",
        "Longitude: -0.12776, Latitude: 51.50735",
        '{"lon_deg": -0.12776, "lat_deg": 51.50735}',
    ],
)
def test_one_place_in_many_forms(text: str) -> None:
    assert parse_coordinates(text) == pytest.approx((-0.12776, 51.50735), abs=2e-8)


def test_south_east_and_the_edges() -> None:
    assert parse_coordinates("33.5 S 151.25 E") == (151.25, -33.5)
    assert parse_coordinates("-90 180") == (180, -90)
    assert parse_coordinates("0 0") == (0, 0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no coordinates were given"),
        ("here", "is no place"),
        ("51.5", "is no place"),
        ("51.5, -0.1, 7", "is no place"),
        ("1 2 3 4 5", "is no place"),
        ("151.5, -0.1", "latitude comes first"),
        ("91, 0", "latitude comes first"),
        ("91, 181", "not on Earth"),
        ("51.5 N, 0.1 N", "one of N, S and one of E, W"),
        ("51.5 N", "one of N, S and one of E, W"),
        ("-51.5 N 0.1 W", "a sign and a letter"),
        ("51 61 0 N 0 0 0 W", "minutes or seconds"),
        ("51 30 -1, 0 0 0", "minutes or seconds"),
        ("https://example.org/51.5", "holds no coordinates"),
        ("nan, inf", "is no place"),
        ("<img src=x>", "is no place"),
        ("1e400 0", "one of N, S and one of E, W"),
        ("139.7, 35.6", r"latitude comes first: did you mean 35\.6, 139\.7\?"),
        ("139.7 N 35.6 E", r"did you mean 35\.6, 139\.7\?"),
        ("https://maps.apple.com/?ll=139.7,35.6", r"did you mean 35\.6, 139\.7\?"),
        ("lat=139.7 lon=35.6", r"did you mean 35\.6, 139\.7\?"),
        ("https://maps.app.goo.gl/abcDEF123", "open it and copy the long one"),
        ("///filled.count.soap", "can only be looked up by who sells it"),
        ("9" * 5000, "is no place"),
    ],
)
def test_what_is_no_place_is_said(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        parse_coordinates(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("lonlat_deg", [(35.6, 139.7), (0.0, -91.0), (math.nan, 0.0), (181.0, 1.0)])
def test_a_point_that_is_not_on_earth_is_refused(lonlat_deg: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="is not on Earth"):
        check_lonlat(*lonlat_deg)


def test_only_numbers_that_are_right_when_exchanged_get_the_hint() -> None:
    with pytest.raises(UsageError, match=r"did you mean 35\.6, 139\.7\?"):
        check_lonlat(35.6, 139.7)
    for lonlat_deg in ((181.0, 1.0), (100.0, 100.0), (5.0, 400.0)):
        with pytest.raises(UsageError) as caught:
            check_lonlat(*lonlat_deg)
        assert "did you mean" not in str(caught.value)
