"""Parts of reading a catalogue, each against a plain definition."""

from __future__ import annotations

import dataclasses
import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import shapely
from stac_world import ASSETS, FakeScene, clear_classes, publish

from gair.arrays import DigitalNumbers
from gair.errors import BandError, ImageryError, StorageError
from gair.geo import LONLAT, transformer
from indexer.imagery.days import MISSING, combine, merge_day
from indexer.imagery.stac.cache import CACHE_VARIABLE, WindowCache, WindowPlace, default_cache
from indexer.imagery.stac.composite import digital_numbers
from indexer.imagery.stac.query import _boxes
from indexer.imagery.stac.scales import BandScale
from indexer.imagery.stac.scenes import StacBand, TileGrid, scene_of, scenes_of
from indexer.imagery.stac.tile import Store, bilinear, transformed_grid
from indexer.imagery.stac.windows import clear, window_extent, window_pixels
from indexer.regions.antimeridian import grown, unwrapped, wrapped

RNG_SEED = 3
TILE = TileGrid("EPSG:32630", 699_960.0, 5_700_000.0, 10.0, 10_980, 10_980)


def random_dates(count: int) -> list[DigitalNumbers]:
    """(3, 20, 30) of each date, a third of the pixels missing."""
    rng = np.random.default_rng(RNG_SEED)
    dates = []
    for _ in range(count):
        dn = rng.integers(1, 65_000, (3, 20, 30)).astype(np.uint16)
        dn[:, rng.random((20, 30)) < 0.33] = MISSING
        dates.append(dn)
    return dates


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_the_median_is_that_of_what_is_there(count: int) -> None:
    dates = random_dates(count)
    composite = combine(dates, "median")
    for place in np.ndindex(*composite.shape):
        there = [int(dn[place]) for dn in dates if dn[place] != MISSING]
        wanted = np.rint(np.median(there)) if there else MISSING
        assert composite[place] == wanted, place


def test_the_best_is_the_first_that_is_there() -> None:
    dates = random_dates(4)
    composite = combine(dates, "best")
    np.testing.assert_array_equal(composite, merge_day(dates))
    for row, column in np.ndindex(20, 30):
        there = [dn[:, row, column] for dn in dates if dn[0, row, column] != MISSING]
        np.testing.assert_array_equal(composite[:, row, column], there[0] if there else 0)


def test_clouds_shadows_snow_and_gaps_are_not_ground() -> None:
    classes = np.arange(12, dtype=np.uint16)[None]  # (1, 12)
    stored = np.full((2, 1, 12), 1500, dtype=np.uint16)
    stored[1, 0, 5] = 0
    seen = clear(stored, classes)
    assert np.flatnonzero(seen[0]).tolist() == [2, 4, 6, 7]  # dark, vegetation, water, unclassified


def test_scale_and_offset_are_those_of_each_band() -> None:
    stored = np.array([[[1500, 900, 0]], [[1500, 900, 0]]], dtype=np.uint16)
    bands = [
        StacBand("B2", "blue", "", BandScale(1e-4, -0.1, "stated"), None),
        StacBand("B3", "green", "", BandScale(2e-4, 0.0, "stated"), None),
    ]
    seen = np.array([[True, True, False]])
    numbers = digital_numbers(stored, bands, seen)
    assert numbers.tolist() == [[[500, 1, 0]], [[3000, 1800, 0]]]  # below 0 is as dark as it gets


def test_sampling_leaves_gaps_out() -> None:
    values = np.array([[[100, 200], [300, 0]]], dtype=np.uint16)
    column = np.array([0.5, 1.0, 1.5, 1.0, 1.5, -5.0])
    row = np.array([0.5, 0.5, 0.5, 1.0, 1.5, 0.5])
    sampled = bilinear(values, column, row, gap=0)[0]
    np.testing.assert_allclose(sampled[:4], [100, 150, 200, 200])
    assert np.isnan(sampled[4:]).all()


