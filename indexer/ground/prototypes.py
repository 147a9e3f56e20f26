"""Prototypes of reference photos: a few vectors a cell that stand for all photos taken in it.

The compact form for millions of photos. In each cell the photos' vectors are grouped by spherical
k-means; a prototype is the mean look and the mean place of a group, and knows how many photos it
stands for. A cell with no more photos than it may have prototypes keeps each photo as its own.
Searches compare with prototypes alone; the photos' vectors stay, for what is shown and what is left
out. ``ground.prototypes.faiss`` has the vectors, cell by cell, ``ground.prototypes.npy`` the
prototype of each photo; where each stands and how many photos it has follows from that.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from gair.arrays import Floats, Floats32, Ints, Vectors
from gair.errors import IndexCorruptError, UsageError
from gair.files import disk_errors
from gair.progress import Progress
from indexer.ground.lists import make_reference_lists, nearest_rows, open_reference_lists
from indexer.ground.manifest import AGAIN, OF_PHOTO_FILE, PROTOTYPES_FILE
from indexer.index.ivf import GpuLists, InvertedLists
from indexer.index.vectors import FaissStore, FlatWriter

VERSION = 1
"""Of the two files; raised when an old reader could misread new ones."""
MOST_A_CELL = 64

_ROUNDS = 10
"""Of k-means; the groups of so few photos are stable by then."""


@dataclass(frozen=True, eq=False)
class Prototypes:
    """The prototypes of an open set; safe to share between threads."""

    store: FaissStore
    """Their vectors."""
    of_photo: npt.NDArray[np.int32]
    """(n,) the prototype that stands for each photo."""
    photo_places: Floats
    """(n, 3) of the photos, as points of the unit sphere."""
    lists: InvertedLists | GpuLists | None = None
    """What finds the rows that are scored; None where all are."""

    def __len__(self) -> int:
        return self.store.count

    @functools.cached_property
    def counts(self) -> Ints:
        """(e,) how many photos each stands for."""
        return np.bincount(self.of_photo, minlength=len(self)).astype(np.int64)

    @functools.cached_property
    def places(self) -> Floats:
        """(e, 3) the mean place of the photos of each, as points of the unit sphere."""
        sums = [
            np.bincount(self.of_photo, weights=axis, minlength=len(self))
            for axis in self.photo_places.T
        ]
        mean = np.stack(sums, axis=1)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True))

    @functools.cached_property
    def lonlat_deg(self) -> Floats:
        """(e, 2) the same in degrees."""
        x, y, z = self.places.T
        lonlat = np.stack([np.arctan2(y, x), np.arcsin(np.clip(z, -1, 1))], axis=1)
        return np.asarray(np.degrees(lonlat))

    @functools.cached_property
    def tree(self) -> KDTree:
        """The same, to look for those near a point."""
        return KDTree(self.places)

    def nearest(self, s: Floats32, count: int) -> tuple[Floats32, Ints]:
        """The prototypes that look most like (m, D) photos: (m, count) cosines and rows."""
        return nearest_rows(self.store, self.lists, len(self), s, count)

    def vectors(self, rows: Ints) -> Floats32:
        """The vectors of some of them, (r, D)."""
        return self.store.vectors(rows)

    def members(self, prototype: int) -> Ints:
        """The photos that one stands for, ascending."""
        order, begin = self._by_prototype
        return np.sort(order[begin[prototype] : begin[prototype + 1]])

    @functools.cached_property
    def _by_prototype(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.of_photo, kind="stable").astype(np.int64)
        return order, np.concatenate([[0], np.cumsum(self.counts)])


def check_prototypes(a_cell: int) -> None:
    """Refuse numbers of prototypes a cell that make no sense.

    Raises:
        UsageError: it is below 0 or above :data:`MOST_A_CELL`.
    """
    if not 0 <= a_cell <= MOST_A_CELL:
        raise UsageError(f"`prototypes` {a_cell}: it must be 0 (none) to {MOST_A_CELL} a cell")


def make_prototypes(
    folder: Path,
    store: FaissStore,
    cells: npt.NDArray[np.uint64],
    a_cell: int,
    index_type: str,
    *,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write the prototypes of a set whose vectors are written.

    Args:
        folder: of the set.
        store: of its vectors.
        cells: (n,) the cell of each photo, ascending.
        a_cell: how many prototypes a cell has at most, 1 or more.
        index_type: how they are searched; one of :data:`indexer.index.ivf.WANTED`.
        quiet: no progress.

    Returns:
        The manifest's field ``search``: as of the photos, and what was made.

    Raises:
        StorageError: the disk refused.
    """
    begin = np.flatnonzero(np.concatenate([[True], cells[1:] != cells[:-1]]))
    ends = [*begin[1:].tolist(), len(cells)]
    of_photo = np.empty(len(cells), dtype="<i4")
    with (
        FlatWriter(folder / PROTOTYPES_FILE, store.dim) as writer,
        Progress("prototypes", len(begin), "cell", quiet=quiet) as progress,
    ):
        count = 0
        for start, end in zip(begin.tolist(), ends, strict=True):
            groups, means = grouped(store.vectors(np.arange(start, end)), a_cell)
            of_photo[start:end] = count + groups
            writer.append(means)
            count += len(means)
            progress.advance(1)
    with disk_errors(folder / OF_PHOTO_FILE), (folder / OF_PHOTO_FILE).open("wb") as file:
        np.save(file, of_photo, allow_pickle=False)
    field = make_reference_lists(folder, index_type, of=PROTOTYPES_FILE, quiet=quiet)
    return {**field, "prototypes": {"version": VERSION, "a_cell": a_cell, "count": count}}


