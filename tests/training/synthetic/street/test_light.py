"""Light of photos: sun, shadows, night, fog, snow and leaves."""

from __future__ import annotations

import numpy as np
from street_scenes import cameras, conditions, house, scene, tree

from gair.arrays import Bytes
from training.synthetic.conditions import FOG, OVERCAST, RAIN, SNOW, Conditions
from training.synthetic.street.photograph import photograph
from training.synthetic.world import World

WIDTH, HEIGHT = 128, 96


def look(world: World, under: Conditions, heading_deg: float = 90.0) -> np.ndarray:
    size = {"width_px": WIDTH, "height_px": HEIGHT}
    rng = np.random.default_rng(0)
    return photograph(world, cameras(heading_deg), under, rng, **size)[0].astype(float)


def redness(picture: np.ndarray) -> float:
    return float((picture[..., 0] - picture[..., 1]).max())


def test_night_is_darker_than_dusk_and_dusk_than_day() -> None:
    world = scene(house(30, 0))
    day, dusk, night = (look(world, conditions(hour=hour)).mean() for hour in (12, 19.6, 0))
    assert night < 0.6 * dusk
    assert dusk < 0.9 * day


def test_fog_hides_what_is_far_and_not_what_is_near() -> None:
    foggy = conditions(weather=FOG, clear_m=40, cloud=1)
    assert redness(look(scene(house(20, 0)), foggy)) > 60
    assert redness(look(scene(house(280, 0, eaves_m=60)), foggy)) < 25
    assert redness(look(scene(house(280, 0, eaves_m=60)), conditions())) > 60


def darkest_side(world: World, under: Conditions) -> float:
    """How much brighter the ground right of a house is than that left of it."""
    picture = look(world, under, heading_deg=0).mean(axis=2)
    ground = picture[HEIGHT // 2 + 5 : HEIGHT // 2 + 8]  # 16 to 26 m away, as the house
    return float(ground[:, WIDTH // 2 + 22 : WIDTH // 2 + 34].mean() - ground[:, 30:42].mean())


def test_shadows_fall_away_from_the_sun() -> None:
    # A house in the north; in the morning the sun is in the east, so the west side is dark.
    world = scene(house(0, -22, half_m=(5, 5), eaves_m=20))
    morning, evening = conditions(hour=8.0), conditions(hour=16.0)
    assert darkest_side(world, morning) > 15
    assert darkest_side(world, evening) < -15
    assert abs(darkest_side(world, conditions(hour=8.0, weather=OVERCAST, cloud=1))) < 8


def test_a_house_throws_its_shadow_on_the_wall_of_another() -> None:
    # The sun is in the south; the wall looks at it, and a house in the south may stand between.
    wall = house(0, -30, half_m=(12, 5), eaves_m=10)
    under = conditions(hour=12, day=355)
    lit = look(scene(wall), under, heading_deg=0)
    # Beside the camera, so it is not in the picture itself.
    behind = house(0, 14, half_m=(14, 6), eaves_m=30, rgb=(30, 30, 200))
    shaded = look(scene(wall, behind), under, heading_deg=0)
    middle = (slice(42, 47), slice(56, 72))
    assert shaded[middle].mean() < 0.85 * lit[middle].mean()


def test_a_wall_that_faces_the_sun_is_brighter_than_one_that_does_not() -> None:
    morning = conditions(hour=8.0, day=80)
    facing = look(scene(house(-30, 0)), morning, heading_deg=270)
    away = look(scene(house(30, 0)), morning, heading_deg=90)
    middle = (slice(44, 48), slice(60, 68))
    assert facing[middle].mean() > 1.15 * away[middle].mean()


def greenness(picture: np.ndarray) -> float:
    return float((picture[..., 1] - np.maximum(picture[..., 0], picture[..., 2])).clip(0).sum())


def test_leaves_are_green_in_summer_turned_in_autumn_and_gone_in_winter() -> None:
    world = scene(trees=tree(15, 0))
    summer, autumn, winter = (greenness(look(world, conditions(day=d))) for d in (172, 298, 20))
    assert summer > 2000
    assert autumn < 0.5 * summer
    assert winter < 0.2 * summer
    firs = scene(trees=tree(15, 0, conifer=1))
    assert greenness(look(firs, conditions(day=20))) > 0.6 * greenness(look(firs, conditions()))


def test_snow_lies_on_the_ground_and_rain_darkens_it() -> None:
    world = scene()
    ground = (slice(60, 96), slice(0, WIDTH))
    dry = look(world, conditions(weather=OVERCAST, cloud=1))[ground].mean()
    white = look(world, conditions(weather=SNOW, cloud=1, snow=1.0, day=20))[ground].mean()
    wet = look(world, conditions(weather=RAIN, cloud=1))[ground].mean()
    assert white > 1.3 * dry
    assert wet < 0.95 * dry


def test_ordinary_days_change_colours_little() -> None:
    world, count = scene(house(25, 0)), 60
    under = Conditions.draw(np.random.default_rng(3), count, "day")
    rng = np.random.default_rng(4)
    photos: Bytes = photograph(
        world, cameras(count=count), under, rng, width_px=WIDTH, height_px=HEIGHT
    )
    wall = photos[:, 42:47, 58:70].reshape(count, -1, 3).mean(axis=1)
    share = wall / wall.sum(axis=1, keepdims=True)
    assert share.std(axis=0).max() < 0.04
    brightness = wall.mean(axis=1)
    assert brightness.std() / brightness.mean() < 0.25
