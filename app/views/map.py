"""What the map draws, as plain JSON values; ``static/map.js`` is their only reader."""

from __future__ import annotations

from typing import Any

from app.options import TileSource
from app.views.markup import coordinates, esc
from indexer.index.index import Index
from indexer.index.storage import TABLE_FILE
from indexer.index.table import read_missing
from indexer.regions.cells import cell_boundary_lonlat_deg, cell_from_hex
from indexer.search.answer import Answer, Candidate
from indexer.search.outlines import dissolved, geojson_geometry

MOST_HOLES = 50_000
"""Cells without imagery that are drawn, dissolved."""


def tiles_of(tiles: TileSource | None) -> dict[str, str] | None:
    """Background tiles, the credit escaped because Leaflet reads it as HTML."""
    if tiles is None:
        return None
    return {"url": tiles.url, "attribution": esc(tiles.attribution)}


def index_background(index: Index) -> dict[str, Any]:
    """What never changes while an index is shown.

    Returns:
        ``outline``, the geometry of the region that was indexed, and ``holes``, that of its cells
        which were not; None for no holes.
    """
    holes = None
    if index.manifest.missing:
        lost = read_missing(index.path / TABLE_FILE, MOST_HOLES)
        holes = geojson_geometry(dissolved(lost.h3)) if len(lost.h3) else None
    return {"outline": index.outline["geometry"], "holes": holes}


def map_places(answer: Answer) -> dict[str, Any]:
    """The candidates and the regions of an answer.

    Returns:
        ``places``: per candidate its rank, position, label (plain text), spread in metres, and the
        corners of its cell as (latitude, longitude) pairs, the order Leaflet wants. ``regions``:
        the GeoJSON features of the regions, the largest first; none where nothing is calibrated.
    """
    levels = sorted((region["level"] for region in answer.regions), reverse=True)
    return {
        "places": [_place(candidate) for candidate in answer.candidates],
        "regions": [answer.region(level).to_geojson() for level in levels],
    }


def _place(candidate: Candidate) -> dict[str, Any]:
    corners = cell_boundary_lonlat_deg(cell_from_hex(candidate.h3_cell))
    lon_deg, lat_deg = candidate.refined_lonlat_deg or (candidate.lon_deg, candidate.lat_deg)
    where = coordinates(lon_deg, lat_deg)
    return {
        "rank": candidate.rank,
        "position": [lat_deg, lon_deg],
        "label": f"Place {candidate.rank}: {where}, score {candidate.score:.3f}",
        "spread_m": candidate.spread_m,
        "cell": [[float(lat), float(lon)] for lon, lat in corners],
    }
