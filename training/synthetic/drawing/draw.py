"""Draw a city: its rasters from its plan, and its tables onto them."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gair.arrays import Bytes
from training.synthetic.compiled import compiled
from training.synthetic.drawing.cells import house_grid, tree_grid
from training.synthetic.drawing.floor import draw_floor, draw_palette
from training.synthetic.drawing.footprints import draw_footprints
from training.synthetic.drawing.housing import build_houses
from training.synthetic.drawing.layout import draw_layout
from training.synthetic.drawing.lots import Lots
from training.synthetic.drawing.plan import Plan, Singles
from training.synthetic.drawing.planting import plant_trees
from training.synthetic.noise import hashed
from training.synthetic.scalars import START, mix, unit
from training.synthetic.style import Style, StyleGrid
from training.synthetic.world import (
    BUILDING,
    FLAT,
    HEIGHT_STEP_M,
    HIPPED,
    PIXEL_M,
    TREE,
    Houses,
    Trees,
    World,
)

STRIP_ROWS = 128
"""Rows of the floor drawn at once; a city's side is a whole number of strips."""


def draw_world(seed: int, side_m: float, *, threads: int = 2) -> World:
    """Draw a city.

    Args:
        seed: the same seed and side give the same city.
        side_m: length of its side, rounded up to whole strips of the raster.
        threads: strips drawn at a time.
    """
    strips = math.ceil(side_m / (STRIP_ROWS * PIXEL_M))
    count = strips * STRIP_ROWS
    side_m = count * PIXEL_M
    plan, _, grid = _draw_plan(seed, side_m)
    floor = np.empty((count, count), np.uint8)
    floor_rgb = np.empty((count, count, 3), np.uint8)
    kerb, axis = np.empty((count, count), np.int8), np.empty((count, count), np.uint8)
    palette = draw_palette(grid)
    parking, gardens = grid.plane("parking"), grid.plane("gardens")

    def draw_strip(first: int) -> None:
        rows = slice(first, first + STRIP_ROWS)
        draw_floor(
            plan,
            parking,
            gardens,
            palette,
            first,
            floor[rows],
            floor_rgb[rows],
            kerb[rows],
            axis[rows],
        )

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(draw_strip, range(0, count, STRIP_ROWS)))
    lots = Lots(plan, grid)
    houses = build_houses(plan, grid, lots, draw_footprints(plan, grid, lots))
    house_cells = house_grid(houses, side_m)
    trees = plant_trees(plan, grid, floor, lots, houses, house_cells, threads)
    surface, top, height = floor.copy(), floor_rgb.copy(), np.zeros_like(floor)
    _raster_houses(houses, surface, height, top)
    _raster_trees(seed, trees, surface, height, top)
    return World(
        seed=seed,
        surface=surface,
        height=height,
        top=top,
        floor=floor,
        floor_rgb=floor_rgb,
        kerb=kerb,
        axis=axis,
        relief_m=plan.relief_m,
        houses=houses,
        trees=trees,
        house_cells=house_cells,
        tree_cells=tree_grid(trees, side_m),
    )


def draw_plan(seed: int, side_m: float) -> tuple[Plan, Style]:
    """Where streets are and how neighbourhoods look, which a city is drawn from.

    Args:
        seed: of the city.
        side_m: of its world, :attr:`World.side_m`.
    """
    plan, style, _ = _draw_plan(seed, side_m)
    return plan, style


def _draw_plan(seed: int, side_m: float) -> tuple[Plan, Style, StyleGrid]:
    style = Style.draw(np.random.default_rng([seed, 8]), seed, side_m)
    grid = style.grid()
    return draw_layout(np.random.default_rng([seed, 7]), seed, side_m, grid), style, grid


def _raster_houses(houses: Houses, surface: Bytes, height: Bytes, top: Bytes) -> None:
    cover_houses(
        houses.x_m,
        houses.y_m,
        houses.half_u_m,
        houses.half_v_m,
        houses.angle,
        houses.eaves_m,
        houses.rise_m,
        houses.roof,
        houses.roof_rgb,
        surface,
        height,
        top,
    )


