"""Labels of a synthetic city against worlds whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic.labels import (
    COVERS,
    KIND_LATENTS,
    cover_at_10m,
    cover_share,
    looks_along,
    neighbourhood_kind,
    street_axis_deg,
)
from training.synthetic.world import (
    BUILDING,
    GROUND,
    LAWN,
    PIXEL_M,
    ROAD,
    SIDEWALK,
    TREE,
    WATER,
    World,
    draw_plan,
    draw_world,
)

SIDE = 80


def world_of(surface: np.ndarray) -> World:
    plane = np.zeros(surface.shape, np.uint8)
    colour = np.zeros((*surface.shape, 3), np.uint8)
    return World(0, surface.astype(np.uint8), plane, colour, colour, plane)


def test_every_surface_is_of_one_cover() -> None:
    kinds = [kind for covers in COVERS.values() for kind in covers]
    assert sorted(kinds) == sorted({GROUND, ROAD, SIDEWALK, WATER, BUILDING, TREE, LAWN})


def test_a_pixel_is_what_most_of_it_is() -> None:
    surface = np.full((8, 8), GROUND)
    surface[:4, :4] = BUILDING
    surface[0, :3] = TREE  # 3 of 16
    surface[4:, :4] = ROAD
    surface[4:6, :4] = TREE
    surface[6, 0] = TREE  # 9 of 16
    names = [list(COVERS)[k] for k in cover_at_10m(world_of(surface)).ravel()]
    assert names == ["building", "open", "tree", "open"]


def test_shares_against_a_loop_and_cut_at_the_edge() -> None:
    rng = np.random.default_rng(0)
    surface = rng.integers(0, 7, (SIDE, SIDE))
    world = world_of(surface)
    x, y = rng.uniform(0, SIDE * PIXEL_M, (2, 30))
    x[0], y[0] = 0.1, SIDE * PIXEL_M - 0.1
    reach = 8
    for cover, kinds in COVERS.items():
        shares = cover_share(world, cover, x, y, reach_m=reach * PIXEL_M)
        for i in range(len(x)):
            row, column = int(y[i] / PIXEL_M), int(x[i] / PIXEL_M)
            rows = slice(max(0, row - reach), row + reach + 1)
            columns = slice(max(0, column - reach), column + reach + 1)
            wanted = np.isin(surface[rows, columns], kinds).mean()
            assert shares[i] == pytest.approx(wanted)


@pytest.mark.parametrize(("axis_deg", "turn"), [(0, False), (90, True)])
def test_a_street_runs_where_its_carriageway_goes_on(axis_deg: float, turn: bool) -> None:
    surface = np.full((SIDE, SIDE), GROUND)
    surface[:, 38:42] = ROAD
    surface = surface.T if turn else surface
    middle = np.array([SIDE / 2 * PIXEL_M])
    (axes,) = street_axis_deg(world_of(surface), middle, middle)
    assert abs((axes - axis_deg + 90) % 180 - 90) <= 5


def test_a_diagonal_street_runs_clockwise_from_north() -> None:
    row, column = np.mgrid[:SIDE, :SIDE]
    surface = np.where(np.abs(row + column - SIDE + 1) < 4, ROAD, GROUND)  # to the north-east
    middle = np.array([SIDE / 2 * PIXEL_M])
    (axes,) = street_axis_deg(world_of(surface), middle, middle)
    assert axes == pytest.approx(45, abs=5)


def test_along_is_within_45_degrees_either_way() -> None:
    heading = np.array([10.0, 100, 190, 350, 56, 54])
    axis = np.array([10.0, 10, 10, 10, 10, 10])
    assert looks_along(heading, axis).tolist() == [True, False, True, True, False, True]


def test_kinds_of_neighbourhood_are_the_latent_numbers_that_the_city_is_drawn_from() -> None:
    world = draw_world(6, 1900.0)
    x, y = np.random.default_rng(0).uniform(0, world.side_m, (2, 400)).astype(np.float32)
    kind = neighbourhood_kind(6, world.side_m, x, y)
    _, style = draw_plan(6, world.side_m)
    for bit, name in enumerate(KIND_LATENTS):
        assert ((kind >> bit & 1) == (style.at(name, x, y) > 0.5)).all()
    # Where trees are said to be many, the picture has more of them.
    leafy = (kind >> KIND_LATENTS.index("trees") & 1).astype(bool)
    trees = cover_share(world, "tree", x, y, reach_m=40)
    assert trees[leafy].mean() > 1.5 * trees[~leafy].mean()
