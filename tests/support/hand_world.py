"""Worlds made by hand: a surface, and what is wanted on it."""

from __future__ import annotations

import numpy as np

from gair.arrays import Bytes, Ints
from training.synthetic.noise import Reals
from training.synthetic.world import (
    BUILDING,
    CELL_M,
    GROUND,
    PIXEL_M,
    RELIEF_STEP_M,
    TREE,
    CellGrid,
    Houses,
    Trees,
    World,
)


def hand_world(
    surface: Bytes,
    *,
    height: Bytes | None = None,
    top: Bytes | None = None,
    floor: Bytes | None = None,
    floor_rgb: Bytes | None = None,
    relief_m: Reals | None = None,
    trees: Trees | None = None,
    axis: Bytes | None = None,
    seed: int = 0,
) -> World:
    """A world without houses: what is not given is flat, black, and ground.

    Args:
        surface: (H, W), H = W.
        height: (H, W).
        top: (H, W, 3).
        floor: (H, W); where none is given, the surface, and GROUND under roofs and crowns.
        floor_rgb: (H, W, 3).
        relief_m: (h, w) at steps of RELIEF_STEP_M.
        trees: found through a grid of their own.
        axis: (H, W).
        seed: of textures.
    """
    shape = surface.shape
    surface = surface.astype(np.uint8)
    if floor is None:
        floor = np.where(np.isin(surface, (BUILDING, TREE)), GROUND, surface).astype(np.uint8)
    points = int(np.ceil(shape[0] * PIXEL_M / RELIEF_STEP_M)) + 1
    cells = int(np.ceil(shape[0] * PIXEL_M / CELL_M))
    trees = no_trees() if trees is None else trees
    empty = CellGrid(cells, np.zeros(cells * cells + 1, np.int32), np.zeros(0, np.int32))
    return World(
        seed=seed,
        surface=surface,
        height=_plane(height, shape),
        top=_plane(top, (*shape, 3)),
        floor=floor,
        floor_rgb=_plane(floor_rgb, (*shape, 3)),
        kerb=np.full(shape, -100, np.int8),
        axis=_plane(axis, shape),
        relief_m=np.zeros((points, points), np.float32) if relief_m is None else relief_m,
        houses=_no_houses(),
        trees=trees,
        house_cells=empty,
        tree_cells=_grid(trees, cells),
    )


def some_trees(
    rng: np.random.Generator, count: int, side_m: float, *, conifer: Bytes | None = None
) -> Trees:
    """Trees at random places of level ground."""
    return Trees(
        x_m=rng.uniform(0, side_m, count).astype(np.float32),
        y_m=rng.uniform(0, side_m, count).astype(np.float32),
        base_m=np.zeros(count, np.float32),
        radius_m=rng.uniform(2, 4, count).astype(np.float32),
        height_m=rng.uniform(5, 12, count).astype(np.float32),
        conifer=(rng.random(count) < 0.5).astype(np.uint8) if conifer is None else conifer,
        crown_rgb=rng.integers(20, 120, (count, 3)).astype(np.uint8),
        word=rng.integers(0, 2**32, count, dtype=np.uint32),
    )


def no_trees() -> Trees:
    """A table of length 0."""
    return some_trees(np.random.default_rng(0), 0, 1.0)


def crowns(trees: Trees, side_px: int) -> Ints:
    """(H, W): 0 where no crown covers a pixel's centre, else 1 + the number of the nearest one."""
    at = (np.arange(side_px) + 0.5) * PIXEL_M
    cover = np.zeros((side_px, side_px), np.int64)
    least = np.ones((side_px, side_px))
    for number in range(len(trees.x_m)):
        far = (
            np.hypot(at[None, :] - trees.x_m[number], at[:, None] - trees.y_m[number])
            / trees.radius_m[number]
        )
        cover = np.where(far < least, number + 1, cover)
        least = np.minimum(far, least)
    return cover


def _plane(values: Bytes | None, shape: tuple[int, ...]) -> Bytes:
    return np.zeros(shape, np.uint8) if values is None else values.astype(np.uint8)


def _grid(trees: Trees, side: int) -> CellGrid:
    """Each tree in all cells that the square about its crown touches."""
    cells: list[list[int]] = [[] for _ in range(side * side)]
    for number in range(len(trees.x_m)):
        radius = trees.radius_m[number]
        first_x, last_x = _span(trees.x_m[number], radius, side)
        first_y, last_y = _span(trees.y_m[number], radius, side)
        for row in range(first_y, last_y + 1):
            for column in range(first_x, last_x + 1):
                cells[row * side + column].append(number)
    start = np.cumsum([0, *map(len, cells)]).astype(np.int32)
    return CellGrid(side, start, np.array([n for cell in cells for n in cell], dtype=np.int32))


def _span(middle_m: float, radius_m: float, side: int) -> tuple[int, int]:
    first, last = (int(np.floor((middle_m + way * radius_m) / CELL_M)) for way in (-1, 1))
    return min(max(first, 0), side - 1), min(max(last, 0), side - 1)


def _no_houses() -> Houses:
    real, byte = np.zeros(0, np.float32), np.zeros(0, np.uint8)
    rgb = np.zeros((0, 3), np.uint8)
    return Houses(*(real,) * 8, byte, byte, real, real, real, rgb, rgb, rgb, np.zeros(0, np.uint32))
