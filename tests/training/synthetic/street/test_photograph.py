"""Photos as a whole: they repeat with their seed and differ from one another."""

from __future__ import annotations

import dataclasses

import numpy as np
from street_scenes import SIDE_PX, cameras, conditions, house, scene, tree

from training.synthetic.conditions import Conditions
from training.synthetic.street.photograph import photograph
from training.synthetic.world import ROAD

SMALL = {"width_px": 64, "height_px": 48}


def test_a_seed_gives_the_same_bytes_however_photos_are_dealt_out() -> None:
    world = scene(house(20, 4), house(40, -9, angle=0.4), trees=tree(14, -6))
    under = Conditions.draw(np.random.default_rng(0), 6, "any")
    places = cameras(count=6)

    def photos(seed: int, *parts: slice) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return np.concatenate(
            [photograph(world, places.take(p), under.take(p), rng, **SMALL) for p in parts]
        )

    whole = photos(1, slice(0, 6))
    assert np.array_equal(whole, photos(1, slice(0, 6)))
    assert np.array_equal(whole, photos(1, slice(0, 1), slice(1, 4), slice(4, 6)))
    assert not np.array_equal(whole, photos(2, slice(0, 6)))


def test_cars_and_light_differ_between_photos_of_one_place() -> None:
    floor = np.full((SIDE_PX, SIDE_PX), ROAD, np.uint8)
    world = dataclasses.replace(scene(floor=floor), kerb=np.full(floor.shape, 15, np.int8))
    photos = photograph(world, cameras(count=8), conditions(8), np.random.default_rng(0))
    means = photos.reshape(8, -1).mean(axis=1)
    assert np.ptp(means) > 3
    # On ground without streets there is nothing but light and noise.
    calm = photograph(scene(), cameras(count=8), conditions(8), np.random.default_rng(0))
    rough = [np.abs(np.diff(p[130:150].astype(int), axis=1)).mean() for p in (*photos, *calm)]
    assert max(rough[:8]) > 1.5 * np.mean(rough[8:])


def test_no_photos_are_an_empty_array() -> None:
    none = photograph(scene(), cameras(count=0), conditions(0), np.random.default_rng(0))
    assert none.shape == (0, 192, 256, 3)
