"""What the map draws, as plain JSON values; ``static/map.js`` is their only reader."""

from __future__ import annotations

from typing import Any

from app.options import TileSource
from app.views.markup import coordinates, esc
from indexer.answer import Answer, Candidate
from indexer.cells import cell_boundary_lonlat_deg, cell_from_hex

NO_PLACES: dict[str, Any] = {"places": []}
"""The map before a search."""


def map_background(outline: dict[str, Any], tiles: TileSource | None) -> dict[str, Any]:
    """What never changes while the page is open.

    Args:
        outline: GeoJSON Feature of the region indexed.
        tiles: Background tiles, if any.

    Returns:
        ``outline``, the Feature's geometry alone, and ``tiles``, None or ``url`` and
        ``attribution``, the latter escaped because Leaflet reads it as HTML.
    """
    return {
        "outline": outline["geometry"],
        "tiles": tiles and {"url": tiles.url, "attribution": esc(tiles.attribution)},
    }


def map_places(answer: Answer) -> dict[str, Any]:
    """The candidates of an answer.

    Returns:
        ``places``: per candidate its rank, position, label (plain text), spread in metres, and the
        corners of its cell as (latitude, longitude) pairs, the order Leaflet wants.
    """
    return {"places": [_place(candidate) for candidate in answer.candidates]}


def _place(candidate: Candidate) -> dict[str, Any]:
    corners = cell_boundary_lonlat_deg(cell_from_hex(candidate.h3_cell))
    where = coordinates(candidate.lon_deg, candidate.lat_deg)
    return {
        "rank": candidate.rank,
        "position": [candidate.lat_deg, candidate.lon_deg],
        "label": f"Place {candidate.rank}: {where}, score {candidate.score:.3f}",
        "spread_m": candidate.spread_m,
        "cell": [[float(lat), float(lon)] for lon, lat in corners],
    }
