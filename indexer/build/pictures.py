"""Pictures of a build: what the index is made from, and single days where imagery has several.

The first is painted from what was read for the vectors. Days are read once more, from files only,
and stretched alike, so that they can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gair.arrays import Ints
from gair.progress import Progress
from indexer.build.plan import BuildTask
from indexer.build.unit_files import UnitFolder
from indexer.imagery.source import ImagerySource, kept_days
from indexer.imagery.warping import outline_of
from indexer.index.picture.cog import DATE, INDEX, About, picture_file, write_picture
from indexer.index.picture.grid import grids_of
from indexer.index.picture.paint import painted
from indexer.index.picture.shades import Shades, shades_of, shades_png, stretch_of


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
        with Progress(f"picture of {day}", count, "frame", quiet=task.options.quiet) as progress:
            keep(About(DATE, (day,), *terms), _reader(task, imagery, progress))
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


def _reader(
    task: BuildTask, imagery: ImagerySource, progress: Progress
) -> Callable[[int], Shades | None]:
    """Reads frames of one day; those that it shows nothing of are not read."""
    frames = task.plan.frames

    def read(frame: int) -> Shades | None:
        progress.advance(1)
        footprint = frames.footprint(frame)
        if not outline_of(footprint).intersects(imagery.coverage):
            return None
        side_px = int(frames.frame_px[frame])
        pixels = imagery.read(footprint, (side_px, side_px))
        return shades_of(shades_png(pixels.dn, pixels.valid)) if pixels.valid.any() else None

    return read


def _days(described: dict[str, Any]) -> tuple[str, ...]:
    """Days of the scenes that imagery was described by."""
    days = {str(day)[:10] for scene in described["scenes"] for day in scene.get("dates", ())}
    return tuple(sorted(days))
