"""Swapped coordinates: photos that lie in an index once latitude and longitude are exchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors

EXCHANGED = "in the index only with latitude and longitude exchanged"


def swapped(cell_row: Callable[[Floats], Ints], photos: PhotoVectors) -> Bools:
    """Which photos are not in an index as they are listed, but are with their numbers exchanged.

    Args:
        cell_row: (Q, 2) longitudes and latitudes to the rows of their cells; -1 outside.
        photos: P listed photos.

    Returns:
        (P,); False for a photo without coordinates.
    """
    listed = np.array(
        [photo.lonlat_deg or (np.nan, np.nan) for photo in photos.photos], dtype=np.float64
    ).reshape(-1, 2)
    exchanged = listed[:, ::-1]
    with np.errstate(invalid="ignore"):
        possible = (np.abs(exchanged) <= (180.0, 90.0)).all(axis=1)
    rows = np.flatnonzero(possible)
    inside = np.zeros(len(listed), dtype=np.bool_)
    inside[rows] = cell_row(exchanged[rows]) >= 0
    placed = np.flatnonzero(inside & np.isfinite(photos.lonlat_deg).all(axis=1))
    inside[placed] = cell_row(photos.lonlat_deg[placed]) < 0
    return inside


def swapped_said(cell_row: Callable[[Floats], Ints], photos: PhotoVectors) -> str:
    """The same in words; empty where no photo is."""
    count = int(swapped(cell_row, photos).sum())
    if not count:
        return ""
    return (
        f"{count:,} of {len(photos):,} photos lie {EXCHANGED}: look whether the columns are swapped"
    )
