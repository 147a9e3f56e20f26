"""Pictures of a build: what the index is made from, and single days where imagery has several.

All are painted from what was read for the vectors, and stretched alike, so that days can be
compared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gair.arrays import Ints
from indexer.build.plan import BuildTask
from indexer.build.unit_files import UnitFolder
from indexer.build.units import WHOLE
from indexer.index.picture.cog import DATE, INDEX, About, picture_file, write_picture
from indexer.index.picture.grid import grids_of
from indexer.index.picture.paint import painted
from indexer.index.picture.shades import Shades, stretch_of, unpacked


def write_pictures(folder: Path, task: BuildTask, work: UnitFolder) -> list[dict[str, Any]]:
    """Write the pictures of a build; returns the field ``pictures`` of its manifest.

    Raises:
        StorageError: the disk refused, or a unit's file cannot be read.
    """
    frames, described = task.plan.frames, task.described
    shades = _kept_shades(task, work, WHOLE)
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
    for day in task.plan.days:
        keep(About(DATE, (day,), *terms), _kept_shades(task, work, day))
    return entries


def _kept_shades(task: BuildTask, work: UnitFolder, day: str) -> Callable[[int], Shades | None]:
    """What units keep of frames of a day: the same whatever the units are."""
    plan = task.plan
    unit_of_frame = np.zeros(len(plan.frames.bounds_wsen_m), dtype=np.int64)
    for number, unit in enumerate(plan.units):
        unit_of_frame[unit.frames] = number

    def shades(frame: int) -> Shades | None:
        kept = work.shades(plan.units[int(unit_of_frame[frame])], frame, day)
        return None if kept is None else unpacked(kept)

    return shades


def _of_row(shades: Callable[[int], Shades | None], rows: Ints, row: int) -> Shades | None:
    return shades(int(rows[row]))


def _days(described: dict[str, Any]) -> tuple[str, ...]:
    """Days of the scenes that imagery was described by."""
    days = {str(day)[:10] for scene in described["scenes"] for day in scene.get("dates", ())}
    return tuple(sorted(days))
