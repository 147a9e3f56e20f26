"""Imagery in layers by day."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from packing_samples import city_lonlat
from tiny_rasters import LONLAT_DEG, transform_around, write_flat
from toy_city import write_city

from gair.errors import BandError, ImageryError, UsageError
from gair.geo import Footprint
from indexer.imagery import open_imagery
from training.dataset.pack import dated_imagery as module
from training.dataset.pack.dated_imagery import DatedImagery
from training.dataset.pack.options import ImageryOptions

FRAME = Footprint.web_mercator_square(LONLAT_DEG, 200.0)
STAMPED = {"a_20240501T101010.tif": 500, "b_20230102T101010.tif": 700}


def opened(*paths: Path, **options: object) -> DatedImagery:
    return DatedImagery(paths, ImageryOptions(**options))  # type: ignore[arg-type]


def test_each_day_is_a_layer(tmp_path: Path) -> None:
    for name, level in STAMPED.items():
        write_flat(tmp_path / name, first=level)
    with opened(tmp_path) as imagery:
        assert imagery.days == ("2023-01-02", "2024-05-01")
        assert imagery.days_over(FRAME) == list(imagery.days)
        first, second = (imagery.read(day, FRAME) for day in imagery.days)
        assert (first.dn[0] == 700).all()
        assert (second.dn[0] == 500).all()
        assert imagery.attribution("2023-01-02").endswith("Copernicus Sentinel data 2023")
        assert imagery.warnings == ()
        days = [layer["day"] for layer in imagery.describe()]
        assert days == list(imagery.days)
        assert str(tmp_path) not in str(imagery.describe())


def test_scenes_of_one_day_are_one_layer(tmp_path: Path) -> None:
    far = (LONLAT_DEG[0] + 0.1, LONLAT_DEG[1])
    write_flat(tmp_path / "a_20240501T101010.tif")
    moved = transform_around(far, (40, 40), "EPSG:32618")
    write_flat(tmp_path / "b_20240501T101510.tif", transform=moved)
    with opened(tmp_path) as imagery:
        assert imagery.days == ("2024-05-01",)
        for place in (LONLAT_DEG, far):
            square = Footprint.web_mercator_square(place, 200.0)
            assert imagery.read("2024-05-01", square).valid.all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("city_20240131.tif", "2024-01-31"),
        ("city 2024-01-31 b.tif", "2024-01-31"),
        ("2024_01_31.tif", "2024-01-31"),
        ("20241399_20240131.tif", "2024-01-31"),
        ("city_202401310.tif", "2021-02-03"),
        ("city_2024-0131.tif", "2021-02-03"),
        ("city.tif", "2021-02-03"),
    ],
)
def test_days_from_names(tmp_path: Path, name: str, expected: str) -> None:
    write_flat(tmp_path / name, tags={"TIFFTAG_DATETIME": "2021:02:03 04:05:06"})
    assert opened(tmp_path).days == ("2021-02-03",)
    assert opened(tmp_path, date_from_name=True).days == (expected,)


def test_scenes_of_unknown_day_are_one_layer_and_a_warning(tmp_path: Path) -> None:
    write_flat(tmp_path / "a.tif", first=500)
    write_flat(tmp_path / "b.tif", first=700)
    with opened(tmp_path) as imagery:
        assert imagery.days == ("",)
        assert (imagery.read("", FRAME).dn[0] == 500).all()
        assert imagery.attribution("") == "Contains modified Copernicus Sentinel data"
        (warning,) = imagery.warnings
        assert "pass --date-from-name" in warning
    moved = transform_around((LONLAT_DEG[0] + 0.1, LONLAT_DEG[1]), (40, 40), "EPSG:32618")
    write_flat(tmp_path / "b.tif", transform=moved)
    assert opened(tmp_path).warnings == ()


def test_pixels_are_those_an_index_would_see(tmp_path: Path) -> None:
    path = write_city(tmp_path / "city_20240501T101010.tif", hole=True)
    square = Footprint.web_mercator_square(city_lonlat(2100, 2100), 2446.0)
    with opened(path) as imagery, open_imagery(path) as plain:
        frame = imagery.read("2024-05-01", square)
        assert frame.dn.shape == (10, 152, 152)  # 2446 metres times cos(51.5 degrees), at 10 m
        expected = plain.read(square, (152, 152))
        assert 0.5 < frame.valid_fraction < 1
        np.testing.assert_array_equal(frame.dn, expected.dn)
        np.testing.assert_array_equal(frame.valid, expected.valid)


def test_a_layer_elsewhere_is_not_read(tmp_path: Path) -> None:
    write_flat(tmp_path / "a_20240501T101010.tif")
    moved = transform_around((LONLAT_DEG[0] + 0.1, LONLAT_DEG[1]), (40, 40), "EPSG:32618")
    write_flat(tmp_path / "b_20230102T101010.tif", transform=moved)
    with opened(tmp_path) as imagery:
        assert imagery.days_over(FRAME) == ["2024-05-01"]
        assert imagery.days_over(Footprint.web_mercator_square((0.0, 0.0), 200.0)) == []


def test_more_layers_than_are_open_at_once(tmp_path: Path) -> None:
    count = module._OPEN_LAYERS + 3
    first = write_flat(tmp_path / "s_20240101T101010.tif")
    for number in range(2, count + 1):
        shutil.copy(first, tmp_path / f"s_202401{number:02d}T101010.tif")
    with opened(tmp_path) as imagery:
        assert len(imagery.days) == count
        for day in (*imagery.days, *imagery.days):
            assert imagery.read(day, FRAME).valid.all()
        assert len(imagery._open) == module._OPEN_LAYERS
    assert not imagery._open


def test_values_become_digital_numbers(tmp_path: Path) -> None:
    write_flat(tmp_path / "a.tif", first=1500)
    with opened(tmp_path, dn_offset=-1000.0) as imagery:
        assert (imagery.read("", FRAME).dn[0] == 500).all()


def test_imagery_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ImageryError, match="check the path"):
        opened(tmp_path / "nowhere.tif")
    path = write_flat(tmp_path / "a.tif")
    with pytest.raises(UsageError, match="`dn_scale` 0"):
        opened(path, dn_scale=0.0)
    with pytest.raises(BandError, match="stated order has 2"):
        opened(path, bands=("B2", "B3"))