def grouped(s: Vectors, most: int) -> tuple[Ints, Vectors]:
    """Groups of photos that look alike.

    Args:
        s: (n, D) unit vectors.
        most: how many groups.

    Returns:
        (n,) the group of each, numbered from 0 by their first photo, and the (g, D) mean looks,
        unit vectors.
    """
    if len(s) <= most:
        return np.arange(len(s)), s
    # The first centre is the usual look; each further one is what all those before explain least.
    centres = s[[int((s @ s.mean(axis=0)).argmax())]]
    while len(centres) < most:
        centres = np.concatenate([centres, s[[int((s @ centres.T).max(axis=1).argmin())]]])
    group = np.full(len(s), -1)
    for _ in range(_ROUNDS):
        nearest = (s @ centres.T).argmax(axis=1)
        if (nearest == group).all():
            break
        group = nearest
        centres = _means(s, group, centres)
    _, first, numbered = np.unique(group, return_index=True, return_inverse=True)
    renumbered = np.argsort(np.argsort(first))[numbered.reshape(-1)]
    means = np.zeros((len(first), s.shape[1]), dtype=np.float32)
    return renumbered, _means(s, renumbered, means)


def _means(s: Vectors, group: Ints, before: Vectors) -> Vectors:
    """The mean look of each group; that of before where it has no photo."""
    sums = np.zeros_like(before)
    np.add.at(sums, group, s)
    norm = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(norm > 0, sums / np.maximum(norm, 1e-12), before).astype(np.float32)


def open_prototypes(
    folder: Path, search: dict[str, Any], photo_places: Floats
) -> Prototypes | None:
    """The prototypes of a set whose files were checked; None where it has none.

    Args:
        folder: of the set.
        search: of its manifest.
        photo_places: (n, 3) of its photos.

    Raises:
        IndexCorruptError: the files do not fit together, or are of a newer kind.
    """
    about = search.get("prototypes")
    if about is None:
        return None
    if about.get("version") != VERSION:
        raise IndexCorruptError(
            f"{folder} has prototypes of version {about.get('version')!r}; this program reads "
            f"{VERSION}: update the program, or {AGAIN}"
        )
    store = FaissStore(folder / PROTOTYPES_FILE)
    try:
        of_photo = np.load(folder / OF_PHOTO_FILE, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise IndexCorruptError(f"cannot read {folder / OF_PHOTO_FILE}: {AGAIN}") from error
    if problem := _problem(of_photo, store.count, len(photo_places), int(about["count"])):
        raise IndexCorruptError(f"{folder}: {problem}: {AGAIN}")
    return Prototypes(store, of_photo, photo_places, open_reference_lists(folder, search))


def _problem(of_photo: npt.NDArray[Any], count: int, photos: int, told: int) -> str:
    """Why the files do not fit together; empty where they do."""
    if of_photo.dtype != np.int32 or of_photo.shape != (photos,):
        return f"{OF_PHOTO_FILE} does not name the prototype of each of {photos:,} photos"
    if count != told:
        return f"{PROTOTYPES_FILE} has {count:,} prototypes, and the manifest says {told:,}"
    each = np.bincount(np.clip(of_photo, 0, None), minlength=count) if photos else np.empty(0)
    if of_photo.min(initial=0) < 0 or len(each) != count or not each.all():
        return "a prototype stands for no photo, or a photo for no prototype"
    return ""
