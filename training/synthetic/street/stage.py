"""Stage of a photo: a world packed for compiled loops, one row of a table for a house or tree."""

from __future__ import annotations

import weakref
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes, Floats32
from training.synthetic.noise import Reals, Words, hashed
from training.synthetic.street.grain import GRAIN, SIZE
from training.synthetic.world import CellGrid, World

Counts = npt.NDArray[np.int32]

X, Y, COS, SIN, HALF_U, HALF_V, BASE, EAVES, RISE, ROOF, FACADE, STOREY, BAY, GLASS = range(14)
"""Columns of a house; COS and SIN are of its direction u."""
TREE_X, TREE_Y, TREE_BASE, RADIUS, TALL, CONIFER = range(6)
"""Columns of a tree."""
WALL_RGB, ROOF_RGB, TRIM_RGB = 0, 3, 6
"""First columns of a house's colours."""


class Casters(NamedTuple):
    """What casts shadows."""

    houses: Floats32
    """(N, 16)"""
    house_start: Counts
    house_items: Counts
    trees: Floats32
    """(M, 8)"""
    tree_start: Counts
    tree_items: Counts
    cells: int
    """Along one side, of both grids."""
    roof_tops: Floats32
    """(cells * cells,) height of the highest roof in each, above the zero of the relief."""
    tops: Floats32
    """The same of roofs and crowns."""
    roofs_m: float
    """Nothing built is higher."""


class Stage(NamedTuple):
    """What the loops read of a world."""

    casters: Casters

    floor: Bytes
    floor_rgb: Bytes
    kerb: npt.NDArray[np.int8]
    axis: Bytes
    relief: Floats32
    house_rgb: Bytes
    """(N, 9) walls, roof, trim."""
    house_words: Words
    tree_rgb: Bytes
    tree_words: Words
    hills_m: float
    """The terrain's highest point."""
    grain: Floats32
    turns: Floats32
    """(256, 2) cosine and sine of each step of :attr:`axis`."""


def _turns() -> Floats32:
    angle = np.arange(256) * (np.pi / 256)
    return np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)


_TURNS = _turns()
_NOTHING_M = -1e4
_stages: dict[int, tuple[weakref.ref[World], Stage]] = {}


def stage_of(world: World) -> Stage:
    """A world's stage, made once for a world: later changes of the world's tables are not seen."""
    key = id(world)
    kept = _stages.get(key)
    if kept is not None and kept[0]() is world:
        return kept[1]
    stage = _pack(world)
    _stages[key] = (weakref.ref(world, lambda _: _stages.pop(key, None)), stage)
    return stage


def _grain(seed: int) -> Floats32:
    """The table of noise, shifted: a texture at a coordinate tells nothing of another city's."""
    word = int(hashed(seed, 909))
    return np.ascontiguousarray(np.roll(GRAIN, (word % SIZE, word // SIZE % SIZE), (0, 1)))


def _pack(world: World) -> Stage:
    h, t = world.houses, world.trees
    houses = np.zeros((len(h), 16), np.float32)
    columns: list[Reals | Bytes] = [h.x_m, h.y_m, np.cos(h.angle), np.sin(h.angle)]
    columns += [h.half_u_m, h.half_v_m, h.base_m, h.eaves_m, h.rise_m, h.roof, h.facade]
    columns += [h.storey_m, h.bay_m, h.glass]
    trees = np.zeros((len(t), 8), np.float32)
    for number, column in enumerate(columns):
        houses[:, number] = column
    for number, values in enumerate((t.x_m, t.y_m, t.base_m, t.radius_m, t.height_m, t.conifer)):
        trees[:, number] = values
    house_cells, tree_cells = world.house_cells, world.tree_cells
    roof_tops = _highest(house_cells, h.base_m + h.eaves_m + h.rise_m)
    crowns = _highest(tree_cells, t.base_m + t.height_m)
    casters = Casters(
        houses=houses,
        house_start=np.ascontiguousarray(house_cells.start, dtype=np.int32),
        house_items=np.ascontiguousarray(house_cells.items, dtype=np.int32),
        trees=trees,
        tree_start=np.ascontiguousarray(tree_cells.start, dtype=np.int32),
        tree_items=np.ascontiguousarray(tree_cells.items, dtype=np.int32),
        cells=int(house_cells.side),
        roof_tops=roof_tops,
        tops=np.maximum(roof_tops, crowns),
        roofs_m=float(np.max(roof_tops, initial=_NOTHING_M)),
    )
    return Stage(
        casters=casters,
        floor=world.floor,
        floor_rgb=world.floor_rgb,
        kerb=world.kerb,
        axis=world.axis,
        relief=np.ascontiguousarray(world.relief_m, dtype=np.float32),
        house_rgb=np.ascontiguousarray(np.concatenate([h.wall_rgb, h.roof_rgb, h.trim_rgb], 1)),
        house_words=np.ascontiguousarray(h.word, dtype=np.uint32),
        tree_rgb=np.ascontiguousarray(t.crown_rgb),
        tree_words=np.ascontiguousarray(t.word, dtype=np.uint32),
        hills_m=float(world.relief_m.max()),
        grain=_grain(world.seed),
        turns=_TURNS,
    )


def _highest(grid: CellGrid, tops_m: Reals) -> Floats32:
    """The highest of the things that touch each cell."""
    highest = np.full(grid.side**2, _NOTHING_M, np.float32)
    cells = np.repeat(np.arange(grid.side**2), np.diff(grid.start))
    np.maximum.at(highest, cells, np.asarray(tops_m, np.float32)[grid.items])
    return highest
