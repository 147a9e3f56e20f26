"""The sensor above: what a pixel reflects, shadows, seasons, bands; a reader places files right."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hand_world import crowns, hand_world, some_trees

from gair.bands import GAIR_BANDS
from gair.errors import UsageError
from gair.geo import Footprint
from indexer.imagery import open_imagery
from training.synthetic.city import ATTRIBUTION, LICENCE, City
from training.synthetic.conditions import SEASONS, Conditions
from training.synthetic.sentinel import (
    COARSE_BANDS,
    FINE,
    SHADE,
    TWIG_SHARE,
    Scene,
    draw_scenes,
    observe,
    shadows,
)
from training.synthetic.spectra import CONIFER, LEAVES, TWIGS, spectra
from training.synthetic.world import (
    BUILDING,
    GROUND,
    HEIGHT_STEP_M,
    LAWN,
    PARKING,
    PIXEL_M,
    PLAZA,
    RAIL,
    RELIEF_STEP_M,
    ROAD,
    TREE,
    WATER,
    World,
)

B = {name: number for number, name in enumerate(GAIR_BANDS)}
SIDE = 96


def scene(seed: int = 0, **changes: float) -> Scene:
    return dataclasses.replace(Scene.draw(np.random.default_rng(seed)), **changes)


def plain(day: int, **changes: float) -> Scene:
    """A day without air and noise."""
    drawn = Scene.of_day(day, np.random.default_rng(0))
    return dataclasses.replace(drawn, haze=0.0, gain=1.0, noise_dn=0.0, vigour=1.0, **changes)


def reflectance(world: World, of: Scene) -> np.ndarray:
    return observe(world, of, np.random.default_rng(0)).astype(float) / 10_000


def seasons(scenes: list[Scene]) -> list[int]:
    """As photos of the same days have them."""
    conditions = Conditions.draw(np.random.default_rng(0), len(scenes))
    days = np.array([s.acquired.timetuple().tm_yday for s in scenes])
    return dataclasses.replace(conditions, day_of_year=days).season.tolist()


def even(kind: int, rgb: tuple[int, int, int], below: int = GROUND) -> World:
    """A world of one surface in one colour; crowns without a tree in the table are deciduous."""
    surface = np.full((16, 16), kind)
    colour = np.full((16, 16, 3), rgb, np.uint8)
    ground = np.full((16, 16, 3), (60, 90, 40), np.uint8)
    floor = np.full((16, 16), below, np.uint8) if kind in (TREE, BUILDING) else None
    return hand_world(surface, top=colour, floor=floor, floor_rgb=ground)


def wood(seed: int = 0) -> tuple[World, np.ndarray, np.ndarray]:
    """Every surface, crowns of both kinds over it, hills; and which crown covers which pixel."""
    rng = np.random.default_rng(seed)
    floor = np.kron(rng.choice([0, 1, 2, 3, 6, 7, 8, 9], (12, 12)), np.ones((8, 8), int))
    trees = some_trees(rng, 60, SIDE * PIXEL_M)
    cover = crowns(trees, SIDE)
    roof = np.kron(rng.random((12, 12)) < 0.2, np.ones((8, 8), bool)) & (cover == 0)
    surface = np.where(roof, BUILDING, np.where(cover > 0, TREE, floor))
    tall = np.concatenate([[0], trees.height_m / HEIGHT_STEP_M])[cover]
    relief = rng.uniform(0, 4, (13, 13)).astype(np.float32)
    world = hand_world(
        surface,
        height=np.where(roof, 40, tall).astype(np.uint8),
        top=rng.integers(20, 220, (SIDE, SIDE, 3)),
        floor=floor.astype(np.uint8),
        floor_rgb=rng.integers(20, 220, (SIDE, SIDE, 3)),
        relief_m=relief,
        trees=trees,
    )
    return world, cover, np.concatenate([[0], trees.conifer])


def steepness(relief_m: np.ndarray, x_m: float, y_m: float) -> tuple[float, float]:
    """Rise per metre to the east and to the south, by small differences of the bilinear grid."""

    def at(x: float, y: float) -> float:
        column, row = int(x / RELIEF_STEP_M), int(y / RELIEF_STEP_M)
        a, b = x / RELIEF_STEP_M - column, y / RELIEF_STEP_M - row
        four = relief_m[row : row + 2, column : column + 2].astype(float)
        return float(np.array([1 - b, b]) @ four @ np.array([1 - a, a]))

    return (
        (at(x_m + 0.01, y_m) - at(x_m - 0.01, y_m)) / 0.02,
        (at(x_m, y_m + 0.01) - at(x_m, y_m - 0.01)) / 0.02,
    )


@pytest.mark.parametrize(("day", "snow"), [(15, 0.0), (180, 0.0), (290, 0.3)])
def test_a_pixel_is_the_mean_of_what_its_parts_reflect(day: int, snow: float) -> None:
    world, cover, conifer = wood()
    of = plain(day, snow=snow)
    maps = spectra(turned=of.turned, grass=of.grass, vigour=1.0, snow=snow).astype(float)
    dark = shadows(world, of.sun_azimuth_deg, of.sun_elevation_deg)
    azimuth, elevation = np.radians(of.sun_azimuth_deg), np.radians(of.sun_elevation_deg)
    sun = np.array([np.sin(azimuth), -np.cos(azimuth), np.tan(elevation)])
    wanted = np.zeros((10, SIDE // FINE, SIDE // FINE))
    for row in range(SIDE):
        for column in range(SIDE):
            j, i = row // FINE, column // FINE
            east, south = steepness(world.relief_m, (i + 0.5) * 10, (j + 0.5) * 10)
            normal = np.array([-east, -south, 1]) / np.sqrt(1 + east**2 + south**2)
            light = SHADE + (1 - SHADE) * normal @ sun / sun[2]
            if dark[row, column]:
                light = SHADE
            kind = int(world.surface[row, column])
            seen = maps[kind] @ [*(world.top[row, column] / 255), 1]
            if kind == TREE and not conifer[cover[row, column]]:
                bare = 1 - of.leaves
                leaves = maps[LEAVES] @ [*(world.top[row, column] / 255), 1]
                below = maps[world.floor[row, column]]
                below = below @ [*(world.floor_rgb[row, column] / 255), 1]
                twigs = maps[TWIGS, :, 3]
                below = TWIG_SHARE * twigs + (1 - TWIG_SHARE) * below
                seen = of.leaves * leaves + bare * below
            wanted[:, j, i] += light * seen / FINE**2
    for name in COARSE_BANDS:
        blocks = wanted[B[name]].reshape(SIDE // FINE // 2, 2, SIDE // FINE // 2, 2)
        wanted[B[name]] = np.kron(blocks.mean((1, 3)), np.ones((2, 2)))
    assert reflectance(world, of) == pytest.approx(np.clip(wanted, 1e-4, 1), abs=1.1e-4)


@pytest.mark.parametrize(
    ("azimuth", "elevation"), [(157.0, 26.0), (118.0, 61.0), (200.0, 40.0), (290.0, 20.0), (5, 50)]
)
def test_shadows_are_where_a_ray_to_the_sun_is_stopped(azimuth: float, elevation: float) -> None:
    world, _, _ = wood(1)
    dark = shadows(world, azimuth, elevation).astype(bool)
    east, south = np.sin(np.radians(azimuth)), -np.cos(np.radians(azimuth))
    at = (np.arange(SIDE) + 0.5) * PIXEL_M / RELIEF_STEP_M
    cell, part = at.astype(int), at % 1
    lines = world.relief_m[cell] + part[:, None] * (world.relief_m[cell + 1] - world.relief_m[cell])
    ground = lines[:, cell] + part * (lines[:, cell + 1] - lines[:, cell])
    high = ground + world.height * HEIGHT_STEP_M
    if abs(east) > abs(south):  # so that each step of a ray is a whole row
        high, dark, east, south = high.T, dark.T, south, east
    outside = np.pad(high, SIDE, constant_values=-1e9)
    stopped, perhaps = np.zeros_like(dark), np.zeros_like(dark)
    for step in range(1, SIDE):
        rows, aside = step * int(np.sign(south)), step * east / abs(south)
        far = np.hypot(step, aside) * PIXEL_M
        ray = high + HEIGHT_STEP_M + far * np.tan(np.radians(elevation))
        # Between two pixels of a row a ray may be stopped by one and miss the other.
        left, right = (
            outside[SIDE + rows : 2 * SIDE + rows, SIDE + c : 2 * SIDE + c] > ray
            for c in (int(np.floor(aside)), int(np.ceil(aside)))
        )
        stopped |= left & right
        perhaps |= left | right
    assert (stopped <= dark).all()
    assert (dark <= perhaps).all()
    assert stopped.any()
    assert perhaps.mean() < 0.6


def test_shadows_fall_away_from_the_sun() -> None:
    height = np.zeros((128, 128), np.uint8)
    height[60:64, 20:108] = 80  # 20 m high, from west to east
    grey = np.full((128, 128, 3), 120, np.uint8)
    wall = hand_world(np.full((128, 128), ROAD), height=height, top=grey)
    red = reflectance(wall, plain(100, sun_azimuth_deg=180.0, sun_elevation_deg=45.0))[B["B4"]]
    assert red[14, 16] == pytest.approx(SHADE * red[20, 16], rel=0.01)
    assert SHADE < red[13, 16] / red[20, 16] < 0.7  # its end, nearly 20 m to the north
    assert red[[12, 16, 18, 25], 16] == pytest.approx(red[20, 16], rel=0.01)
    east = shadows(wall, 90.0, 45.0)
    assert east[62, 13:20].all()  # west of its end
    assert not east[62, :12].any()
    assert not east[62, 20:].any()  # its own roof, and the ground towards the sun


def test_slopes_to_the_sun_are_brighter_by_a_few_percent() -> None:
    grey = np.full((32, 32, 3), 120, np.uint8)
    rise = np.arange(5, dtype=np.float32) * RELIEF_STEP_M * np.float32(0.05)
    of = plain(15, sun_azimuth_deg=180.0, sun_elevation_deg=26.0)
    red = []
    for relief in (np.repeat(rise[:, None], 5, 1), np.repeat(rise[::-1, None], 5, 1)):
        hill = hand_world(np.full((32, 32), ROAD), top=grey, relief_m=np.ascontiguousarray(relief))
        red.append(reflectance(hill, of)[B["B4"]].mean())
    away, toward = red
    assert 1.06 < toward / away < 1.2


def test_bare_crowns_lose_their_infrared_and_conifers_do_not() -> None:
    side = 32
    at = ((np.arange(8) + 0.5) * 10).astype(np.float32)
    x, y = (a.ravel() for a in np.meshgrid(at, at))
    leafy, needles = (
        dataclasses.replace(
            some_trees(np.random.default_rng(0), 64, 1.0, conifer=np.full(64, kind, np.uint8)),
            x_m=x,
            y_m=y,
            radius_m=np.full(64, 8, np.float32),
        )
        for kind in (0, 1)
    )
    crown = np.full((side, side, 3), (35, 90, 35), np.uint8)
    paving = np.full((side, side), PLAZA, np.uint8)
    stone = np.full((side, side, 3), 130, np.uint8)
    nir = {}
    for name, trees in (("leafy", leafy), ("needles", needles)):
        world = hand_world(
            np.full((side, side), TREE), top=crown, floor=paving, floor_rgb=stone, trees=trees
        )
        nir[name] = [reflectance(world, plain(day))[B["B8"]].mean() for day in (15, 180)]
    assert nir["needles"][0] == pytest.approx(nir["needles"][1], rel=0.01)
    assert nir["leafy"][1] == pytest.approx(nir["needles"][1], rel=0.01)
    assert nir["leafy"][0] < 0.7 * nir["leafy"][1]


def test_leaves_turn_and_grass_dries_but_gravel_stays() -> None:
    summer, autumn, winter = plain(165), plain(305, leaves=1.0), plain(345)
    crown = even(TREE, (30, 80, 30))
    bands = [B["B4"], B["B3"]]
    (red, green), (turned_red, turned_green) = (
        reflectance(crown, of)[bands].mean((1, 2)) for of in (summer, autumn)
    )
    assert red < 0.6 * green
    assert turned_red > 1.1 * turned_green
    for kind in (LAWN, GROUND):
        lush = [reflectance(even(kind, (36, 102, 26)), of).mean((1, 2)) for of in (summer, winter)]
        ndvi = [(r[B["B8"]] - r[B["B4"]]) / (r[B["B8"]] + r[B["B4"]]) for r in lush]
        assert ndvi[0] > 0.6
        assert ndvi[1] < 0.45
    dry = [reflectance(even(GROUND, (170, 150, 130)), of).mean((1, 2)) for of in (summer, winter)]
    assert dry[0] == pytest.approx(dry[1], rel=0.02)


def test_colours_of_surfaces_can_be_read_from_bands() -> None:
    of = plain(165)
    for kind in (ROAD, PARKING, PLAZA, RAIL, BUILDING, GROUND, LAWN, TREE):
        gain = spectra(turned=of.turned, grass=of.grass, vigour=1.0, snow=0.0)[kind, :, :3]
        least = np.linalg.svd(gain.astype(float))[1][-1]
        assert least > 0.35, kind
    water = reflectance(even(WATER, (25, 50, 70)), of)
    assert water[B["B8"]].mean() < 0.1 * reflectance(even(LAWN, (36, 102, 26)), of)[B["B8"]].mean()
    assert CONIFER == TREE


def test_snow_lies_only_where_it_is_asked_for() -> None:
    assert all(scene(seed).snow == 0 for seed in range(20))
    lawn = even(LAWN, (36, 102, 26))
    bare, white = (reflectance(lawn, plain(15, snow=snow)).mean((1, 2)) for snow in (0.0, 1.0))
    assert white[B["B3"]] > 0.8 > 0.3 > bare[B["B3"]]
    assert white[B["B11"]] < 0.15


def test_ten_bands_at_ten_metres_never_without_data() -> None:
    world, _, _ = wood()
    for changes in ({}, {"gain": 1e-9, "noise_dn": 0.0}, {"gain": 40.0}):
        dn = observe(world, scene(**changes), np.random.default_rng(0))
        assert dn.shape == (10, SIDE // FINE, SIDE // FINE)
        assert dn.dtype == np.uint16
        assert dn.min() >= 1
        assert dn.max() <= 10_000


def test_coarse_bands_are_twenty_metres() -> None:
    world, _, _ = wood()
    dn = observe(world, scene(noise_dn=0.0), np.random.default_rng(0))
    for name in GAIR_BANDS:
        blocks = dn[B[name]].reshape(dn.shape[1] // 2, 2, dn.shape[2] // 2, 2)
        flat = (np.ptp(blocks, axis=(1, 3)) == 0).mean()
        assert (flat == 1.0) == (name in COARSE_BANDS), name


def test_one_seed_gives_one_scene_and_dates_differ_more_than_noise() -> None:
    world, _, _ = wood()
    rng = np.random.default_rng(0)
    first, again = (observe(world, scene(1), rng).astype(float) for _ in range(2))
    assert (first == observe(world, scene(1), np.random.default_rng(0))).all()
    other = observe(world, scene(2), rng).astype(float)
    noise = np.abs(first - again).mean()
    assert 20 < noise < 60
    assert np.abs(first - other).mean() > 2 * noise


def test_scenes_are_of_every_day_of_the_year_with_its_sun() -> None:
    rng = np.random.default_rng(0)
    drawn = [Scene.draw(rng, 2023) for _ in range(400)]
    assert {s.acquired.month for s in drawn} == set(range(1, 13))
    for of in drawn:
        assert of.acquired.year == 2023
        assert 110 < of.sun_azimuth_deg < 170
        assert 20 < of.sun_elevation_deg < 72
    january = Scene.of_day(1, rng, 2023)
    assert january.acquired == date(2023, 1, 1)
    assert january.leaves == 0
    assert Scene.of_day(180, rng).leaves == 1
    assert january.sun_elevation_deg < 35 < 55 < Scene.of_day(180, rng).sun_elevation_deg
    for number, season in enumerate(SEASONS):
        assert set(seasons([Scene.draw(rng, 2023, season) for _ in range(30)])) == {number}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 20, 356])
def test_scenes_of_a_city_are_of_different_days_and_seasons(count: int) -> None:
    for seed in range(5):
        scenes = draw_scenes(np.random.default_rng(seed), count)
        days = [s.acquired for s in scenes]
        assert len(set(days)) == count
        assert days == sorted(days)
        assert len(set(seasons(scenes))) == min(count, 4)
        if count == 2:
            assert abs(np.subtract(*seasons(scenes))) == 2


def test_more_scenes_than_days_are_refused() -> None:
    with pytest.raises(UsageError, match="500 dates"):
        draw_scenes(np.random.default_rng(0), 500)


def test_a_reader_finds_the_city_where_it_is(tmp_path: Path) -> None:
    city = City(seed=9, side_m=1600.0)
    world = city.draw()
    early, late = city.write_scenes(world, tmp_path)
    assert early.name < late.name
    with open_imagery(late) as imagery:
        dates = imagery.describe()["scenes"][0]["dates"]
        assert imagery.describe()["attribution"] == ATTRIBUTION
        assert imagery.describe()["licence"] == LICENCE
        assert "Synthetic imagery" in imagery.warnings[0]
        assert late.stem[-8:] in dates[0].replace("-", "")
        west, north = city.west_north_m
        square = Footprint(city.crs, (west + 300, north - 900, west + 800, north - 400))
        pixels = imagery.read(square, (50, 50))
    import rasterio

    with rasterio.open(late) as raster:
        expected = raster.read()[:, 40:90, 30:80]
    assert np.array_equal(pixels.dn, expected)
    assert np.allclose(city.lonlat_deg([800.0], [800.0])[0], city.centre_lonlat_deg, atol=1e-3)


def test_cities_lie_in_the_ocean_each_in_its_own_place() -> None:
    places = {City(seed, 6000.0).centre_lonlat_deg for seed in range(480)}
    assert len(places) == 480
    lon, lat = np.array(sorted(places)).T
    assert lon.min() >= -50
    assert lon.max() <= -28
    assert lat.min() >= 35
    assert lat.max() <= 41.5
