"""Pictures of indexes that become one: each stays what it is, byte for byte; a cut crops them.

Neither is painted anew: each part was stretched by itself, and a picture loses a little whenever it
is written. Only pictures of frames, which older indexes have, are painted into one of the region.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gair.arrays import Floats, Ints
from gair.files import disk_errors
from indexer.index.chips import Chips
from indexer.index.index import Index
from indexer.index.picture.cog import INDEX, About, Picture, picture_file, write_picture
from indexer.index.picture.grid import PictureGrid, grid_at, grids_of
from indexer.index.picture.paint import painted
from indexer.index.picture.shades import Shades
from indexer.merge.copy_rows import MergeOrder

_RESOLUTION_M = 10.0
"""Side of the finest pixels of Sentinel-2, for indexes that do not tell."""


def merge_pictures(
    folder: Path, indexes: Sequence[Index], order: MergeOrder, *, crop: bool
) -> list[dict[str, Any]]:
    """Write the pictures of the indexes that cells were taken from.

    Args:
        folder: of the build.
        indexes: that cells are taken from.
        order: which cells.
        crop: whether pictures end where the frames do that are left.

    Returns:
        The field ``pictures`` of the manifest.

    Raises:
        StorageError: the disk refused.
    """
    entries: list[dict[str, Any]] = []
    written: set[str] = set()
    for index, frames in zip(indexes, order.frames, strict=True):
        if index.chips is not None and not index.pictures:
            _paint_chips(folder, index, index.chips, frames, entries)
        for picture in index.pictures if len(frames) else ():
            record = index.manifest.files[picture.path.name]
            if crop:
                _crop(folder, picture, index.frames.bounds_wsen_m[frames], entries)
            elif record.sha256 not in written:
                file = picture_file(len(entries))
                with disk_errors(folder / file):
                    shutil.copyfile(picture.path, folder / file)
                entries.append({**picture.entry, "file": file})
                written.add(record.sha256)
    return entries


def _crop(
    folder: Path, picture: Picture, bounds_wsen_m: Floats, entries: list[dict[str, Any]]
) -> None:
    part = _common(picture.grid, grid_at(bounds_wsen_m, picture.grid.zoom))
    if part is None:
        return
    entry = picture.entry
    about = About(entry["shows"], tuple(entry["dates"]), entry["attribution"], entry["licence"])
    path = folder / picture_file(len(entries))
    if write_picture(path, part, picture.strips(part), about):
        added = about.entry(len(entries), part, None)
        entries.append({**added, "stretch": entry["stretch"]})


def _common(whole: PictureGrid, wanted: PictureGrid) -> PictureGrid | None:
    """The pixels that two grids of a zoom share; None for none."""
    left, top = max(whole.left_px, wanted.left_px), max(whole.top_px, wanted.top_px)
    right = min(whole.left_px + whole.width_px, wanted.left_px + wanted.width_px)
    bottom = min(whole.top_px + whole.height_px, wanted.top_px + wanted.height_px)
    if left >= right or top >= bottom:
        return None
    return PictureGrid(whole.zoom, left, top, right - left, bottom - top)


def _paint_chips(
    folder: Path, index: Index, chips: Chips, frames: Ints, entries: list[dict[str, Any]]
) -> None:
    imagery = index.manifest.imagery
    days = {str(day)[:10] for scene in imagery["scenes"] for day in scene.get("dates", ())}
    terms = (str(imagery.get("attribution", "")), str(imagery.get("licence", "")))
    about = About(INDEX, tuple(sorted(days)), *terms)
    own = frames[np.isin(frames, chips.frames)]
    bounds = index.frames.bounds_wsen_m[own]
    for rows, grid in grids_of(bounds, float(imagery.get("resolution_m", _RESOLUTION_M))):
        strips = painted(grid, bounds[rows], partial(_chip, chips, own[rows]))
        if write_picture(folder / picture_file(len(entries)), grid, strips, about):
            entries.append(about.entry(len(entries), grid, None))


def _chip(chips: Chips, frames: Ints, row: int) -> Shades:
    rgb = np.asarray(chips.frame(int(frames[row])).convert("RGB"))
    return np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 255, dtype=np.uint8)], axis=2)
