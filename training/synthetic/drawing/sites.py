"""Sites of trees: places where one may grow, scattered, in rows along streets, in hedges.

A site is a row of four numbers: x, y, the radius that the crown would have, and its kind.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gair.arrays import Bools, Bytes, Ints
from training.synthetic.compiled import compiled
from training.synthetic.drawing.layout import city_xy
from training.synthetic.drawing.lots import Lots
from training.synthetic.drawing.plan import Plan, Singles, locate
from training.synthetic.noise import Reals, hashed, uniform
from training.synthetic.scalars import START, mix, unit
from training.synthetic.style import GRID_STEP_M, StyleGrid
from training.synthetic.world import GROUND, LAWN, PIXEL_M, PLAZA, SIDEWALK

SINGLE, ROW, HEDGE = range(3)
"""Kinds of sites."""
TREE_STEP_M = 7.5
"""Step of the jittered grid on which single trees grow."""
ROW_STEP_M = 9.0
"""Distance between the trees of a row."""
HEDGE_STEP_M = 2.4
"""Distance between the bushes of a hedge."""

_ROWS_AT_ONCE = 64


def single_sites(plan: Plan, style: StyleGrid, floor: Bytes, threads: int) -> Singles:
    """Sites of single trees, (n, 4): more where the style wants them, none on streets and water."""
    lines = int(plan.side_m / TREE_STEP_M)
    wanted = style.plane("trees")

    def scattered(first: int) -> Singles:
        out = np.empty((_ROWS_AT_ONCE * lines, 4), dtype=np.float32)
        last = min(first + _ROWS_AT_ONCE, lines)
        return out[: scatter_trees(plan, wanted, floor, first, last, lines, out)]

    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(scattered, range(0, lines, _ROWS_AT_ONCE))))


@compiled
def scatter_trees(
    plan: Plan, wanted: Reals, floor: Bytes, first: int, last: int, lines: int, out: Singles
) -> int:
    """Sites on some rows of the jittered grid into ``out``, (n, 4); how many."""
    number = 0
    for row in range(first, last):
        for column in range(lines):
            word = mix(mix(mix(mix(START, plan.seed), 77), column), row)
            x_m = (column + 0.5 + 0.5 * (unit(word, 1) - 0.5)) * TREE_STEP_M
            y_m = (row + 0.5 + 0.5 * (unit(word, 2) - 0.5)) * TREE_STEP_M
            cover = floor[int(y_m / PIXEL_M), int(x_m / PIXEL_M)]
            grid_row = min(int(y_m / GRID_STEP_M), wanted.shape[0] - 1)
            grid_column = min(int(x_m / GRID_STEP_M), wanted.shape[1] - 1)
            share = wanted[grid_row, grid_column] ** 1.5
            chance = 0.0
            if cover == LAWN:
                chance = 0.06 + 0.80 * share
            elif cover == GROUND:
                chance = 0.03 + 0.85 * share
            elif cover == SIDEWALK:
                chance = 0.85 * share
            elif cover == PLAZA:
                chance = 0.2 * share
            if unit(word, 4) < chance:
                out[number, 0], out[number, 1] = x_m, y_m
                out[number, 2] = 1.6 + 1.7 * unit(word, 3)
                out[number, 3] = SINGLE
                number += 1
    return number


def row_sites(plan: Plan) -> Singles:
    """Sites along both sides of streets with rows of trees, and in medians, (n, 4)."""
    parts = []
    for way in range(2):
        district, line, segment = np.nonzero(plan.rows[way, :, :-1, :-1])
        half = plan.half_m[way, district, line, segment]
        low = plan.line_m[1 - way, district, segment] + 4
        many = np.maximum(
            ((plan.line_m[1 - way, district, segment + 1] - 4 - low) / ROW_STEP_M), 0
        ).astype(np.int64)
        near_seed = np.abs(plan.line_m[way, district, line]) < 1700
        near_seed &= np.abs(low) < 1700
        many = np.where(near_seed, many, 0)
        owner = np.repeat(np.arange(len(many)), many)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(many) - many, many)
        along = low[owner] + (within + 0.5) * np.float32(ROW_STEP_M)
        for off in (-1, 0, 1):
            median = plan.median_m[way, district, line, segment]
            chosen = np.ones(len(owner), dtype=bool) if off else (median > 0)[owner]
            across = (plan.line_m[way, district, line] + off * (half + 1.4))[owner][chosen]
            pair = (across, along[chosen]) if way == 0 else (along[chosen], across)
            x, y = city_xy(plan, district[owner][chosen], *pair)
            inside = (np.minimum(x, y) > 0) & (np.maximum(x, y) < plan.side_m)
            x, y, meant = x[inside], y[inside], district[owner][chosen][inside]
            own = np.zeros(len(x), dtype=bool)
            in_district(plan, meant, x, y, own)
            radius = 1.9 + 1.2 * uniform(hashed(plan.seed, 79 + off, way, np.arange(len(x))))
            parts.append(np.stack([x, y, radius, np.full(len(x), ROW)], axis=1)[own])
    return np.concatenate(parts).astype(np.float32)


@compiled
def in_district(plan: Plan, district: Ints, x_m: Singles, y_m: Singles, own: Bools) -> None:
    """Which points lie in the district they were meant for."""
    for point in range(len(x_m)):
        own[point] = locate(plan, x_m[point], y_m[point]).district == district[point]


def hedge_sites(style: StyleGrid, lots: Lots, plan: Plan) -> Singles:
    """Sites of bushes along the streets of gardens, (n, 4)."""
    gardens = style.at("gardens", lots.x_m, lots.y_m)
    hedged = (lots.use == LAWN) & (uniform(lots.word, 26) < 0.6 * gardens**2)
    lot, side = np.nonzero(lots.outer & hedged[:, None])
    length_m = np.where(side < 2, lots.length_v_m[lot], lots.length_u_m[lot])
    many = np.maximum((length_m - 1) / HEDGE_STEP_M, 0).astype(np.int64)
    owner = np.repeat(np.arange(len(lot)), many)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(many) - many, many)
    along = (place + 0.5) * HEDGE_STEP_M - many[owner] * HEDGE_STEP_M / 2
    lot, side = lot[owner], side[owner]
    sign = np.where(side % 2 == 0, -1, 1)
    across = sign * (np.where(side < 2, lots.length_u_m[lot], lots.length_v_m[lot]) / 2 - 0.9)
    u_m, v_m = np.where(side < 2, across, along), np.where(side < 2, along, across)
    cos, sin = plan.cos[lots.district[lot]], plan.sin[lots.district[lot]]
    x = lots.x_m[lot] + u_m * cos - v_m * sin
    y = lots.y_m[lot] + u_m * sin + v_m * cos
    radius = 0.95 + 0.3 * uniform(hashed(lots.word[lot], side, place))
    # A gate in the middle.
    grows = (np.abs(along) > 1.6) & (np.minimum(x, y) > 0) & (np.maximum(x, y) < plan.side_m)
    sites = np.stack([x, y, radius, np.full(len(x), HEDGE)], axis=1)[grows]
    return np.asarray(sites, dtype=np.float32)
