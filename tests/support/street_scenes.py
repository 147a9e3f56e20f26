"""Streets made by hand: plain ground with a few houses, and a camera in the middle of it."""

from __future__ import annotations

import dataclasses

import numpy as np
from hand_world import hand_world, no_trees

from gair.arrays import Bytes
from training.synthetic.conditions import CLEAR, Conditions
from training.synthetic.drawing.cells import house_grid, tree_grid
from training.synthetic.street.camera import Cameras
from training.synthetic.world import FLAT, GROUND, PIXEL_M, PLAIN, Houses, Trees, World

SIDE_PX = 256
MIDDLE_M = SIDE_PX * PIXEL_M / 2
GREY = (120, 120, 120)
NOON = 12.0
SUMMER = 172


def house(
    east_m: float,
    south_m: float,
    *,
    half_m: tuple[float, float] = (6.0, 6.0),
    eaves_m: float = 9.0,
    rise_m: float = 0.0,
    roof: int = FLAT,
    angle: float = 0.0,
    rgb: tuple[int, int, int] = (200, 30, 30),
) -> Houses:
    """One house without windows, all of one colour, at an offset from the city's middle."""

    def single(value: float) -> np.ndarray:
        return np.full(1, value, np.float32)

    colour = np.array([rgb], np.uint8)
    return Houses(
        x_m=single(MIDDLE_M + east_m),
        y_m=single(MIDDLE_M + south_m),
        half_u_m=single(half_m[0]),
        half_v_m=single(half_m[1]),
        angle=single(angle),
        base_m=single(0),
        eaves_m=single(eaves_m),
        rise_m=single(rise_m),
        roof=np.full(1, roof, np.uint8),
        facade=np.full(1, PLAIN, np.uint8),
        storey_m=single(3),
        bay_m=single(4),
        glass=single(0),
        wall_rgb=colour,
        roof_rgb=colour,
        trim_rgb=colour,
        word=np.ones(1, np.uint32),
    )


def scene(*houses: Houses, trees: Trees | None = None, floor: Bytes | None = None) -> World:
    """A grey plain with houses and trees."""
    floor = np.full((SIDE_PX, SIDE_PX), GROUND, np.uint8) if floor is None else floor
    world = hand_world(floor, floor_rgb=np.broadcast_to(np.array(GREY), (*floor.shape, 3)))
    trees = no_trees() if trees is None else trees
    side_m = SIDE_PX * PIXEL_M
    world = dataclasses.replace(world, trees=trees, tree_cells=tree_grid(trees, side_m))
    if not houses:
        return world
    names = [field.name for field in dataclasses.fields(Houses)]
    table = Houses(*(np.concatenate([getattr(one, name) for one in houses]) for name in names))
    return dataclasses.replace(world, houses=table, house_cells=house_grid(table, side_m))


def tree(east_m: float, south_m: float, *, tall_m: float = 10.0, conifer: int = 0) -> Trees:
    """One green tree."""
    return Trees(
        x_m=np.full(1, MIDDLE_M + east_m, np.float32),
        y_m=np.full(1, MIDDLE_M + south_m, np.float32),
        base_m=np.zeros(1, np.float32),
        radius_m=np.full(1, tall_m / 3, np.float32),
        height_m=np.full(1, tall_m, np.float32),
        conifer=np.full(1, conifer, np.uint8),
        crown_rgb=np.array([(20, 160, 20)], np.uint8),
        word=np.ones(1, np.uint32),
    )


def cameras(
    heading_deg: float = 90.0, *, count: int = 1, eye_m: float = 2.0, field_deg: float = 90.0
) -> Cameras:
    """Cameras in the middle of the city with the horizon in the middle of the picture."""

    def many(value: float) -> np.ndarray:
        return np.full(count, value, np.float32)

    return Cameras(
        x_m=many(MIDDLE_M),
        y_m=many(MIDDLE_M),
        heading_deg=many(heading_deg),
        eye_m=many(eye_m),
        field_deg=many(field_deg),
        horizon=many(0.5),
        kind=np.zeros(count, np.uint8),
    )


def conditions(
    count: int = 1,
    *,
    day: int = SUMMER,
    hour: float = NOON,
    weather: int = CLEAR,
    clear_m: float = 1e5,
    cloud: float = 0.0,
    snow: float = 0.0,
) -> Conditions:
    """A clear noon in summer, or something else."""
    return Conditions(
        day_of_year=np.full(count, day, np.int64),
        hour=np.full(count, hour, np.float32),
        weather=np.full(count, weather, np.uint8),
        camera=np.zeros(count, np.uint8),
        clear_m=np.full(count, clear_m, np.float32),
        cloud=np.full(count, cloud, np.float32),
        snow=np.full(count, snow, np.float32),
    )
