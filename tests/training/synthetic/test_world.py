"""A synthetic city: deterministic, varied, and the same however it is cut into strips."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic.layout import SIDEWALK_M, Layout
from training.synthetic.noise import SmoothField, hashed, uniform
from training.synthetic.style import LATENTS, Style, roof_rgb, wall_rgb
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
    draw_world,
)


@pytest.fixture(scope="module")
def world() -> World:
    return draw_world(5, 2500.0)


def test_hashes_are_even_and_unrelated_between_streams() -> None:
    words = hashed(3, np.arange(100_000))
    first, second = uniform(words), uniform(words, 1)
    assert abs(first.mean() - 0.5) < 0.005
    assert abs(np.quantile(first, 0.1) - 0.1) < 0.005
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.02
    assert not np.array_equal(hashed(1, 2), hashed(2, 1))


def test_smooth_fields_use_their_range_and_change_slowly() -> None:
    x = np.linspace(0, 20_000, 400, dtype=np.float32)
    field = SmoothField(np.random.default_rng(0), 20_000, {400.0: 1.0})
    values = field(x[None, :], x[:, None])
    assert np.allclose(np.quantile(values, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.04)
    assert np.abs(np.diff(values, axis=1)).mean() < 0.06  # 50 m apart
    far = np.abs(values[:, 20:] - values[:, :-20]).mean()  # 1 km apart: unrelated
    assert far == pytest.approx(1 / 3, abs=0.04)


def test_a_city_follows_from_its_seed_alone(world: World) -> None:
    again = draw_world(5, 2500.0, threads=1)
    other = draw_world(6, 2500.0)
    for name in ("surface", "height", "top", "side", "along"):
        assert np.array_equal(getattr(world, name), getattr(again, name)), name
    assert (world.surface != other.surface).mean() > 0.3


def test_a_city_has_everything_and_nothing_tall_on_its_roads(world: World) -> None:
    share = np.bincount(world.surface.ravel(), minlength=7) / world.surface.size
    for kind in (GROUND, ROAD, SIDEWALK, BUILDING, TREE, LAWN):
        assert share[kind] > 0.005, kind
    assert share[BUILDING] < 0.6
    flat = np.isin(world.surface, (GROUND, ROAD, SIDEWALK, WATER, LAWN))
    assert not world.height[flat].any()
    assert (world.height[world.surface == BUILDING] >= 8).all()
    assert (world.height[world.surface == TREE] > 0).all()


def test_a_house_has_one_roof_and_one_height(world: World) -> None:
    layout_rng = np.random.default_rng([5, 7])
    layout = Layout.draw(layout_rng, 5, world.side_m)
    at = ((np.arange(world.surface.shape[0]) + 0.5) * PIXEL_M).astype(np.float32)
    lot = layout.at(at[None, 300:420], at[300:420, None]).lot
    built = world.surface[300:420, 300:420] == BUILDING
    heights = world.height[300:420, 300:420]
    roofs = world.top[300:420, 300:420]
    several = [word for word in np.unique(lot[built]) if (built & (lot == word)).sum() > 3]
    assert len(several) > 20
    for word in several:
        inside = built & (lot == word)
        assert len(np.unique(heights[inside])) == 1
        assert len(np.unique(roofs[inside], axis=0)) == 1


def test_the_layout_of_a_point_does_not_depend_on_its_neighbours() -> None:
    layout = Layout.draw(np.random.default_rng(1), 1, 3000.0)
    at = np.linspace(100, 2900, 57, dtype=np.float32)
    grid = layout.at(at[None, :], at[:, None])
    alone = layout.at(at[[31]], at[[12]])
    assert grid.lot[12, 31] == alone.lot[0]
    assert grid.road_m[12, 31] == pytest.approx(alone.road_m[0], abs=1e-3)
    assert grid.inset_u[12, 31] == pytest.approx(alone.inset_u[0], abs=1e-3)
    lots = grid.road_m < -SIDEWALK_M
    assert 0.3 < lots.mean() < 0.9


def test_walls_and_roofs_speak_of_the_same_material() -> None:
    rng = np.random.default_rng(2)
    style = Style.draw(rng, 5000.0)
    at = np.linspace(0, 5000, 100, dtype=np.float32)
    rgb = [style.at(name, at[None, :], at[:, None]) for name in ("red", "green", "blue")]
    walls, roofs = wall_rgb(*rgb), roof_rgb(*rgb)
    assert walls.min() >= 0
    assert walls.max() <= 1
    assert walls.std() > 0.08
    assert roofs.mean() < walls.mean()
    for channel in range(3):
        together = np.corrcoef(walls[..., channel].ravel(), roofs[..., channel].ravel())[0, 1]
        assert together > 0.9
    assert len(LATENTS) == len(style.fields)
