"""Values are brought to reflectance x 10000 where stated, and refused where they are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tiny_rasters import (
    FLAT,
    FRAME,
    flat_bands,
    own_footprint,
    write_flat,
    write_raster,
)

from gair.bands import GAIR_BANDS
from gair.errors import ImageryError, UsageError
from indexer.imagery import open_imagery


@pytest.mark.parametrize(
    ("scale_offset", "stored"),
    [((0.0001, -0.1), FLAT + 1000), ((0.0001, 0.0), FLAT), ((0.001, 0.02), (FLAT - 200) / 10)],
)
def test_scale_and_offset_of_the_file_are_applied(
    tmp_path: Path, scale_offset: tuple[float, float], stored: npt.NDArray[Any]
) -> None:
    path = write_raster(
        tmp_path / "a.tif",
        stored.astype(np.float32),
        names=GAIR_BANDS,
        scale_offset=scale_offset,
    )
    with open_imagery(path) as imagery:
        np.testing.assert_array_equal(imagery.read(*own_footprint(path)).dn, FLAT)


def test_stated_scale_and_offset_are_applied_and_clipped(tmp_path: Path) -> None:
    pixels = flat_bands().astype(np.float32) / 10000
    pixels[:, 0, 0] = 0.0001
    pixels[:, 0, 1] = 9.0
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS)
    with open_imagery(path, dn_scale=10000, dn_offset=-100) as imagery:
        dn = imagery.read(*own_footprint(path)).dn
        assert imagery.describe()["dn_offset"] == -100
    np.testing.assert_array_equal(dn[:, 1:], FLAT[:, 1:] - 100)
    assert (dn[:, 0, 0] == 0).all()
    assert (dn[:, 0, 1] == 65535).all()


def test_offsets_in_tags_are_not_applied(tmp_path: Path) -> None:
    path = write_flat(tmp_path / "a.tif", tags={"BOA_ADD_OFFSET_B2": "-1000"})
    with open_imagery(path) as imagery:
        np.testing.assert_array_equal(imagery.read(*own_footprint(path)).dn, FLAT)


@pytest.mark.parametrize(
    ("factor", "hint"),
    [(0.0001, "looks like reflectance in 0..1: pass `dn_scale` 10000"), (50, "is too bright")],
)
def test_values_that_are_no_digital_numbers_are_refused(
    tmp_path: Path, factor: float, hint: str
) -> None:
    path = write_raster(tmp_path / "a.tif", FLAT * np.float32(factor), names=GAIR_BANDS)
    with pytest.raises(ImageryError, match=hint):
        open_imagery(path)
    with open_imagery(path, dn_scale=1 / factor) as imagery:
        assert np.abs(imagery.read(FRAME, (4, 4)).dn - FLAT[:, :4, :4].astype(float)).max() <= 1


def test_an_offset_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageryError, match="nothing above 0: pass another `dn_offset`"):
        open_imagery(write_flat(tmp_path / "a.tif"), dn_offset=-5000)


def test_nodata_all_over_is_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", FLAT * 0, names=GAIR_BANDS)
    with pytest.raises(ImageryError, match=r"a\.tif is nodata all over"):
        open_imagery(path)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_cannot_work_is_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(UsageError, match=f"`dn_scale` {scale} is not above 0"):
        open_imagery(write_flat(tmp_path / "a.tif"), dn_scale=scale)
