"""Position can be inferred only from what both views share: worlds that are shuffled give chance.

A ridge regression from a photo's colours to the bands around its place ranks the places of cities
that it was not fitted to. Where photos and imagery are of one world it does far better than
chance; where the photos at the same coordinates are of another seed's world, it has nothing to go
by, even when it was fitted to such pairs: then only what depends on coordinates alone would help.
Finer still: over all pairs of cities, neither bands nor photos at one coordinate are correlated.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hand_world import hand_world

from training.synthetic.conditions import Conditions
from training.synthetic.drawing import draw_world
from training.synthetic.sentinel import FINE, Scene, observe
from training.synthetic.street.camera import Cameras, place_cameras
from training.synthetic.street.photograph import photograph
from training.synthetic.world import BUILDING, GROUND, PIXEL_M, TREE, WATER, World

pytestmark = pytest.mark.slow

SIDE_M, PHOTOS = 2560.0, 200
FITTED, RANKED = (820, 821, 822, 823, 824, 825), (830, 831, 832, 833)
"""Seeds of cities that the readout is fitted to, and of those whose places it ranks."""
SHARED = 400
"""Coordinates at which all cities are photographed."""
APART_M = 250.0
"""Places nearer than this to a photo's own are not among its rivals."""


@dataclass(frozen=True)
class Seen:
    """A city by both sensors."""

    world: World
    place_m: np.ndarray
    """(P, 2) east and south of the corner."""
    photo: np.ndarray
    """(P, F) what the photos look like."""
    bands: np.ndarray
    """(10, H / 4, W / 4) reflectance."""

    def around(self, place_m: np.ndarray) -> np.ndarray:
        """(P, 20): mean and spread of the bands in squares of 110 m about places."""
        column, row = (place_m / (PIXEL_M * FINE)).astype(int).T
        pixels = np.stack(
            [self.bands[:, r - 5 : r + 6, c - 5 : c + 6] for r, c in zip(row, column, strict=True)]
        )
        return np.concatenate([pixels.mean((2, 3)), pixels.std((2, 3))], axis=1)


def see(seed: int) -> Seen:
    world = draw_world(seed, SIDE_M)
    rng = np.random.default_rng([seed, 1])
    conditions = Conditions.draw(rng, PHOTOS, "day")
    cameras = place_cameras(world, rng, PHOTOS, conditions.camera)
    photo = look_of(world, cameras, conditions, rng)
    bands = observe(world, Scene.draw(rng, season="summer"), rng) / 10_000
    return Seen(world, np.stack([cameras.x_m, cameras.y_m], 1).astype(float), photo, bands)


def look_of(
    world: World, cameras: Cameras, conditions: Conditions, rng: np.random.Generator
) -> np.ndarray:
    """(P, 72): colours, their spread and their tones in eight strips of each photo."""
    photos = photograph(world, cameras, conditions, rng, width_px=64, height_px=48, samples=1)
    strips = photos.reshape(len(photos), 8, 6, 64, 3).astype(float) / 255
    mean, spread = strips.mean((2, 3)), strips.std((2, 3))
    tone = mean / mean.sum(-1, keepdims=True)
    return np.concatenate([a.reshape(len(photos), -1) for a in (mean, spread, tone)], axis=1)


@pytest.fixture(scope="module")
def cities() -> dict[int, Seen]:
    return {seed: see(seed) for seed in (*FITTED, *RANKED)}


@dataclass(frozen=True)
class Readout:
    """Ridge regression, and how its errors hang together."""

    centre: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    target_centre: np.ndarray
    whiten: np.ndarray
    """Errors times this are of unit variance and uncorrelated."""

    @classmethod
    def fit(cls, inputs: np.ndarray, targets: np.ndarray, strength: float = 30.0) -> Readout:
        centre, scale = inputs.mean(0), inputs.std(0) + 1e-9
        x, y = (inputs - centre) / scale, targets - targets.mean(0)
        weights = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y)
        spread = np.cov((y - x @ weights).T) + 1e-6 * np.eye(y.shape[1])
        whiten = np.linalg.inv(np.linalg.cholesky(spread)).T
        return cls(centre, scale, weights, targets.mean(0), whiten)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs - self.centre) / self.scale @ self.weights + self.target_centre


def fitted(photos: dict[int, Seen], imagery: dict[int, Seen], seeds: tuple[int, ...]) -> Readout:
    inputs = np.concatenate([photos[seed].photo for seed in seeds])
    around = [imagery[seed].around(photos[seed].place_m) for seed in seeds]
    return Readout.fit(inputs, np.concatenate(around))


def ranks(readout: Readout, photos: Seen, imagery: Seen) -> float:
    """Mean share of rivals that a photo's own place is ranked above: 0.5 is chance."""
    around = imagery.around(photos.place_m)
    misfit = (readout(photos.photo)[:, None] - around[None]) @ readout.whiten
    far = (misfit**2).sum(2)
    apart_m = np.linalg.norm(photos.place_m[:, None] - photos.place_m[None], axis=2)
    shares = [
        (far[number, apart_m[number] > APART_M] > far[number, number]).mean()
        for number in range(PHOTOS)
    ]
    return float(np.mean(shares))


def shuffled(cities: dict[int, Seen], seeds: tuple[int, ...], by: int) -> dict[int, Seen]:
    """Each seed's photos beside the imagery of another's."""
    return {seed: cities[seeds[(n + by) % len(seeds)]] for n, seed in enumerate(seeds)}


