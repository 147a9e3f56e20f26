"""Ground picture of a place: its satellite imagery cut from the frames that a build kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gair.geo import Footprint, lonlat_to_web_mercator

if TYPE_CHECKING:
    from indexer.index.index import Index

SIDE_M = 640.0
"""Side of the square on the ground that is shown around a place."""


@dataclass(frozen=True)
class Chip:
    """What the imagery shows around a place."""

    rgb: Image.Image
    """North up."""
    place_xy: tuple[float, float]
    """Where the place is in it: shares of its width and height, from the north-west corner."""
    side_m: float
    """Its side on the ground."""


def chip_at(
    index: Index, row: int, lonlat_deg: tuple[float, float] | None = None, side_m: float = SIDE_M
) -> Chip | None:
    """What the imagery shows around a cell, or around a place near it.

    It is cut from the frame that holds the place most centrally, and moved where it would reach
    past that.

    Args:
        index: an open index.
        row: of the cell.
        lonlat_deg: the middle; the centre of the cell if not given.
        side_m: side of the square, metres on the ground.

    Returns:
        None where the build kept no pictures.
    """
    if index.chips is None or not len(index.chips.frames):
        return None
    lon, lat = lonlat_deg or (float(v) for v in index.cells.lonlat_deg[row])
    bounds = index.frames.bounds_wsen_m[index.chips.frames]
    away = np.abs((bounds[:, :2] + bounds[:, 2:]) / 2 - lonlat_to_web_mercator([(lon, lat)]))
    nearest = int(away.max(axis=1).argmin())
    picture = index.chips.frame(int(index.chips.frames[nearest]))
    west, south, east, north = (float(v) for v in bounds[nearest])
    x, y = Footprint("EPSG:3857", (west, south, east, north)).frame_xy([(lon, lat)])[0]
    ground_m = (east - west) * float(np.cos(np.radians(lat)))
    share = min(1.0, side_m / ground_m)
    at = np.clip((np.array([x, y]) + 1) / 2, 0, 1)
    corner = np.clip(at - share / 2, 0, 1 - share)
    left, top = corner * picture.size
    right, bottom = (corner + share) * picture.size
    box = (round(float(left)), round(float(top)), round(float(right)), round(float(bottom)))
    place = (at - corner) / share
    return Chip(picture.crop(box), (float(place[0]), float(place[1])), share * ground_m)
