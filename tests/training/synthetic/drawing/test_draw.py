"""A synthetic city: deterministic, varied, its rasters and grids true to its tables."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from gair.arrays import Bools, Ints
from training.synthetic.drawing import draw_world
from training.synthetic.drawing.relief import SLOPE_LIMIT, height_at
from training.synthetic.noise import Reals
from training.synthetic.world import (
    BUILDING,
    CELL_M,
    GROUND,
    HEIGHT_STEP_M,
    KERB_STEP_M,
    LAWN,
    PARKING,
    PIXEL_M,
    PLAZA,
    RAIL,
    RELIEF_STEP_M,
    ROAD,
    SIDEWALK,
    TREE,
    WATER,
    CellGrid,
    Houses,
    Trees,
    World,
)


@pytest.fixture(scope="module")
def world() -> World:
    return draw_world(5, 1600.0)


def test_a_city_follows_from_its_seed_alone(world: World) -> None:
    again = draw_world(5, 1600.0, threads=1)
    other = draw_world(6, 1600.0)
    for field in dataclasses.fields(World):
        ours, theirs = getattr(world, field.name), getattr(again, field.name)
        if isinstance(ours, Houses | Trees | CellGrid):
            for column in dataclasses.fields(ours):
                same = np.array_equal(getattr(ours, column.name), getattr(theirs, column.name))
                assert same, (field.name, column.name)
        else:
            assert np.array_equal(ours, theirs), field.name
    assert (world.surface != other.surface).mean() > 0.3


def test_a_city_has_everything_and_nothing_tall_on_its_roads(world: World) -> None:
    share = np.bincount(world.surface.ravel(), minlength=10) / world.surface.size
    for kind in (GROUND, ROAD, SIDEWALK, WATER, BUILDING, TREE, LAWN, RAIL, PARKING, PLAZA):
        assert share[kind] > 0.002, kind
    assert 0.1 < share[BUILDING] < 0.6
    tall = np.isin(world.surface, (BUILDING, TREE))
    assert not world.height[~tall].any()
    assert (world.height[world.surface == BUILDING] >= 8).all()
    assert (world.height[world.surface == TREE] > 0).all()
    assert not np.isin(world.floor, (BUILDING, TREE)).any()
    assert np.array_equal(world.surface[~tall], world.floor[~tall])
    assert np.array_equal(world.top[~tall], world.floor_rgb[~tall])


def test_houses_and_crowns_cover_the_pixels_whose_middles_they_hold(world: World) -> None:
    houses, trees = world.houses, world.trees
    rows, columns = slice(200, 300), slice(260, 360)
    at = (np.arange(world.surface.shape[0]) + 0.5) * PIXEL_M
    x, y = at[columns][None, :], at[rows][:, None]
    built, crowned = np.zeros((2, 100, 100), dtype=bool)
    for number in range(len(houses)):
        if abs(houses.x_m[number] - x.mean()) > 300 or abs(houses.y_m[number] - y.mean()) > 300:
            continue
        inside = _in_house(houses, number, x, y)
        up_m = world.height[rows, columns][inside] * HEIGHT_STEP_M
        assert (world.top[rows, columns][inside] == houses.roof_rgb[number]).all()
        assert (up_m >= houses.eaves_m[number] - 0.2).all()
        assert (up_m <= houses.eaves_m[number] + houses.rise_m[number] + 0.2).all()
        built |= inside
    for x_m, y_m, radius_m in zip(trees.x_m, trees.y_m, trees.radius_m, strict=True):
        crowned |= (x - x_m) ** 2 + (y - y_m) ** 2 <= radius_m**2
    assert built.mean() > 0.05
    assert crowned.mean() > 0.02
    assert np.array_equal(built, world.surface[rows, columns] == BUILDING)
    assert np.array_equal(crowned & ~built, world.surface[rows, columns] == TREE)
    assert not (crowned & built).any()


def test_houses_do_not_overlap_and_stand_off_streets_and_water(world: World) -> None:
    houses = world.houses
    count = np.zeros(world.floor.shape, dtype=np.int64)
    at = ((np.arange(world.floor.shape[0]) + 0.5) * PIXEL_M)[None, :]
    for number in range(len(houses)):
        reach = houses.half_u_m[number] + houses.half_v_m[number]
        columns = np.abs(at[0] - houses.x_m[number]) < reach
        rows = np.abs(at[0] - houses.y_m[number]) < reach
        inside = _in_house(houses, number, at[:, columns], at[:, rows].T)
        count[np.ix_(rows, columns)] += inside
    assert count.max() == 1
    under = np.bincount(world.floor[count > 0], minlength=10)
    assert under[[ROAD, WATER, RAIL]].sum() < 2e-3 * under.sum()


def test_cells_hold_all_that_touches_them(world: World) -> None:
    rng = np.random.default_rng(0)
    houses, trees = world.houses, world.trees
    fine = (np.arange(21) / 20 * CELL_M).astype(np.float64)
    several = 0
    for row, column in rng.integers(2, world.house_cells.side - 2, (150, 2)):
        x, y = column * CELL_M + fine[None, :], row * CELL_M + fine[:, None]
        listed = set(_items(world.house_cells, row, column).tolist())
        reach = houses.half_u_m + houses.half_v_m + CELL_M
        near = np.abs(houses.x_m - x.mean()) < reach
        near &= np.abs(houses.y_m - y.mean()) < reach
        touching = {int(n) for n in np.nonzero(near)[0] if _in_house(houses, n, x, y).any()}
        assert touching <= listed
        several += len(touching)
        off_x = np.maximum(np.abs(trees.x_m - x.mean()) - CELL_M / 2, 0)
        off_y = np.maximum(np.abs(trees.y_m - y.mean()) - CELL_M / 2, 0)
        touching = set(np.nonzero(np.hypot(off_x, off_y) < trees.radius_m - 1e-3)[0].tolist())
        loosely = set(np.nonzero(np.hypot(off_x, off_y) < trees.radius_m + 1e-3)[0].tolist())
        assert touching <= set(_items(world.tree_cells, row, column).tolist()) <= loosely
    assert several > 50
    for grid in (world.house_cells, world.tree_cells):
        assert len(grid.start) == grid.side**2 + 1
        assert grid.start[-1] == len(grid.items)
        assert grid.items.dtype == grid.start.dtype == np.int32


def test_hills_are_gentle_and_water_is_level(world: World) -> None:
    east = np.diff(world.relief_m, axis=1) / RELIEF_STEP_M
    south = np.diff(world.relief_m, axis=0) / RELIEF_STEP_M
    slope = np.hypot(east[:-1], south[:, :-1])
    assert slope.max() <= SLOPE_LIMIT
    assert slope.max() > 0.01
    assert np.allclose(
        world.houses.base_m,
        height_at(world.relief_m, world.houses.x_m, world.houses.y_m),
    )


def test_the_kerb_is_a_distance_and_the_axis_lies_along_the_street(world: World) -> None:
    kerb_m = world.kerb.astype(np.float64) * KERB_STEP_M
    road = world.floor == ROAD
    # Rounded to steps, a pixel within half a step of the edge may be on either side.
    assert (kerb_m[road] >= 0).all()
    assert (kerb_m[~road] <= 0).all()
    # Between neighbours a distance changes by no more than their distance, but where streets end.
    near = (np.abs(kerb_m) < 8)[:, 1:] & (np.abs(kerb_m) < 8)[:, :-1]
    step = np.abs(np.diff(kerb_m, axis=1))[near]
    assert (step <= PIXEL_M * 1.05 + KERB_STEP_M).mean() > 0.97
    row, column = np.nonzero((kerb_m > 2) & (kerb_m < 9))
    inner = (row > 20) & (row < road.shape[0] - 20) & (column > 20)
    inner &= column < road.shape[0] - 20
    row, column = row[inner][::50], column[inner][::50]
    angle = world.axis[row, column] * (np.pi / 256)
    on = _is_road(road, row, column, angle, 20.0)
    across = _is_road(road, row, column, angle + np.pi / 2, 20.0)
    assert on.mean() > 0.9
    assert across.mean() < 0.3


def _is_road(road: Bools, row: Ints, column: Ints, angle: Reals, far_m: float) -> Bools:
    far = far_m / PIXEL_M
    rows = np.round(row + far * np.sin(angle)).astype(int)
    return np.asarray(road[rows, np.round(column + far * np.cos(angle)).astype(int)])


def _in_house(houses: Houses, number: int | np.integer, x: Reals, y: Reals) -> Bools:
    cos, sin = np.cos(houses.angle[number]), np.sin(houses.angle[number])
    dx, dy = x - houses.x_m[number], y - houses.y_m[number]
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    inside = (np.abs(u) <= houses.half_u_m[number]) & (np.abs(v) <= houses.half_v_m[number])
    return np.asarray(inside)


def _items(grid: CellGrid, row: int, column: int) -> npt.NDArray[np.int32]:
    cell = row * grid.side + column
    return grid.items[grid.start[cell] : grid.start[cell + 1]]
