"""Merged indexes: every vector as it was, and the answers of one build over all regions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hand_calibration import calibrate_by_hand
from refusals import refusal
from shapely.geometry import MultiPolygon, box
from small_builds import build_box, fill_disk, rewrite_manifest, small_disk, snapshot, tiny_model
from toy_city import NORTH_M, WEST_M, photo, write_city

from gair.encoders.precision import WantedPrecision
from gair.errors import IndexMismatchError, StorageError, UsageError
from gair.model import Gair
from indexer.build.build import BuildOptions, build_index
from indexer.commands.cli import main
from indexer.export.export import embedding_entry
from indexer.imagery import open_imagery
from indexer.index.index import Index, open_index
from indexer.index.table import read_missing
from indexer.merge.merge import merge_indexes, merged_imagery
from indexer.regions.region import Region
from indexer.search.geolocator import Geolocator
from indexer.search.maps.ground_picture import chip_at

WEST_BOX = box(-0.1080, 51.5030, -0.1000, 51.5080)
EAST_BOX = box(0.0080, 51.5030, 0.0160, 51.5080)
"""In two cities that do not touch, so that each has its own even grid of frames."""


@pytest.fixture(scope="module")
def cities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cities")
    write_city(folder / "west.tif")
    with rasterio.open(write_city(folder / "east.tif", seed=1), "r+") as raster:
        raster.transform = rasterio.transform.from_origin(WEST_M + 8000, NORTH_M, 10, 10)
    return folder


def build(
    cities: Path,
    out: Path,
    name: str,
    *parts: object,
    tokens: bool = True,
    precision: WantedPrecision = "float32",
) -> Path:
    with open_imagery(cities) as imagery:
        build_index(
            name,
            Region(name, MultiPolygon(parts), f"surveyors of {name}"),
            imagery,
            tiny_model(),
            out,
            options=BuildOptions(keep_token_maps=tokens, precision=precision, quiet=True),
        )
    return out / name


@pytest.fixture(scope="module")
def parts(cities: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("parts")
    build(cities, out, "west", WEST_BOX)
    build(cities, out, "east", EAST_BOX)
    build(cities, out, "once", WEST_BOX, EAST_BOX)
    merge_indexes([out / "east", out / "west"], "both", out, quiet=True)
    return out


def rows(index: Index) -> dict[str, np.ndarray]:
    every = np.arange(len(index.cells))
    assert index.tokens is not None
    cells = index.cells
    return {
        "h3": cells.h3,
        "lonlat_deg": cells.lonlat_deg,
        "area_m2": cells.area_m2,
        "rs": index.rs.halves(every),  # type: ignore[attr-defined]
        "location": index.location.halves(every),  # type: ignore[attr-defined]
        "frame": index.frames.bounds_wsen_m[cells.frame],
        "valid": index.frames.valid_fraction[cells.frame],
        "tokens": index.tokens.frame(cells.frame).numpy(),
    }


def test_merged_is_what_one_build_makes(parts: Path) -> None:
    merged, once = open_index(parts / "both"), open_index(parts / "once")
    found, wanted = rows(merged), rows(once)
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert (np.diff(found["h3"].astype(np.int64)) > 0).all()
    assert len(merged.frames.valid_fraction) == len(once.frames.valid_fraction)
    m, o = merged.manifest, once.manifest
    assert m.cells_indexed == o.cells_indexed == len(found["h3"])
    assert m.cells_in_region == o.cells_in_region
    assert m.region["area_km2"] == pytest.approx(o.region["area_km2"], abs=1e-3)
    assert m.region["polygon_sha256"] == o.region["polygon_sha256"]
    assert m.region["attribution"] == "surveyors of east; surveyors of west"
    assert (m.tokens, m.frames, m.model, m.vectors) == (o.tokens, o.frames, o.model, o.vectors)
    assert [scene["name"] for scene in m.imagery["scenes"]] == ["east.tif", "west.tif"]
    assert m.imagery["attribution"] == o.imagery["attribution"]


def test_the_answers_are_those_of_one_build(parts: Path) -> None:
    model = tiny_model()
    merged, once = (Geolocator(open_index(parts / name), model) for name in ("both", "once"))
    for seed in range(3):
        found, wanted = merged.search(photo(seed), k=8), once.search(photo(seed), k=8)
        assert found.candidates == wanted.candidates


def test_the_pictures_of_the_parts_stay_as_they_are(parts: Path) -> None:
    indexes = [open_index(parts / name) for name in ("east", "west")]
    merged = open_index(parts / "both")
    files = [picture.path.read_bytes() for index in indexes for picture in index.pictures]
    assert [picture.path.name for picture in merged.pictures] == ["picture.tif", "picture-2.tif"]
    assert [picture.path.read_bytes() for picture in merged.pictures] == files
    for row in range(0, len(merged.cells), 5):  # each place is shown by the part that it is of
        assert chip_at(merged, row) is not None


def test_the_parts_are_named(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = open_index(parts / "both").manifest
    counts = {part["index"]: part["cells"] for part in manifest.merged}
    assert counts == {
        name: open_index(parts / name).manifest.cells_indexed for name in ("east", "west")
    }
    assert main(["info", "--index", "both", "--indexes", str(parts)]) == 0
    assert f"merged   {counts['east']} cells of east, build" in capsys.readouterr().out


def test_cells_of_both_come_from_the_first(
    cities: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(parts / "west", tmp_path / "west")
    build(cities, tmp_path, "shifted", box(-0.1050, 51.5030, -0.0970, 51.5080))
    argv = ["merge", "shifted", "west", "--into", "strip", "--indexes", str(tmp_path), "--quiet"]
    assert main(argv) == 0
    told = capsys.readouterr().out
    west, shifted, strip = (open_index(tmp_path / n) for n in ("west", "shifted", "strip"))
    shared = np.isin(shifted.cells.h3, west.cells.h3)
    assert shared.sum() > 5
    assert f"; {shared.sum()} cells were in more than one" in told
    assert len(strip.cells) == len(west.cells) + (~shared).sum()
    own = np.searchsorted(strip.cells.h3, shifted.cells.h3)
    np.testing.assert_array_equal(
        strip.rs.vectors(own), shifted.rs.vectors(np.arange(len(shifted.cells)))
    )
    assert not np.array_equal(
        strip.rs.vectors(own[shared][:1]),
        west.rs.vectors(np.searchsorted(west.cells.h3, shifted.cells.h3[shared][:1])),
    )
    # West's frames that only shared cells used are gone.
    assert set(np.unique(strip.cells.frame)) == set(range(len(strip.frames.valid_fraction)))


def test_what_one_lacks_another_may_have(city_tif: Path, tmp_path: Path) -> None:
    edge = (-0.1350, 51.5030, -0.1250, 51.5080)  # reaches past the west of the imagery
    build_box(city_tif, tmp_path, name="edge", bbox_wsen_deg=edge)
    lost = read_missing(open_index(tmp_path / "edge").path / "cells.duckdb")
    assert len(lost.h3) > 0
    report = merge_indexes([tmp_path / "edge"], "copy", tmp_path, quiet=True)
    assert report.manifest.missing == open_index(tmp_path / "edge").manifest.missing
    again = read_missing(report.path / "cells.duckdb")
    np.testing.assert_array_equal(again.h3, lost.h3)
    assert again.reason == lost.reason
    assert report.manifest.cells_in_region == report.manifest.cells_indexed + len(lost.h3)


def test_one_index_can_be_given_another_type(parts: Path, tmp_path: Path) -> None:
    shutil.copytree(parts / "both", tmp_path / "both")
    argv = ["merge", "both", "--into", "both", "--indexes", str(tmp_path), "--quiet"]
    assert main([*argv, "--index-type", "ivf-sq8"]) == 0
    index = open_index(tmp_path / "both")
    assert index.manifest.search["wanted"] == "ivf-sq8"
    for name, values in rows(open_index(parts / "both")).items():
        np.testing.assert_array_equal(rows(index)[name], values)


def test_a_district_is_added(
    cities: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(parts / "west", tmp_path / "west")
    record = json.loads((open_index(tmp_path / "west").path / "manifest.json").read_bytes())
    rewrite_manifest(tmp_path / "west", model={**record["model"], "source": "untrained:tiny"})
    calibrate_by_hand(tmp_path / "west")
    before = open_index(tmp_path / "west").path
    argv = ["add", "west", "--indexes", str(tmp_path), "--imagery", str(cities), "--quiet"]
    assert main([*argv, "--bbox={},{},{},{}".format(*EAST_BOX.bounds)]) == 0
    told = capsys.readouterr().out
    assert "the calibration of west was not carried over: run python -m indexer cali" in told
    index = open_index(tmp_path / "west")
    assert index.path != before
    assert before.exists()
    for name, values in rows(open_index(parts / "both")).items():
        np.testing.assert_array_equal(rows(index)[name], values, err_msg=name)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["west"]


def test_what_is_added_again_changes_nothing(cities: Path, parts: Path, tmp_path: Path) -> None:
    """To the byte: the outline, too, whose corners were turned round by each further union."""
    shutil.copytree(parts / "west", tmp_path / "grown")
    beside = box(-0.1040, 51.5010, -0.0920, 51.5060)  # partly in the west
    district = build(cities, tmp_path, "district", beside)
    grown = tmp_path / "grown"
    hashes = [
        merge_indexes([grown, district], "grown", tmp_path, quiet=True).manifest.content_sha256
        for _ in range(3)
    ]
    assert len(set(hashes)) == 1
    outline = open_index(grown).outline
    assert outline["properties"]["attribution"] == "surveyors of west; surveyors of district"


def test_indexes_that_differ_are_refused(
    cities: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(parts / "west", tmp_path / "west")
    coarse = build_box(cities / "west.tif", tmp_path, name="coarse", resolution=9)
    other = Gair.untrained("tiny", seed=7)
    build_box(cities / "west.tif", tmp_path, name="other", model=other)
    assert coarse.manifest.h3_resolution == 9
    argv = ["merge", "west", "coarse", "--into", "x", "--indexes", str(tmp_path), "--quiet"]
    assert refusal(argv, capsys) == (
        "indexes 'west' and 'coarse' cannot be merged: their H3 resolutions differ, 10 and 9: "
        "build one of them again"
    )
    with pytest.raises(IndexMismatchError, match=r"'west' and 'other' .* their models differ, "):
        merge_indexes([tmp_path / "west", tmp_path / "other"], "x", tmp_path, quiet=True)
    shutil.copytree(tmp_path / "west", tmp_path / "read")
    rewrite_manifest(tmp_path / "read", query_mode="bilinear")
    with pytest.raises(IndexMismatchError, match="ways to read frames differ, nili and bilinear"):
        merge_indexes([tmp_path / "west", tmp_path / "read"], "x", tmp_path, quiet=True)
    assert not (tmp_path / "x").exists()
    with pytest.raises(UsageError, match="nothing to merge: name one index or more"):
        merge_indexes([], "x", tmp_path)


def test_parts_of_two_precisions_are_merged_and_told_apart(
    cities: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which one ``auto`` takes depends on the CPU; what it changes lies within the promise."""
    half = build(cities, tmp_path, "half", EAST_BOX, precision="bfloat16")
    report = merge_indexes([half, parts / "west"], "mixed", tmp_path, quiet=True)
    assert report.manifest.computed == {"precision": "bfloat16, float32"}
    assert [p["precision"] for p in report.manifest.merged] == ["bfloat16", "float32"]
    assert any("computed in bfloat16 and float32, which may" in line for line in report.summary)
    assert main(["info", "--index", "mixed", "--indexes", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert told.count(", bfloat16\n") == told.count(", float32\n") == 1
    mixed, full = open_index(tmp_path / "mixed"), open_index(parts / "both")
    assert embedding_entry(mixed)["model"]["precision"] == "bfloat16, float32"
    np.testing.assert_array_equal(mixed.cells.h3, full.cells.h3)
    queries = full.rs.vectors(np.arange(0, len(full.cells), 7))
    for ours, theirs in ((mixed.rs, full.rs), (mixed.location, full.location)):
        apart = np.abs(ours.scores(queries) - theirs.scores(queries)).max(axis=0)
        assert 0 < apart.max() < 1e-2
    again = merge_indexes([tmp_path / "mixed"], "again", tmp_path, quiet=True)
    assert again.manifest.precisions == ("bfloat16", "float32")


def test_parts_of_one_precision_stay_of_it(cities: Path, parts: Path, tmp_path: Path) -> None:
    assert open_index(parts / "both").manifest.computed == {"precision": "float32"}
    half = build(cities, tmp_path, "half", EAST_BOX, precision="bfloat16")
    report = merge_indexes([half], "copy", tmp_path, quiet=True)
    entry = embedding_entry(open_index(report.path.parent))
    assert entry["model"]["precision"] == "bfloat16"
    assert not any("bfloat16" in line for line in report.summary)
    rewrite_manifest(report.path.parent, computed={})  # as merges were before they said
    assert open_index(report.path.parent).manifest.precisions == ("unknown",)
    rewrite_manifest(half, computed={})
    assert open_index(half).manifest.precisions == ("float32",)


def test_without_token_maps_in_one_there_are_none_in_all(
    cities: Path, parts: Path, tmp_path: Path
) -> None:
    bare = build(cities, tmp_path, "bare", EAST_BOX, tokens=False)
    report = merge_indexes([parts / "west", bare], "mixed", tmp_path, quiet=True)
    assert report.manifest.tokens is None
    assert report.tokens_dropped
    assert any("no answers between cells" in line for line in report.summary)
    assert open_index(tmp_path / "mixed").tokens is None


def test_imagery_is_told_once() -> None:
    one = {"kind": "files", "scenes": [{"name": "a"}], "attribution": "A; B", "dn_offset": 0.0}
    two = {"kind": "stac", "scenes": [{"name": "a"}, {"name": "b"}], "attribution": "B; C"}
    assert merged_imagery([one, two | {"dn_offset": -1000.0}]) == {
        "kind": "files; stac",
        "scenes": [{"name": "a"}, {"name": "b"}],
        "attribution": "A; B; C",
        "dn_offset": [0.0, -1000.0],
    }
    assert merged_imagery([one, one]) == one


@pytest.mark.process
def test_a_full_disk_leaves_the_old_build(parts: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        shutil.copytree(parts / "west", disk / "west")
        before = snapshot(disk)
        filler = fill_disk(disk, 300_000)
        with pytest.raises(StorageError, match="MB free and the index needs|no space left"):
            merge_indexes([disk / "west", parts / "east"], "west", disk, quiet=True)
        filler.unlink()
        assert snapshot(disk) == before
        open_index(disk / "west")
