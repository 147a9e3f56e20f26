"""Composites from a STAC catalogue: a real API server and files over HTTP, both on loopback."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from stac_world import (
    CLOUD,
    FRAME,
    REGION,
    SHAPE,
    World,
    brighter,
    clear_classes,
    published,
    resampled,
    scene,
    stac_api,
    toy_pixels,
)

from gair.bands import GAIR_BANDS
from gair.errors import ImageryError
from gair.geo import Footprint
from indexer.imagery.stac.imagery import open_stac
from indexer.imagery.stac.query import last_twelve_months, search
from indexer.imagery.stac.scenes import FINE_BANDS
from indexer.regions.region import region_from_bbox


@pytest.fixture(scope="module")
def five_dates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Five dates, from 0 to 40 brighter; the second has a cloud, two more are too cloudy."""
    folder = tmp_path_factory.mktemp("stac")
    dn = toy_pixels()
    cloudy = clear_classes(dn)
    cloudy[80:160, 20:120] = CLOUD
    white = brighter(dn, 20)
    white[:, 160:320, 40:240] = 9000
    scenes = [
        scene("S2A_1", "2024-06-01", dn, cloud_percent=1),
        scene("S2B_2", "2024-06-11", white, cloud_percent=2, classes=cloudy),
        scene("S2A_3", "2024-06-21", brighter(dn, 10), cloud_percent=3),
        scene("S2B_4", "2024-07-01", brighter(dn, 40), cloud_percent=4),
        scene("S2A_5", "2024-07-11", brighter(dn, 30), cloud_percent=5),
        scene("S2B_6", "2024-07-21", brighter(dn, 3000), cloud_percent=60),
        scene("S2A_7", "2023-07-21", brighter(dn, 3000), cloud_percent=0),
    ]
    with published(folder, scenes) as world:
        yield world


@pytest.mark.process
def test_one_date_comes_out_as_gdal_resamples_its_files(five_dates: World, tmp_path: Path) -> None:
    with five_dates.open(tmp_path, dates_a_place=1, spare_dates=0) as imagery:
        assert imagery.resolution_m == 10
        frame = imagery.read(FRAME, SHAPE)
    assert frame.valid.all()
    np.testing.assert_allclose(frame.dn, resampled(five_dates, "S2A_1"), atol=1.01)


@pytest.mark.process
def test_the_median_leaves_clouds_out(five_dates: World, tmp_path: Path) -> None:
    with five_dates.open(tmp_path, dates_a_place=5) as imagery:
        frame = imagery.read(FRAME, SHAPE)
        assert imagery.warnings == ()
    above = frame.dn - resampled(five_dates, "S2A_1")
    # Of 0, 10, 20, 30, 40 the median is 20, of 0, 10, 30, 40 too.
    np.testing.assert_allclose(above, 20, atol=1.5)


@pytest.mark.process
def test_the_best_date_is_taken_where_it_is_clear(five_dates: World, tmp_path: Path) -> None:
    with five_dates.open(tmp_path / "a", composite="best", dates_a_place=2) as imagery:
        first = imagery.read(FRAME, SHAPE)
    np.testing.assert_allclose(first.dn, resampled(five_dates, "S2A_1"), atol=1.01)
    dates = "2024-06-05/2024-07-31"  # without the first: the one with a cloud is best
    with five_dates.open(tmp_path / "b", composite="best", dates=dates) as imagery:
        second = imagery.read(FRAME, SHAPE)
        assert imagery.warnings == ()
    above = second.dn - resampled(five_dates, "S2A_1")
    assert set(np.unique(np.rint(above / 10))) <= {1, 2}
    clear_share = float((above[0] > 15).mean())
    assert 0.1 < clear_share < 0.9


@pytest.mark.process
def test_dates_clouds_and_the_catalogue_are_told(five_dates: World, tmp_path: Path) -> None:
    with five_dates.open(tmp_path) as imagery:
        told = imagery.describe()
        imagery.read(FRAME, SHAPE)
        assert imagery.describe() == told
    assert [s["name"] for s in told["scenes"]] == ["S2A_1", "S2A_3", "S2A_5", "S2B_2", "S2B_4"]
    assert told["scenes"][0]["dates"] == ["2024-06-01T11:06:00Z"]
    assert told["scenes"][0]["offset"] == [-0.1]
    assert told["attribution"] == "Contains modified Copernicus Sentinel data 2024"
    assert (told["kind"], told["catalogue"]) == ("stac", five_dates.url)
    assert told["collection"] == "sentinel-2-c1-l2a"


@pytest.mark.process
def test_each_pixel_is_fetched_once(tmp_path: Path) -> None:
    dn = toy_pixels()
    scenes = [scene("S2A_8", "2024-06-01", dn), scene("S2A_9", "2024-06-11", brighter(dn, 9))]
    elsewhere = Footprint.web_mercator_square((-0.112, 51.502), 2446)
    with published(tmp_path, scenes) as world:
        with world.open(tmp_path / "cache") as imagery:
            imagery.read(FRAME, SHAPE)
            once = list(world.files.log)
            imagery.read(elsewhere, SHAPE)
        assert world.files.log == once
        files = [file for each in (tmp_path / "cogs").iterdir() for file in each.iterdir()]
        stored = sum(file.stat().st_size for file in files)
        first_look = 32768 * len(files)  # what GDAL reads of a file to find its header
        assert 0.9 * stored < world.files.bytes_sent < 1.1 * (stored + first_look)
        assert len(once) <= 3 * len(files)


