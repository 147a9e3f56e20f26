"""Cells of the grids through which houses and trees are found."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from training.synthetic.compiled import compiled
from training.synthetic.drawing.plan import Singles
from training.synthetic.world import CELL_M, CellGrid, Houses, Trees

Numbers = npt.NDArray[np.int32]


def house_grid(houses: Houses, side_m: float) -> CellGrid:
    """The cells that houses touch."""
    count = math.ceil(side_m / CELL_M)
    start = np.zeros(count * count + 1, dtype=np.int32)
    shapes = (houses.x_m, houses.y_m, houses.half_u_m, houses.half_v_m, houses.angle)
    _count_houses(*shapes, count, start, np.empty(0, dtype=np.int32))
    np.cumsum(start, out=start)
    items = np.empty(int(start[-1]), dtype=np.int32)
    _count_houses(*shapes, count, start[:-1].copy(), items)
    return CellGrid(count, start, items)


def tree_grid(trees: Trees, side_m: float) -> CellGrid:
    """The cells that crowns touch."""
    count = math.ceil(side_m / CELL_M)
    start = np.zeros(count * count + 1, dtype=np.int32)
    shapes = (trees.x_m, trees.y_m, trees.radius_m)
    _count_trees(*shapes, count, start, np.empty(0, dtype=np.int32))
    np.cumsum(start, out=start)
    items = np.empty(int(start[-1]), dtype=np.int32)
    _count_trees(*shapes, count, start[:-1].copy(), items)
    return CellGrid(count, start, items)


@compiled
def _count_houses(
    x_m: Singles,
    y_m: Singles,
    half_u_m: Singles,
    half_v_m: Singles,
    angle: Singles,
    count: int,
    start: Numbers,
    items: Numbers,
) -> None:
    """Count houses in ``start[cell + 1]``; with room in ``items`` fill it from ``start[cell]``."""
    for house in range(len(x_m)):
        cos, sin = abs(math.cos(angle[house])), abs(math.sin(angle[house]))
        reach_x = half_u_m[house] * cos + half_v_m[house] * sin
        reach_y = half_u_m[house] * sin + half_v_m[house] * cos
        first_column, last_column = _range(x_m[house], reach_x, count)
        first_row, last_row = _range(y_m[house], reach_y, count)
        signed_cos, signed_sin = math.cos(angle[house]), math.sin(angle[house])
        # Half the shadow of a cell on the house's own directions.
        shadow = (cos + sin) * CELL_M / 2
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                dx = (column + 0.5) * CELL_M - x_m[house]
                dy = (row + 0.5) * CELL_M - y_m[house]
                # Two boxes are apart if they are along one of the four directions of their sides.
                if abs(dx * signed_cos + dy * signed_sin) > half_u_m[house] + shadow:
                    continue
                if abs(dy * signed_cos - dx * signed_sin) > half_v_m[house] + shadow:
                    continue
                _put(row * count + column, house, start, items)


@compiled
def _count_trees(
    x_m: Singles, y_m: Singles, radius_m: Singles, count: int, start: Numbers, items: Numbers
) -> None:
    """As :func:`_count_houses`, crowns."""
    for tree in range(len(x_m)):
        first_column, last_column = _range(x_m[tree], radius_m[tree], count)
        first_row, last_row = _range(y_m[tree], radius_m[tree], count)
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                off_x = max(abs((column + 0.5) * CELL_M - x_m[tree]) - CELL_M / 2, 0.0)
                off_y = max(abs((row + 0.5) * CELL_M - y_m[tree]) - CELL_M / 2, 0.0)
                if off_x * off_x + off_y * off_y <= radius_m[tree] * radius_m[tree]:
                    _put(row * count + column, tree, start, items)


@compiled
def _put(cell: int, number: int, start: Numbers, items: Numbers) -> None:
    if len(items) == 0:
        start[cell + 1] += 1
    else:
        items[start[cell]] = number
        start[cell] += 1


@compiled
def _range(middle_m: float, reach_m: float, count: int) -> tuple[int, int]:
    first = int(math.floor((middle_m - reach_m) / CELL_M))
    last = int(math.floor((middle_m + reach_m) / CELL_M))
    return max(first, 0), min(last, count - 1)
