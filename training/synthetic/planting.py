"""Planting of a city: trees of gardens, parks and streets, rows along avenues."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gair.arrays import Bools, Bytes, Ints
from training.synthetic import style as looks
from training.synthetic.cells import Numbers
from training.synthetic.compiled import compiled
from training.synthetic.housing import near
from training.synthetic.layout import city_xy
from training.synthetic.noise import Reals, Words, hashed, uniform
from training.synthetic.plan import Plan, Singles, locate
from training.synthetic.relief import height_at
from training.synthetic.scalars import START, mix, unit
from training.synthetic.style import GRID_STEP_M, StyleGrid
from training.synthetic.world import (
    CELL_M,
    GROUND,
    LAWN,
    PIXEL_M,
    PLAZA,
    RAIL,
    ROAD,
    SIDEWALK,
    WATER,
    CellGrid,
    Houses,
    Trees,
)

TREE_STEP_M = 7.5
"""Step of the jittered grid on which trees grow."""
ROW_STEP_M = 9.0
"""Distance between the trees of a row."""
_ROWS_AT_ONCE = 64


def plant_trees(
    plan: Plan,
    style: StyleGrid,
    floor: Bytes,
    houses: Houses,
    house_cells: CellGrid,
    threads: int,
) -> Trees:
    """The trees of a city: crowns keep off houses.

    Args:
        plan: of the city.
        style: of the city.
        floor: (H, W) what covers the ground.
        houses: which trees keep off.
        house_cells: through which those are found.
        threads: strips planted at a time.
    """
    lines = int(plan.side_m / TREE_STEP_M)
    wanted = style.plane("trees")

    def scattered(first: int) -> Singles:
        out = np.empty((_ROWS_AT_ONCE * lines, 4), dtype=np.float32)
        last = min(first + _ROWS_AT_ONCE, lines)
        return out[: scatter_trees(plan, wanted, floor, first, last, lines, out)]

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(scattered, range(0, lines, _ROWS_AT_ONCE)))
    x, y, radius, number = np.concatenate([_rows(plan), *parts]).T
    shapes = (houses.x_m, houses.y_m, houses.half_u_m, houses.half_v_m, houses.angle)
    radius = np.ascontiguousarray(radius)
    word = hashed(plan.seed, 78, np.arange(len(x)))
    keep_off(
        plan,
        floor,
        np.ascontiguousarray(x),
        np.ascontiguousarray(y),
        radius,
        number > 0,
        *shapes,
        house_cells.start,
        house_cells.items,
    )
    grows = radius > 0
    return _trees(word[grows], x[grows], y[grows], radius[grows], style, plan.relief_m)


@compiled
def scatter_trees(
    plan: Plan, wanted: Reals, floor: Bytes, first: int, last: int, lines: int, out: Singles
) -> int:
    """Trees of some rows of the jittered grid into ``out``, (n, 4) x, y, radius, 0; how many."""
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
                chance = 0.12 + 0.65 * share
            elif cover == GROUND:
                chance = 0.05 + 0.75 * share
            elif cover == SIDEWALK:
                chance = 0.5 * share
            elif cover == PLAZA:
                chance = 0.2 * share
            if unit(word, 4) < chance:
                out[number, 0], out[number, 1] = x_m, y_m
                out[number, 2] = 1.6 + 1.7 * unit(word, 3)
                out[number, 3] = 0
                number += 1
    return number


def _rows(plan: Plan) -> Singles:
    """Candidates along avenues and in their medians, (n, 4) x, y, radius, 1."""
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
            parts.append(np.stack([x, y, radius, np.ones(len(x))], axis=1)[own])
    return np.concatenate(parts).astype(np.float32)


@compiled
def in_district(plan: Plan, district: Ints, x_m: Singles, y_m: Singles, own: Bools) -> None:
    """Which points lie in the district they were meant for."""
    for point in range(len(x_m)):
        own[point] = locate(plan, x_m[point], y_m[point]).district == district[point]


@compiled
def keep_off(
    plan: Plan,
    floor: Bytes,
    x_m: Singles,
    y_m: Singles,
    radius_m: Singles,
    in_row: Bools,
    house_x_m: Singles,
    house_y_m: Singles,
    half_u_m: Singles,
    half_v_m: Singles,
    angle: Singles,
    start: Numbers,
    items: Numbers,
) -> None:
    """Shrink crowns until they touch no house and hang little over carriageways; 0: no tree."""
    cells = int(math.ceil(plan.side_m / CELL_M))
    for tree in range(len(x_m)):
        x, y = x_m[tree], y_m[tree]
        cover = floor[int(y / PIXEL_M), int(x / PIXEL_M)]
        spot = locate(plan, x, y)
        room_m = min(radius_m[tree], 1.2 - spot.kerb_m)
        if cover == ROAD or cover == WATER or cover == RAIL or spot.kerb_m > -0.6:
            room_m = 0.0
        if in_row[tree] and cover != SIDEWALK and cover != LAWN:
            room_m = 0.0
        row, column = int(y / CELL_M), int(x / CELL_M)
        for cell_row in range(max(row - 1, 0), min(row + 2, cells)):
            for cell_column in range(max(column - 1, 0), min(column + 2, cells)):
                cell = cell_row * cells + cell_column
                for place in range(start[cell], start[cell + 1]):
                    house = items[place]
                    cos, sin = math.cos(angle[house]), math.sin(angle[house])
                    dx, dy = x - house_x_m[house], y - house_y_m[house]
                    off_u = max(abs(dx * cos + dy * sin) - half_u_m[house], 0.0)
                    off_v = max(abs(dy * cos - dx * sin) - half_v_m[house], 0.0)
                    room_m = min(room_m, math.sqrt(off_u * off_u + off_v * off_v) - 0.05)
        radius_m[tree] = room_m if room_m >= 0.9 else 0.0


def _trees(
    word: Words, x_m: Singles, y_m: Singles, radius_m: Singles, style: StyleGrid, relief_m: Reals
) -> Trees:
    """Heights, kinds and colours of crowns at given places."""
    conifer = uniform(word, 10) < 0.9 * style.at("conifers", x_m, y_m) ** 1.5
    kind = near(style.at("foliage", x_m, y_m), word, 5)
    shade = (0.85 + 0.3 * uniform(word, 7))[:, None]
    crown = np.where(conifer[:, None], looks.needle_rgb(kind), looks.foliage_rgb(kind)) * shade
    height_m = 4 + 8 * (0.5 * uniform(word, 6) + 0.5 * style.at("trees", x_m, y_m))
    height_m = np.where(conifer, height_m * 1.35, height_m)
    # What has little room stays low.
    height_m = height_m * np.clip(0.4 + 0.3 * radius_m, 0, 1)
    return Trees(
        x_m=np.ascontiguousarray(x_m),
        y_m=np.ascontiguousarray(y_m),
        base_m=np.asarray(height_at(relief_m, x_m, y_m), dtype=np.float32),
        radius_m=np.ascontiguousarray(radius_m),
        height_m=height_m.astype(np.float32),
        conifer=conifer.astype(np.uint8),
        crown_rgb=looks.as_bytes(crown),
        word=word,
    )
