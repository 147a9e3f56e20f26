"""Files of several days that show one place: each pixel is the median of the days that show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_rasters import LONLAT_DEG, UTM18, own_footprint, transform_around, write_raster

from gair.arrays import DigitalNumbers
from gair.bands import GAIR_BANDS
from gair.geo import Footprint
from indexer.commands.source import ImageryChoice
from indexer.imagery import open_imagery
from indexer.imagery.options import Composite

SIZE = 12, 16
DAYS = "20240103T160509", "20240412T160509", "20240718T160509", "20241020T160509"


def written(folder: Path, days: tuple[str, ...]) -> dict[str, DigitalNumbers]:
    """A scene of all ten bands a day, each with gaps of its own; 0 is a gap."""
    made = {}
    for number, day in enumerate(days):
        rng = np.random.default_rng(number)
        pixels = rng.integers(1, 9000, (10, *SIZE)).astype(np.uint16)
        pixels[:, rng.random(SIZE) < 0.4] = 0
        pixels[:, 0, 0] = 0  # no day shows this one
        write_raster(folder / f"city_{day}.tif", pixels, names=GAIR_BANDS, nodata=0)
        made[day] = pixels
    return made


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_pixel_is_the_median_of_the_days_that_show_it(tmp_path: Path, count: int) -> None:
    made = written(tmp_path, DAYS[:count])
    footprint, shape = own_footprint(tmp_path / f"city_{DAYS[0]}.tif")
    with open_imagery(tmp_path) as imagery:
        frame = imagery.read(footprint, shape)
        assert imagery.describe()["composite"] == "median"
    assert not frame.valid[0, 0]
    for band, row, column in np.ndindex(10, *SIZE):
        shown = [day[band, row, column] for day in made.values() if day[0, row, column]]
        assert frame.valid[row, column] == bool(shown)
        if shown:
            middle = np.rint(np.median(shown))
            assert frame.dn[band, row, column] == middle, (band, row, column)


def test_the_best_is_the_first_by_name(tmp_path: Path) -> None:
    made = written(tmp_path, DAYS)
    footprint, shape = own_footprint(tmp_path / f"city_{DAYS[0]}.tif")
    with open_imagery(tmp_path, composite="best") as imagery:
        frame = imagery.read(footprint, shape)
        assert "composite" not in imagery.describe()
    for row, column in np.ndindex(*SIZE):
        shown = [day[:, row, column] for day in made.values() if day[0, row, column]]
        if shown:
            np.testing.assert_array_equal(frame.dn[:, row, column], shown[0])


def test_a_day_by_itself_is_that_day(tmp_path: Path) -> None:
    made = written(tmp_path, DAYS[:3])
    footprint, shape = own_footprint(tmp_path / f"city_{DAYS[0]}.tif")
    with open_imagery(tmp_path) as imagery:
        (first, *_), others = imagery.by_day().values(), imagery.by_day()
        frame = first.read(footprint, shape)
        assert list(others) == ["2024-01-03", "2024-04-12", "2024-07-18"]
    shown = made[DAYS[0]][0] > 0
    np.testing.assert_array_equal(frame.valid, shown)
    np.testing.assert_array_equal(frame.dn[:, shown], made[DAYS[0]][:, shown])


@pytest.mark.parametrize("composite", ["median", "best"])
def test_days_that_are_read_with_the_whole_are_what_they_are_by_themselves(
    composite: Composite, tmp_path: Path
) -> None:
    written(tmp_path, DAYS[:3])
    nothing = np.zeros((10, *SIZE), np.uint16)
    nothing[:, 0, 0] = 1000
    write_raster(tmp_path / f"city_{DAYS[3]}.tif", nothing, names=GAIR_BANDS, nodata=0)
    other = np.full((10, *SIZE), 8000, np.uint16)
    write_raster(tmp_path / "undated.tif", other, names=GAIR_BANDS, nodata=0)
    footprint, shape = own_footprint(tmp_path / f"city_{DAYS[0]}.tif")
    west, south, east, north = footprint.bounds_wsen
    most = Footprint(footprint.crs, (west + (east - west) / 4, south, east, north))
    with open_imagery(tmp_path, composite=composite) as imagery:
        asked = [day for day in imagery.by_day() if day != "2024-04-12"]
        for place in (footprint, most):
            whole, days = imagery.read_with_days(place, shape, asked)
            alone = {day: imagery.by_day()[day].read(place, shape) for day in asked}
            assert list(days) == [day for day in asked if alone[day].valid.any()]
            for one, same in (
                (whole, imagery.read(place, shape)),
                *((days[d], alone[d]) for d in days),
            ):
                np.testing.assert_array_equal(one.dn, same.dn)
                np.testing.assert_array_equal(one.valid, same.valid)
        assert len(days) == 2


def test_a_scene_without_a_date_counts_as_a_day(tmp_path: Path) -> None:
    for name, value in ((f"city_{DAYS[0]}", 1000), (f"city_{DAYS[1]}", 3000), ("undated", 8000)):
        pixels = np.full((10, *SIZE), value, np.uint16)
        write_raster(tmp_path / f"{name}.tif", pixels, names=GAIR_BANDS, nodata=0)
    footprint, shape = own_footprint(tmp_path / "undated.tif")
    with open_imagery(tmp_path) as imagery:
        assert (imagery.read(footprint, shape).dn == 3000).all()


def test_neighbouring_scenes_of_two_days_are_laid_over_each_other(tmp_path: Path) -> None:
    """Where they share a rim and no more, the rim is of the first one, as in a mosaic."""
    size = 200, 200
    transform = transform_around(LONLAT_DEG, size, UTM18)
    for day, value, shift in ((DAYS[0], 1000, 0), (DAYS[1], 3000, 199)):
        moved = transform * transform.translation(shift, 0)
        pixels = np.full((10, *size), value, np.uint16)
        path = tmp_path / f"city_{day}.tif"
        write_raster(path, pixels, names=GAIR_BANDS, transform=moved)
    footprint, shape = own_footprint(tmp_path / f"city_{DAYS[0]}.tif")
    with open_imagery(tmp_path) as imagery:
        assert (imagery.read(footprint, shape).dn == 1000).all()
        assert "composite" not in imagery.describe()


def test_a_build_asks_for_what_its_flag_says(tmp_path: Path) -> None:
    written(tmp_path, DAYS[:2])
    for composite, told in (("best", None), ("median", "median")):
        choice = ImageryChoice(imagery=str(tmp_path), composite=composite)
        with choice.opened(None, quiet=True) as (imagery, reopen), reopen() as again:
            assert imagery.describe().get("composite") == told
            assert again.describe().get("composite") == told
