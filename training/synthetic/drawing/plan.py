"""Plan of a city: tables of districts, streets and blocks, and where any point lies in them.

Districts are the cells of a jittered grid of seeds, with wandering borders along which the
arterials run. Each has its own street grid, lines of two directions u and v; between two
neighbouring lines of each direction lies a block. Coordinates are metres, x to the east and y to
the **south** of the north-west corner; u and v count from the district's seed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes
from training.synthetic.compiled import compiled
from training.synthetic.noise import Words
from training.synthetic.world import RELIEF_STEP_M

DISTRICT_M = 1100.0
"""Step of the grid of district seeds."""
LINES = 48
"""Lines of each direction in a district's tables; the middle one is nearest to its seed."""
ARTERIAL_HALF_M, ARTERIAL_MEDIAN_M, ARTERIAL_WALK_M = 11.0, 1.5, 4.0
"""Half the width of an arterial and of its median, width of its sidewalks."""
MAJOR_HALF_M = 6.4
"""Streets with at least this half-width cross rivers and railways that they do not run along."""
RAIL_HALF_M, RAIL_MARGIN_M = 5.0, 9.0
"""Half the width of a railway's bed; nothing is built within the margin of its middle."""
QUAY_M = 5.0
"""Width of what lies open along the river."""

LOTS, PARK, POND_PARK, SQUARE, MARKET = range(5)
"""Kinds of blocks: houses, parks without and with a pond, paved squares, a hall in a car park."""

WANDER_STEP_M = 5.0
"""Step of the tables of how district borders wander."""
_CROSSES = 0.55  # sine of the least angle between a bridge and the banks
_FAR_M = 1e4

Singles = npt.NDArray[np.float32]


class Plan(NamedTuple):
    """Tables of one city: D districts, L = :data:`LINES`."""

    seed: int
    side_m: float
    seed_x_m: Singles
    seed_y_m: Singles
    """(R, C) district seeds, D = R * C."""
    wander_m: Singles
    """(2, n, 2) by how much borders are shifted south at each x, and east at each y, in steps of
    :data:`WANDER_STEP_M`; and how fast that changes."""
    angle: Singles
    """(D,) of u, radians from x towards y."""
    cos: Singles
    sin: Singles
    """(D,) of that."""
    spacing_m: Singles
    """(D, 2) mean distance between lines."""
    line_m: Singles
    """(2, D, L) where lines cross the axis of u, and that of v."""
    half_m: Singles
    """(2, D, L, L) half the width of the street on line i between lines j and j + 1 of the other
    direction; 0 where none is built."""
    walk_m: Singles
    """(2, D, L, L) width of each of its sidewalks."""
    median_m: Singles
    """(2, D, L, L) half the width of the green strip in its middle; 0 for none."""
    rows: Bytes
    """(2, D, L, L) whether trees stand in a row along each of its sides."""
    block: Bytes
    """(D, L, L) kind of the block between lines i and i + 1 of u, j and j + 1 of v."""
    block_word: Words
    """(D, L, L) a hash of the block."""
    lots: npt.NDArray[np.int16]
    """(2, D, L, L) into how many lots the block between lines i and j is cut along u, along v."""
    river_half_m: float
    river_m: Singles
    """(h, w) distance to the river's middle, of either sign, on the grid of the relief."""
    rails_m: Singles
    """(n, h, w) the same of railways."""
    relief_m: Singles
    """(h, w) height of the terrain."""


class Spot(NamedTuple):
    """Where a point lies."""

    district: int
    i: int
    j: int
    """Its block: between lines i and i + 1 of u, j and j + 1 of v."""
    lots_u_m: float
    lots_v_m: float
    """Metres from where the block's lots begin, along each direction."""
    size_u_m: float
    size_v_m: float
    """Sides of the part of the block that is cut into lots."""
    border_m: float
    """To the district's border."""
    kerb_m: float
    """Distance into the carriageway, negative beside it."""
    walk_m: float
    """Distance into a street with its sidewalks, negative beside it."""
    axis_x: float
    axis_y: float
    """Direction of the nearest street, of length 1."""
    bank_m: float
    """Distance to the river's bank, negative in the water."""
    rail_m: float
    """Distance to the middle of the nearest railway."""


