"""Ground picture of a place: what the imagery shows there, cut from the picture of the region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gair.geo import Footprint, lonlat_to_web_mercator
from indexer.index.picture.cog import INDEX

if TYPE_CHECKING:
    from indexer.index.chips import Chips
    from indexer.index.index import Index
    from indexer.index.picture.cog import Picture
    from indexer.index.picture.paint import Strip

_NOTHING = 160
"""Grey of what no imagery shows."""
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

    The square is moved where it would reach past the picture. Of an older index it is cut from the
    frame that holds the place most centrally.

    Args:
        index: an open index.
        row: of the cell.
        lonlat_deg: the middle; the centre of the cell if not given.
        side_m: side of the square, metres on the ground.

    Returns:
        None where the build kept no picture of the place.
    """
    lon, lat = lonlat_deg or (float(v) for v in index.cells.lonlat_deg[row])
    for picture in index.pictures:
        if picture.entry["shows"] == INDEX and (chip := _cut(picture, (lon, lat), side_m)):
            return chip
    if index.chips is None or not len(index.chips.frames):
        return None
    return _cut_frame(index, index.chips, (lon, lat), side_m)


def frame_picture(index: Index, frame: int) -> Image.Image | None:
    """What the imagery shows of a whole frame; None where the build kept no picture of it."""
    west, south, east, north = index.frames.bounds_wsen_m[frame].tolist()
    for picture in index.pictures:
        (left, top), (right, _) = np.rint(
            picture.grid.column_row_px(np.array([(west, north), (east, south)]))
        ).astype(int)
        side_px = int(right - left)
        square = picture.square(int(left), int(top), side_px, side_px)
        if square is not None:
            return _shown(square)
    if index.chips is None or frame not in index.chips.frames:
        return None
    return index.chips.frame(frame)


def _cut(picture: Picture, lonlat_deg: tuple[float, float], side_m: float) -> Chip | None:
    """A square of a picture; None where it does not show the place."""
    grid = picture.grid
    x, y = grid.column_row_px(lonlat_to_web_mercator([lonlat_deg]))[0].tolist()
    if not (0 <= x < grid.width_px and 0 <= y < grid.height_px):
        return None
    ground_m = grid.pixel_m * float(np.cos(np.radians(lonlat_deg[1])))
    side_px = min(max(round(side_m / ground_m), 1), grid.width_px, grid.height_px)
    left = min(max(round(x - side_px / 2), 0), grid.width_px - side_px)
    top = min(max(round(y - side_px / 2), 0), grid.height_px - side_px)
    square = picture.square(left, top, side_px, side_px)
    if square is None or not square[int(y) - top, int(x) - left, 3]:
        return None
    return Chip(_shown(square), ((x - left) / side_px, (y - top) / side_px), side_px * ground_m)


def _shown(square: Strip) -> Image.Image:
    """A square of a picture, grey where there is no imagery."""
    rgb = square[..., :3].copy()
    rgb[square[..., 3] == 0] = _NOTHING
    return Image.fromarray(rgb)


def _cut_frame(index: Index, chips: Chips, lonlat_deg: tuple[float, float], side_m: float) -> Chip:
    """A square of a frame of an older index."""
    lon, lat = lonlat_deg
    bounds = index.frames.bounds_wsen_m[chips.frames]
    away = np.abs((bounds[:, :2] + bounds[:, 2:]) / 2 - lonlat_to_web_mercator([(lon, lat)]))
    nearest = int(away.max(axis=1).argmin())
    picture = chips.frame(int(chips.frames[nearest]))
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
