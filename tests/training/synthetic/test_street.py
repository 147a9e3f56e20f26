"""Ray-casting: what a camera sees of a world whose geometry is known."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic import street
from training.synthetic.street import HEIGHT_PX, WIDTH_PX, Cameras, Weather, photograph
from training.synthetic.world import BUILDING, PIXEL_M, ROAD, World

SIDE = 400
RED, GREY = (200, 30, 30), (90, 90, 90)


def plain_world(*, wall_columns: slice, height_m: float) -> World:
    """A flat grey plain with one red wall from north to south."""
    surface = np.full((SIDE, SIDE), ROAD, np.uint8)
    height = np.zeros((SIDE, SIDE), np.uint8)
    top = np.full((SIDE, SIDE, 3), GREY, np.uint8)
    side = top.copy()
    surface[:, wall_columns] = BUILDING
    height[:, wall_columns] = round(height_m / 0.25)
    side[:, wall_columns] = RED
    top[:, wall_columns] = RED
    return World(0, surface, height, top, side, np.ones((SIDE, SIDE), np.uint8) * 5)


def camera(heading_deg: float) -> Cameras:
    single = np.ones(1, np.float32)
    middle = single * SIDE * PIXEL_M / 2
    return Cameras(
        middle, middle, single * heading_deg, single * 2, single * WIDTH_PX / 2, single * 48
    )


CALM = Weather(
    np.full((1, 3), 0.6, np.float32),
    np.ones((1, 3), np.float32),
    np.full(1, 1e6, np.float32),
    np.zeros(1, np.float32),
)


class Still:
    """A generator without noise and cars."""

    def normal(self, _mean: float, _sd: float, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros(shape)

    def integers(self, _low: int, _high: int) -> int:
        return 0


def look(world: World, heading_deg: float) -> np.ndarray:
    return photograph(world, camera(heading_deg), CALM, Still())[0]  # type: ignore[arg-type]


def is_red(picture: np.ndarray) -> np.ndarray:
    return (picture[..., 0].astype(int) - picture[..., 1]) > 40


@pytest.mark.parametrize("far_m", [20.0, 50.0, 100.0])
def test_a_wall_stands_where_perspective_puts_it(far_m: float) -> None:
    column = int((SIDE * PIXEL_M / 2 + far_m) / PIXEL_M)
    picture = look(plain_world(wall_columns=slice(column, column + 8), height_m=10), 90)
    red_rows = np.flatnonzero(is_red(picture[:, WIDTH_PX // 2]))
    focal = WIDTH_PX / 2
    assert red_rows[0] == pytest.approx(48 - focal * 8 / far_m, abs=2)
    assert red_rows[-1] == pytest.approx(48 + focal * 2 / far_m, abs=2)
    assert len(red_rows) == red_rows[-1] - red_rows[0] + 1


@pytest.mark.parametrize(("heading_deg", "seen"), [(90, True), (270, False)])
def test_headings_are_clockwise_from_north(heading_deg: float, seen: bool) -> None:
    picture = look(plain_world(wall_columns=slice(210, 216), height_m=10), heading_deg)
    assert is_red(picture).any() == seen


def test_a_wall_in_the_east_is_on_the_right_of_a_camera_that_looks_north() -> None:
    red = is_red(look(plain_world(wall_columns=slice(208, 216), height_m=10), 0))
    assert red[:, WIDTH_PX // 2 :].any()
    assert not red[:, : WIDTH_PX // 2].any()


def test_above_the_horizon_is_sky_and_below_it_ground() -> None:
    picture = look(plain_world(wall_columns=slice(0, 0), height_m=0), 45)
    assert np.allclose(picture[HEIGHT_PX - 3 :], GREY, atol=1)
    assert picture[2].mean() > 120
    assert np.ptp(picture[2].astype(int), axis=0).max() == 0


def test_a_nearer_wall_hides_a_farther_one() -> None:
    world = plain_world(wall_columns=slice(230, 234), height_m=30)
    hidden = look(world, 90)
    world.side[:, 220:224] = (30, 30, 200)
    world.top[:, 220:224] = (30, 30, 200)
    world.surface[:, 220:224] = BUILDING
    world.height[:, 220:224] = 200
    assert is_red(hidden).any()
    assert not is_red(look(world, 90)[:, 40:88]).any()


def test_first_step_that_reaches_a_row_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    top = np.minimum.accumulate(rng.uniform(-10, 130, (2, 5, 30)), axis=2).astype(np.float32)
    first = street._first_at_or_above(top)
    for photo in range(2):
        for column in range(5):
            for row in range(HEIGHT_PX):
                steps = [k for k in range(30) if top[photo, column, k] <= row + 0.5]
                assert first[photo, row, column] == (steps[0] if steps else 30)


def test_photos_differ_in_light_and_repeat_with_their_seed() -> None:
    world = plain_world(wall_columns=slice(215, 222), height_m=12)
    cameras = Cameras(*(np.repeat(getattr(camera(90), f), 4) for f in Cameras.__annotations__))

    def photos(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return photograph(world, cameras, Weather.draw(rng, 4), rng)

    assert np.array_equal(photos(1), photos(1))
    means = photos(1).reshape(4, -1).mean(1)
    assert np.ptp(means) > 3


def test_no_camera_stands_at_a_wall_or_at_the_edge() -> None:
    world = plain_world(wall_columns=slice(150, 260), height_m=9)
    cameras = street.place_cameras(world, np.random.default_rng(0), 300)
    assert len(cameras) == 300
    for x in (cameras.x_m, cameras.y_m):
        assert x.min() > street.SIGHT_M
        assert x.max() < SIDE * PIXEL_M - street.SIGHT_M
    column = (cameras.x_m / PIXEL_M).astype(int)
    assert not ((column >= 150 - street.CLEAR_PX) & (column < 260 + street.CLEAR_PX)).any()
