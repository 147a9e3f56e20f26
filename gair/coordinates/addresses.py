"""Addresses of map sites: the coordinates that stand in them; no address is opened."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_N = r"([-+]?\d{1,3}(?:\.\d+)?)"
_COMMA = r",[ +]*"
_FIELDS = "q|query|ll|sll|daddr|destination|center|cp|coordinate|map|viewpoint|cbll|location|to"
_LAT_FIRST = (
    re.compile(rf"[?&#]mlat={_N}&mlon={_N}"),  # OpenStreetMap, a marker
    re.compile(rf"!3d{_N}!4d{_N}"),  # Google Maps, a place
    re.compile(rf"[#&]map=[\d.]+/{_N}/{_N}"),  # OpenStreetMap, the middle of the map
    re.compile(rf"[?&#](?:{_FIELDS})=(?:loc:)?{_N}{_COMMA}{_N}"),
    re.compile(rf"[?&]cp={_N}~{_N}"),  # Bing
    re.compile(rf"[?&]sp=point\.{_N}_{_N}"),  # Bing, a mark
    re.compile(rf"[?&#](?:lat|latitude)={_N}&(?:lon|lng|long|longitude)={_N}"),
    re.compile(rf"(?i)^geo:0(?:\.0+)?,0(?:\.0+)?\?(?:.*&)?q={_N},{_N}"),  # Android, a mark
    re.compile(rf"(?i)^geo:{_N},{_N}"),  # RFC 5870
    re.compile(rf"[#&]claim={_N}{_COMMA}{_N}"),  # the page of this project
    re.compile(rf"/(?:place|search|dir|l)/(?:.*/)?{_N}{_COMMA}{_N}"),  # Google Maps, HERE
    re.compile(rf"@{_N},{_N}(?:,|$)"),  # Google Maps, the middle of the map
    re.compile(rf"[#&]view={_N},{_N},"),  # the page of this project, the middle of the map
)
_LON_FIRST = (
    re.compile(rf"[?&#](?:lon|lng|long|longitude)={_N}&(?:lat|latitude)={_N}"),
    re.compile(rf"!2d{_N}!3d{_N}"),  # Google Maps, embedded
    re.compile(rf"[?&#]x={_N}&y={_N}"),  # Mapy.com
)
_YANDEX = re.compile(rf"[?&](?:whatshere\[point\]|pt|ll)={_N},{_N}")
_PLUS_CODES = re.compile(r"(?:plus\.codes/|/place/|[?&]q(?:uery)?=)([2-9CFGHJMPQRVWX0]{8}\+\w*)")


def latlon_of_address(address: str) -> tuple[float, float] | str | None:
    """What an address of a map says.

    Args:
        address: ``http:``, ``https:`` or ``geo:``, percent signs decoded.

    Returns:
        Latitude, longitude in degrees; or the plus code in it; None where it holds neither.
    """
    if "yandex." in (urlsplit(address).hostname or ""):  # alone in putting longitude first
        lonlat = _YANDEX.search(address)
        return None if lonlat is None else (float(lonlat[2]), float(lonlat[1]))
    for pattern in _LAT_FIRST:
        if match := pattern.search(address):
            return float(match[1]), float(match[2])
    for pattern in _LON_FIRST:
        if match := pattern.search(address):
            return float(match[2]), float(match[1])
    code = _PLUS_CODES.search(address)
    return None if code is None else code[1]
