"""Files that are read together give the bits that each gives by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_rasters import LONLAT_DEG, UTM18, transform_around, write_raster

from gair.bands import GAIR_BANDS
from gair.geo import Footprint
from indexer.imagery import open_imagery
from indexer.imagery.missing_values import nodata_value
from indexer.imagery.rasters import OpenFiles
from indexer.imagery.stacks import alike, open_stack
from indexer.imagery.warping import Grid, warp_file, warp_scene

FINE = ("B2", "B3", "B4", "B8")
GAP = 65535
INSIDE = Footprint.web_mercator_square(LONLAT_DEG, 900.0)
OVER_THE_EDGE = Footprint.web_mercator_square((LONLAT_DEG[0] + 0.004, LONLAT_DEG[1]), 900.0)


def write_scene(folder: Path, gaps: bool = False) -> Path:
    """Ten files on two grids; with gaps, each band has a hole of its own, but for the first two."""
    rng = np.random.default_rng(7)
    for number, band in enumerate(GAIR_BANDS):
        side, pixel = (120, 10) if band in FINE else (60, 20)
        pixels = rng.integers(1, 9000, (1, side, side)).astype(np.uint16)
        if gaps and number > 1:
            pixels[0, side // 2 : side // 2 + number, side // 3 : side // 2] = GAP
        transform = transform_around(LONLAT_DEG, (side, side), UTM18, pixel)
        write_raster(folder / f"s2_{band}.tif", pixels, transform=transform, nodata=GAP)
    return folder


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("footprint", [INSIDE, OVER_THE_EDGE])
@pytest.mark.parametrize("side_px", [71, 31])  # the latter is coarser than the fine bands
def test_a_scene_is_read_as_file_by_file(
    tmp_path: Path, gaps: bool, footprint: Footprint, side_px: int
) -> None:
    grid, files = Grid.of(footprint, (side_px, side_px)), OpenFiles()
    with open_imagery(write_scene(tmp_path, gaps)) as imagery:
        (scene,) = imagery.scenes
    together = warp_scene(scene, grid, files)
    one_by_one = [
        warp_file(band.raster, [band.index], grid, OpenFiles(), nodata_value(band.raster))[0]
        for band in scene.bands
    ]
    np.testing.assert_array_equal(together, np.stack(one_by_one))
    assert np.isfinite(together).any()
    stacks = [key for key in files if isinstance(key, tuple)]
    assert sorted(map(len, stacks)) == [4, 6]
    assert gaps or len(files) == 2  # and nothing was read again


def test_only_files_of_one_grid_and_one_mark_of_gaps_are_alike(tmp_path: Path) -> None:
    with open_imagery(write_scene(tmp_path)) as imagery:
        (scene,) = imagery.scenes
    rasters = [band.raster for band in scene.bands]
    fine = [GAIR_BANDS.index(band) for band in FINE]
    coarse = [row for row in range(len(rasters)) if row not in fine]
    assert sorted(alike(rasters)) == sorted([fine, coarse])
    changes: list[dict[str, Any]] = [
        {"transform": transform_around((-75.6, 37.71), (120, 120), UTM18, 10)},
        {"width": 121},
        {"crs": "EPSG:32617"},
        {"nodata": None},
        {"dtypes": ("int16",)},
        {"dtypes": ("uint16", "uint16")},
    ]
    for change in changes:
        other = dataclasses.replace(rasters[0], **change)
        assert sorted(alike([other, *rasters[1:]])) == sorted([fine[1:], coarse]), change
    real = [dataclasses.replace(raster, dtypes=("float32",)) for raster in rasters]
    assert alike(real) == []  # what marks a gap there is met nearly


def test_a_stack_counts_as_many_files_as_it_keeps_open(tmp_path: Path) -> None:
    with open_imagery(write_scene(tmp_path)) as imagery:
        (scene,) = imagery.scenes
    rasters = [band.raster for band in scene.bands if band.name in FINE]
    files = OpenFiles(max_open=5)
    stack = open_stack(rasters, files)
    assert files.currsize == 4
    assert open_stack(rasters, files) is stack
    files.dataset(rasters[0].path)
    assert not stack.closed
    files.dataset(rasters[1].path)
    assert stack.closed