def test_windows_cover_a_tile_once() -> None:
    for kind, step in (("fine", 1), ("coarse", 2)):
        last = (TILE.height // step - 1) // 1024
        places = [WindowPlace(kind, r, c) for r in range(last + 1) for c in range(last + 1)]
        parts = [window_pixels(TILE, place) for place in places]
        assert sum((b - t) * (r - x) for t, x, b, r in parts) == (TILE.height // step) ** 2
    quarter = window_extent(TILE, WindowPlace("fine", 3, 5))
    whole = window_extent(TILE, WindowPlace("coarse", 1, 2))
    assert whole[0] <= quarter[0] < quarter[2] <= whole[2]
    assert whole[1] <= quarter[1] < quarter[3] <= whole[3]


@pytest.fixture
def item(tmp_path: Path) -> dict[str, Any]:
    dn = np.full((10, 20, 20), 1500, dtype=np.uint16)
    place = ("EPSG:32630", (699_960.0, 5_700_000.0))
    made = FakeScene("S2A_X", "2024-06-01T23:50:00Z", dn, clear_classes(dn), *place)
    return publish(made, tmp_path, "http://127.0.0.1:9")


def test_an_item_is_read(item: dict[str, Any]) -> None:
    scene = scene_of(pystac.Item.from_dict(item))
    assert scene.grid == TileGrid("EPSG:32630", 699_960.0, 5_700_000.0, 10.0, 20, 20)
    assert scene.acquired == datetime(2024, 6, 1, 23, 50, tzinfo=UTC)
    assert scene.solar_day == date(2024, 6, 1)
    assert set(scene.bands) == set(ASSETS)
    assert (scene.bands["B11"].key, scene.bands["B11"].offset) == ("swir16", -0.1)
    assert scene.bands["B11"].reflectance.basis == "stated"
    assert scene.outline.equals_exact(scene.grid.outline, 1e-6) or (
        shapely.symmetric_difference(scene.outline, scene.grid.outline).area
        < 1e-3 * scene.outline.area
    )


def test_other_spellings_of_the_same_item(item: dict[str, Any]) -> None:
    """STAC 1.1 with bands; assets called as Copernicus and Planetary Computer do; proj:epsg."""
    del item["properties"]["proj:code"]
    item["properties"]["proj:epsg"] = 32630
    assets = item["assets"]
    item["assets"] = {name: assets[key] for name, key in ASSETS.items()}
    for name, asset in item["assets"].items():
        if name != "SCL":
            del asset["raster:bands"]
            asset["bands"] = [{"name": name, "raster:scale": 2e-4, "raster:offset": -0.2}]
    item["assets"]["visual"] = dict(assets["red"])
    scene = scene_of(pystac.Item.from_dict(item))
    assert scene.grid.crs == "EPSG:32630"
    assert (scene.bands["B8A"].scale, scene.bands["B8A"].offset) == (2e-4, -0.2)


def test_scenes_of_a_day_at_the_place_itself(item: dict[str, Any]) -> None:
    item["properties"]["datetime"] = "2024-06-01T23:50:00Z"
    late = scene_of(pystac.Item.from_dict(item))
    grid = TileGrid("EPSG:32760", 699_960.0, 8_200_000.0, 10.0, 20, 20)
    fiji = dataclasses.replace(late, outline=grid.outline, grid=grid)
    assert fiji.solar_day == date(2024, 6, 2)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda i: i["assets"].pop("swir16"), BandError, "S2A_X lacks B11 .its assets: blue, "),
        (lambda i: i["assets"].pop("scl"), BandError, "S2A_X lacks SCL"),
        (lambda i: i["properties"].pop("proj:code"), ImageryError, "no proj:code"),
        (lambda i: i["assets"]["blue"].pop("proj:shape"), ImageryError, "lacks proj:code, proj:t"),
        (
            lambda i: i["assets"]["scl"].update({"proj:shape": [5, 5]}),
            ImageryError,
            "SCL does not lie on the grid of B2",
        ),
        (
            lambda i: i["assets"]["red"].update({"proj:transform": [10, 1, 0, 0, -10, 0]}),
            ImageryError,
            "is not north-up",
        ),
    ],
)
def test_items_that_cannot_be_used(
    item: dict[str, Any], change: Any, error: type[Exception], says: str
) -> None:
    change(item)
    with pytest.raises(error, match=says):
        scenes_of([pystac.Item.from_dict(item)])


