"""Cells as numbers for the browser: where they lie and what colour each has, packed tightly.

``static/heat.js`` is the only reader. Numbers travel as little-endian arrays in base64: a hundred
thousand cells are 2.8 MB of outlines, sent once, and 130 kB of colours for each map.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.geo import WEB_MERCATOR_CIRCUMFERENCE_M, lonlat_to_web_mercator
from indexer.index.table import CellRows
from indexer.search.outlines import cell_rings

MOST_CELLS = 200_000
"""Cells that are drawn: of a larger index the highest ones."""
DECADES = 3.0
"""A posterior is drawn in this many powers of ten below its highest density."""

_CORNERS = 6
_WORLD = 2**31
_HIDDEN = 0
"""The colour that is not drawn."""


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
    lon = rings[..., 0]
    lon -= 360 * np.round((lon - cells.lonlat_deg[rows, None, 0]) / 360)
    offsets = _world(rings.reshape(-1, 2)).reshape(rings.shape) - centres[:, None]
    unit = max(1.0, float(np.abs(offsets).max(initial=0)) / 32_000)
    return {
        "count": len(rows),
        "unit": unit,
        "centres": _packed(np.round(centres).clip(-_WORLD, _WORLD - 1).astype("<i4")),
        "corners": _packed(np.round(offsets / unit).astype("<i2")),
    }


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
        share = 1 + np.log10(density / high) / DECADES
    return _levels(np.where(share > 0, share, np.nan)), high * 10**-DECADES, high


def cosine_levels(values: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.uint8], float, float]:
    """Colours of cosines: from the lowest to the highest, evenly; see :func:`density_levels`."""
    known = np.asarray(values, dtype=np.float64)
    known = np.where(np.isfinite(known), known, np.nan)
    low, high = float(np.nanmin(known)), float(np.nanmax(known))
    return _levels((known - low) / max(high - low, 1e-12)), low, high


def packed_levels(levels: npt.NDArray[np.uint8]) -> str:
    """Colours as the browser reads them."""
    return _packed(levels)


def _levels(share: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    drawn = np.isfinite(share)
    level = 1 + np.round(254 * np.clip(np.where(drawn, share, 0), 0, 1))
    return np.where(drawn, level, _HIDDEN).astype(np.uint8)


def _world(lonlat_deg: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, 2) degrees to 2^-32 of the world's width from its middle, y down."""
    metres = lonlat_to_web_mercator(lonlat_deg)
    return metres * [1, -1] / WEB_MERCATOR_CIRCUMFERENCE_M * 2 * _WORLD


def _packed(values: npt.NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
