"""Cameras: where they may stand, where drives lead."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from street_scenes import SIDE_PX, scene

from gair.errors import GairError
from training.synthetic.conditions import DASHCAM, PHONE, TELE, WIDE
from training.synthetic.street.camera import SIGHT_M, place_cameras, place_sequences
from training.synthetic.world import BUILDING, PIXEL_M, ROAD, World

STREETS = slice(100, 108)
"""Columns of a street from north to south."""


@pytest.fixture(scope="module")
def world() -> World:
    surface = scene().surface
    surface[:, STREETS] = ROAD
    surface[110:120, 104:112] = BUILDING
    height = np.where(surface == BUILDING, 40, 0).astype(np.uint8)
    axis = np.full(surface.shape, 128, np.uint8)
    return dataclasses.replace(scene(), surface=surface, height=height, axis=axis)


def test_no_camera_stands_at_a_house_off_the_street_or_at_the_edge(world: World) -> None:
    cameras = place_cameras(world, np.random.default_rng(0), 300)
    assert len(cameras) == 300
    side_m = SIDE_PX * PIXEL_M
    for place_m in (cameras.x_m, cameras.y_m):
        assert place_m.min() > SIGHT_M
        assert place_m.max() < side_m - SIGHT_M
    column, row = cameras.x_m / PIXEL_M, cameras.y_m / PIXEL_M
    assert ((column >= 100) & (column < 108)).all()
    beside = (row > 109.5) & (row < 120.5) & (column > 103.3)
    assert not beside.any()
    assert ((row > 110) & (row < 120)).any()


def test_kinds_of_cameras_have_their_lenses_and_heights(world: World) -> None:
    kind = np.repeat([PHONE, DASHCAM, WIDE, TELE], 50).astype(np.uint8)
    cameras = place_cameras(world, np.random.default_rng(1), 200, kind)
    assert np.array_equal(cameras.kind, kind)
    mean_deg = [cameras.field_deg[kind == one].mean() for one in (TELE, PHONE, DASHCAM, WIDE)]
    assert mean_deg == sorted(mean_deg)
    assert cameras.eye_m.max() < 2.7
    high = place_cameras(world, np.random.default_rng(1), 50, high=True)
    assert high.eye_m.min() >= 4
    # Half of the dashcams look along the street, which runs from north to south.
    off_deg = np.abs((cameras.heading_deg + 90) % 180 - 90)
    along = off_deg < 20
    assert along[kind == DASHCAM].mean() > 0.4
    assert along[kind != DASHCAM].mean() < 0.4


def test_drives_go_ahead_in_equal_steps(world: World) -> None:
    cameras, number = place_sequences(world, np.random.default_rng(2), 4, 5, 7.0)
    assert np.array_equal(number, np.repeat(np.arange(4), 5))
    x_m, y_m = cameras.x_m.reshape(4, 5), cameras.y_m.reshape(4, 5)
    assert np.allclose(np.hypot(np.diff(x_m), np.diff(y_m)), 7.0, atol=0.01)
    ahead = np.radians(cameras.heading_deg.reshape(4, 5))[:, :-1]
    assert (np.diff(x_m) * np.sin(ahead) - np.diff(y_m) * np.cos(ahead) > 6.9).all()
    assert (np.ptp(cameras.eye_m.reshape(4, 5), axis=1) == 0).all()


def test_a_city_without_room_for_cameras_is_refused(world: World) -> None:
    with pytest.raises(GairError, match="too few"):
        place_cameras(scene(), np.random.default_rng(0), 3)
    with pytest.raises(GairError, match="fewer or shorter"):
        place_sequences(world, np.random.default_rng(0), 2, 40, 20.0)
    narrow = dataclasses.replace(world, floor=world.floor[:100, :100])
    with pytest.raises(GairError, match="wider"):
        place_cameras(narrow, np.random.default_rng(0), 3)
