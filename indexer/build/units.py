"""Units: pieces of a build that are done, kept and done again each on its own; and their outcome.

Frames are laid over the whole region first, so no cell depends on where units end. A unit is all
frames whose centre lies in one H3 cell of a coarse resolution, its parent, with the cells that are
read from them: some tens of frames, seconds of work for the released model on two cores.
"""

from __future__ import annotations

from dataclasses import dataclass

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats, Ints
from gair.errors import UsageError
from gair.geo import web_mercator_to_lonlat_deg
from indexer.build.frames import FramePlan
from indexer.build.options import BuildOptions
from indexer.regions.cells import Cells, cell_hex, cells_at

FRAMES_A_UNIT = BuildOptions.frames_a_unit
"""About the most frames of one unit, unless told otherwise."""
FINER_BY = 5
"""At most this many resolutions between a unit's parent and its cells: 16,807 of them."""

WHOLE = ""
"""Instead of a day: what vectors are made from."""

INDEXED, OUTSIDE, NO_DATA, MOSTLY_EMPTY = range(4)
"""What became of a cell."""
REASONS = {
    OUTSIDE: "outside the imagery",
    NO_DATA: "no data in the imagery",
    MOSTLY_EMPTY: "too little imagery around it",
}
"""Why a cell is not indexed, for people."""


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
    days: tuple[str, ...] = ()
    """Of the imagery, that units keep pictures of by themselves."""


@dataclass(frozen=True)
class Outcome:
    """What the frames of a plan gave, but for the vectors."""

    status: npt.NDArray[np.uint8]
    """(N,) ``INDEXED``, or which of :data:`REASONS` a cell has no vector for."""
    valid_fraction: Floats
    """(F,) share of each frame that the imagery covers."""

    @property
    def kept(self) -> Ints:
        """Which cells are indexed, ascending: the rows of an index."""
        return np.flatnonzero(self.status == INDEXED)

    @property
    def lost(self) -> Ints:
        """Which cells are not indexed, ascending."""
        return np.flatnonzero(self.status != INDEXED)

    @property
    def incomplete_frames(self) -> int:
        """How many frames reach past the imagery."""
        return int((self.valid_fraction < 1).sum())

    def missing(self) -> dict[str, int]:
        """How many cells are not indexed, by reason."""
        counts = {text: int((self.status == code).sum()) for code, text in REASONS.items()}
        return {text: count for text, count in counts.items() if count}

    def lost_for(self, reason: str) -> Bools:
        """(N,) which cells are not indexed for this reason."""
        code = next(code for code, text in REASONS.items() if text == reason)
        return np.asarray(self.status == code)

    def reasons(self, cells: Ints) -> list[str]:
        """Why each of some cells is not indexed."""
        return [REASONS[int(code)] for code in self.status[cells]]


def plan_units(cells: Cells, frames: FramePlan, frames_a_unit: int = FRAMES_A_UNIT) -> BuildPlan:
    """Sort frames, and cells by their frame, into units of about so many frames or fewer."""
    if frames_a_unit < 1:
        raise UsageError(f"`frames_a_unit` {frames_a_unit} is not 1 or more: choose another")
    if not len(frames.bounds_wsen_m):
        return BuildPlan(cells, frames, 0, ())
    bounds = frames.bounds_wsen_m
    centres = web_mercator_to_lonlat_deg((bounds[:, :2] + bounds[:, 2:]) / 2)  # (F, 2)
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


def _unit_resolution(cells: Cells, frames: FramePlan, centres: Floats, frames_a_unit: int) -> int:
    """The coarsest resolution whose units have at most about so many frames."""
    latitude_deg = float(np.abs(centres[:, 1]).min())
    inner_m = frames.side_m * frames.inner_share * np.cos(np.radians(latitude_deg))
    largest_km2 = frames_a_unit * inner_m**2 / 1e6
    # No finer than the cells, and not so coarse that a unit has more than 7**FINER_BY of them.
    fitting = (r for r in range(16) if h3.average_hexagon_area(r, unit="km^2") <= largest_km2)
    return max(0, min(max(next(fitting, 15), cells.resolution - FINER_BY), cells.resolution))


def _groups(group_of: Ints, count: int) -> list[Ints]:
    """The ascending rows of each of ``count`` groups: (N,) numbers of groups to (n,) rows each."""
    order = np.argsort(group_of, kind="stable")
    ends = np.searchsorted(group_of[order], np.arange(count + 1))
    return [order[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]
