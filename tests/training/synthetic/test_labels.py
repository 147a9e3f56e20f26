"""Labels of a synthetic city against worlds whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hand_world import hand_world

from training.synthetic.drawing import draw_plan, draw_world
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
    PARKING,
    PIXEL_M,
    PLAZA,
    RAIL,
    ROAD,
    SIDEWALK,
    TREE,
    WATER,
)

SIDE = 80
SURFACES = {GROUND, ROAD, SIDEWALK, WATER, BUILDING, TREE, LAWN, RAIL, PARKING, PLAZA}


def test_every_surface_is_of_one_cover() -> None:
    kinds = [kind for covers in COVERS.values() for kind in covers]
    assert sorted(kinds) == sorted(SURFACES)


def test_a_pixel_is_what_most_of_it_is() -> None:
    surface = np.full((8, 8), GROUND)
    surface[:4, :4] = BUILDING
    surface[0, :3] = TREE  # 3 of 16
    surface[4:, :4] = ROAD
    surface[4:6, :4] = TREE
    surface[6, 0] = TREE  # 9 of 16
    names = [list(COVERS)[k] for k in cover_at_10m(hand_world(surface)).ravel()]
    assert names == ["building", "open", "tree", "open"]


def test_shares_against_a_loop_and_cut_at_the_edge() -> None:
    rng = np.random.default_rng(0)
    surface = rng.integers(0, len(SURFACES), (SIDE, SIDE))
    world = hand_world(surface)
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


def test_a_street_runs_as_its_axis_says_clockwise_from_north() -> None:
    axis = np.zeros((SIDE, SIDE), np.uint8)  # west to east
    axis[: SIDE // 2, : SIDE // 2] = 128  # north to south
    axis[SIDE // 2 :, : SIDE // 2] = 64  # from x towards y, so to the south-east
    axis[SIDE // 2 :, SIDE // 2 :] = 192
    world = hand_world(np.full((SIDE, SIDE), ROAD), axis=axis)
    quarter, far = SIDE / 4 * PIXEL_M, 3 * SIDE / 4 * PIXEL_M
    axes = street_axis_deg(
        world, np.array([far, quarter, quarter, far]), np.array([quarter, quarter, far, far])
    )
    assert axes.tolist() == [90, 0, 135, 45]


@pytest.mark.parametrize("seed", [6, 7])
def test_a_carriageway_goes_on_along_the_axis_of_a_drawn_city(seed: int) -> None:
    world = draw_world(seed, 1900.0)
    rng = np.random.default_rng(0)
    row, column = rng.integers(40, world.floor.shape[0] - 40, (2, 20_000))
    inside = (world.floor[row, column] == ROAD) & (world.kerb[row, column] > 25)
    x, y = (column[inside] + 0.5) * PIXEL_M, (row[inside] + 0.5) * PIXEL_M
    axes = street_axis_deg(world, x, y)

    def on_road(turn_deg: float) -> float:
        heading = np.radians(axes + turn_deg)
        share = [
            world.floor[
                ((y - np.cos(heading) * far) / PIXEL_M).astype(int),
                ((x + np.sin(heading) * far) / PIXEL_M).astype(int),
            ]
            == ROAD
            for far in (-20, 20)
        ]
        return float(np.mean(share))

    assert inside.sum() > 200
    assert on_road(0) > 0.8
    assert on_road(90) < 0.5


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
