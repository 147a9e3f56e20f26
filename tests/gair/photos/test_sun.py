"""The sun over a place: against published positions, and never at a time that nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gair.errors import UsageError
from gair.photos.sun import (
    NO_OFFSET,
    NO_TIME,
    Sun,
    first_moment,
    moment_of,
    parse_moment,
    sun_at,
    suns_over,
)


@pytest.mark.parametrize(
    ("lonlat_deg", "when", "azimuth_deg", "elevation_deg"),
    [
        # Reda and Andreas, NREL/TP-560-34302 (2008), appendix A.5: Golden, Colorado, 12:30:30 at
        # UTC-7: zenith 50.11162, azimuth 194.34024.
        ((-105.1786, 39.742476), "2003-10-17T12:30:30-07:00", 194.34024, 90 - 50.11162),
        # On the equator at an equinox the sun rises in the east and passes overhead.
        ((0.0, 0.0), "2024-03-20T08:00:00Z", 90.0, 28.2),
        # Solar noon at Greenwich on a solstice: 90 - 51.48 + 23.44, due south.
        ((0.0, 51.48), "2024-06-20T12:01:50+00:00", 180.0, 61.96),
        # South of the tropics it stands in the north.
        ((151.2, -33.87), "2024-06-21T11:57:00+10:00", 0.0, 32.7),
    ],
)
def test_positions_are_the_published_ones(
    lonlat_deg: tuple[float, float], when: str, azimuth_deg: float, elevation_deg: float
) -> None:
    sun = sun_at(lonlat_deg, parse_moment(when))
    assert abs((sun.azimuth_deg - azimuth_deg + 180) % 360 - 180) < 0.5
    assert sun.elevation_deg == pytest.approx(elevation_deg, abs=0.15)


def test_the_offset_counts() -> None:
    same = [parse_moment(text) for text in ("2024-06-01T14:30+01:00", " 2024-06-01T13:30Z ")]
    assert same[0] == same[1] == datetime(2024, 6, 1, 13, 30, tzinfo=UTC)
    local = datetime.fromisoformat("2024-06-01T14:30+01:00")
    assert sun_at((0, 51.5), local) == sun_at((0, 51.5), same[0])
    hour_later = sun_at((0, 51.5), parse_moment("2024-06-01T14:30Z"))
    assert hour_later.azimuth_deg - sun_at((0, 51.5), same[0]).azimuth_deg > 15


@pytest.mark.parametrize("text", ["2024-06-01T14:30", "2024-06-01", "noon", "", "9" * 400])
def test_what_is_no_moment_is_refused_in_one_line_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"2024-06-01T14:30\+01:00") as refused:
        parse_moment(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_place_is_not_asked_about_without_an_offset() -> None:
    with pytest.raises(UsageError, match="no offset from UTC"):
        sun_at((0, 0), datetime(2024, 6, 1, 12))  # noqa: DTZ001


def test_a_photo_says_its_moment_or_why_not() -> None:
    assert moment_of("2024-06-01T14:30:00+02:00") == (datetime(2024, 6, 1, 12, 30, tzinfo=UTC), "")
    assert moment_of("2024-06-01T14:30:00") == (None, NO_OFFSET)
    assert moment_of("2024-06-01") == (None, NO_TIME)
    assert moment_of("2024") == (None, NO_TIME)
    assert moment_of(None) == (None, NO_TIME)


def test_the_sun_over_places_is_told_with_its_time_or_a_reason() -> None:
    places = [(0.0, 51.48), (151.2, -33.87)]
    suns = suns_over(places, "2024-06-20T13:01:50+01:00")
    assert suns.places == tuple(
        sun_at(place, parse_moment("2024-06-20T12:01:50Z")) for place in places
    )
    assert suns.said == "2024-06-20 12:01 UTC"
    told = suns.to_dict()
    assert (told["at_utc"], told["reason"]) == ("2024-06-20T12:01:50Z", None)
    assert [Sun(**place) for place in told["places"]] == list(suns.places)
    assert told["places"][0]["elevation_deg"] == 62.0  # in tenths, as right as it is
    for text, reason, words in (
        (None, "no_time", NO_TIME),
        ("2024-06-20T13:02", "no_offset", NO_OFFSET),
    ):
        unknown = suns_over(places, text)
        assert unknown.to_dict() == {"at_utc": None, "reason": reason, "places": []}
        assert unknown.said == words


def test_of_several_photos_the_first_that_says_its_moment_counts() -> None:
    local, whole = "2024-06-01T14:30:00", "2024-06-01T14:30:00+02:00"
    assert first_moment([None, local, whole, "2024-07-01T00:00:00Z"]) == whole
    assert first_moment([None, local]) == local
    assert first_moment([None, ""]) is None


def test_shadows_point_away_from_it() -> None:
    assert Sun(225.2, 41.4).said == (
        "sun in the south-west (225°), 41° high; shadows point north-east (45°)"
    )
    assert Sun(350.0, 10.0).said.startswith("sun in the north (350°)")
    assert Sun(179.8, 62.0).said.endswith("shadows point north (0°)")
    assert Sun(10.0, -6.4).said == "sun 6° below the horizon: no shadows"
