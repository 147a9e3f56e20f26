"""Outlines of places by name, from a server that answers as Nominatim does.

Nobody is asked unless a user names a place. Nominatim's search is documented at
https://nominatim.org/release-docs/latest/api/Search/ and its usage policy, which wants a User-Agent
that names the program, at https://operations.osmfoundation.org/policies/nominatim/. One name may be
several places (there is more than one City of London), so the user chooses where there is a choice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from gair.errors import RegionError, UsageError
from gair.http import http_client
from indexer.regions.geojson import parse_area
from indexer.regions.region import Region

NOMINATIM = "https://nominatim.openstreetmap.org"
USER_AGENT = "gair-geolocator/0.1 (python -m indexer build --place)"
MOST_MATCHES = 10
TIMEOUT_S = 20.0
ATTRIBUTION = "© OpenStreetMap contributors, Open Database License 1.0"
"""Of answers that do not say whom to credit."""

_MOST_BYTES = 64 << 20
_UNSAFE = re.compile(r"[^a-z0-9]+")


def find_place(place: str, geocoder: str = NOMINATIM, *, place_number: int | None = None) -> Region:
    """The outline of a place.

    Args:
        place: its name as a person would type it: ``Vienna``, ``City of London, England``.
        geocoder: its URL.
        place_number: which of several matches, from 1.

    Raises:
        UsageError: The URL or the number cannot work.
        RegionError: The geocoder cannot be reached, knows no such area, or knows several and
            ``place_number`` does not say which.
    """
    if not place.strip():
        raise UsageError("`place` is empty: name one, for example Vienna")
    matches = [match for match in _ask(place, geocoder) if _is_area(match)]
    if not matches:
        raise RegionError(
            f"{geocoder} knows no area named {place!r}: spell it otherwise, add the country, or "
            "give its outline as a GeoJSON file (`polygon`)"
        )
    regions = [_region(match, geocoder) for match in matches]
    if place_number is None and len(regions) > 1:
        listed = "; ".join(
            f"{n}: {match.get('display_name', '?')} ({region.area_km2:,.1f} km2)"
            for n, (match, region) in enumerate(zip(matches, regions, strict=True), 1)
        )
        raise RegionError(f"{place!r} may be {len(regions)} places, {listed}: add `place_number`")
    if place_number is not None and not 1 <= place_number <= len(regions):
        raise UsageError(f"`place_number` {place_number} is not in 1..{len(regions)} for {place!r}")
    return regions[(place_number or 1) - 1]


def _ask(name: str, url: str) -> list[dict[str, Any]]:
    import httpx

    remedy = "try again later, name another `geocoder`, or give a GeoJSON file (`polygon`)"
    question = {"q": name, "format": "jsonv2", "polygon_geojson": 1, "limit": MOST_MATCHES}
    try:
        address = httpx.URL(f"{url.rstrip('/')}/search", params=question)
        if address.scheme not in ("http", "https") or not address.host:
            raise httpx.InvalidURL("no http or https")
        with http_client(USER_AGENT, TIMEOUT_S) as client, client.stream("GET", address) as answer:
            answer.raise_for_status()
            matches = json.loads(_at_most(answer.iter_bytes(), _MOST_BYTES))
    except httpx.InvalidURL as error:
        raise UsageError(f"`geocoder` {url!r} is no http or https URL: give {NOMINATIM}") from error
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise RegionError(f"{url} refused with status {status}: {remedy}") from error
    except httpx.HTTPError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RegionError(f"cannot reach the geocoder {url} ({reason}): {remedy}") from error
    except ValueError as error:
        raise RegionError(f"{url} does not answer as Nominatim does: {remedy}") from error
    if not isinstance(matches, list) or not all(isinstance(match, dict) for match in matches):
        raise RegionError(f"{url} does not answer as Nominatim does: {remedy}")
    return matches


def _at_most(chunks: Iterable[bytes], most_bytes: int) -> bytes:
    """The beginning of an answer: what is cut off there is no JSON any more."""
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > most_bytes:
            break
    return bytes(content[:most_bytes])


def _is_area(match: dict[str, Any]) -> bool:
    shape = match.get("geojson")
    return isinstance(shape, dict) and shape.get("type") in ("Polygon", "MultiPolygon")


def _region(match: dict[str, Any], url: str) -> Region:
    title = str(match.get("display_name") or match.get("name") or "place")
    geometry, _ = parse_area(json.dumps(match["geojson"]), f"{url}: {title}")
    name = _UNSAFE.sub("-", str(match.get("name") or title.split(",")[0]).lower()).strip("-")
    return Region(name or "place", geometry, str(match.get("licence") or ATTRIBUTION))
