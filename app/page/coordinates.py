"""Coordinates as people write and paste them: decimal, with letters, in minutes, from a map's URL.

Nothing here opens an address: only the numbers in it are read.
"""

from __future__ import annotations

import math
import re
from urllib.parse import unquote

from gair.errors import UsageError

MOST_TEXT = 2000
"""Longest text that is looked at, characters; addresses of map sites are long."""

_N = r"(-?\d{1,3}(?:\.\d+)?)"
_ADDRESSES = (
    re.compile(rf"[?&#]mlat={_N}&mlon={_N}"),  # OpenStreetMap, a marker
    re.compile(rf"!3d{_N}!4d{_N}"),  # Google Maps, a place
    re.compile(rf"[#&]map=[\d.]+/{_N}/{_N}"),  # OpenStreetMap, the middle of the map
    re.compile(rf"[?&](?:q|query|ll|sll|daddr|destination|center)=(?:loc:)?{_N},[ +]*{_N}"),
    re.compile(rf"[?&]cp={_N}~{_N}"),  # Bing
    re.compile(rf"^geo:{_N},{_N}"),  # RFC 5870
    re.compile(rf"@{_N},{_N}(?:,|$)"),  # Google Maps, the middle of the map
)
_SAME = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "º": "°",
        "˚": "°",
        "′": "'",
        "’": "'",
        "‘": "'",
        "″": '"',
        "”": '"',
        "“": '"',
        "\u00a0": " ",
    }
)
_DECIMAL_COMMAS = re.compile(r"^\s*(-?\d+),(\d+)\s*[°]?\s*([;/ ])\s*(-?\d+),(\d+)\s*[°]?\s*$")
_TOKEN = re.compile(r"(-?\d+(?:\.\d+)?)|([NSEWnsew])|([°'\",;:/() \t\n]+)|(.)", re.DOTALL)
_FORMS = "51.50735, -0.12776 or 51°30'26\"N 0°7'40\"W, or the address of a map"


def parse_coordinates(text: str) -> tuple[float, float]:
    """The one place that a text names.

    Latitude comes first where no letters say otherwise.

    Returns:
        Longitude, latitude in degrees.

    Raises:
        UsageError: it names none, or one that is not on Earth.
    """
    shown = " ".join(text.split())[:60]
    if not shown:
        raise UsageError(f"no coordinates were given: write {_FORMS}")
    plain = unquote(text[:MOST_TEXT]).translate(_SAME).strip()
    if latlon := _of_address(plain):
        lat, lon = latlon
    else:
        lat, lon = _of_numbers(plain, shown)
    if abs(lat) > 90 >= abs(lon) and abs(lat) <= 180:
        raise UsageError(f"{shown!r} puts the latitude at {lat:g}: latitude comes first")
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise UsageError(
            f"{shown!r} is not on Earth: latitudes go to 90 degrees, longitudes to 180"
        )
    return lon, lat


def _of_address(text: str) -> tuple[float, float] | None:
    if not re.match(r"(https?|geo):", text):
        return None
    for pattern in _ADDRESSES:
        if match := pattern.search(text):
            return float(match[1]), float(match[2])
    raise UsageError(f"that address holds no coordinates: write {_FORMS}")


def _of_numbers(text: str, shown: str) -> tuple[float, float]:
    """Latitude and longitude from numbers with or without letters and signs."""
    if match := _DECIMAL_COMMAS.match(text):
        text = f"{match[1]}.{match[2]} {match[4]}.{match[5]}"
    items: list[float | str] = []
    for number, letter, _, other in _TOKEN.findall(text):
        if other:
            raise UsageError(f"{shown!r} is no place: write {_FORMS}")
        if number:
            # "-0 7 39" is south or west: the sign has to outlive a zero.
            items.append(-0.0 if number.startswith("-0") and not float(number) else float(number))
        elif letter:
            items.append(letter.upper())
    first, second = _halves(items, shown)
    a, b = _angle(first, shown), _angle(second, shown)
    return (b, a) if {"E", "W"} & set(first) else (a, b)


def _halves(items: list[float | str], shown: str) -> tuple[list[float | str], list[float | str]]:
    """What belongs to each of the two angles."""
    letters = [at for at, item in enumerate(items) if isinstance(item, str)]
    # Without letters both angles have as many numbers. A letter ends its angle, or begins it where
    # the text begins with one: the second letter then begins the second angle.
    middle = len(items) // 2
    if letters:
        kinds = sorted("lat" if items[at] in ("N", "S") else "lon" for at in letters)
        middle = letters[1] if letters[0] == 0 and len(letters) > 1 else letters[0] + 1
        if kinds != ["lat", "lon"] or (letters[0] != 0 and letters[-1] != len(items) - 1):
            raise UsageError(f"{shown!r} needs one of N, S and one of E, W, or neither")
    elif len(items) not in (2, 4, 6):
        raise UsageError(f"{shown!r} is no place: write {_FORMS}")
    return items[:middle], items[middle:]


def _angle(items: list[float | str], shown: str) -> float:
    """Degrees of degrees, minutes and seconds, with a sign or a letter."""
    numbers = [item for item in items if isinstance(item, float)]
    letters = [item for item in items if isinstance(item, str)]
    if not 1 <= len(numbers) <= 3:
        raise UsageError(f"{shown!r} is no place: write {_FORMS}")
    if any(not 0 <= part < 60 for part in numbers[1:]):
        raise UsageError(f"{shown!r} has minutes or seconds that are not from 0 to 60")
    below = math.copysign(1, numbers[0]) < 0
    if below and letters:
        raise UsageError(f"{shown!r} has a sign and a letter: keep one of them")
    size: float = sum(abs(part) / 60**power for power, part in enumerate(numbers))
    return -size if below or letters in (["S"], ["W"]) else size
