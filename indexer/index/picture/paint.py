"""Paints frames on the grid of a picture, strip by strip from the north: memory holds one strip."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from gair.arrays import Floats
from indexer.index.picture.grid import TILE_PX, PictureGrid
from indexer.index.picture.shades import Shades

STRIP_PX = 2 * TILE_PX
Strip = npt.NDArray[np.uint8]
"""(H, W, 4) red, green, blue and 255 where there is imagery, else 0; H is at most STRIP_PX."""


def painted(
    grid: PictureGrid,
    bounds_wsen_m: Floats,
    shades: Callable[[int], Shades | None],
    table: npt.NDArray[np.uint8] | None = None,
) -> Iterator[Strip]:
    """The strips of a picture, the northernmost first.

    Args:
        grid: its pixels.
        bounds_wsen_m: (F, 4) of the frames; where they overlap the first one shows.
        shades: of a frame; None for one that nobody has a picture of.
        table: (3, 256) what shades are drawn as; as they are if not given.
    """
    corners = [grid.column_row_px(bounds_wsen_m[:, at]) for at in ([0, 3], [2, 1])]
    boxes = np.concatenate(corners, axis=1)  # (F, 4): left, top, right, bottom
    held: dict[int, Shades | None] = {}  # frames that reach into the next strip
    for top in range(0, grid.height_px, STRIP_PX):
        height = min(STRIP_PX, grid.height_px - top)
        strip = np.zeros((height, grid.width_px, 4), dtype=np.uint8)
        touching = (boxes[:, 1] < top + height) & (boxes[:, 3] > top)
        for frame in np.flatnonzero(touching).tolist():
            frames_own = held.pop(frame) if frame in held else shades(frame)
            if boxes[frame, 3] > top + height:
                held[frame] = frames_own
            if frames_own is not None:
                _paint(strip, frames_own, boxes[frame] - [0, top, 0, top])
        if table is not None:
            seen = strip[..., 3] > 0
            for band in range(3):
                strip[..., band][seen] = table[band][strip[..., band][seen]]
        yield strip


def _paint(strip: Strip, shades: Shades, box_px: Floats) -> None:
    """Resample a frame to the pixels whose centres lie in it, and fill those that are empty."""
    height, width = strip.shape[:2]
    left, top, right, bottom = box_px.tolist()
    columns = [min(max(round(v), 0), width) for v in (left, right)]
    rows = [min(max(round(v), 0), height) for v in (top, bottom)]
    if columns[0] >= columns[1] or rows[0] >= rows[1]:
        return
    # One more pixel around: half a pixel of the picture may reach over the frame's edge.
    framed = np.pad(shades, ((1, 1), (1, 1), (0, 0)), mode="edge")
    across, down = shades.shape[1] / (right - left), shades.shape[0] / (bottom - top)
    box = [(v - left) * across + 1 for v in columns] + [(v - top) * down + 1 for v in rows]
    west, east, north, south = np.clip(box, 0, [framed.shape[1]] * 2 + [framed.shape[0]] * 2)
    size = (columns[1] - columns[0], rows[1] - rows[0])
    source = (float(west), float(north), float(east), float(south))
    rgb = Image.fromarray(framed[..., :3]).resize(size, Image.Resampling.BICUBIC, source)
    alpha = Image.fromarray(framed[..., 3]).resize(size, Image.Resampling.NEAREST, source)
    part = strip[rows[0] : rows[1], columns[0] : columns[1]]
    new = (np.asarray(alpha) > 0) & (part[..., 3] == 0)
    part[new, :3] = np.asarray(rgb)[new]
    part[new, 3] = 255
