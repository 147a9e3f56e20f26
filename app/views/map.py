"""Data of the map: outlines, places, regions, and a colour for every cell, as plain JSON values.

``static/map.js`` and ``static/heat.js`` are the only readers. Cells travel as little-endian arrays
in base64: a hundred thousand are 2.8 MB of outlines, sent once, and 130 kB of colours for each map.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from app.views.wording import shown_lonlat_deg
from gair.geo import (
    WEB_MERCATOR_CIRCUMFERENCE_M,
    lonlat_to_web_mercator,
    web_mercator_to_lonlat_deg,
)
from indexer.index.index import Index
from indexer.index.picture.cog import DATE, said_dates
from indexer.index.picture.grid import PictureGrid
from indexer.index.storage import TABLE_FILE
from indexer.index.table import CellRows, read_missing
from indexer.regions.cells import cell_boundary_lonlat_deg, cell_from_hex
from indexer.search.answer import Answer, Candidate
from indexer.search.outlines import cell_rings, dissolved, geojson_geometry
from indexer.search.wording import shown_at

MOST_HOLES = 50_000
"""Cells without imagery that are drawn, dissolved."""
MOST_DOTS = 50_000
"""Dots that reference photos are drawn as: of more photos one dot stands for several."""
MOST_CELLS = 200_000
"""Cells that are drawn: of a larger index the highest ones."""
DECADES = 3.0
"""A posterior is drawn in this many powers of ten below its highest density."""

_CORNERS = 6
_WORLD = 2**31
"""Half the world's width in the unit of the centres, so that they fill an int32."""
_HIDDEN = 0
"""The colour that is not drawn."""


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


def picture_layers(index: Index) -> list[dict[str, Any]]:
    """The pictures of an index as layers of the map.

    Returns:
        A picture: its ``number``; ``day``, which one it shows by itself, or None for what the
        index was made from; ``words``, its dates; ``attribution``; ``zoom``, up to which there are
        tiles; ``corners``, south-west and north-east as (latitude, longitude).
    """
    return [
        {
            "number": number,
            "day": picture.entry["dates"][0] if picture.entry["shows"] == DATE else None,
            "words": said_dates(picture.entry["dates"]),
            "attribution": picture.entry["attribution"],
            "zoom": picture.grid.zoom,
            "corners": _corners(picture.grid),
        }
        for number, picture in enumerate(index.pictures)
    ]


def _corners(grid: PictureGrid) -> list[list[float]]:
    west, south, east, north = grid.bounds_wsen_m
    lonlat_deg = web_mercator_to_lonlat_deg([(west, south), (east, north)])
    return [[float(lat), float(lon)] for lon, lat in lonlat_deg]


def map_places(answer: Answer) -> dict[str, Any]:
    """The candidates and the regions of an answer.

    Returns:
        ``places``: per candidate its rank, position, label (plain text), how far the cells merged
        into it reach in metres, and the corners of its cell as (latitude, longitude) pairs, the
        order Leaflet wants. ``regions``: the GeoJSON features of the regions, the largest first;
        none where nothing is calibrated. ``decision``: the ``region`` that was decided for, or the
        ``position`` and ``radius_m`` of the disc; None for none.
    """
    levels = sorted((region["level"] for region in answer.regions), reverse=True)
    return {
        "places": [_place(answer, candidate) for candidate in answer.candidates],
        "regions": [answer.region(level).to_geojson() for level in levels],
        "decision": _decided(answer),
    }


def _decided(answer: Answer) -> dict[str, Any] | None:
    if answer.decided_region is not None:
        return {"region": answer.decided_region.to_geojson()}
    if answer.decision is None or answer.decision.radius_m is None:
        return None
    lon_deg, lat_deg = shown_lonlat_deg(answer.candidates[0])
    return {"position": [lat_deg, lon_deg], "radius_m": answer.decision.radius_m}


def _place(answer: Answer, candidate: Candidate) -> dict[str, Any]:
    corners = cell_boundary_lonlat_deg(cell_from_hex(candidate.h3_cell))
    lon_deg, lat_deg = shown_lonlat_deg(candidate)
    where = shown_at(answer, candidate)
    return {
        "rank": candidate.rank,
        "position": [lat_deg, lon_deg],
        "label": f"Place {candidate.rank}: {where}, score {candidate.score:.3f}",
        "merged_within_m": candidate.merged_within_m,
        "cell": [[float(lat), float(lon)] for lon, lat in corners],
    }


