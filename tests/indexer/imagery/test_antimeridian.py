"""Rasters across 180 degrees: where they lie, and what frames on either side read from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyproj
import pytest
from affine import Affine
from small_builds import build_box
from tiny_rasters import pixel_lonlat, write_raster

from gair.bands import GAIR_BANDS
from gair.geo import WEB_MERCATOR_CIRCUMFERENCE_M, Footprint
from indexer.imagery import open_imagery
from indexer.imagery.warping import outline_of
from indexer.index.index import open_index
from indexer.regions.cells import cells_of
from indexer.regions.region import geodesic_area_km2, region_from_bbox
from training.dataset.pack.dated_imagery import UNKNOWN_DAY, DatedImagery
from training.dataset.pack.options import ImageryOptions

LAT_DEG = -16.89
SIZE = (160, 160)
WORLD = WEB_MERCATOR_CIRCUMFERENCE_M
Y_M = float(
    pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True).transform(0, LAT_DEG)[1]
)


def around(crs: str, pixel: float) -> Affine:
    """Pixels of about ten metres with (180, LAT_DEG) in the middle, not moved by a turn."""
    x, y = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(180, LAT_DEG)
    return Affine(pixel, 0, x - SIZE[1] / 2 * pixel, 0, -pixel, y + SIZE[0] / 2 * pixel)


def degrees(west: float) -> Affine:
    return Affine(0.0001, 0, west, 0, -0.0001, LAT_DEG + 0.008)


def mercator(west: float) -> Affine:
    return Affine(10.5, 0, west, 0, -10.5, Y_M + 840)


PLACES: dict[str, tuple[str, Affine]] = {
    "UTM 1 S": ("EPSG:32701", around("EPSG:32701", 10)),
    "UTM 60 S": ("EPSG:32760", around("EPSG:32760", 10)),
    "degrees past 180": ("EPSG:4326", degrees(179.992)),
    "degrees past -180": ("EPSG:4326", degrees(-180.008)),
    "degrees from 0 to 360": ("EPSG:4326", degrees(180.0)),
    "NAD 83 past 180": ("EPSG:4269", degrees(179.992)),
    "Mercator past the east edge": ("EPSG:3857", mercator(WORLD / 2 - 840)),
    "Mercator past the west edge": ("EPSG:3857", mercator(-WORLD / 2 - 840)),
    "Mercator a world too far": ("EPSG:3857", mercator(WORLD / 2)),
    "Pacific Mercator": ("EPSG:3832", around("EPSG:3832", 10.5)),
}
FRAMES = {"east of it": 500.0, "west of it": -500.0, "on it": 0.0}


def slopes(lonlat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(10, H, W) that tell where they are: even bands grow eastwards, odd ones northwards."""
    east = ((lonlat[0] - 180 + 180) % 360 - 180) * 170_000  # from 180 degrees on, either way
    north = (lonlat[1] - LAT_DEG) * 220_000
    return np.stack([5000 + 100 * k + (north if k % 2 else east) for k in range(10)])


def written(folder: Path, crs: str, transform: Affine) -> Path:
    pixels = slopes(pixel_lonlat(transform, SIZE, crs)).round().astype(np.uint16)
    return write_raster(folder / "a.tif", pixels, names=GAIR_BANDS, crs=crs, transform=transform)


@pytest.mark.parametrize(("crs", "transform"), PLACES.values(), ids=PLACES)
def test_the_outline_is_as_large_as_the_raster(tmp_path: Path, crs: str, transform: Affine) -> None:
    with open_imagery(written(tmp_path, crs, transform)) as imagery:
        assert geodesic_area_km2(imagery.coverage) == pytest.approx(2.7, rel=0.15)
        west, south, east, north = imagery.coverage.bounds
        assert -180 <= west
        assert east <= 180
        assert (south, north) == pytest.approx((LAT_DEG - 0.008, LAT_DEG + 0.008), abs=1e-3)


@pytest.mark.parametrize("side", [1, -1], ids=["counted eastwards", "counted westwards"])
@pytest.mark.parametrize("east_m", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize(("crs", "transform"), PLACES.values(), ids=PLACES)
def test_frames_read_what_lies_there(
    tmp_path: Path, crs: str, transform: Affine, east_m: float, side: int
) -> None:
    x = side * WORLD / 2 + east_m
    footprint = Footprint("EPSG:3857", (x - 300, Y_M - 300, x + 300, Y_M + 300))
    shape = (30, 30)
    rows, columns = np.indices(shape) + 0.5
    xy = np.stack([2 * columns / 30 - 1, 2 * rows / 30 - 1], axis=-1).reshape(-1, 2)
    truth = slopes(footprint.lonlat_deg(xy).T.reshape(2, *shape))
    with open_imagery(written(tmp_path, crs, transform)) as imagery:
        assert imagery.resolution_m == pytest.approx(10, rel=0.1)
        frame = imagery.read(footprint, shape)
    if transform.c in (180.0, WORLD / 2) and east_m <= 0:  # it begins at 180 degrees
        assert frame.valid.any() == (east_m == 0)
        return
    assert frame.valid.all()
    assert np.abs(frame.dn - truth).max() < 4


@pytest.mark.parametrize("side", [1, -1])
def test_a_footprint_over_180_degrees_is_small(side: int) -> None:
    x = side * WORLD / 2
    outline = outline_of(Footprint("EPSG:3857", (x - 300, Y_M - 300, x + 300, Y_M + 300)))
    assert geodesic_area_km2(outline) == pytest.approx(0.33, abs=0.01)


@pytest.mark.parametrize("side", [1, -1])
def test_a_data_set_finds_the_day_of_a_footprint_over_180_degrees(
    tmp_path: Path, side: int
) -> None:
    written(tmp_path, "EPSG:32701", around("EPSG:32701", 10))
    x = side * WORLD / 2
    here = Footprint("EPSG:3857", (x - 300, Y_M - 300, x + 300, Y_M + 300))
    elsewhere = Footprint("EPSG:3857", (-300, Y_M - 300, 300, Y_M + 300))
    with DatedImagery([tmp_path], ImageryOptions()) as imagery:
        assert imagery.days_over(here) == [UNKNOWN_DAY]
        assert imagery.days_over(elsewhere) == []


def test_an_index_has_the_cells_of_both_sides(tmp_path: Path) -> None:
    transform = around("EPSG:32701", 30)  # 4.8 km
    path = written(tmp_path, "EPSG:32701", transform)
    box = (179.99, -16.9, -179.99, -16.88)
    with open_imagery(path) as imagery:
        report = build_box(imagery, tmp_path / "indexes", bbox_wsen_deg=box, resolution=9)
    lon = open_index(report.path.parent).cells.lonlat_deg[:, 0]
    expected = len(cells_of(region_from_bbox(box).geometry, 9))
    assert len(lon) == expected
    assert 0.3 < (lon > 0).mean() < 0.7
