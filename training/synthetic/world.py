"""World of one city: tables of houses and trees, rasters of the ground, relief.

Both sensors look at it and at nothing else. Houses and trees are exact shapes in tables, found
through a grid; what lies under them and between them is a raster. Coordinates are metres, x to the
east and y to the **south** of the north-west corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes
from training.synthetic.noise import Reals, Words

PIXEL_M = 2.5
"""Side of a world pixel; four make a Sentinel-2 pixel."""
HEIGHT_STEP_M = 0.25
"""Unit of the height raster."""
KERB_STEP_M = 0.1
"""Unit of the raster of distances to the carriageway's edge."""
RELIEF_STEP_M = 20.0
"""Step of the grid of heights of the terrain."""
CELL_M = 10.0
"""Side of a cell of the grids through which houses and trees are found."""

GROUND, ROAD, SIDEWALK, WATER, BUILDING, TREE, LAWN, RAIL, PARKING, PLAZA = range(10)
"""What covers a pixel: open ground of lots, carriageways, ..., lawns of parks, railway, car parks,
paved squares."""

FLAT, GABLED, HIPPED = range(3)
"""Forms of roofs; the ridge of a gabled or hipped one runs along u."""
PLAIN, BANDS, GRID, ARCHED, SHOP = range(5)
"""Patterns of facades: single windows, ribbons of glass, a curtain of glass, tall narrow windows,
shops below single windows."""


@dataclass(frozen=True)
class CellGrid:
    """Which things touch which cell of :data:`CELL_M`.

    Those of cell c, row by row from the north, are ``items[start[c]:start[c + 1]]``.
    """

    side: int
    """Cells along one side of the city."""
    start: npt.NDArray[np.int32]
    """(side * side + 1,)."""
    items: npt.NDArray[np.int32]
    """Numbers of things."""


@dataclass(frozen=True)
class Houses:
    """Boxes with roofs; arrays of length N, float32 unless said."""

    x_m: Reals
    y_m: Reals
    """Centre."""
    half_u_m: Reals
    half_v_m: Reals
    """Half the lengths along the house's own directions u and v."""
    angle: Reals
    """Of u, radians from x (east) towards y (south): u = (cos, sin), v = (-sin, cos)."""
    base_m: Reals
    """Height of the terrain at the centre."""
    eaves_m: Reals
    """Height of the walls above the base."""
    rise_m: Reals
    """Height of the ridge above the eaves; 0 for a flat roof."""
    roof: Bytes
    """Form of the roof."""
    facade: Bytes
    """Pattern of the windows."""
    storey_m: Reals
    """Height of a storey."""
    bay_m: Reals
    """Distance between windows along a wall."""
    glass: Reals
    """Share of a bay and storey that is window along each direction, 0.2 to 0.9."""
    wall_rgb: Bytes
    roof_rgb: Bytes
    trim_rgb: Bytes
    """(N, 3) colours of the walls, of the roof, of frames, doors and cornices."""
    word: Words
    """A hash of the house, for what differs from house to house."""

    def __len__(self) -> int:
        return len(self.x_m)


@dataclass(frozen=True)
class Trees:
    """Crowns on trunks; arrays of length N, float32 unless said."""

    x_m: Reals
    y_m: Reals
    base_m: Reals
    """Height of the terrain."""
    radius_m: Reals
    """Of the crown, seen from above."""
    height_m: Reals
    """Of the top above the base; the crown begins at about a third of it."""
    conifer: Bytes
    """1 for a pointed evergreen, 0 for a round crown that drops its leaves."""
    crown_rgb: Bytes
    """(N, 3) colour in summer."""
    word: Words

    def __len__(self) -> int:
        return len(self.x_m)


@dataclass(frozen=True)
class World:
    """One city; rasters are (H, W) pixels of :data:`PIXEL_M`, row 0 in the north."""

    seed: int
    surface: Bytes
    """What covers a pixel, seen from above: roofs and crowns, too."""
    height: Bytes
    """Of it above the terrain, in steps of :data:`HEIGHT_STEP_M`."""
    top: Bytes
    """(H, W, 3) its colour from above, on a dry day in summer."""
    floor: Bytes
    """What lies under roofs and crowns: never BUILDING or TREE."""
    floor_rgb: Bytes
    """(H, W, 3) colour of that, on a dry day in summer."""
    kerb: npt.NDArray[np.int8]
    """Distance into the carriageway, negative beside it, in steps of :data:`KERB_STEP_M`, cut at
    the ends of int8: varies linearly, so between pixels it is interpolated."""
    axis: Bytes
    """Direction of the street nearest to a pixel, from x towards y, in steps of pi / 256: 0 to
    255 are half a turn, as a street has two ways."""
    relief_m: Reals
    """(h, w) float32, height of the terrain at points (RELIEF_STEP_M * column, RELIEF_STEP_M *
    row), bilinear between them."""
    houses: Houses
    trees: Trees
    house_cells: CellGrid
    tree_cells: CellGrid

    @property
    def side_m(self) -> float:
        """Length of the square city's side."""
        return float(self.floor.shape[0] * PIXEL_M)