def test_places_of_unseen_cities_are_ranked_far_above_chance(cities: dict[int, Seen]) -> None:
    readout = fitted(cities, cities, FITTED)
    scores = [ranks(readout, cities[seed], cities[seed]) for seed in RANKED]
    assert min(scores) > 0.6
    assert np.mean(scores) > 0.67


def test_shuffled_worlds_are_ranked_at_chance(cities: dict[int, Seen]) -> None:
    readout = fitted(cities, cities, FITTED)
    scores = [
        ranks(readout, cities[seed], other)
        for by in (1, 2, 3)
        for seed, other in shuffled(cities, RANKED, by).items()
    ]
    assert np.mean(scores) == pytest.approx(0.5, abs=0.03)


def test_a_readout_of_shuffled_worlds_learns_nothing(cities: dict[int, Seen]) -> None:
    scores = []
    for by in (1, 2, 3):
        readout = fitted(cities, shuffled(cities, FITTED, by), FITTED)
        for seed, other in shuffled(cities, RANKED, by).items():
            scores.append(ranks(readout, cities[seed], other))
    assert np.mean(scores) == pytest.approx(0.5, abs=0.03)


def test_coordinates_cannot_be_read_from_photos_or_bands(cities: dict[int, Seen]) -> None:
    for look in (lambda city: city.photo, lambda city: city.around(city.place_m)):
        readout = Readout.fit(
            np.concatenate([look(cities[seed]) for seed in FITTED]),
            np.concatenate([cities[seed].place_m for seed in FITTED]),
        )
        guess = np.concatenate([readout(look(cities[seed])) for seed in RANKED])
        place = np.concatenate([cities[seed].place_m for seed in RANKED])
        r2 = 1 - ((place - guess) ** 2).sum(0) / ((place - place.mean(0)) ** 2).sum(0)
        assert r2.max() < 0.03


@pytest.mark.parametrize("block", [1, 4, 12])
def test_bands_of_two_cities_are_not_alike_at_one_coordinate(
    cities: dict[int, Seen], block: int
) -> None:
    """Blocks of 10, 40 and 120 m, and what in them differs from the blocks around."""
    blocks = np.stack([coarse(city.bands, block) for city in cities.values()])
    around = sum(np.roll(blocks, (j, i), (2, 3)) for j in (-1, 0, 1) for i in (-1, 0, 1)) / 9
    for look in (blocks, (blocks - around)[:, :, 1:-1, 1:-1]):
        values = look.reshape(*look.shape[:2], -1).transpose(0, 2, 1)
        assert_unlike(values, np.ones(values.shape[:2], dtype=bool))


def test_photos_of_two_cities_are_not_alike_at_one_coordinate(cities: dict[int, Seen]) -> None:
    x_m, y_m = np.random.default_rng(0).uniform(260, SIDE_M - 260, (2, SHARED)).astype(np.float32)
    row, column = (np.stack([y_m, x_m]) / PIXEL_M).astype(int)
    looks, free = [], []
    for seed, city in cities.items():
        rng = np.random.default_rng([seed, 2])
        conditions = Conditions.draw(rng, SHARED, "day")
        cameras = dataclasses.replace(
            place_cameras(city.world, rng, SHARED, conditions.camera), x_m=x_m, y_m=y_m
        )
        looks.append(look_of(city.world, cameras, conditions, rng))
        free.append(~np.isin(city.world.surface[row, column], (BUILDING, TREE, WATER)))
    assert_unlike(np.stack(looks), np.stack(free))


def test_textures_of_bare_ground_are_the_citys_own() -> None:
    meadow = np.full((256, 256), GROUND)
    green = np.full((256, 256, 3), (60, 100, 50))
    fine = []
    for seed, noise in ((1, 10), (1, 11), (2, 12), (3, 13)):
        world = hand_world(meadow, top=green, floor_rgb=green, seed=seed)
        rng = np.random.default_rng(0)
        conditions = Conditions.draw(rng, 40, "day")
        x_m, y_m = rng.uniform(250, 390, (2, 40)).astype(np.float32)
        same = np.full(40, 1.6, np.float32)
        cameras = Cameras(x_m, y_m, x_m, same, 50 * same, same / 4, conditions.camera)
        noise_rng = np.random.default_rng(noise)
        photos = photograph(
            world, cameras, conditions, noise_rng, width_px=128, height_px=96, samples=1
        )
        near = photos[:, -30:].mean(-1)
        fine.append((near - near.mean(2, keepdims=True)).ravel())
    alike = np.corrcoef(fine)
    assert alike[0, 1] > 0.6
    assert np.abs(alike[[0, 0, 2], [2, 3, 3]]).max() < 0.25


def assert_unlike(values: np.ndarray, used: np.ndarray) -> None:
    """No column's correlation between two cities is off zero in the mean of all pairs.

    Args:
        values: (cities, places, columns).
        used: (cities, places), which places count in which city.
    """
    pairs = []
    for one, other in itertools.combinations(range(len(values)), 2):
        both = used[one] & used[other]
        a, b = (
            (v - v.mean(0)) / (v.std(0) + 1e-9) for v in (values[one][both], values[other][both])
        )
        pairs.append((a * b).mean(0))
    error = np.std(pairs, axis=0) / np.sqrt(len(pairs))
    assert np.abs(np.mean(pairs, axis=0) / error).max() < 5


def coarse(bands: np.ndarray, block: int) -> np.ndarray:
    """(10, h, w): means of whole blocks."""
    side = bands.shape[1] // block
    cut = bands[:, : side * block, : side * block]
    return cut.reshape(len(bands), side, block, side, block).mean((2, 4))
