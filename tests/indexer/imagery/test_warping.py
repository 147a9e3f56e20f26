"""Which pixels are imagery, which are gaps, and how gaps are filled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_rasters import (
    FLAT,
    FRAME,
    LONLAT_DEG,
    UTM18,
    flat_bands,
    own_footprint,
    transform_around,
    write_flat,
    write_raster,
)

from gair.bands import GAIR_BANDS, MEAN_DN
from gair.geo import Footprint
from indexer.imagery import open_imagery
from indexer.imagery.rasters import FilePool
from indexer.imagery.warping import Grid, warp_scene


def test_a_nodata_hole_is_filled_from_the_next_scene(tmp_path: Path) -> None:
    top = flat_bands(first=500)
    top[:, :, :20] = 0
    write_raster(tmp_path / "a.tif", top, names=GAIR_BANDS)
    write_flat(tmp_path / "b.tif", first=3000)
    with open_imagery(tmp_path) as imagery:
        frame = imagery.read(FRAME, (16, 16))
        assert [scene.name for scene in imagery.scenes] == ["a.tif", "b.tif"]
    assert frame.valid.all()
    assert set(np.unique(frame.dn[0])) == {500, 3000}
    assert (frame.dn[0, :, :7] == 3000).all()
    assert (frame.dn[0, :, 9:] == 500).all()


@pytest.mark.parametrize("nodata", [None, 0])
def test_ground_without_any_band_is_a_gap_and_is_filled_in(
    tmp_path: Path, nodata: float | None
) -> None:
    pixels = flat_bands()
    pixels[:, 15:25, 15:25] = 0
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS, nodata=nodata)
    with open_imagery(path) as imagery:
        frame = imagery.read(*own_footprint(path))
    np.testing.assert_array_equal(~frame.valid, pixels[9] == 0)
    assert frame.valid_fraction == pytest.approx(1 - 100 / 1600)
    np.testing.assert_array_equal(frame.dn, FLAT)


@pytest.mark.parametrize("nodata", [None, 0])
def test_a_zero_beside_other_bands_is_dark_ground(tmp_path: Path, nodata: float | None) -> None:
    pixels = flat_bands()
    pixels[8:, 15:25, 15:25] = 0  # open water in the short-wave infrared
    pixels[3, 2, 2] = 0
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS, nodata=nodata)
    with open_imagery(path) as imagery:
        frame = imagery.read(*own_footprint(path))
    assert frame.valid.all()
    np.testing.assert_array_equal(frame.dn, pixels)


def test_the_rim_of_missing_ground_is_no_dark_ground(tmp_path: Path) -> None:
    for band in GAIR_BANDS:
        fine = band in ("B2", "B3", "B4", "B8")
        size, pixel = ((60, 60), 10) if fine else ((32, 32), 20)  # the coarse ones reach further
        pixels = np.full((1, *size), 900, np.uint16)
        hole = slice(21, 35) if fine else slice(12, 18)  # the fine hole is a little larger
        pixels[:, hole, hole] = 0
        transform = transform_around(LONLAT_DEG, size, UTM18, pixel)
        write_raster(tmp_path / f"s2_{band}.tif", pixels, transform=transform)
    wide = Footprint.web_mercator_square(LONLAT_DEG, 900.0)
    with open_imagery(tmp_path) as imagery:
        frame = imagery.read(wide, (71, 71))
    assert not frame.valid[35, 35]
    assert frame.valid[35, 10]
    assert 0.5 < frame.valid_fraction < 0.8
    assert (frame.dn == 900).all()


def test_a_declared_gap_in_one_band_is_a_gap_in_all(tmp_path: Path) -> None:
    pixels = flat_bands()
    pixels[9, 15:25, 15:25] = 65535
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS, nodata=65535)
    with open_imagery(path) as imagery:
        frame = imagery.read(*own_footprint(path))
    np.testing.assert_array_equal(~frame.valid, pixels[9] == 65535)
    np.testing.assert_array_equal(frame.dn, FLAT)


def test_filling_follows_the_surroundings(tmp_path: Path) -> None:
    pixels = flat_bands()
    pixels[:, :, 25:] += 4000
    pixels[:, 18:22, 2:6] = pixels[:, 18:22, 33:37] = 0
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS)
    with open_imagery(path) as imagery:
        dn = imagery.read(*own_footprint(path)).dn[0].astype(float)
    assert np.abs(dn[18:22, 2:6] - 500).max() < 50  # the mean of the frame is 2000
    assert np.abs(dn[18:22, 33:37] - 4500).max() < 50


def test_the_declared_nodata_value_counts_and_zero_then_does_not(tmp_path: Path) -> None:
    pixels = flat_bands().astype(np.int16)
    pixels[0, :, :10] = -9999
    pixels[1, :, 30:] = 0
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS, nodata=-9999)
    with open_imagery(path) as imagery:
        frame = imagery.read(*own_footprint(path))
    assert not frame.valid[:, :10].any()
    assert frame.valid[:, 10:].all()
    assert (frame.dn[1, :, 30:] == 0).all()


def test_nan_is_nodata(tmp_path: Path) -> None:
    pixels = flat_bands().astype(np.float32)
    pixels[3, :7] = np.nan
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS)
    with open_imagery(path) as imagery:
        frame = imagery.read(*own_footprint(path))
    np.testing.assert_array_equal(frame.valid, np.isfinite(pixels[3]))
    np.testing.assert_array_equal(frame.dn, FLAT)


def test_a_frame_over_the_edge_is_partly_valid(tmp_path: Path) -> None:
    path = write_flat(tmp_path / "a.tif")
    footprint, (height, width) = own_footprint(path)
    west, south, east, north = footprint.bounds_wsen
    shifted = Footprint(footprint.crs, (west + 100, south + 50, east + 100, north + 50))
    with open_imagery(path) as imagery:
        frame = imagery.read(shifted, (height, width))
    expected = np.zeros((height, width), dtype=bool)
    expected[5:, :-10] = True
    np.testing.assert_array_equal(frame.valid, expected)
    np.testing.assert_array_equal(frame.dn, FLAT)


def test_a_frame_off_the_imagery_is_invalid_and_holds_the_band_means(tmp_path: Path) -> None:
    elsewhere = Footprint.web_mercator_square((10.0, 50.0), 500.0)
    with open_imagery(write_flat(tmp_path / "a.tif")) as imagery:
        frame = imagery.read(elsewhere, (4, 5))
    assert frame.valid_fraction == 0.0
    np.testing.assert_array_equal(frame.dn[:, 0, 0], np.rint(MEAN_DN))
    assert frame.dn.shape == (10, 4, 5)


def test_the_fast_way_to_leave_gaps_out_has_the_bits_of_the_slow_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 9000, (10, 60, 80)).astype(np.uint16)
    pixels[:, rng.random((60, 80)) < 0.05] = 0
    pixels[:, 20:30, 30:50] = 0
    pixels[3, rng.random((60, 80)) < 0.05] = 0  # a gap in one band
    path = write_raster(tmp_path / "city.tif", pixels, names=GAIR_BANDS)
    footprint, _ = own_footprint(path)
    west, south, east, north = footprint.bounds_wsen
    away = 0.3 * (east - west)
    with open_imagery(path) as imagery, FilePool().borrowed() as files:
        (scene,) = imagery.scenes
        for place in (
            Footprint(footprint.crs, (west + 3, south + 7, east + away, north - 4)),
            Footprint.web_mercator_square(LONLAT_DEG, 700),
            Footprint.web_mercator_square(LONLAT_DEG, 2446),
        ):
            for shape in ((50, 70), (17, 20)):
                fast = warp_scene(scene, Grid.of(place, shape), files)
                with monkeypatch.context() as patch:
                    patch.setattr("indexer.imagery.warping._UNSIGNED", frozenset())
                    slow = warp_scene(scene, Grid.of(place, shape), files)
                assert np.isnan(slow).any()
                assert np.isfinite(slow).any()
                np.testing.assert_array_equal(fast, slow)
