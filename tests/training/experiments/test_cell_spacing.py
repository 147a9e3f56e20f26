"""Cells of several sizes with and without refinement: the table is what it says."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from small_builds import tiny_model
from toy_city import photo, write_city

from gair.errors import UsageError
from gair.geo import Footprint, haversine_m
from indexer.build.build import BuildOptions, build_index
from indexer.imagery import open_imagery
from indexer.index.index import Index, open_index
from indexer.photos.vectors import PhotoVectors
from indexer.regions.region import Region
from indexer.search.token_reader import TokenReader
from training.experiments.cell_spacing import SpacingOptions, main, spacing_table, table_text

SQUARE = Footprint("EPSG:32630", (699_000.0, 5_710_000.0, 701_000.0, 5_712_000.0))


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of the made-up city."""
    return write_city(tmp_path_factory.mktemp("quarter") / "quarter.tif", side_px=200)


@pytest.fixture(scope="module")
def fine(quarter: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("fine")
    with open_imagery(quarter) as imagery:
        region = Region("fine", imagery.coverage, attribution="")
        options = BuildOptions(resolution=10, quiet=True)
        build_index("fine", region, imagery, tiny_model(), folder, options=options)
    return open_index(folder / "fine")


@pytest.fixture(scope="module")
def planted(fine: Index) -> PhotoVectors:
    """Photos that look exactly like where they were taken; and one that could not be read."""
    places = SQUARE.lonlat_deg(np.random.default_rng(0).uniform(-0.7, 0.7, (12, 2)))
    s = TokenReader(fine, tiny_model()).localized(places)
    s[3] = np.nan
    return PhotoVectors([], s, places, {3: "broken"})


def test_refinement_finds_planted_photos_between_coarse_cells(
    quarter: Path, fine: Index, planted: PhotoVectors
) -> None:
    options = SpacingOptions(rs_weight=200)
    with open_imagery(quarter) as imagery:
        rows = spacing_table(imagery, tiny_model(), planted, (9, 10), options)
    by_name = {(row["resolution"], row["refined"]): row for row in rows}
    assert list(by_name) == [(r, how) for r in (9, 10) for how in ("no", "peak", "mean")]
    for (_, how), row in by_name.items():
        assert row["photos"] == 12
        assert all(value <= 11 / 12 for value in row["recall"].values())
        assert ("refine_ms" in row) == (how != "no")
    scores = np.nan_to_num(planted.s, nan=0) @ fine.rs.vectors(np.arange(fine.rs.count)).T
    error_m = haversine_m(fine.cells.lonlat_deg[scores.argmax(axis=1)], planted.lonlat_deg)
    error_m[3] = np.inf
    plain = by_name[10, "no"]
    for radius_m in (50, 100, 200):
        assert plain["recall"][str(radius_m)] == np.mean(error_m <= radius_m)
    assert (plain["cells"], plain["spacing_m"]) == (len(fine.cells), pytest.approx(130, rel=0.1))
    sizes = {name: file.size_bytes / 1e6 for name, file in fine.manifest.files.items()}
    assert plain["token_megabytes"] == sizes["tokens.npy"]
    assert plain["megabytes"] == pytest.approx(sum(sizes.values()) - sizes["tokens.npy"], rel=0.2)
    coarse = by_name[9, "no"]
    assert coarse["near_photos"] == plain["near_photos"] > 5
    assert coarse["near_median_m"] > 80
    assert by_name[9, "peak"]["near_median_m"] < 0.3 * coarse["near_median_m"]
    assert by_name[9, "peak"]["recall"]["50"] > plain["recall"]["50"]
    text = table_text(rows)
    assert len(text.splitlines()) == 2 + 6 + 2
    assert f"near: {plain['near_photos']} of 12 photos" in text


def test_without_a_usable_photo_nothing_is_built(quarter: Path) -> None:
    photos = PhotoVectors([], np.full((2, 192), np.nan, np.float32), np.zeros((2, 2)), {})
    with open_imagery(quarter) as imagery, pytest.raises(UsageError, match="no photo has both"):
        spacing_table(imagery, tiny_model(), photos, (9,))


def test_the_command_prints_the_table(
    quarter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lon, lat = SQUARE.lonlat_deg([[0, 0]])[0]
    photo(1).save(tmp_path / "a.jpg")
    with (tmp_path / "photos.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "lat", "lon"], ["a.jpg", lat, lon]])
    argv = [str(quarter), str(tmp_path / "photos.csv"), "--model", "untrained:tiny"]
    assert main([*argv, "--resolutions", "9", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["refined"] for row in rows] == ["no", "peak", "mean"]
    assert main([*argv[:1], str(tmp_path / "none.csv"), *argv[2:], "--resolutions", "9"]) == 1
    assert "no photos at" in capsys.readouterr().err