def _raster_trees(seed: int, trees: Trees, surface: Bytes, height: Bytes, top: Bytes) -> None:
    cover_trees(
        int(hashed(seed, 1003)),
        trees.x_m,
        trees.y_m,
        trees.radius_m,
        trees.height_m,
        trees.conifer,
        trees.crown_rgb,
        surface,
        height,
        top,
    )


@compiled
def cover_houses(
    x_m: Singles,
    y_m: Singles,
    half_u_m: Singles,
    half_v_m: Singles,
    angle: Singles,
    eaves_m: Singles,
    rise_m: Singles,
    roof: Bytes,
    roof_rgb: Bytes,
    surface: Bytes,
    height: Bytes,
    top: Bytes,
) -> None:
    """Put houses onto the rasters: pixels whose middle lies in a rectangle."""
    count = surface.shape[0]
    for house in range(len(x_m)):
        cos, sin = math.cos(angle[house]), math.sin(angle[house])
        reach_x = half_u_m[house] * abs(cos) + half_v_m[house] * abs(sin)
        reach_y = half_u_m[house] * abs(sin) + half_v_m[house] * abs(cos)
        first_row, last_row = _pixels(y_m[house], reach_y, count)
        first_column, last_column = _pixels(x_m[house], reach_x, count)
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                dx = (column + 0.5) * PIXEL_M - x_m[house]
                dy = (row + 0.5) * PIXEL_M - y_m[house]
                off_u = half_u_m[house] - abs(dx * cos + dy * sin)
                off_v = half_v_m[house] - abs(dy * cos - dx * sin)
                if off_u < 0 or off_v < 0:
                    continue
                up_m = eaves_m[house]
                if roof[house] != FLAT:
                    inward = off_v if roof[house] != HIPPED else min(off_u, off_v)
                    up_m += rise_m[house] * inward / half_v_m[house]
                surface[row, column] = BUILDING
                height[row, column] = int(min(max(up_m / HEIGHT_STEP_M + 0.5, 8.0), 255.0))
                for channel in range(3):
                    top[row, column, channel] = roof_rgb[house, channel]


@compiled
def cover_trees(
    word: int,
    x_m: Singles,
    y_m: Singles,
    radius_m: Singles,
    height_m: Singles,
    conifer: Bytes,
    crown_rgb: Bytes,
    surface: Bytes,
    height: Bytes,
    top: Bytes,
) -> None:
    """Put crowns onto the rasters: pixels whose middle lies in one, the highest where several."""
    count = surface.shape[0]
    for tree in range(len(x_m)):
        first_row, last_row = _pixels(y_m[tree], radius_m[tree], count)
        first_column, last_column = _pixels(x_m[tree], radius_m[tree], count)
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                dx = (column + 0.5) * PIXEL_M - x_m[tree]
                dy = (row + 0.5) * PIXEL_M - y_m[tree]
                far2 = (dx * dx + dy * dy) / (radius_m[tree] * radius_m[tree])
                if far2 > 1 or surface[row, column] == BUILDING:
                    continue
                sink = 0.65 * math.sqrt(far2) if conifer[tree] else 0.3 * far2
                up = int(max(height_m[tree] * (1 - sink) / HEIGHT_STEP_M + 0.5, 2.0))
                if surface[row, column] == TREE and height[row, column] >= up:
                    continue
                surface[row, column] = TREE
                height[row, column] = min(up, 255)
                shade = 0.85 + 0.3 * unit(mix(mix(mix(START, word), row), column), 0)
                for channel in range(3):
                    top[row, column, channel] = int(
                        min(crown_rgb[tree, channel] * shade + 0.5, 255.0)
                    )


@compiled
def _pixels(middle_m: float, reach_m: float, count: int) -> tuple[int, int]:
    first = int(math.floor((middle_m - reach_m) / PIXEL_M))
    last = int(math.floor((middle_m + reach_m) / PIXEL_M))
    return max(first, 0), min(last, count - 1)
