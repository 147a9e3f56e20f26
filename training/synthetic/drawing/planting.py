"""Planting of a city: trees on their sites, as large as houses and streets leave room."""

from __future__ import annotations

import math

import numpy as np

from gair.arrays import Bools, Bytes
from training.synthetic import style as looks
from training.synthetic.compiled import compiled
from training.synthetic.drawing.cells import Numbers
from training.synthetic.drawing.housing import near
from training.synthetic.drawing.lots import Lots
from training.synthetic.drawing.plan import Plan, Singles, locate
from training.synthetic.drawing.relief import height_at
from training.synthetic.drawing.sites import HEDGE, ROW, hedge_sites, row_sites, single_sites
from training.synthetic.noise import Reals, Words, hashed, uniform
from training.synthetic.style import StyleGrid
from training.synthetic.world import (
    CELL_M,
    LAWN,
    PIXEL_M,
    RAIL,
    ROAD,
    SIDEWALK,
    WATER,
    CellGrid,
    Houses,
    Trees,
)


def plant_trees(
    plan: Plan,
    style: StyleGrid,
    floor: Bytes,
    lots: Lots,
    houses: Houses,
    house_cells: CellGrid,
    threads: int,
) -> Trees:
    """The trees of a city: crowns keep off houses.

    Args:
        plan: of the city.
        style: of the city.
        floor: (H, W) what covers the ground.
        lots: some have hedges.
        houses: which trees keep off.
        house_cells: through which those are found.
        threads: strips planted at a time.
    """
    sites = [row_sites(plan), hedge_sites(style, lots, plan)]
    sites.append(single_sites(plan, style, floor, threads))
    x, y, radius, kind = np.ascontiguousarray(np.concatenate(sites).T)
    shapes = (houses.x_m, houses.y_m, houses.half_u_m, houses.half_v_m, houses.angle)
    keep_off(plan, floor, x, y, radius, kind, *shapes, house_cells.start, house_cells.items)
    word = hashed(plan.seed, 78, np.arange(len(x)))
    grows = radius > 0
    return _trees(
        word[grows], x[grows], y[grows], radius[grows], kind[grows] == HEDGE, style, plan.relief_m
    )


@compiled
def keep_off(
    plan: Plan,
    floor: Bytes,
    x_m: Singles,
    y_m: Singles,
    radius_m: Singles,
    kind: Singles,
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
        room_m = min(radius_m[tree], 2.4 - spot.kerb_m)
        if cover == ROAD or cover == WATER or cover == RAIL or spot.kerb_m > -0.6:
            room_m = 0.0
        if kind[tree] == ROW and cover != SIDEWALK and cover != LAWN:
            room_m = 0.0
        if kind[tree] == HEDGE and cover != LAWN:
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
    word: Words,
    x_m: Singles,
    y_m: Singles,
    radius_m: Singles,
    hedge: Bools,
    style: StyleGrid,
    relief_m: Reals,
) -> Trees:
    """Heights, kinds and colours of crowns at given places."""
    conifer = ~hedge & (uniform(word, 10) < 0.6 * style.at("conifers", x_m, y_m) ** 1.5)
    kind = near(style.at("foliage", x_m, y_m), word, 5)
    shade = (0.85 + 0.3 * uniform(word, 7))[:, None]
    crown = np.where(conifer[:, None], looks.needle_rgb(kind), looks.foliage_rgb(kind)) * shade
    height_m = 4 + 8 * (0.5 * uniform(word, 6) + 0.5 * style.at("trees", x_m, y_m))
    height_m = np.where(conifer, height_m * 1.35, height_m)
    # What has little room stays low.
    height_m = height_m * np.clip(0.4 + 0.3 * radius_m, 0, 1)
    height_m = np.where(hedge, 1.3 + 0.8 * uniform(word, 8), height_m)
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
