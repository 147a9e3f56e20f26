"""One index, whatever its units are, whoever computes them, and however often it was begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rasterio
from small_builds import tiny_model

from gair.errors import UnfinishedError
from gair.model import Gair
from indexer.build.build import BuildOptions, BuildReport, build_index
from indexer.build.engine import Engine
from indexer.build.ray_engine import RayEngine
from indexer.imagery import open_imagery
from indexer.regions.region import region_from_bbox

CITY_WSEN_DEG = (-0.142, 51.488, -0.078, 51.522)
"""Nearly all of the made-up city: frames along its sides reach past the imagery."""


SOME_WSEN_DEG = (-0.128, 51.496, -0.098, 51.513)
"""Two kilometres of it."""


@pytest.fixture(scope="module")
def holed_tif(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The city with gaps of all shapes: a square, a band along a side, single pixels."""
    path = tmp_path_factory.mktemp("holed") / "city.tif"
    path.write_bytes(city_tif.read_bytes())
    with rasterio.open(path, "r+") as raster:
        dn = raster.read()
        dn[:, 150:190, 140:200] = 0
        dn[:, :, :30] = 0
        dn[:, 250:300:7, 200:300:5] = 0
        dn[:3, 20:60, 300:340] = 0  # zero in some bands alone
        raster.write(dn)
    return path


def built(
    city: Path,
    out: Path,
    *,
    engine: Engine | None = None,
    model: Gair | None = None,
    bbox_wsen_deg: tuple[float, float, float, float] = CITY_WSEN_DEG,
    **options: Any,
) -> BuildReport:
    region = region_from_bbox(bbox_wsen_deg, "city")
    chosen = BuildOptions(resolution=9, quiet=True, **options)
    with open_imagery(city) as imagery:
        return build_index(
            "city", region, imagery, model or tiny_model(), out, options=chosen, engine=engine
        )


@pytest.fixture(scope="module")
def one_unit(holed_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    """All of it computed at once."""
    report = built(holed_tif, tmp_path_factory.mktemp("one"), frames_a_unit=5000)
    assert report.manifest.computed["units"] == 1
    assert report.manifest.frames["incomplete"] >= 5
    assert report.manifest.frames["count"] >= 9
    return report


@pytest.mark.parametrize("frames_a_unit", [1, 9])
def test_units_of_any_size_give_one_index(
    one_unit: BuildReport, holed_tif: Path, tmp_path: Path, frames_a_unit: int
) -> None:
    report = built(holed_tif, tmp_path, frames_a_unit=frames_a_unit)
    assert report.manifest.computed["units"] > 1
    assert report.manifest.content_sha256 == one_unit.manifest.content_sha256


def test_threads_and_resuming_give_one_index(
    one_unit: BuildReport, holed_tif: Path, tmp_path: Path
) -> None:
    for threads in (1, 2):
        out = tmp_path / str(threads)
        with pytest.raises(UnfinishedError):
            built(holed_tif, out, frames_a_unit=4, threads=threads, limit=1)
        report = built(holed_tif, out, frames_a_unit=4, threads=threads)
        assert report.manifest.computed["units_resumed"] == 1
        assert report.manifest.content_sha256 == one_unit.manifest.content_sha256


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_the_released_architecture_gives_one_index(
    holed_tif: Path, tmp_path: Path, precision: str
) -> None:
    """How many frames pass the encoder together may not show: not in half precision either."""
    model = Gair.untrained("base")
    small = {"model": model, "bbox_wsen_deg": SOME_WSEN_DEG, "precision": precision}
    reports = [
        built(holed_tif, tmp_path / str(frames_a_unit), frames_a_unit=frames_a_unit, **small)
        for frames_a_unit in (1, 5000)
    ]
    assert [report.manifest.computed["precision"] for report in reports] == [precision] * 2
    assert reports[0].manifest.computed["units"] > reports[1].manifest.computed["units"] == 1
    assert reports[0].manifest.content_sha256 == reports[1].manifest.content_sha256


@pytest.mark.process
@pytest.mark.slow
def test_a_cluster_gives_the_same_index(
    one_unit: BuildReport, holed_tif: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    engine = RayEngine(lambda: open_imagery(holed_tif), workers=1)
    report = built(holed_tif, tmp_path, frames_a_unit=4, engine=engine)
    assert report.manifest.computed["engine"] == "ray"
    assert report.manifest.content_sha256 == one_unit.manifest.content_sha256
    pictures = [(one.path / "picture.tif") for one in (report, one_unit)]
    assert len({picture.read_bytes() for picture in pictures}) == 1
