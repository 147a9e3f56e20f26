"""Catalogues and servers that fail, lie, or hide the ground; tiles that meet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from file_server import serving
from small_builds import tiny_model
from stac_world import (
    CLOUD,
    DATES,
    FRAME,
    HASTE,
    REGION,
    SHAPE,
    World,
    brighter,
    clear_classes,
    published,
    resampled,
    scene,
    toy_pixels,
)

from gair.errors import ImageryError
from indexer.build.build import BuildOptions, BuildReport, build_index
from indexer.imagery.stac.imagery import open_stac
from indexer.imagery.stac.query import StacQuery
from indexer.regions.region import region_from_bbox

pytestmark = pytest.mark.process


@pytest.fixture
def one_scene(tmp_path: Path) -> Iterator[World]:
    with published(tmp_path, [scene("S2A_1", "2024-06-01", toy_pixels())]) as world:
        yield world


@pytest.mark.parametrize("trouble", [429, 500, 503, "close"])
def test_a_server_that_fails_now_and_then_is_asked_again(
    one_scene: World, tmp_path: Path, trouble: int | str
) -> None:
    one_scene.files.trouble = [trouble] * 3
    with one_scene.open(tmp_path / "cache") as imagery:
        assert imagery.read(FRAME, SHAPE).valid.all()
    failed = [entry for entry in one_scene.files.log if entry[2] in (trouble, 0)]
    assert len(failed) == 3


def test_a_server_that_goes_silent_is_asked_again(one_scene: World, tmp_path: Path) -> None:
    one_scene.files.trouble = ["stall"]
    with one_scene.open(tmp_path / "cache") as imagery:
        assert imagery.read(FRAME, SHAPE).valid.all()
    assert one_scene.files.log[0][2] == 0


@pytest.mark.parametrize(
    ("trouble", "says"),
    [(429, "429"), (500, "500"), ("close", "tried 3 times"), ("stall", "tried 3 times")],
)
def test_a_server_that_always_fails_is_given_up(
    one_scene: World, tmp_path: Path, trouble: int | str, says: str
) -> None:
    one_scene.files.always = trouble
    with (
        one_scene.open(tmp_path / "cache") as imagery,
        pytest.raises(ImageryError) as caught,
    ):
        imagery.read(FRAME, SHAPE)
    text = str(caught.value)
    assert text.startswith("cannot read scene S2A_1 from 127.0.0.1:")
    assert says in text
    assert "run the same command again to go on from there" in text
    assert len(one_scene.files.log) < 150
    assert not list((tmp_path / "cache").rglob("*.tif"))


@pytest.mark.parametrize("status", [403, 404, 410])
def test_files_that_are_not_there_are_not_asked_for_again(
    one_scene: World, tmp_path: Path, status: int
) -> None:
    one_scene.files.always = status
    with (
        one_scene.open(tmp_path / "cache") as imagery,
        pytest.raises(ImageryError) as caught,
    ):
        imagery.read(FRAME, SHAPE)
    text = str(caught.value)
    assert text.startswith("none of the 1 scenes of a place can be used (S2A_1: cannot read it ")
    assert f"from 127.0.0.1:{one_scene.files.url.rpartition(':')[2]}: HTTP" in text
    assert str(status) in text
    assert "tried" not in text
    assert "again" not in text
    assert len(one_scene.files.log) < 40
    assert not list((tmp_path / "cache").rglob("*.tif"))


def test_what_was_fetched_before_a_server_went_away_is_kept(
    one_scene: World, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with one_scene.open(cache) as imagery:
        tile = imagery.tiles[0]
        tile.pixels("coarse", (0, 0, 10, 10))
        one_scene.files.always = "close"
        with pytest.raises(ImageryError, match="What was fetched is kept in"):
            imagery.read(FRAME, SHAPE)
    assert [file.name for file in cache.rglob("*.tif")] == ["coarse-0000-0000.tif"]
    requests = len(one_scene.files.log)
    one_scene.files.always = None
    with one_scene.open(cache) as imagery:
        assert imagery.read(FRAME, SHAPE).valid.all()
    again = {path for _, path, _, _ in one_scene.files.log[requests:]}
    assert {Path(path).stem for path in again} == {"B2", "B3", "B4", "B8"}


def test_an_offset_that_was_taken_off_before_is_noticed(tmp_path: Path) -> None:
    dn = np.clip(toy_pixels(), 1, None) // 2  # ground as dark as most ground is
    dn = dn.astype(np.uint16)
    scenes = [
        scene("S2A_0", "2024-05-20", dn, cloud_percent=0, stored_higher=0),
        scene("S2A_1", "2024-06-01", brighter(dn, 4), cloud_percent=1),
    ]
    with published(tmp_path, scenes) as world, world.open(tmp_path / "cache") as imagery:
        frame = imagery.read(FRAME, SHAPE)
        (warning,) = imagery.warnings
        np.testing.assert_allclose(frame.dn, resampled(world, "S2A_1"), atol=1.01)
    assert warning.startswith("The scene S2A_0 was left out: ")
    assert "has negative reflectance: the offset of -0.1 that its metadata asks for" in warning


def test_an_offset_that_was_not_taken_off_is_noticed_beside_another_date(tmp_path: Path) -> None:
    dn = toy_pixels()
    liar = scene("S2A_0", "2024-05-20", dn, cloud_percent=0, offset=0.0)
    honest = scene("S2A_1", "2024-06-11", brighter(dn, 9), cloud_percent=1)
    with published(tmp_path, [liar, honest]) as world, world.open(tmp_path / "cache") as imagery:
        frame = imagery.read(FRAME, SHAPE)
        (warning,) = imagery.warnings
        np.testing.assert_allclose(frame.dn, resampled(world, "S2A_1"), atol=1.01)
    assert warning.startswith("The scene S2A_0 was left out: it is 0.10 of reflectance brighter")
    assert "in all bands alike: the offset of 0 in its metadata is not its own" in warning


def test_where_nothing_is_dark_the_majority_is_right(tmp_path: Path) -> None:
    dn = brighter(toy_pixels(), 1500)
    liar = scene("S2A_0", "2024-05-20", dn, cloud_percent=0, stored_higher=0)
    honest = [scene(f"S2A_{n}", f"2024-06-1{n}", brighter(dn, n), cloud_percent=n) for n in (1, 2)]
    with published(tmp_path, [liar, *honest]) as world, world.open(tmp_path / "cache") as imagery:
        imagery.read(FRAME, SHAPE)
        (warning,) = imagery.warnings
    assert warning.startswith("The scene S2A_0 was left out: it is 0.10 of reflectance darker")


def test_a_season_is_no_offset(tmp_path: Path) -> None:
    dn = toy_pixels()
    summer = dn.copy()
    summer[3:8] = brighter(summer[3:8], 1000)  # leaves, from the red edge to the near infrared
    scenes = [
        scene("S2A_1", "2024-05-02", dn, cloud_percent=1),
        scene("S2A_2", "2024-07-01", summer, cloud_percent=2),
    ]
    with published(tmp_path, scenes) as world, world.open(tmp_path / "cache") as imagery:
        imagery.read(FRAME, SHAPE)
        assert imagery.warnings == ()


def test_scenes_that_all_lie_are_refused(tmp_path: Path) -> None:
    dn = (toy_pixels() // 3).astype(np.uint16)
    scenes = [scene("S2A_0", "2024-05-20", dn, stored_higher=0)]
    with (
        published(tmp_path, scenes) as world,
        world.open(tmp_path / "cache") as imagery,
        pytest.raises(ImageryError, match=r"none of the 1 scenes .* can be used \(S2A_0: \d+%"),
    ):
        imagery.read(FRAME, SHAPE)


def hidden(dn: np.ndarray) -> np.ndarray:
    classes = clear_classes(dn)
    classes[90:130, 80:120] = CLOUD
    return classes


def test_a_further_date_fills_what_clouds_hide(tmp_path: Path) -> None:
    dn = toy_pixels()
    scenes = [
        scene("S2A_1", "2024-06-01", dn, classes=hidden(dn), cloud_percent=1),
        scene("S2A_2", "2024-06-11", dn, classes=hidden(dn), cloud_percent=2),
        scene("S2A_3", "2024-06-21", brighter(dn, 50), cloud_percent=3),
        scene("S2A_4", "2024-07-01", brighter(dn, 90), cloud_percent=4),
    ]
    with published(tmp_path, scenes) as world:
        with world.open(tmp_path / "a", dates_a_place=2, spare_dates=0) as imagery:
            bare = imagery.read(FRAME, SHAPE)
            (warning,) = imagery.warnings
        with world.open(tmp_path / "b", dates_a_place=2, spare_dates=2) as imagery:
            full = imagery.read(FRAME, SHAPE)
            assert imagery.warnings == ()
        used = {path.parent.name[:5] for path in (tmp_path / "b").rglob("fine-*.tif")}
    assert 0.05 < 1 - bare.valid_fraction < 0.5
    assert warning.startswith("Clouds or gaps hide a part of the region on all dates")
    assert full.valid.all()
    assert used == {"S2A_1", "S2A_2", "S2A_3"}  # the fourth was not needed


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (429, "too many 429 error responses"),
        (503, "too many 503 error responses"),
        ("stall", "no answer within 1 s"),
        ("close", "hung up without an answer"),
        (403, "does not answer as a STAC API"),
    ],
)
def test_a_catalogue_that_fails(tmp_path: Path, trouble: int | str, says: str) -> None:
    with serving(tmp_path) as files:
        files.always, files.stall_s = trouble, 1.5
        query = StacQuery(dates=DATES, url=files.url, patience=HASTE)
        with pytest.raises(ImageryError) as caught:
            open_stac(REGION, query, cache=tmp_path / "cache")
        text = str(caught.value)
        assert says in text
        assert files.url in text
        assert "Traceback" not in text
        assert len(text) < 400
        if trouble != 403:
            assert "tried 3 times: try again later, or give local files" in text
            assert len(files.log) >= 3


def test_a_server_that_goes_away_in_a_build_leaves_the_index_as_it_was(
    one_scene: World, tmp_path: Path
) -> None:
    region = region_from_bbox((-0.120, 51.495, -0.090, 51.512), "box")
    options = BuildOptions(resolution=9, quiet=True)

    def build() -> BuildReport:
        with one_scene.open(tmp_path / "cache", region=region) as imagery:
            return build_index(
                "box", region, imagery, tiny_model(), tmp_path / "indexes", options=options
            )

    one_scene.files.trouble, one_scene.files.always = [None] * 16, "close"
    with pytest.raises(ImageryError, match="run the same command again to go on from there"):
        build()
    assert not (tmp_path / "indexes" / "box" / "CURRENT").exists()
    one_scene.files.always = None
    report = build()
    assert report.manifest.missing == {}