@compiled
def locate(plan: Plan, x_m: float, y_m: float) -> Spot:
    """Where a point lies in a city."""
    district, border_m, across_x, across_y, arterial_median_m = _district(plan, x_m, y_m)
    columns = plan.seed_x_m.shape[1]
    dx = x_m - plan.seed_x_m[district // columns, district % columns]
    dy = y_m - plan.seed_y_m[district // columns, district % columns]
    cos, sin = plan.cos[district], plan.sin[district]
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    i = _line_below(plan.line_m[0, district], plan.spacing_m[district, 0], u)
    j = _line_below(plan.line_m[1, district], plan.spacing_m[district, 1], v)

    # What streets end before, how far it is, and its direction: (bar_x, bar_y) points across it.
    off_m, bar_x, bar_y = _on_grid(plan.river_m, x_m, y_m)
    bank_m = abs(off_m) - plan.river_half_m
    rail_m, free_m = _FAR_M, bank_m - QUAY_M
    for rail in range(plan.rails_m.shape[0]):
        off_m, rail_x, rail_y = _on_grid(plan.rails_m[rail], x_m, y_m)
        rail_m = min(rail_m, abs(off_m))
        if abs(off_m) - RAIL_MARGIN_M < free_m:
            free_m, bar_x, bar_y = abs(off_m) - RAIL_MARGIN_M, rail_x, rail_y

    # The arterial, then the four streets around the block.
    nearest = ARTERIAL_HALF_M - border_m
    axis_x, axis_y = -across_y, across_x
    kerb_m = min(nearest, border_m - arterial_median_m)
    walk_m = nearest + ARTERIAL_WALK_M
    if abs(axis_x * bar_x + axis_y * bar_y) < _CROSSES:
        kerb_m, walk_m = min(kerb_m, free_m), min(walk_m, free_m)
    low_u = u - plan.line_m[0, district, i]
    high_u = plan.line_m[0, district, i + 1] - u
    low_v = v - plan.line_m[1, district, j]
    high_v = plan.line_m[1, district, j + 1] - v
    for side in range(4):
        way = side // 2
        line = (i if way == 0 else j) + side % 2
        segment = j if way == 0 else i
        half_m = plan.half_m[way, district, line, segment]
        if half_m == 0:
            continue
        off_m = (low_u, high_u, low_v, high_v)[side]
        inside_m = half_m - off_m
        street_m = inside_m
        if plan.median_m[way, district, line, segment] > 0:
            street_m = min(inside_m, off_m - plan.median_m[way, district, line, segment])
        strip_m = inside_m + plan.walk_m[way, district, line, segment]
        way_x, way_y = (-sin, cos) if way == 0 else (cos, sin)
        if half_m < MAJOR_HALF_M or abs(way_x * bar_x + way_y * bar_y) < _CROSSES:
            street_m, strip_m = min(street_m, free_m), min(strip_m, free_m)
        kerb_m, walk_m = max(kerb_m, street_m), max(walk_m, strip_m)
        if inside_m > nearest:
            nearest, axis_x, axis_y = inside_m, way_x, way_y

    edge_u = _edge_m(plan, 0, district, i, j)
    edge_v = _edge_m(plan, 1, district, j, i)
    size_u_m = low_u + high_u - edge_u - _edge_m(plan, 0, district, i + 1, j)
    size_v_m = low_v + high_v - edge_v - _edge_m(plan, 1, district, j + 1, i)
    return Spot(
        district,
        i,
        j,
        low_u - edge_u,
        low_v - edge_v,
        size_u_m,
        size_v_m,
        border_m,
        kerb_m,
        walk_m,
        axis_x,
        axis_y,
        bank_m,
        rail_m,
    )


@compiled
def _edge_m(plan: Plan, way: int, district: int, line: int, segment: int) -> float:
    """From a line to the lots beside it."""
    return float(
        plan.half_m[way, district, line, segment] + plan.walk_m[way, district, line, segment]
    )


@compiled
def _line_below(line_m: Singles, spacing_m: float, t: float) -> int:
    """The last line at or below a coordinate, so that the next one is above."""
    # Lines stray from even steps by less than a quarter.
    line = min(max(int(math.floor(t / spacing_m)) + LINES // 2, 0), LINES - 2)
    if t < line_m[line] and line > 0:
        line -= 1
    elif t >= line_m[line + 1] and line < LINES - 2:
        line += 1
    return line


@compiled
def _on_grid(grid_m: Singles, x_m: float, y_m: float) -> tuple[float, float, float]:
    """A distance at a point, bilinear, and the direction in which it grows."""
    east, south = x_m / RELIEF_STEP_M, y_m / RELIEF_STEP_M
    column = min(max(int(east), 0), grid_m.shape[1] - 2)
    row = min(max(int(south), 0), grid_m.shape[0] - 2)
    east, south = east - column, south - row
    first, second = grid_m[row, column], grid_m[row, column + 1]
    third, fourth = grid_m[row + 1, column], grid_m[row + 1, column + 1]
    slope_x = (second - first) * (1 - south) + (fourth - third) * south
    slope_y = (third - first) * (1 - east) + (fourth - second) * east
    length = math.sqrt(slope_x * slope_x + slope_y * slope_y) + 1e-6
    north_m, south_m = first + (second - first) * east, third + (fourth - third) * east
    return north_m + (south_m - north_m) * south, slope_x / length, slope_y / length


@compiled
def _wander_m(table_m: Singles, at_m: float) -> tuple[float, float]:
    """By how much borders are shifted at a coordinate, and how fast that changes."""
    place = at_m / WANDER_STEP_M
    number = min(max(int(place), 0), len(table_m) - 2)
    part = min(max(place - number, 0.0), 1.0)
    return (
        table_m[number, 0] + (table_m[number + 1, 0] - table_m[number, 0]) * part,
        table_m[number, 1] + (table_m[number + 1, 1] - table_m[number, 1]) * part,
    )


@compiled
def _district(plan: Plan, x_m: float, y_m: float) -> tuple[int, float, float, float, float]:
    """A point's district, how far its border is, across it (x, y), half its arterial's median."""
    shift_y, slope_y = _wander_m(plan.wander_m[0], x_m)
    shift_x, slope_x = _wander_m(plan.wander_m[1], y_m)
    wx, wy = x_m + shift_x, y_m + shift_y
    rows, columns = plan.seed_x_m.shape
    column = min(max(int(math.floor(wx / DISTRICT_M + 1)), 1), columns - 2)
    row = min(max(int(math.floor(wy / DISTRICT_M + 1)), 1), rows - 2)
    own, least = 0, 1e18
    # Seeds stray by less than 0.4 of a step: nearly always the nearest is one of these nine.
    for number in range(9):
        r, c = row - 1 + number // 3, column - 1 + number % 3
        far = (wx - plan.seed_x_m[r, c]) ** 2 + (wy - plan.seed_y_m[r, c]) ** 2
        if far < least:
            own, least = r * columns + c, far
    own_x = plan.seed_x_m[own // columns, own % columns]
    own_y = plan.seed_y_m[own // columns, own % columns]
    border_m, across_x, across_y, other = 1e9, 1.0, 0.0, own
    for number in range(9):
        r, c = row - 1 + number // 3, column - 1 + number % 3
        if r * columns + c == own:
            continue
        ax, ay = plan.seed_x_m[r, c] - own_x, plan.seed_y_m[r, c] - own_y
        apart = math.sqrt(ax * ax + ay * ay)
        far = (wx - plan.seed_x_m[r, c]) ** 2 + (wy - plan.seed_y_m[r, c]) ** 2
        if (far - least) / (2 * apart) < border_m:
            border_m = (far - least) / (2 * apart)
            across_x, across_y, other = ax / apart, ay / apart, r * columns + c
    # A distance in the wandering plane over the length of its gradient is one on the ground.
    grow_x, grow_y = across_x + across_y * slope_y, across_y + across_x * slope_x
    length = math.sqrt(grow_x * grow_x + grow_y * grow_y)
    # Every other border has a median: an even sum of numbers, the same from both sides.
    median_m = ARTERIAL_MEDIAN_M if (own + other) % 2 == 0 else 0.0
    return own, border_m / length, grow_x / length, grow_y / length, median_m
