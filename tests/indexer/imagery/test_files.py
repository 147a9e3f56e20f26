"""Pixels come out where they lie, in order, and nothing broken or mis-scaled gets through."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from affine import Affine
from tiny_rasters import (
    FLAT,
    FRAME,
    LONLAT_DEG,
    PIXEL,
    UTM18,
    flat_bands,
    own_footprint,
    pixel_lonlat,
    transform_around,
    write_bands,
    write_flat,
    write_raster,
)

from gair.bands import GAIR_BANDS, LAYOUTS
from gair.errors import ImageryError
from gair.files import sha256_of
from gair.geo import Footprint
from indexer.imagery import FramePixels, open_imagery


def frame_lonlat(footprint: Footprint, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """(2, H, W) longitude and latitude of a frame's pixel centres, row 0 in the north."""
    rows, columns = np.indices(shape) + 0.5
    xy = np.stack([2 * columns / shape[1] - 1, 2 * rows / shape[0] - 1], axis=-1)
    return footprint.lonlat_deg(xy.reshape(-1, 2)).T.reshape(2, *shape)


def slopes(lonlat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(10, H, W) values that tell where they are: even bands grow eastwards, odd ones northwards.

    About 20 per ten metres, and 100 more from band to band.
    """
    east = (lonlat[0] - LONLAT_DEG[0]) * 170_000
    north = (lonlat[1] - LONLAT_DEG[1]) * 220_000
    return np.stack([5000 + 100 * k + (north if k % 2 else east) for k in range(10)])


FOOTPRINTS = {
    "web mercator": FRAME,
    "utm": Footprint(UTM18, (447_000.0, 4_172_550.0, 447_200.0, 4_172_700.0)),
    "lonlat": Footprint("OGC:CRS84", (-75.601, 37.6995, -75.599, 37.7005)),
}


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32618", "EPSG:3857"])
@pytest.mark.parametrize("footprint", FOOTPRINTS.values(), ids=FOOTPRINTS)
def test_every_pixel_lies_where_the_footprint_says(
    tmp_path: Path, crs: str, footprint: Footprint
) -> None:
    size = (70, 90)
    transform = transform_around(LONLAT_DEG, size, crs)
    pixels = slopes(pixel_lonlat(transform, size, crs)).round().astype(np.uint16)
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS, crs=crs, transform=transform)
    shape = (23, 31)  # not square, so that a transposed frame cannot pass
    with open_imagery(path) as imagery:
        frame = imagery.read(footprint, shape)
    assert frame.dn.shape == (10, *shape)
    assert frame.valid.all()
    expected = slopes(frame_lonlat(footprint, shape))
    assert np.abs(frame.dn - expected).max() < 3  # an eighth of a pixel, and rounding


def test_the_bands_come_in_order_and_the_north_on_top(tmp_path: Path) -> None:
    pixels = flat_bands()
    pixels[:, :20] += 2000  # the northern half
    shuffled = [3, 9, 0, 1, 8, 2, 7, 4, 6, 5]
    path = write_raster(
        tmp_path / "a.tif", pixels[shuffled], names=[GAIR_BANDS[k] for k in shuffled]
    )
    with open_imagery(path) as imagery:
        dn = imagery.read(FRAME, (16, 16)).dn
    assert dn[:, 0, 8].tolist() == [2500 + 100 * k for k in range(10)]
    assert dn[:, -1, 8].tolist() == [500 + 100 * k for k in range(10)]


def test_a_south_up_raster_comes_out_north_up(tmp_path: Path) -> None:
    up = transform_around(LONLAT_DEG, (40, 40), UTM18)
    flipped = Affine(10, 0, up.c, 0, 10, up.f - 400)
    pixels = flat_bands()
    pixels[:, 20:] += 2000  # rows run northwards here
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS, transform=flipped)
    with open_imagery(path) as imagery:
        dn = imagery.read(FRAME, (16, 16)).dn
    assert (dn[0, 0, 8], dn[0, -1, 8]) == (2500, 500)


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_a_raster_on_its_own_grid_is_reproduced_exactly(tmp_path: Path, driver: str) -> None:
    pixels = np.random.default_rng(0).integers(1, 9000, (10, 33, 47)).astype(np.uint16)
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS, driver=driver)
    with open_imagery(path) as imagery:
        frame = imagery.read(*own_footprint(path))
    np.testing.assert_array_equal(frame.dn, pixels)
    assert frame.valid_fraction == 1.0


def test_single_jpeg_2000_bands_of_two_resolutions(tmp_path: Path) -> None:
    coarse_size = (32, 32)
    for k, band in enumerate(GAIR_BANDS):
        size, pixel = ((64, 64), 10) if band in ("B2", "B3", "B4", "B8") else (coarse_size, 20)
        transform = transform_around(LONLAT_DEG, size, UTM18, pixel)
        values = slopes(pixel_lonlat(transform, size, UTM18))[k : k + 1]
        write_raster(
            tmp_path / f"T18SUG_20240101T160509_{band}.jp2",
            values.round().astype(np.uint16),
            transform=transform,
            QUALITY="100",
            REVERSIBLE="YES",
        )
    with open_imagery(tmp_path) as imagery:
        frame = imagery.read(FRAME, (20, 20))
        assert imagery.resolution_m == pytest.approx(10, rel=1e-3)
    assert np.abs(frame.dn - slopes(frame_lonlat(FRAME, (20, 20)))).max() < 3


def test_coverage_is_the_outline_on_the_ground(tmp_path: Path) -> None:
    size = (200, 300)
    transform = transform_around(LONLAT_DEG, size, UTM18)
    pixels = np.full((10, *size), 900, np.uint16)
    first = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS, transform=transform)
    east = Affine(10, 0, transform.c + 3000, 0, -10, transform.f)
    second = write_raster(tmp_path / "b.tif", pixels, names=GAIR_BANDS, transform=east)
    with open_imagery([first, second]) as imagery:
        coverage = imagery.coverage
    for path, shift in ((first, 0), (second, 3000)):
        corners = [
            pixel_lonlat(
                Affine(10, 0, transform.c + shift + x, 0, -10, transform.f - y), (1, 1), UTM18
            )
            for x in (5, 2985)
            for y in (5, 1985)
        ]
        for corner in corners:
            assert shapely.intersects_xy(coverage, *corner.ravel()), path
    outside = pixel_lonlat(Affine(10, 0, transform.c - 30, 0, -10, transform.f), (1, 1), UTM18)
    assert not shapely.intersects_xy(coverage, *outside.ravel())
    assert shapely.get_num_geometries(coverage) == 1


@pytest.mark.parametrize("crs", sorted(PIXEL))
def test_resolution_is_measured_on_the_ground(tmp_path: Path, crs: str) -> None:
    place = (-0.45, 51.47) if crs == "EPSG:27700" else LONLAT_DEG
    transform = transform_around(place, (40, 40), crs)
    with open_imagery(write_flat(tmp_path / "a.tif", crs=crs, transform=transform)) as imagery:
        assert imagery.resolution_m == pytest.approx(10, rel=0.02)


def test_a_closed_reader_says_so(tmp_path: Path) -> None:
    imagery = open_imagery(write_flat(tmp_path / "a.tif"))
    imagery.close()
    with pytest.raises(ImageryError, match="was closed"):
        imagery.read(FRAME, (4, 4))


def test_threads_get_what_one_reader_gets(tmp_path: Path) -> None:
    size = (256, 256)
    pixels = np.random.default_rng(0).integers(1, 9000, (10, *size)).astype(np.uint16)
    write_bands(tmp_path, "s2_{}.tif", pixels)
    frames = [
        Footprint.web_mercator_square((LONLAT_DEG[0] + dx, LONLAT_DEG[1] + dy), 500.0)
        for dx in (-0.006, 0.0, 0.006)
        for dy in (-0.006, 0.0, 0.006)
    ]
    with open_imagery(tmp_path) as imagery:
        expected = [imagery.read(frame, (40, 40)).dn for frame in frames]
        results: dict[int, list[FramePixels]] = {}

        def work(number: int) -> None:
            results[number] = [imagery.read(frame, (40, 40)) for frame in frames]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 4
    for frames_read in results.values():
        for frame, dn in zip(frames_read, expected, strict=True):
            np.testing.assert_array_equal(frame.dn, dn)


def test_the_description_names_files_hashes_and_dates(tmp_path: Path) -> None:
    tree = tmp_path / "imagery"
    write_bands(tree / "new", "T18SUG_20240101T160509_{}.tif", FLAT)
    layout = LAYOUTS["l1c-13"]
    old = write_raster(
        tree / "old.tif",
        np.full((13, 40, 40), 800, np.uint16),
        names=layout,
        tags={"PRODUCT_ID": "S2A_MSIL1C_20210623T184919_N0300_R113_T10SFH_20210623T224134"},
    )
    with open_imagery(tree) as imagery:
        described = json.loads(json.dumps(imagery.describe()))
        assert imagery.warnings == (
            "old.tif is Level-1C, top-of-atmosphere reflectance; GAIR was trained on Level-2A.",
        )
    new_scene, old_scene = described["scenes"]
    assert described["attribution"] == "Contains modified Copernicus Sentinel data 2021, 2024"
    assert described["warnings"] == [*imagery.warnings]
    assert new_scene["name"] == "new/T18SUG_20240101T160509"
    assert new_scene["dates"] == ["2024-01-01T16:05:09Z"]
    assert new_scene["crs"] == UTM18
    assert [file["bands"] for file in new_scene["files"]] == [[band] for band in GAIR_BANDS]
    assert old_scene["level"] == "L1C"
    assert old_scene["files"] == [
        {
            "name": "old.tif",
            "bands": list(GAIR_BANDS),
            "bytes": old.stat().st_size,
            "sha256": sha256_of(old),
        }
    ]
