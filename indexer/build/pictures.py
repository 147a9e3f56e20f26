"""Pictures of a build: what the index is made from, and single days where imagery has several.

The first is painted from what was read for the vectors. Days are read once more, from files only,
and stretched alike, so that they can be compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gair.arrays import Ints
from gair.progress import Progress
from indexer.build.embed import FRAMES_AHEAD, READERS
from indexer.build.frames import FramePlan
from indexer.build.plan import BuildTask
from indexer.build.unit_files import UnitFolder
from indexer.imagery.source import ImagerySource, kept_days
from indexer.imagery.warping import outline_of
from indexer.index.picture.cog import DATE, INDEX, About, picture_file, write_picture
from indexer.index.picture.grid import PictureGrid, grids_of
from indexer.index.picture.paint import painted
from indexer.index.picture.shades import Shades, shaded, shades_of, stretch_of


def write_pictures(folder: Path, task: BuildTask, work: UnitFolder) -> list[dict[str, Any]]:
    """Write the pictures of a build; returns the field ``pictures`` of its manifest.

    Raises:
        ImageryError: a day of the imagery cannot be read.
        StorageError: the disk refused.
    """
    frames, described = task.plan.frames, task.described
    shades = _kept_shades(task, work)
    count = len(frames.bounds_wsen_m)
    stretch = stretch_of(own for own in map(shades, range(count)) if own is not None)
    terms = (str(described.get("attribution", "")), str(described.get("licence", "")))
    grids = grids_of(frames.bounds_wsen_m, task.imagery.resolution_m)
    entries: list[dict[str, Any]] = []

    def keep(about: About, of: Callable[[int], Shades | None]) -> None:
        for rows, grid in grids:
            bounds = frames.bounds_wsen_m[rows]
            strips = painted(grid, bounds, partial(_of_row, of, rows), stretch.table())
            path = folder / picture_file(len(entries))
            if write_picture(path, grid, strips, about):
                entries.append(about.entry(len(entries), grid, stretch))

    keep(About(INDEX, _days(described), *terms), shades)
    for day, imagery in kept_days(task.imagery).items():
        with (
            Progress(f"picture of {day}", count, "frame", quiet=task.options.quiet) as progress,
            _ReadAhead(_reader(task, imagery), _from_the_north(frames, grids), progress) as ahead,
        ):
            keep(About(DATE, (day,), *terms), ahead.shades)
    return entries


def _kept_shades(task: BuildTask, work: UnitFolder) -> Callable[[int], Shades | None]:
    """What units keep of frames: the same whatever the units are."""
    plan = task.plan
    unit_of_frame = np.zeros(len(plan.frames.bounds_wsen_m), dtype=np.int64)
    for number, unit in enumerate(plan.units):
        unit_of_frame[unit.frames] = number

    def shades(frame: int) -> Shades | None:
        png = work.shades(plan.units[int(unit_of_frame[frame])], frame)
        return None if png is None else shades_of(png)

    return shades


def _of_row(shades: Callable[[int], Shades | None], rows: Ints, row: int) -> Shades | None:
    return shades(int(rows[row]))


class _ReadAhead:
    """Reads frames beside the painter, some before they are asked for; each is asked for once.

    It reads as the encoder's frames are read (:class:`indexer.build.embed.FrameReader`), but in the
    order that it is asked in.
    """

    def __init__(
        self, read: Callable[[int], Shades | None], order: Iterable[int], progress: Progress
    ) -> None:
        """``order``: in which the frames will be asked for, more or less."""
        self._read, self._left, self._progress = read, deque(order), progress
        self._pool = ThreadPoolExecutor(READERS, "picture-reader")
        self._coming: dict[int, Future[Shades | None]] = {}
        self._asked: set[int] = set()

    def shades(self, frame: int) -> Shades | None:
        """The shades of a frame; None where nothing is seen of it."""
        self._asked.add(frame)
        coming = self._coming.pop(frame, None) or self._pool.submit(self._read, frame)
        while self._left and len(self._coming) < FRAMES_AHEAD:
            following = self._left.popleft()
            if following not in self._asked:
                self._coming[following] = self._pool.submit(self._read, following)
        own = coming.result()
        self._progress.advance(1)
        return own

    def __enter__(self) -> _ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def _from_the_north(frames: FramePlan, grids: Sequence[tuple[Ints, PictureGrid]]) -> list[int]:
    """Numbers of frames as they are painted: grid after grid, those in the north first."""
    order: list[int] = []
    for rows, _ in grids:
        order += rows[np.argsort(-frames.bounds_wsen_m[rows, 3], kind="stable")].tolist()
    return order


def _reader(task: BuildTask, imagery: ImagerySource) -> Callable[[int], Shades | None]:
    """Reads frames of one day; those that it shows nothing of are not read."""
    frames = task.plan.frames

    def read(frame: int) -> Shades | None:
        footprint = frames.footprint(frame)
        if not outline_of(footprint).intersects(imagery.coverage):
            return None
        side_px = int(frames.frame_px[frame])
        pixels = imagery.read(footprint, (side_px, side_px))
        return shaded(pixels.dn, pixels.valid) if pixels.valid.any() else None

    return read


def _days(described: dict[str, Any]) -> tuple[str, ...]:
    """Days of the scenes that imagery was described by."""
    days = {str(day)[:10] for scene in described["scenes"] for day in scene.get("dates", ())}
    return tuple(sorted(days))
