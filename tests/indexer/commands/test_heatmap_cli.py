"""``python -m indexer heatmap``: what it writes, says and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hand_calibration import calibrate_by_hand
from PIL import Image
from refusals import refusal
from toy_city import photo

from indexer.commands.cli import main
from indexer.search.geolocator import Geolocator

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a photo.jpg"
    photo(1).save(path)
    return path


@pytest.fixture(scope="module")
def calibrated(boxes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of indexes with the box, calibrated."""
    folder = tmp_path_factory.mktemp("calibrated")
    shutil.copytree(boxes / "box", folder / "box")
    calibrate_by_hand(folder / "box")
    return folder


def test_a_map_of_the_imagery(boxes: Path, picture: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "fit.tif"
    argv = ["heatmap", str(picture), "--index", "box", "--indexes", str(boxes), "--out", str(out)]
    assert main([*argv, "--of", "imagery", "--spacing-m", "20"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"{out}: cosine with the imagery of 23 cells; {picture} in box\n")
    assert "region" not in told.out
    with rasterio.open(out) as raster:
        cosines = raster.read(1)
        assert raster.tags()["WHAT"] == "imagery"
        assert raster.res[0] * np.cos(np.radians(51.5055)) == pytest.approx(20, rel=1e-3)
    geolocator = Geolocator.open("box", indexes_dir=boxes)
    scored = geolocator.every_cell(geolocator.seen([str(picture)])[0])
    np.testing.assert_allclose(np.unique(cosines[~np.isnan(cosines)]), np.unique(scored.rs[0]))
    lon, lat = geolocator.index.cells.lonlat_deg[scored.rs[0].argmax()]
    assert f"\n  best cell: {lat:.5f}, {lon:.5f}\n" in told.out


def test_a_map_of_the_posterior_of_a_calibrated_index(
    calibrated: Path, picture: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "where.geojson"
    argv = ["heatmap", str(picture), "--indexes", str(calibrated), "--out", str(out)]
    assert main([*argv, "--level", "0.5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    written = json.loads(out.read_text())
    assert told["what"] == written["what"] == "posterior"
    assert told["region"] == written["region"]["properties"]
    assert told["region"]["level"] == 0.5
    assert told["region"]["promised"] is True
    assert told["best"]["h3_cell"] == written["best_h3"]
    values = [feature["properties"]["value"] for feature in written["features"]]
    assert sum(values) == pytest.approx(1, rel=1e-4)


def test_without_a_calibration_it_shows_scores_and_says_so(
    boxes: Path, picture: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "where.png"
    argv = ["heatmap", str(picture), str(picture), "--indexes", str(boxes), "--out", str(out)]
    assert main(argv) == 0
    told = capsys.readouterr()
    assert f"{out}: weighed sum of both cosines of 23 cells" in told.out
    assert "uncalibrated: scores rank places" in told.err
    assert "weights: imagery 1, location 0 (by default)" in told.err
    with Image.open(out) as image:
        assert image.size[0] == 1200
    before = out.read_bytes()
    assert main([*argv, "--of", "location"]) == 0  # a map that is there is replaced
    assert out.read_bytes() != before


def test_what_it_refuses(boxes: Path, picture: Path, tmp_path: Path, capsys: Capture) -> None:
    argv = ["heatmap", str(picture), "--indexes", str(boxes)]
    told = refusal([*argv, "--out", str(tmp_path / "map.bmp")], capsys, 2)
    assert "says no kind of map: let it end in .png" in told
    told = refusal([*argv, "--out", str(tmp_path / "map.png"), "--spacing-m", "9"], capsys, 2)
    assert "--spacing-m is for a GeoTIFF" in told
    told = refusal([*argv, "--out", str(tmp_path / "map.tif"), "--spacing-m", "0"], capsys, 2)
    assert "spacing 0 m: a pixel needs a side above 0" in told
    told = refusal([*argv, "--out", str(tmp_path / "none" / "map.png")], capsys)
    assert "cannot write" in told
    told = refusal([*argv, "--index", "paris", "--out", "map.png"], capsys)
    assert "no index 'paris'" in told
    missing = ["heatmap", str(tmp_path / "no.jpg"), *argv[2:], "--out", str(tmp_path / "map.png")]
    assert "no.jpg" in refusal(missing, capsys)
    assert [file.name for file in tmp_path.iterdir()] == ["a photo.jpg"]
