"""Copies rows of indexes into the files of a merged one, block by block.

Memory does not grow with the vectors and token maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats, Ids, Ints
from gair.progress import Progress
from indexer.index.index import Index
from indexer.index.storage import TABLE_FILE
from indexer.index.table import CellRows, FrameRows, MissingRows, read_missing, write_table
from indexer.index.token_maps import TokenWriter
from indexer.index.vectors import FaissStore, FlatWriter, VectorStore

_ROWS_AT_ONCE = 16_384
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class MergeOrder:
    """Which row of which index each row of the merged one is, and the same for frames."""

    source: Ints
    """(N,) number of the index."""
    row: Ints
    """(N,) its row there."""
    frames: tuple[Ints, ...]
    """An index: (F_i,) its frames that are still referred to, ascending."""
    duplicates: int
    """Cells that came more than once."""


def merge_order(indexes: Sequence[Index]) -> MergeOrder:
    """Rows by their cell; of equal cells that of the first index. Frames index by index."""
    parts = [index.cells for index in indexes]
    ids = np.concatenate([cells.h3 for cells in parts])
    source = np.repeat(np.arange(len(parts)), [len(cells) for cells in parts])
    row = np.concatenate([np.arange(len(cells)) for cells in parts])
    # By cell, and equal cells by index: the first of each run of equal cells is the one that stays.
    order = np.lexsort((source, ids))
    first = np.ones(len(order), dtype=bool)
    first[1:] = ids[order][1:] != ids[order][:-1]
    kept = order[first]
    frames = tuple(
        np.unique(cells.frame[row[kept][source[kept] == number]])
        for number, cells in enumerate(parts)
    )
    return MergeOrder(source[kept], row[kept], frames, len(ids) - len(kept))


def merge_vectors(
    path: Path, stores: Sequence[VectorStore], order: MergeOrder, *, quiet: bool = False
) -> None:
    """Write the flat vectors of one kind: halves are copied as they are.

    Raises:
        StorageError: the disk refused.
    """
    flat = [cast("FaissStore", store) for store in stores]
    count, dim = len(order.row), flat[0].dim
    with (
        FlatWriter(path, dim) as writer,
        Progress(f"merging {path.stem}", count, "row", quiet=quiet) as progress,
    ):
        for start in range(0, count, _ROWS_AT_ONCE):
            source = order.source[start : start + _ROWS_AT_ONCE]
            row = order.row[start : start + _ROWS_AT_ONCE]
            block = np.empty((len(row), dim), dtype=np.float16)
            for number in np.unique(source):
                own = source == number
                block[own] = flat[number].halves(row[own])
            writer.append(block)
            progress.advance(len(block))


def merge_tokens(
    path: Path, indexes: Sequence[Index], order: MergeOrder
) -> tuple[int, int, int, int] | None:
    """Write the token maps of the frames that are left, if every index keeps them.

    Returns:
        Their shape (F, h, w, D); None where nothing was written.

    Raises:
        StorageError: the disk refused.
    """
    maps = [index.tokens for index in indexes if index.tokens is not None]
    if len(maps) < len(indexes):
        return None
    shape = (sum(map(len, order.frames)), *maps[0].grid_hw, maps[0].dim)
    begin = 0
    with TokenWriter(path, shape) as writer:
        for tokens, frames in zip(maps, order.frames, strict=True):
            for start in range(0, len(frames), _FRAMES_AT_ONCE):
                block = frames[start : start + _FRAMES_AT_ONCE]
                writer.write(np.arange(begin, begin + len(block)), tokens.halves(block))
                begin += len(block)
    return shape


def merge_table(
    path: Path,
    indexes: Sequence[Index],
    order: MergeOrder,
    *,
    within: Callable[[Floats], npt.NDArray[np.bool_]] | None = None,
) -> tuple[FrameRows, MissingRows]:
    """Write the cell table.

    Args:
        path: of the table.
        indexes: with the cells.
        order: which of them.
        within: takes (M, 2) longitudes and latitudes, tells which of the cells that are missing
            belong to the region, (M,); all unless given.

    Returns:
        The frames that are left, index by index, and the cells that none of the indexes could
        index.

    Raises:
        StorageError: the disk refused.
    """
    h3 = np.empty(len(order.row), dtype=np.uint64)
    lonlat_deg = np.empty((len(order.row), 2))
    area_m2 = np.empty(len(order.row))
    frame = np.empty(len(order.row), dtype=np.int64)
    begin = 0
    for number, (index, kept) in enumerate(zip(indexes, order.frames, strict=True)):
        own = order.source == number
        cells = index.cells.taken(order.row[own])
        h3[own], lonlat_deg[own], area_m2[own] = cells.h3, cells.lonlat_deg, cells.area_m2
        frame[own] = begin + np.searchsorted(kept, cells.frame)  # its place among those kept
        begin += len(kept)
    pairs = list(zip((index.frames for index in indexes), order.frames, strict=True))
    frames = FrameRows(
        np.concatenate([rows.bounds_wsen_m[kept] for rows, kept in pairs]),
        np.concatenate([rows.valid_fraction[kept] for rows, kept in pairs]),
    )
    missing = _still_missing(indexes, h3)
    if within is not None and len(missing.h3):
        kept = np.flatnonzero(within(missing.lonlat_deg))
        reasons = [missing.reason[row] for row in kept]
        missing = MissingRows(missing.h3[kept], missing.lonlat_deg[kept], reasons)
    write_table(path, CellRows(h3, lonlat_deg, area_m2, frame), frames, missing)
    return frames, missing


def _still_missing(indexes: Sequence[Index], indexed: Ids) -> MissingRows:
    """What was missing anywhere and is indexed nowhere, each cell once."""
    parts = [read_missing(index.path / TABLE_FILE) for index in indexes]
    ids = np.concatenate([missing.h3 for missing in parts])
    reasons = [reason for missing in parts for reason in missing.reason]
    lonlat_deg = np.concatenate([missing.lonlat_deg for missing in parts])
    unique, first = np.unique(ids, return_index=True)
    first = first[~np.isin(unique, indexed)]
    return MissingRows(ids[first], lonlat_deg[first], [reasons[row] for row in first])