@pytest.mark.process
def test_a_damaged_window_is_fetched_again(five_dates: World, tmp_path: Path) -> None:
    with five_dates.open(tmp_path, dates_a_place=1) as imagery:
        frame = imagery.read(FRAME, SHAPE)
    files = sorted(tmp_path.rglob("fine-*.tif"))
    files[0].write_bytes(files[0].read_bytes()[:5000])
    assert not list(tmp_path.rglob("*.tmp*"))
    with five_dates.open(tmp_path, dates_a_place=1) as imagery:
        np.testing.assert_array_equal(imagery.read(FRAME, SHAPE).dn, frame.dn)
        assert imagery.windows.fetched_bytes > 0


@pytest.mark.process
def test_another_process_opens_the_same_scenes_unasked(five_dates: World, tmp_path: Path) -> None:
    with five_dates.open(tmp_path, dates_a_place=1) as imagery:
        frame = imagery.read(FRAME, SHAPE)
        told, packed = imagery.describe(), pickle.dumps(imagery.opener())
    requests = len(five_dates.files.log)
    with pickle.loads(packed)() as again:
        assert again.describe() == told
        np.testing.assert_array_equal(again.read(FRAME, SHAPE).dn, frame.dn)
    assert len(five_dates.files.log) == requests
    assert len(packed) < 100_000


@pytest.mark.process
def test_little_memory_gives_the_same_pixels(five_dates: World, tmp_path: Path) -> None:
    frames = []
    for memory_bytes in (1 << 30, 1):
        with open_stac(
            REGION, five_dates.query(), cache=tmp_path, memory_bytes=memory_bytes
        ) as imagery:
            frames.append([imagery.read(FRAME, SHAPE).dn for _ in range(2)])
    for dn in (*frames[0], *frames[1]):
        np.testing.assert_array_equal(dn, frames[0][0])


@pytest.mark.process
def test_a_region_without_clear_scenes_says_what_to_relax(
    five_dates: World, tmp_path: Path
) -> None:
    with pytest.raises(ImageryError) as caught:
        five_dates.open(tmp_path, max_cloud=0.5)
    text = str(caught.value)
    assert "riverside (bbox -0.140,51.475,-0.075,51.535) from 2024-05-01 to 2024-07-31" in text
    assert (
        "at most 0.5 % of clouds; 6 are cloudier, the clearest has 1 %: raise `max_cloud`" in text
    )
    with pytest.raises(ImageryError, match="nor with more: widen `dates`, or check the region"):
        five_dates.open(tmp_path, dates="2020-01-01/2020-02-01")
    ocean = region_from_bbox((-30.0, 40.0, -29.9, 40.1), name="ocean")
    with pytest.raises(ImageryError, match="shows ocean .* nor with more"):
        five_dates.open(tmp_path, region=ocean)


@pytest.mark.process
def test_a_collection_that_is_not_there_is_named(five_dates: World, tmp_path: Path) -> None:
    with pytest.raises(ImageryError, match=r"no collection 'landsat'; it has: sentinel-2-c1-l2a\."):
        five_dates.open(tmp_path, collection="landsat")


@pytest.mark.process
def test_addresses_that_are_no_catalogue(five_dates: World, tmp_path: Path) -> None:
    with pytest.raises(ImageryError, match=r"cannot reach .* refused\), tried 3 times: try again"):
        five_dates.open(tmp_path, url="http://127.0.0.1:9")
    with pytest.raises(ImageryError, match="does not answer as a STAC API .* check the URL"):
        five_dates.open(tmp_path, url=five_dates.files.url)


@pytest.mark.process
def test_answers_of_many_pages_are_read_to_the_end(five_dates: World, tmp_path: Path) -> None:
    published_items = json.loads((five_dates.folder / "api" / "items.json").read_text())
    first = published_items["features"][0]
    items = []
    for number in range(230):
        when = f"2024-06-{1 + number % 28:02d}T{number // 28:02d}:00:00Z"
        changed = {**first["properties"], "datetime": when, "eo:cloud_cover": number / 10}
        items.append({**first, "id": f"S2_{number:03d}", "properties": changed})
    with stac_api(items, tmp_path / "api") as url:
        items = search(five_dates.query(url=url), REGION.geometry, "riverside")
    assert [item["id"] for item in items] == [f"S2_{n:03d}" for n in range(201)]  # to 20.0 %


def test_the_last_twelve_months_are_whole_ones() -> None:
    assert last_twelve_months(date(2026, 11, 24)) == "2025-11-01/2026-10-31"
    assert last_twelve_months(date(2024, 3, 1)) == "2023-03-01/2024-02-29"
    assert last_twelve_months(date(2025, 1, 31)) == "2024-01-01/2024-12-31"


def test_fine_bands_are_those_of_ten_metres() -> None:
    assert [band for band in GAIR_BANDS if band in FINE_BANDS] == ["B2", "B3", "B4", "B8"]