def cell_outlines(cells: CellRows, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Outlines of some cells on the Web-Mercator square.

    Args:
        cells: of an index.
        rows: (R,) which of them.

    Returns:
        ``count``; ``centres``, (R, 2) int32 in 2^-32 of the world's width from its middle, y down;
        ``corners``, (R, 6, 2) int16 from there in ``unit`` times that. A pentagon repeats a
        corner, and of a cell with more than six corners six are kept.
    """
    centres = _world(cells.lonlat_deg[rows])
    rings = np.empty((len(rows), _CORNERS, 2))
    for number, ring in enumerate(cell_rings(cells.h3[rows], 0.0)):
        rings[number] = ring[np.minimum(np.arange(_CORNERS), len(ring) - 1)]
    # A cell on the antimeridian has corners on both sides of it: all are moved to its centre's.
    lon = rings[..., 0]
    lon -= 360 * np.round((lon - cells.lonlat_deg[rows, None, 0]) / 360)
    offsets = _world(rings.reshape(-1, 2)).reshape(rings.shape) - centres[:, None]
    # The farthest corner has to fit an int16; coarse cells are sent in a coarser unit.
    unit = max(1.0, float(np.abs(offsets).max(initial=0)) / 32_000)
    return {
        "count": len(rows),
        "unit": unit,
        "centres": packed(np.round(centres).clip(-_WORLD, _WORLD - 1).astype("<i4")),
        "corners": packed(np.round(offsets / unit).astype("<i2")),
    }


def reference_points(lonlat_deg: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Where reference photos were taken; photos of one square of a grid are one dot.

    The grid is the finest of powers of two that leaves :data:`MOST_DOTS` or fewer.

    Args:
        lonlat_deg: (n, 2).

    Returns:
        ``points``, (d, 2) int32 in the unit of the centres of :func:`cell_outlines`; ``counts``,
        (d,) int32, how many photos each stands for.
    """
    places = np.round(_world(lonlat_deg)).clip(-_WORLD, _WORLD - 1).astype(np.int64)
    for shift in range(32):
        squares, counts = np.unique(places >> shift, axis=0, return_counts=True)
        if len(squares) <= MOST_DOTS:
            break
    middle = (squares << shift) + (1 << shift) // 2
    return {"points": packed(middle.astype("<i4")), "counts": packed(counts.astype("<i4"))}


def density_levels(
    p: npt.NDArray[np.floating], area_m2: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.uint8], float, float]:
    """Colours of a posterior: the density on a logarithmic scale.

    Returns:
        (N,) 0 for what is not drawn, else 1 to 255; the lowest and the highest density drawn, as
        probability a square kilometre.
    """
    density = np.asarray(p, dtype=np.float64) / area_m2 * 1e6
    high = float(np.nanmax(density, initial=0.0))
    if high <= 0:
        return np.zeros(len(density), dtype=np.uint8), 0.0, 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        # 1 at the highest density, 0 at DECADES powers of ten below; what is lower is not drawn.
        share = 1 + np.log10(density / high) / DECADES
    return _levels(np.where(share > 0, share, np.nan)), high * 10**-DECADES, high


def cosine_levels(values: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.uint8], float, float]:
    """Colours of cosines: from the lowest to the highest, evenly; see :func:`density_levels`."""
    cosines = np.asarray(values, dtype=np.float64)
    cosines = np.where(np.isfinite(cosines), cosines, np.nan)
    low, high = float(np.nanmin(cosines)), float(np.nanmax(cosines))
    return _levels((cosines - low) / max(high - low, 1e-12)), low, high


def _levels(share: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    drawn = np.isfinite(share)
    level = 1 + np.round(254 * np.clip(np.where(drawn, share, 0), 0, 1))
    return np.where(drawn, level, _HIDDEN).astype(np.uint8)


def _world(lonlat_deg: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, 2) degrees to 2^-32 of the world's width from its middle, y down."""
    metres = lonlat_to_web_mercator(lonlat_deg)
    return metres * [1, -1] / WEB_MERCATOR_CIRCUMFERENCE_M * 2 * _WORLD


def packed(values: npt.NDArray[Any]) -> str:
    """An array as the browser reads it: its bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
