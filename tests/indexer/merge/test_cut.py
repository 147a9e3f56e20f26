"""Regions that are cut out of an index: vectors as they were, and nothing of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from said_errors import refused
from small_builds import BOX_WSEN_DEG, build_box
from toy_city import photo

from gair.errors import RegionError
from indexer import Geolocator, cut_index, open_index
from indexer.commands.cli import main
from indexer.index.verify import check_index
from indexer.regions.region import region_from_bbox

WEST, SOUTH, EAST, NORTH = BOX_WSEN_DEG
HALF = (WEST, SOUTH, (WEST + EAST) / 2, NORTH)


@pytest.fixture(scope="module")
def box(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cut")
    build_box(city_tif, out)
    return out / "box"


def test_a_cut_is_a_valid_index_of_the_same_vectors(box: Path, tmp_path: Path) -> None:
    manifest = cut_index(box, region_from_bbox(HALF, "half"), "half", tmp_path, quiet=True)
    assert [f.problem for f in check_index(tmp_path / "half") if f.problem] == []
    whole, half = open_index(box), open_index(tmp_path / "half")
    assert 0 < manifest.cells_indexed < whole.manifest.cells_indexed
    inside = whole.cells.lonlat_deg[:, 0] < HALF[2]
    assert half.cells.h3.tolist() == whole.cells.h3[inside].tolist()
    rows = np.flatnonzero(inside)
    assert np.array_equal(half.rs.vectors(np.arange(len(rows))), whole.rs.vectors(rows))
    assert half.manifest.region["attribution"] == whole.manifest.region["attribution"]
    assert half.manifest.imagery == whole.manifest.imagery
    assert half.manifest.merged[0]["build"] == whole.manifest.build


def test_scores_stay_the_same(box: Path, tmp_path: Path) -> None:
    cut_index(box, region_from_bbox(HALF, "half"), "half", tmp_path, quiet=True)
    half = Geolocator.open("half", indexes_dir=tmp_path).search(photo(), k=30, refine=False)
    whole = Geolocator.open(box).search(photo(), k=30, refine=False, merge_radius_m=0)
    scores = {c.h3_cell: c.score for c in whole.candidates}
    assert half.candidates
    for candidate in half.candidates:
        if candidate.h3_cell in scores:
            assert candidate.score == pytest.approx(scores[candidate.h3_cell], abs=1e-6)


def test_the_command_line_cuts_by_edges_and_by_outline(
    box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["index", "cut", str(box), "--indexes", str(tmp_path), "--quiet", "--into"]
    edges = ",".join(map(str, HALF))
    outline = tmp_path / "half.geojson"
    outline.write_text(json.dumps(region_from_bbox(HALF).to_geojson()))
    assert main([*argv, "a", "--bbox", edges]) == 0
    assert main([*argv, "b", "--within", str(outline)]) == 0
    assert "calibration and reference photos were not carried over" in capsys.readouterr().out
    a, b = (open_index(tmp_path / name).manifest for name in "ab")
    assert a.content_sha256
    assert a.cells_indexed == b.cells_indexed
    assert main([*argv, "c"]) == 2
    assert "cut needs an area" in capsys.readouterr().err


def test_a_region_without_cells_is_refused(box: Path, tmp_path: Path) -> None:
    with refused(RegionError, "no cell of index 'box' has its centre in"):
        cut_index(box, region_from_bbox((10, 10, 11, 11), "far"), "far", tmp_path)
    assert not (tmp_path / "far").exists()
