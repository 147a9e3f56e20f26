"""Values that no sensor gives and no tag marks: missing, counted, never mixed into ground."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tiny_rasters import FRAME, flat_bands, own_footprint, write_bands, write_raster

from gair.bands import GAIR_BANDS
from gair.errors import ImageryError
from indexer.imagery import open_imagery

SIZE = (40, 40)
LOWEST = float(np.finfo(np.float32).min)
KINDS = [
    ("uint16", 65535), ("uint16", 55537), ("int16", -9999), ("int16", -32768), ("int16", 32767),
    ("uint32", 65535), ("uint32", 4294967295), ("int32", -9999), ("int32", -2147483648),
    ("int32", 65535), ("int32", 2147483647),
    ("float32", -9999), ("float32", 65535), ("float32", LOWEST),
    ("float64", -9999), ("float64", LOWEST), ("float64", 9.969209968386869e36),
]  # fmt: skip


def ground(dtype: str) -> npt.NDArray[Any]:
    return np.random.default_rng(0).integers(400, 4000, (10, *SIZE)).astype(dtype)


def with_hole(
    pixels: npt.NDArray[Any], value: float, hole: tuple[slice, slice]
) -> npt.NDArray[Any]:
    holed = pixels.copy()
    holed[:, *hole] = value
    return holed


WEST = (slice(None), slice(0, 13))


@pytest.mark.parametrize("marked", [None, 0.0])
@pytest.mark.parametrize(("dtype", "value"), KINDS)
def test_a_value_that_no_sensor_gives_is_missing_ground(
    tmp_path: Path, dtype: str, value: float, marked: float | None
) -> None:
    pixels = ground(dtype)
    path = write_raster(
        tmp_path / "a.tif", with_hole(pixels, value, WEST), names=GAIR_BANDS, nodata=marked
    )
    with open_imagery(path) as imagery:
        own = imagery.read(*own_footprint(path))
        frame = imagery.read(FRAME, (37, 37))  # resampled: what lies at the rim is mixed
        (note,) = imagery.warnings
    assert "a.tif: 32.5% of the pixels hold" in note
    assert "no tag marks as missing; they are taken as missing" in note
    np.testing.assert_array_equal(own.valid, np.broadcast_to(np.arange(40) >= 13, SIZE))
    np.testing.assert_array_equal(own.dn[:, :, 13:], pixels[:, :, 13:].astype(np.uint16))
    assert 0.5 < frame.valid_fraction < 1
    low, high = pixels[:, :, 13:].min(), pixels[:, :, 13:].max()
    assert frame.dn.min() >= low
    assert frame.dn.max() <= high


@pytest.mark.parametrize(("dtype", "value"), [kind for kind in KINDS if kind[1] != 32767])
def test_a_spot_that_the_look_at_the_scene_misses_is_missing_all_the_same(
    tmp_path: Path, dtype: str, value: float
) -> None:
    pixels = np.random.default_rng(0).integers(400, 4000, (10, 1100, 1100)).astype(dtype)
    spot = (slice(550, 552), slice(550, 552))
    path = write_raster(tmp_path / "a.tif", with_hole(pixels, value, spot), names=GAIR_BANDS)
    with open_imagery(path) as imagery:
        assert imagery.warnings == ()  # none of it was looked at
        frame = imagery.read(FRAME, (20, 20))
    assert 0.9 < frame.valid_fraction < 1
    assert frame.dn.min() >= 400
    assert frame.dn.max() <= 4000


def test_it_may_be_in_one_band_alone_and_beside_marked_ground(tmp_path: Path) -> None:
    pixels = ground("int16")
    holed = pixels.copy()
    holed[9, :5] = -9999
    holed[:, -5:] = 0
    write_bands(tmp_path, "s2_{}.tif", holed, nodata=0)
    path = tmp_path / "s2_B12.tif"
    with open_imagery(tmp_path) as imagery:
        frame = imagery.read(*own_footprint(path))
    rows = np.arange(40)[:, None]
    np.testing.assert_array_equal(frame.valid, np.broadcast_to((rows >= 5) & (rows < 35), SIZE))
    np.testing.assert_array_equal(frame.dn[:, 5:35], pixels[:, 5:35].astype(np.uint16))


def test_dark_water_and_bright_cloud_are_ground(tmp_path: Path) -> None:
    pixels = ground("int16")
    pixels[8:, :10] = -180  # slightly negative, as atmospheric correction leaves water
    pixels[:, 30:] = 19000
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS, nodata=-9999)
    with open_imagery(path) as imagery:
        frame = imagery.read(*own_footprint(path))
        assert imagery.warnings == ()
    assert frame.valid.all()
    np.testing.assert_array_equal(frame.dn, np.clip(pixels, 0, None).astype(np.uint16))


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "int32", "float32", "float64"])
@pytest.mark.parametrize("hole", [None, -9999, 65535])
def test_reflectance_in_per_cent_is_refused(tmp_path: Path, dtype: str, hole: int | None) -> None:
    if hole and not np.can_cast(np.min_scalar_type(hole), dtype):
        hole = None
    pixels = (ground("float64") / 100).astype(dtype)
    whole = pixels if hole is None else with_hole(pixels, hole, WEST)
    path = write_raster(tmp_path / "a.tif", whole, names=GAIR_BANDS)
    with pytest.raises(ImageryError, match=r"a\.tif, band B4: .* per cent.*: pass `dn_scale` 100"):
        open_imagery(path)
    with open_imagery(path, dn_scale=100) as imagery:
        dn = imagery.read(*own_footprint(path)).dn
    np.testing.assert_allclose(dn[:, :, 13:], pixels[:, :, 13:].astype(float) * 100, atol=1)


@pytest.mark.parametrize("hole", [-9999, 65535, LOWEST])
def test_reflectance_in_0_to_1_is_refused_beside_such_values(tmp_path: Path, hole: float) -> None:
    pixels = with_hole((ground("float64") / 1e4).astype(np.float32), hole, WEST)
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS)
    with pytest.raises(ImageryError, match=r"reflectance in 0\.\.1: pass `dn_scale` 10000"):
        open_imagery(path)
    with open_imagery(path, dn_scale=10000) as imagery:
        frame = imagery.read(*own_footprint(path))
    assert frame.valid_fraction == pytest.approx(27 / 40)
    assert frame.dn.max() <= 4000


def test_dark_ground_with_anything_bright_is_no_per_cent(tmp_path: Path) -> None:
    pixels = flat_bands(first=20)  # up to 920 in the last band
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS)
    with open_imagery(path) as imagery:
        np.testing.assert_array_equal(imagery.read(*own_footprint(path)).dn, pixels)


@pytest.mark.parametrize(("dtype", "value"), KINDS)
def test_nothing_but_such_values_is_refused(tmp_path: Path, dtype: str, value: float) -> None:
    path = write_raster(tmp_path / "a.tif", np.full((10, *SIZE), value, dtype), names=GAIR_BANDS)
    with pytest.raises(ImageryError, match=r"a\.tif is nodata all over"):
        open_imagery(path)
