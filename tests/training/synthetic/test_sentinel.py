"""The sensor above: bands tell leaves from roofs, two dates, files that readers place right."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gair.bands import GAIR_BANDS
from gair.geo import Footprint
from indexer.imagery import open_imagery
from training.synthetic.city import ATTRIBUTION, LICENCE, City
from training.synthetic.sentinel import COARSE_BANDS, FINE, Scene, observe
from training.synthetic.world import BUILDING, TREE, WATER, World, draw_world

B = {name: number for number, name in enumerate(GAIR_BANDS)}


@pytest.fixture(scope="module")
def world() -> World:
    return draw_world(5, 2500.0)


def scene(seed: int = 0, **changes: float) -> Scene:
    return dataclasses.replace(Scene.draw(np.random.default_rng(seed)), **changes)


def mostly(world: World, kind: int, least: float = 0.9) -> np.ndarray:
    count = world.surface.shape[0] // FINE
    share = (world.surface == kind).reshape(count, FINE, count, FINE).mean((1, 3))
    return share >= least


def test_ten_bands_at_ten_metres_never_without_data(world: World) -> None:
    dn = observe(world, scene(), np.random.default_rng(0))
    side = world.surface.shape[0] // FINE
    assert dn.shape == (10, side, side)
    assert dn.dtype == np.uint16
    assert dn.min() >= 1
    assert 800 < dn[B["B4"]].mean() < 3000


def test_leaves_have_a_red_edge_and_water_has_none(world: World) -> None:
    dn = observe(world, scene(), np.random.default_rng(0)).astype(float)
    ndvi = (dn[B["B8"]] - dn[B["B4"]]) / (dn[B["B8"]] + dn[B["B4"]])
    leaves, roofs = mostly(world, TREE, 0.5), mostly(world, BUILDING)
    assert ndvi[leaves].mean() > ndvi[roofs].mean() + 0.12
    for seed in range(20):  # a city with a river or a pond
        wet = draw_world(seed, 1600.0)
        water = mostly(wet, WATER, 0.99)
        if water.sum() > 20:
            nir = observe(wet, scene(), np.random.default_rng(0))[B["B8"]]
            assert nir[water].mean() < 0.4 * nir[~water].mean()
            return
    pytest.fail("no city has water")


def test_coarse_bands_are_twenty_metres(world: World) -> None:
    dn = observe(world, scene(noise_dn=0.0), np.random.default_rng(0))
    for name in GAIR_BANDS:
        blocks = dn[B[name]].reshape(dn.shape[1] // 2, 2, dn.shape[2] // 2, 2)
        flat = (np.ptp(blocks, axis=(1, 3)) == 0).mean()
        assert (flat == 1.0) == (name in COARSE_BANDS), name


def test_shadows_fall_away_from_the_sun() -> None:
    side = 128
    height = np.zeros((side, side), np.uint8)
    height[60:64, 20:108] = 80  # 20 m high, from west to east
    grey = np.full((side, side, 3), 120, np.uint8)
    wall = World(0, np.zeros((side, side), np.uint8), height, grey, grey, height)
    dn = observe(
        wall,
        scene(sun_azimuth_deg=180.0, sun_elevation_deg=45.0, noise_dn=0.0),
        np.random.default_rng(0),
    )[B["B4"]].astype(float)
    assert dn[13, 16] < 0.75 * dn[20, 16]  # north of the wall against south of it
    assert dn[18, 16] == pytest.approx(dn[25, 16], rel=0.05)


def test_dates_differ_more_than_noise(world: World) -> None:
    rng = np.random.default_rng(0)
    first, again = (observe(world, scene(1), rng).astype(float) for _ in range(2))
    other = observe(world, scene(2), rng).astype(float)
    noise = np.abs(first - again).mean()
    assert 20 < noise < 60
    assert np.abs(first - other).mean() > 2 * noise


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