def test_the_cache_is_where_it_is_told_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "mine"))
    assert default_cache() == tmp_path / "mine"
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "gair" / "imagery"


def test_a_cache_that_cannot_be_written_says_so(item: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    scene = scene_of(pystac.Item.from_dict(item))
    cache, place = WindowCache(tmp_path / "file"), WindowPlace("fine", 0, 0)
    pixels = np.ones((4, 20, 20), dtype=np.uint16)
    transform = corner_of(scene.grid)
    with pytest.raises(StorageError, match="cannot write"):
        cache.put(scene, place, pixels, ("B2", "B3", "B4", "B8"), transform)
    good = WindowCache(tmp_path / "cache")
    size = good.put(scene, place, pixels, ("B2", "B3", "B4", "B8"), transform)
    np.testing.assert_array_equal(good.get(scene, place), pixels)
    assert size == good.size_bytes() > 0


def corner_of(grid: TileGrid) -> Any:
    from affine import Affine

    return Affine(grid.pixel, 0, grid.west, 0, -grid.pixel, grid.north)


def test_a_store_forgets_what_is_unused_the_longest() -> None:
    store, lock, made = Store(250), threading.RLock(), []

    def ask(key: str) -> None:
        def make() -> np.ndarray[Any, Any]:
            made.append(key)
            return np.zeros(100, dtype=np.uint8)

        store.get_or_make(key, np.ndarray, lock, make)

    for key in "abacaba":
        ask(key)
    assert "".join(made) == "abcb"


def test_areas_over_the_antimeridian() -> None:
    over = wrapped(shapely.box(179, 0, 181, 1))
    assert over.equals(
        shapely.MultiPolygon([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -179, 1)])
    )
    jumping = shapely.Polygon([(179, 0), (-179, 0), (-179, 1), (179, 1)])
    assert wrapped(unwrapped(jumping)).equals(over)
    near = grown(shapely.box(179.9, 0, 180, 1), 0.5)
    assert near.bounds[0] == -180
    assert near.area == pytest.approx(1.1 * 2)
    boxes = _boxes(near)
    assert [b[0] for b in boxes] == [-180, pytest.approx(179.4)]
    assert _boxes(shapely.box(1, 2, 3, 4)) == [[1, 2, 3, 4]]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 33), (627, 580)])
@pytest.mark.parametrize("lonlat_deg", [(-0.1, 51.5), (24.9, 69.0), (0.01, -1.0)])
def test_a_raster_in_another_crs_is_that_of_its_pixels(
    lonlat_deg: tuple[float, float], size: tuple[int, int]
) -> None:
    zone = int((lonlat_deg[0] + 180) // 6) + 1
    to_utm = transformer("EPSG:3857", f"EPSG:{326 if lonlat_deg[1] > 0 else 327}{zone:02}")
    west, north = transformer(LONLAT, "EPSG:3857")(*lonlat_deg)
    x = west + (np.arange(size[1]) + 0.5) * 16
    y = north - (np.arange(size[0]) + 0.5) * 16
    moved = transformed_grid(to_utm, x, y)
    wanted = to_utm(*np.meshgrid(x, y))
    assert moved[0].shape == size
    np.testing.assert_allclose(moved, wanted, rtol=0, atol=0.02)  # a 500th of a pixel


def test_a_raster_that_leaves_a_crs_is_asked_for_pixel_by_pixel() -> None:
    to_mercator = transformer(LONLAT, "EPSG:3857")
    x, y = np.linspace(0, 1, 20), np.linspace(89, 91, 40)  # over the pole
    moved = transformed_grid(to_mercator, x, y)
    np.testing.assert_array_equal(moved, to_mercator(*np.meshgrid(x, y)))
    assert np.isfinite(moved).any()
    assert not np.isfinite(moved).all()
