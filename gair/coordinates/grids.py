"""Grids: places in MGRS and UTM, as plus codes and as H3 cells, in degrees.

What names a square or a cell stands for its middle. Libraries are imported when a text looks like
theirs: mgrs (GEOTRANS of the US NGA), pyproj for UTM, Google's openlocationcode, h3.
"""

from __future__ import annotations

import re

from gair.errors import UsageError

_BANDS = "CDEFGHJKLMNPQRSTUVWX"
"""Letters of MGRS from 80 degrees south, 8 degrees each; the last has 12."""
_MGRS = re.compile(
    r"(?:MGRS:?\s*)?((?:\d{1,2}\s*[C-HJ-NP-X]|[ABYZ])\s*[A-HJ-NP-Z]{2})\s*(\d*)\s*(\d*)"
)
_ZONE = r"(?P<zone>\d{1,2})\s*(?P<letter>[C-HJ-NP-X]|NORTH|SOUTH)?"
_METRES = (
    r"(?:E(?:ASTING)?\s*[:=]?\s*)?(?P<easting>\d{5,7}(?:\.\d+)?)\s*(?:M?E|M)?[\s,;]+"
    r"(?:N(?:ORTHING)?\s*[:=]?\s*)?(?P<northing>\d{1,8}(?:\.\d+)?)\s*(?:M?N|M)?"
)
_UTM = (
    re.compile(rf"(?:UTM:?\s*)?(?:ZONE:?\s*)?{_ZONE}[\s,;:]+{_METRES}"),
    re.compile(rf"(?:UTM:?\s*)?{_METRES}[\s,;]+(?:UTM\s*)?(?:ZONE\s*)?{_ZONE}"),
)
_EPSG = re.compile(rf"EPSG:32(?P<letter>[67])(?P<zone>\d\d)[\s,;:]+{_METRES}")
_PLUS_CODE = re.compile(r"([2-9CFGHJMPQRVWX0]{2,8}\+[2-9CFGHJMPQRVWX]{0,7})(?:[\s,].*)?")
_H3 = re.compile(r"8[0-9A-F]{14}")


def lonlat_of_grid(text: str, shown: str) -> tuple[float, float] | None:
    """What a text in one of the grids names.

    Args:
        text: without spaces around it.
        shown: the text as errors have it.

    Returns:
        Longitude, latitude in degrees; None where the text is in none of the grids.

    Raises:
        UsageError: it is, and names no one place.
    """
    upper = " ".join(text.upper().split())
    if match := _PLUS_CODE.fullmatch(upper):
        return lonlat_of_plus_code(match[1], shown)
    if match := _MGRS.fullmatch(upper):
        return _of_mgrs(match[1].replace(" ", ""), match[2], match[3], shown)
    if match := _EPSG.fullmatch(upper):
        hemisphere = "NORTH" if match["letter"] == "6" else "SOUTH"
        return _of_utm(match, hemisphere, shown)
    for pattern in _UTM:
        if match := pattern.fullmatch(upper):
            return _of_utm(match, match["letter"] or "", shown)
    return _of_h3(upper.lower(), shown) if _H3.fullmatch(upper) else None


def lonlat_of_plus_code(code: str, shown: str) -> tuple[float, float]:
    """The middle of what a plus code names (Open Location Code, 2015)."""
    from openlocationcode import openlocationcode

    if not openlocationcode.isFull(code):
        if openlocationcode.isShort(code):
            raise UsageError(
                f"{shown!r} is a short plus code, which counts from a town: give the full one, "
                "such as 9C3XGV4C+WV"
            )
        raise UsageError(f"{shown!r} is no plus code: a full one is such as 9C3XGV4C+WV")
    if "0" in code.partition("+")[0]:
        raise UsageError(f"{shown!r} names an area many kilometres wide: give all 8 signs before +")
    area = openlocationcode.decode(code)
    return area.longitudeCenter, area.latitudeCenter


def _of_mgrs(square: str, first: str, second: str, shown: str) -> tuple[float, float]:
    import mgrs

    digits = first + second
    if second and len(first) != len(second) or len(digits) % 2 or len(digits) > 10:
        raise UsageError(
            f"{shown!r} has {len(digits)} digits after its letters: MGRS has as many for east as "
            "for north, at most 5 each"
        )
    if not digits:
        raise UsageError(f"{shown!r} names a square of 100 km: give digits after its letters")
    try:
        lat_deg, lon_deg = mgrs.MGRS().toLatLon(square + digits)
    except Exception as error:  # its own classes have changed from version to version
        raise UsageError(f"{shown!r} is no place in MGRS: look at its letters") from error
    return float(lon_deg), float(lat_deg)


def _of_utm(match: re.Match[str], letter: str, shown: str) -> tuple[float, float]:
    """The point of a zone, a band's letter or a hemisphere, and metres."""
    zone, easting, northing = int(match["zone"]), float(match["easting"]), float(match["northing"])
    if not 1 <= zone <= 60:
        raise UsageError(f"{shown!r} has zone {zone}: those of UTM go from 1 to 60")
    if not letter:
        raise UsageError(
            f"{shown!r} does not say which half of the Earth: write {zone} north or {zone} south"
        )
    if not (100_000 <= easting <= 900_000 and northing <= 10_000_000):
        raise UsageError(
            f"{shown!r} is no place in UTM: metres east go from 100,000 to 900,000, metres north "
            "to 10,000,000"
        )
    # N and S are bands and, for many, halves of the Earth. Band N lies in the north anyway. S is
    # the band (32 to 40 degrees north) where the point lies in it, else the south.
    south = letter == "SOUTH" or letter in "CDEFGHJKLM"
    lonlat_deg = _utm_lonlat_deg(zone, easting, northing, south=south)
    if letter == "S" and not _in_band(lonlat_deg[1], "S"):
        return _utm_lonlat_deg(zone, easting, northing, south=True)
    if letter not in ("N", "S", "NORTH", "SOUTH") and not _in_band(lonlat_deg[1], letter):
        raise UsageError(f"{shown!r} is at latitude {lonlat_deg[1]:.2f}, outside band {letter}")
    return lonlat_deg


def _utm_lonlat_deg(
    zone: int, easting: float, northing: float, *, south: bool
) -> tuple[float, float]:
    import pyproj

    utm = pyproj.Transformer.from_crs(
        f"EPSG:{32700 + zone if south else 32600 + zone}", "OGC:CRS84", always_xy=True
    )
    lon_deg, lat_deg = utm.transform(easting, northing)
    return float(lon_deg), float(lat_deg)


def _in_band(lat_deg: float, letter: str) -> bool:
    """Whether a latitude lies in a band, or a kilometre beside it."""
    start = -80 + 8 * _BANDS.index(letter)
    return start - 0.01 <= lat_deg <= start + (12 if letter == "X" else 8) + 0.01


def _of_h3(cell: str, shown: str) -> tuple[float, float]:
    import h3

    if not h3.is_valid_cell(cell):
        raise UsageError(f"{shown!r} is no cell of H3: copy it again")
    lat_deg, lon_deg = h3.cell_to_latlng(cell)
    return float(lon_deg), float(lat_deg)
