"""Regions that are cut out of an index: vectors as they were, and nothing of the rest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from reference_samples import digest_of, give_references, reference_photos
from said_errors import refused
from small_builds import BOX_WSEN_DEG, build_box
from toy_city import photo

from gair.errors import RegionError
from indexer import Geolocator, cut_index, open_index
from indexer.commands.cli import main
from indexer.ground.reference_photos import open_reference_photos
from indexer.ground.verify import check_reference_photos
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
    report = cut_index(box, region_from_bbox(HALF, "half"), "half", tmp_path, quiet=True)
    manifest = report.manifest
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
    assert "carried over" not in capsys.readouterr().out  # there was nothing to be
    a, b = (open_index(tmp_path / name).manifest for name in "ab")
    assert a.content_sha256
    assert a.cells_indexed == b.cells_indexed
    assert main([*argv, "c"]) == 2
    assert "cut needs an area" in capsys.readouterr().err


def with_references(box: Path, folder: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """A copy of the box with ten photos from west to east, the first two private; places, s."""
    own = Path(shutil.copytree(box, folder / "box"))
    lon = np.linspace(WEST, EAST, 12)[1:-1]
    places = np.stack([lon, np.full(10, (SOUTH + NORTH) / 2)], axis=1)
    s = np.random.default_rng(0).normal(size=(10, open_index(own).rs.dim)).astype(np.float32)
    s /= np.linalg.norm(s, axis=1, keepdims=True)
    photos = reference_photos(
        places,
        private=[number < 2 for number in range(10)],
        licence=[f"licence {number}" for number in range(10)],
        attribution=[f"by {number}" for number in range(10)],
    )
    give_references(own, photos, s)
    return own, places, s


def test_reference_photos_of_the_region_come_along_with_their_licences(
    box: Path, tmp_path: Path
) -> None:
    own, places, s = with_references(box, tmp_path)
    report = cut_index(own, region_from_bbox(HALF, "half"), "half", tmp_path, quiet=True)
    inside = [number for number in range(10) if places[number, 0] < HALF[2]]
    public = [number for number in inside if number >= 2]
    assert 0 < len(public) < len(inside) < 10
    carried = report.carried
    assert (carried.photos, carried.private, carried.outside) == (
        len(public), 2, 10 - len(inside),
    )  # fmt: skip
    there = open_reference_photos(tmp_path / "half")
    assert there is not None
    assert [f.problem for f in check_reference_photos(tmp_path / "half") if f.problem] == []
    by_hash = {photo.content_sha256: photo for photo in there.details(np.arange(len(there)))}
    assert set(by_hash) == {digest_of(number) for number in public}
    for number in public:
        photo_there = by_hash[digest_of(number)]
        assert photo_there.licence == f"licence {number}"
        assert photo_there.attribution == f"by {number}"
        row = there.content_sha256.tolist().index(digest_of(number).encode())
        assert there.vectors([row])[0] == pytest.approx(s[number], abs=1e-3)
    summary = "\n".join(report.summary)
    assert f"  reference photos: {len(public)}" in summary
    assert "2 private reference photos were left out" in summary
    assert f"{10 - len(inside)} reference photos were taken elsewhere" in summary


def test_a_cut_may_leave_reference_photos_and_replaces_its_own_of_before(
    box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, _, _ = with_references(box, tmp_path)
    edges = ",".join(map(str, HALF))
    argv = ["index", "cut", str(own), "--indexes", str(tmp_path), "--quiet", "--into", "half"]
    assert main([*argv, "--bbox", edges]) == 0
    assert open_reference_photos(tmp_path / "half") is not None
    capsys.readouterr()
    assert main([*argv, "--bbox", edges, "--no-reference-photos"]) == 0
    assert "reference photos were left out, as asked" in capsys.readouterr().out
    assert open_reference_photos(tmp_path / "half") is None


def test_a_region_without_cells_is_refused(box: Path, tmp_path: Path) -> None:
    with refused(RegionError, "no cell of index 'box' has its centre in"):
        cut_index(box, region_from_bbox((10, 10, 11, 11), "far"), "far", tmp_path)
    assert not (tmp_path / "far").exists()
