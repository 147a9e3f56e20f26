"""Plan of a city: tables of districts, streets and blocks, and where any point lies in them.

Districts are the cells of a jittered grid of seeds, with wandering borders along which the
arterials run. Each has its own street grid, lines of two directions u and v; between two
neighbouring lines of each direction lies a block. Coordinates are metres, x to the east and y to the **south** of the
north-west corner; u and v count from the district's seed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes, Floats
from training.synthetic.compiled import compiled
from training.synthetic.noise import Words

DISTRICT_M = 1100.0
"""Step of the grid of district seeds."""
LINES = 48
"""Lines of each direction in a district's tables; the middle one is nearest to its seed."""
ARTERIAL_HALF_M, ARTERIAL_MEDIAN_M, ARTERIAL_WALK_M = 11.0, 1.5, 4.0
"""Half the width of an arterial and of its median, width of its sidewalks."""
MAJOR_HALF_M = 4.5
"""Streets with at least this half-width cross rivers and railways."""
RAIL_HALF_M, RAIL_MARGIN_M = 5.0, 9.0
"""Half the width of a railway's bed; nothing is built within the margin of its middle."""
QUAY_M = 5.0
"""Width of what lies open along the river."""

LOTS, PARK, POND_PARK, SQUARE, MARKET = range(5)
"""Kinds of blocks: houses, parks without and with a pond, paved squares, a hall in a car park."""

_FAR_M = 1e4

Singles = npt.NDArray[np.float32]


class Plan(NamedTuple):
    """Tables of one city: D districts, L = :data:`LINES`."""

    seed: int
    side_m: float
    seed_x_m: Singles
    seed_y_m: Singles
    """(R, C) district seeds, D = R * C."""
    angle: Singles
    """(D,) of u, radians from x towards y."""
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
    river: Floats
    """(12,) direction, offset, half-width, then amplitudes, wavelengths and phases of three
    bends."""
    rails: Floats
    """(n, 12) the same of railways."""


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
    axis: float
    """Direction of the nearest street, radians from x towards y."""
    bank_m: float
    """Distance to the river's bank, negative in the water."""
    rail_m: float
    """Distance to the middle of the nearest railway."""


@compiled
def curve_m(curve: Floats, side_m: float, x_m: float, y_m: float) -> float:
    """Distance to the middle of a bending curve: a river or a railway."""
    cos, sin = math.cos(curve[0]), math.sin(curve[0])
    along = (x_m - side_m / 2) * cos + (y_m - side_m / 2) * sin
    across = (y_m - side_m / 2) * cos - (x_m - side_m / 2) * sin - curve[1] * side_m
    slope = 0.0
    for bend in range(3):
        turn = 2 * math.pi / curve[6 + bend]
        across += curve[3 + bend] * math.sin(along * turn + curve[9 + bend])
        slope += curve[3 + bend] * turn * math.cos(along * turn + curve[9 + bend])
    return abs(across) / math.sqrt(1 + slope * slope)


@compiled
def locate(plan: Plan, x_m: float, y_m: float) -> Spot:
    """Where a point lies in a city."""
    district, border_m, border_axis, arterial_median_m = _district(plan, x_m, y_m)
    columns = plan.seed_x_m.shape[1]
    dx = x_m - plan.seed_x_m[district // columns, district % columns]
    dy = y_m - plan.seed_y_m[district // columns, district % columns]
    cos, sin = math.cos(plan.angle[district]), math.sin(plan.angle[district])
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    i = _line_below(plan.line_m[0, district], plan.spacing_m[district, 0], u)
    j = _line_below(plan.line_m[1, district], plan.spacing_m[district, 1], v)

    bank_m = curve_m(plan.river, plan.side_m, x_m, y_m) - plan.river[2]
    rail_m = _FAR_M
    for rail in range(plan.rails.shape[0]):
        rail_m = min(rail_m, curve_m(plan.rails[rail], plan.side_m, x_m, y_m))

    # The arterial, then the four streets around the block; minor ones end before water and rail.
    kerb_m = min(ARTERIAL_HALF_M - border_m, border_m - arterial_median_m)
    walk_m = ARTERIAL_HALF_M + ARTERIAL_WALK_M - border_m
    nearest, axis = ARTERIAL_HALF_M - border_m, border_axis
    free_m = min(bank_m - QUAY_M, rail_m - RAIL_MARGIN_M)
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
        if half_m < MAJOR_HALF_M:
            street_m, strip_m = min(street_m, free_m), min(strip_m, free_m)
        kerb_m, walk_m = max(kerb_m, street_m), max(walk_m, strip_m)
        if inside_m > nearest:
            nearest, axis = inside_m, plan.angle[district] + (math.pi / 2 if way == 0 else 0.0)

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
        axis,
        bank_m,
        rail_m,
    )


@compiled
def _edge_m(plan: Plan, way: int, district: int, line: int, segment: int) -> float:
    """From a line to the lots beside it."""
    return plan.half_m[way, district, line, segment] + plan.walk_m[way, district, line, segment]


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
def _district(plan: Plan, x_m: float, y_m: float) -> tuple[int, float, float, float]:
    """A point's district, how far its border is, the border's direction, half its median."""
    # Borders wander instead of running straight.
    wx = x_m + 60 * math.sin(y_m / 430) + 10 * math.sin(y_m / 97 + 1)
    wy = y_m + 60 * math.sin(x_m / 470) + 10 * math.sin(x_m / 89 + 2)
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
    border_m, north_x, north_y, other = 1e9, 1.0, 0.0, own
    for number in range(9):
        r, c = row - 1 + number // 3, column - 1 + number % 3
        if r * columns + c == own:
            continue
        ax, ay = plan.seed_x_m[r, c] - own_x, plan.seed_y_m[r, c] - own_y
        apart = math.sqrt(ax * ax + ay * ay)
        far = (wx - plan.seed_x_m[r, c]) ** 2 + (wy - plan.seed_y_m[r, c]) ** 2
        if (far - least) / (2 * apart) < border_m:
            border_m = (far - least) / (2 * apart)
            north_x, north_y, other = ax / apart, ay / apart, r * columns + c
    # A distance in the wandering plane over the length of its gradient is one on the ground.
    gx = north_x + north_y * (60 / 470 * math.cos(x_m / 470) + 10 / 89 * math.cos(x_m / 89 + 2))
    gy = north_y + north_x * (60 / 430 * math.cos(y_m / 430) + 10 / 97 * math.cos(y_m / 97 + 1))
    border_m /= math.sqrt(gx * gx + gy * gy)
    # Every other border has a median: an even sum of numbers, the same from both sides.
    median_m = ARTERIAL_MEDIAN_M if (own + other) % 2 == 0 else 0.0
    return own, border_m, math.atan2(gy, gx) + math.pi / 2, median_m


@compiled
def river_bank_m(plan: Plan, at_m: Singles, out_m: Singles) -> None:
    """Distances to the river's bank on a grid: ``out_m`` (n, n) for rows and columns ``at_m``."""
    for row in range(len(at_m)):
        for column in range(len(at_m)):
            far_m = curve_m(plan.river, plan.side_m, at_m[column], at_m[row])
            out_m[row, column] = far_m - plan.river[2]
