"""A broken file or an impossible request ends in one line, also in the middle of a read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_rasters import (
    FLAT,
    FRAME,
    UTM18,
    flat_bands,
    own_footprint,
    transform_around,
    write_bands,
    write_flat,
    write_raster,
)

from gair.bands import GAIR_BANDS
from gair.errors import FootprintError, ImageryError
from gair.geo import Footprint
from indexer.imagery import open_imagery


def test_arguments_that_make_no_frame_are_refused(tmp_path: Path) -> None:
    with open_imagery(write_flat(tmp_path / "a.tif")) as imagery:
        with pytest.raises(ImageryError, match="frame of 0 x 4 pixels is empty"):
            imagery.read(FRAME, (0, 4))
        with pytest.raises(FootprintError, match="unknown CRS"):
            imagery.read(Footprint("EPSG:0", (0, 0, 1, 1)), (4, 4))
    with pytest.raises(ImageryError, match="no imagery was named"):
        open_imagery([])


def test_a_file_truncated_behind_the_header_fails_when_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(500, 3000, (10, 200, 200)).astype(np.uint16)
    path = write_raster(tmp_path / "a.tif", pixels, interleave="band")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 8 // 10])  # B4 is there, B12 is not
    with (
        open_imagery(path, bands=GAIR_BANDS) as imagery,
        pytest.raises(ImageryError, match=r"cannot read .*a\.tif: .*truncated") as caught,
    ):
        imagery.read(*own_footprint(path))
    assert "\n" not in str(caught.value)


def test_a_truncated_jpeg_2000_fails_when_read(tmp_path: Path) -> None:
    pixels = flat_bands((400, 400))
    pixels[9] = np.random.default_rng(0).integers(500, 3000, (400, 400))
    blocks: dict[str, Any] = {
        "BLOCKXSIZE": 128,
        "BLOCKYSIZE": 128,
    }  # several, or GDAL would not use threads
    paths = write_bands(tmp_path, "s2_{}.jp2", pixels, **blocks)
    whole = paths[-1].read_bytes()
    paths[-1].write_bytes(whole[: len(whole) * 6 // 10])
    with open_imagery(tmp_path) as imagery:
        footprint, shape = own_footprint(paths[0])
        with pytest.raises(ImageryError, match=r"cannot read .*s2_B12\.jp2"):
            imagery.read(footprint, shape)


def test_a_reader_works_on_after_a_failure(tmp_path: Path) -> None:
    write_flat(tmp_path / "b.tif", transform=transform_around((-75.0, 37.7), (40, 40), UTM18))
    broken = write_raster(tmp_path / "a.tif", FLAT, interleave="band")
    broken.write_bytes(broken.read_bytes()[:-3000])
    with open_imagery(tmp_path, bands=GAIR_BANDS) as imagery:
        with pytest.raises(ImageryError, match=r"a\.tif"):
            imagery.read(FRAME, (16, 16))
        good = imagery.read(Footprint.web_mercator_square((-75.0, 37.7), 200.0), (16, 16))
    assert good.valid.all()
