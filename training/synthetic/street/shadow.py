"""Shadows: which ground lies in the shade of houses and crowns, how high shade climbs up walls."""

from __future__ import annotations

from training.synthetic.compiled import inlined
from training.synthetic.street.stage import (
    BASE,
    COS,
    EAVES,
    HALF_U,
    HALF_V,
    RADIUS,
    RISE,
    SIN,
    TALL,
    TREE_BASE,
    TREE_X,
    TREE_Y,
    Casters,
    X,
    Y,
)
from training.synthetic.world import CELL_M

REACH_M = 90.0
"""Longer shadows are cut."""
NOWHERE = 1e9


@inlined
def crossing(
    casters: Casters, house: int, x: float, y: float, dx: float, dy: float
) -> tuple[float, float, int]:
    """Where a line enters and leaves the plan of a house, and through which wall it enters.

    Returns:
        Both in units of (dx, dy); the first is larger where the line misses. Walls: 0 and 1 at the
        low and high end of u, 2 and 3 of v.
    """
    h = casters.houses[house]
    cos, sin = float(h[COS]), float(h[SIN])
    ox, oy = x - float(h[X]), y - float(h[Y])
    u, v = ox * cos + oy * sin, oy * cos - ox * sin
    du, dv = dx * cos + dy * sin, dy * cos - dx * sin
    half_u, half_v = float(h[HALF_U]), float(h[HALF_V])
    enter, leave, wall = -NOWHERE, NOWHERE, 0
    if abs(du) > 1e-9:
        first, last = (-half_u - u) / du, (half_u - u) / du
        enter, leave, wall = min(first, last), max(first, last), 0 if du > 0 else 1
    elif abs(u) > half_u:
        return NOWHERE, -NOWHERE, 0
    if abs(dv) > 1e-9:
        first, last = (-half_v - v) / dv, (half_v - v) / dv
        if min(first, last) > enter:
            enter, wall = min(first, last), 2 if dv > 0 else 3
        leave = min(leave, max(first, last))
    elif abs(v) > half_v:
        return NOWHERE, -NOWHERE, 0
    return enter, leave, wall


@inlined
def shaded(
    casters: Casters, x: float, y: float, z: float, sx: float, sy: float, climb: float, leaf: float
) -> bool:
    """Whether a point of the ground is in the shade of a house or a crown.

    Args:
        casters: houses and trees.
        x: of the point, as y and z.
        y: south.
        z: up.
        sx: of the unit vector along the ground to the sun, as sy.
        sy: south.
        climb: the tangent of the sun's elevation.
        leaf: share of their leaves that trees carry.
    """
    reach = min(REACH_M, (casters.roofs_m + 12.0 - z) / climb)
    column, row = int(x / CELL_M), int(y / CELL_M)
    gone = 0.0
    step_x, step_y = (1 if sx > 0 else -1), (1 if sy > 0 else -1)
    each_x, each_y = CELL_M / max(abs(sx), 1e-9), CELL_M / max(abs(sy), 1e-9)
    next_x = (column + (1 if sx > 0 else 0)) * CELL_M - x
    next_y = (row + (1 if sy > 0 else 0)) * CELL_M - y
    next_x, next_y = abs(next_x) / max(abs(sx), 1e-9), abs(next_y) / max(abs(sy), 1e-9)
    while gone < reach and 0 <= column < casters.cells and 0 <= row < casters.cells:
        cell = row * casters.cells + column
        if casters.tops[cell] - z > gone * climb:
            if _blocked(casters, cell, x, y, z, sx, sy, climb, leaf):
                return True
        if next_x < next_y:
            gone, next_x, column = next_x, next_x + each_x, column + step_x
        else:
            gone, next_y, row = next_y, next_y + each_y, row + step_y
    return False


@inlined
def _blocked(
    casters: Casters,
    cell: int,
    x: float,
    y: float,
    z: float,
    sx: float,
    sy: float,
    climb: float,
    leaf: float,
) -> bool:
    """Whether something in one cell stands between a point and the sun."""
    for item in range(casters.house_start[cell], casters.house_start[cell + 1]):
        house = casters.house_items[item]
        h = casters.houses[house]
        over = h[BASE] + h[EAVES] + 0.5 * h[RISE] - z
        enter, leave, _ = crossing(casters, house, x, y, sx, sy)
        if leave > max(enter, 0.0) and max(enter, 0.0) * climb < over:
            return True
    for item in range(casters.tree_start[cell], casters.tree_start[cell + 1]):
        tree = casters.trees[casters.tree_items[item]]
        radius = float(tree[RADIUS])
        ox, oy = float(tree[TREE_X]) - x, float(tree[TREE_Y]) - y
        along = ox * sx + oy * sy
        aside = (oy * sx - ox * sy) / radius
        if abs(aside) < 1 and along > -radius:
            half = 0.36 * float(tree[TALL])
            middle = float(tree[TREE_BASE]) + 0.64 * float(tree[TALL])
            miss = z + along * climb - middle
            size = half * half + radius * radius * climb * climb
            if aside * aside + miss * miss / size < 0.25 + 0.6 * leaf:
                return True
    return False


@inlined
def shade_height(
    casters: Casters, own: int, x: float, y: float, z: float, sx: float, sy: float, climb: float
) -> float:
    """How high the shade of other houses reaches above a point at the foot of a wall.

    Args:
        casters: houses and trees.
        own: the house that the wall is of.
        x: of the point, as y and z.
        y: south.
        z: up.
        sx: of the unit vector along the ground to the sun, as sy.
        sy: south.
        climb: the tangent of the sun's elevation.

    Returns:
        A height above the zero of the relief.
    """
    highest = z - 1.0
    column, row = int(x / CELL_M), int(y / CELL_M)
    gone = 0.0
    step_x, step_y = (1 if sx > 0 else -1), (1 if sy > 0 else -1)
    each_x, each_y = CELL_M / max(abs(sx), 1e-9), CELL_M / max(abs(sy), 1e-9)
    next_x = (column + (1 if sx > 0 else 0)) * CELL_M - x
    next_y = (row + (1 if sy > 0 else 0)) * CELL_M - y
    next_x, next_y = abs(next_x) / max(abs(sx), 1e-9), abs(next_y) / max(abs(sy), 1e-9)
    while gone < min(REACH_M, (casters.roofs_m - highest) / climb):
        if column < 0 or row < 0 or column >= casters.cells or row >= casters.cells:
            break
        cell = row * casters.cells + column
        last = casters.house_start[cell + 1]
        if casters.roof_tops[cell] - gone * climb < highest:
            last = casters.house_start[cell]
        for item in range(casters.house_start[cell], last):
            house = casters.house_items[item]
            if house != own:
                h = casters.houses[house]
                enter, leave, _ = crossing(casters, house, x, y, sx, sy)
                if leave > max(enter, 0.0):
                    top = h[BASE] + h[EAVES] + 0.5 * h[RISE] - max(enter, 0.0) * climb
                    highest = max(highest, float(top))
        if next_x < next_y:
            gone, next_x, column = next_x, next_x + each_x, column + step_x
        else:
            gone, next_y, row = next_y, next_y + each_y, row + step_y
    return highest
