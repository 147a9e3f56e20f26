"""Units: pieces of a build that are done, kept and done again each on its own.

Frames are laid over the whole region first, so no cell depends on where units end. A unit is all
frames whose centre lies in one H3 cell of a coarse resolution, its parent, with the cells that are
read from them: some tens of frames, seconds of work for the released model on two cores.
"""

from __future__ import annotations

from dataclasses import dataclass

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt

from gair.arrays import Ints
from gair.errors import UsageError
from gair.geo import WEB_MERCATOR_CIRCUMFERENCE_M
from indexer.build.frames import FramePlan
from indexer.build.options import BuildOptions
from indexer.regions.cells import Cells, cell_hex, cells_at

FRAMES_A_UNIT = BuildOptions.frames_a_unit
"""About the most frames of one unit, unless told otherwise."""
FINER_BY = 5
"""At most this many resolutions between a unit's parent and its cells: 16,807 of them."""


@dataclass(frozen=True, eq=False)
class Unit:
    """Some frames and the cells that are read from them."""

    parent: int
    """H3 index of the cell that the frames' centres lie in."""
    frames: Ints
    """(f,) rows of the frame plan, ascending."""
    cells: Ints
    """(n,) rows of the region's cells, ascending, and so are their H3 indexes."""

    @property
    def name(self) -> str:
        """The parent's H3 address."""
        return cell_hex(self.parent)


@dataclass(frozen=True, eq=False)
class BuildPlan:
    """What a build computes: cells, the frames they are read from, and units of both."""

    cells: Cells
    frames: FramePlan
    unit_resolution: int
    """H3 resolution of the units' parents."""
    units: tuple[Unit, ...]
    """By parent, ascending. Cells that no imagery was promised for are in none."""


def plan_units(cells: Cells, frames: FramePlan, frames_a_unit: int = FRAMES_A_UNIT) -> BuildPlan:
    """Sort frames, and cells by their frame, into units of about so many frames or fewer."""
    if frames_a_unit < 1:
        raise UsageError(f"a unit of {frames_a_unit} frames is none: choose 1 or more")
    if not len(frames.bounds_wsen_m):
        return BuildPlan(cells, frames, 0, ())
    centres = _centres_lonlat_deg(frames)
    resolution = _unit_resolution(cells, frames, centres, frames_a_unit)
    parents, unit_of_frame = np.unique(cells_at(centres, resolution), return_inverse=True)
    promised = np.flatnonzero(frames.frame_of_cell >= 0)
    unit_of_cell = unit_of_frame[frames.frame_of_cell[promised]]
    frames_of = _groups(unit_of_frame, len(parents))
    cells_of = _groups(unit_of_cell, len(parents))
    units = tuple(
        Unit(int(parent), of_frames, promised[of_cells])
        for parent, of_frames, of_cells in zip(parents, frames_of, cells_of, strict=True)
    )
    return BuildPlan(cells, frames, resolution, units)


def _centres_lonlat_deg(frames: FramePlan) -> npt.NDArray[np.float64]:
    """(F, 2) centres of the frames."""
    bounds, radius_m = frames.bounds_wsen_m, WEB_MERCATOR_CIRCUMFERENCE_M / (2 * np.pi)
    x, y = ((bounds[:, :2] + bounds[:, 2:]) / 2 / radius_m).T
    return np.asarray(np.degrees(np.stack([x, np.arcsin(np.tanh(y))], axis=1)))


def _unit_resolution(
    cells: Cells, frames: FramePlan, centres: npt.NDArray[np.float64], frames_a_unit: int
) -> int:
    """The coarsest resolution whose units have at most about so many frames."""
    latitude_deg = float(np.abs(centres[:, 1]).min())
    inner_m = frames.side_m * frames.inner_share * np.cos(np.radians(latitude_deg))
    largest_km2 = frames_a_unit * inner_m**2 / 1e6
    fitting = (r for r in range(16) if h3.average_hexagon_area(r, unit="km^2") <= largest_km2)
    return max(0, min(max(next(fitting, 15), cells.resolution - FINER_BY), cells.resolution))


def _groups(group_of: Ints, count: int) -> list[Ints]:
    """The ascending rows of each of ``count`` groups."""
    order = np.argsort(group_of, kind="stable")
    ends = np.searchsorted(group_of[order], np.arange(count + 1))
    return [order[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]
