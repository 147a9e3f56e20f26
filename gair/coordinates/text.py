"""Coordinates as people write and paste them: decimal, in minutes, in grids, from a map's address.

Nothing here opens an address: only the numbers in it are read.
"""

from __future__ import annotations

import math
import re
from urllib.parse import unquote

from gair.coordinates.addresses import latlon_of_address
from gair.coordinates.grids import lonlat_of_grid, lonlat_of_plus_code
from gair.errors import UsageError

MOST_TEXT = 2000
"""Longest text that is looked at, characters; addresses of map sites are long."""

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
        "\u202f": " ",
        "\u2009": " ",
        "，": ",",
        "（": "(",
        "）": ")",
    }
)
_DEGREES = re.compile(r"(?<=\d)\s*(?:degrees?|deg|d)(?![a-z])", re.IGNORECASE)
_LABELLED = tuple(
    re.compile(
        rf"(?<![a-z])(?:{words})(?:_deg)?[\"'\s:=]*([-+]?\d{{1,3}}(?:\.\d+)?)", re.IGNORECASE
    )
    for words in ("latitude|lat", "longitude|long|lng|lon")
)
"""lat=51.5 lon=-0.12, also as JSON."""
_DECIMAL_COMMAS = re.compile(r"^\s*(-?\d+),(\d+)\s*[°]?\s*([;/ ])\s*(-?\d+),(\d+)\s*[°]?\s*$")
_TOKEN = re.compile(r"([-+]?\d+(?:\.\d+)?)|([NSEWnsew])|([°'\",;:/() \t\n]+)|(.)", re.DOTALL)
_FORMS = "51.50735, -0.12776 or 51°30'26\"N 0°7'40\"W, or the address of a map"


def parse_coordinates(text: str) -> tuple[float, float]:
    """The one place that a text names.

    Latitude comes first where neither letters nor words say otherwise.

    Args:
        text: degrees, with or without minutes and seconds, signs or letters; MGRS, UTM, a plus
            code, an H3 cell; ``geo:`` or the address of a map.

    Returns:
        Longitude, latitude in degrees.

    Raises:
        UsageError: it names none, or one that is not on Earth.
    """
    shown = " ".join(text.split())[:60]
    if not shown:
        raise UsageError(f"no coordinates were given: write {_FORMS}")
    plain = unquote(text[:MOST_TEXT]).translate(_SAME).strip()
    if re.match(r"(https?|geo):", plain, re.IGNORECASE):
        return _of_address(plain, shown)
    if plain.startswith("///"):
        raise UsageError(f"{shown!r} can only be looked up by who sells it: write {_FORMS}")
    if lonlat_deg := lonlat_of_grid(plain, shown):
        return lonlat_deg
    labelled = [pattern.findall(plain) for pattern in _LABELLED]
    if all(len(values) == 1 for values in labelled):
        lat_deg, lon_deg = (float(values[0]) for values in labelled)
    else:
        lat_deg, lon_deg = _of_numbers(_DEGREES.sub("°", plain), shown)
    return _checked(lon_deg, lat_deg, repr(shown))


def check_lonlat(lon_deg: float, lat_deg: float) -> None:
    """Refuse what is no point on Earth, with a hint where the two numbers look exchanged.

    Args:
        lon_deg: longitude, degrees.
        lat_deg: latitude, degrees.

    Raises:
        UsageError: it is none.
    """
    _checked(lon_deg, lat_deg, f"latitude {lat_deg:g}, longitude {lon_deg:g}")


def _checked(lon_deg: float, lat_deg: float, shown: str) -> tuple[float, float]:
    if abs(lat_deg) <= 90 and abs(lon_deg) <= 180:  # NaN fails both
        return lon_deg, lat_deg
    hint = ""
    if abs(lon_deg) <= 90 < abs(lat_deg) <= 180:
        hint = f"; latitude comes first: did you mean {lon_deg:g}, {lat_deg:g}?"
    raise UsageError(
        f"{shown} is not on Earth: latitudes go from -90 to 90 degrees, longitudes from -180 to "
        f"180{hint}"
    )


def _of_address(address: str, shown: str) -> tuple[float, float]:
    place = latlon_of_address(address)
    if place is None:
        raise UsageError(
            f"that address holds no coordinates: open it and copy the long one, or write {_FORMS}"
        )
    if isinstance(place, str):
        return lonlat_of_plus_code(place, shown)
    return _checked(place[1], place[0], "the place in that address")


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
