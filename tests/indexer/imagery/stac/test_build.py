"""Whole builds from a catalogue: tiles that meet, the antimeridian, clouds, the command line."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyproj
import pytest
import shapely
from refusals import refusal
from repository import REPOSITORY
from small_builds import build_box, tiny_model
from stac_world import CLOUD, DATES, World, clear_classes, published, scene, toy_pixels
from warm_processes import warm_run

from gair.geo import Footprint
from indexer.build.build import BuildOptions, BuildReport, build_index
from indexer.build.plan import estimate
from indexer.commands.cli import main
from indexer.imagery import open_imagery
from indexer.imagery.stac.imagery import StacImagery
from indexer.imagery.stac.windows import Windows
from indexer.index.index import open_index
from indexer.regions.cells import cells_of
from indexer.regions.region import Region, region_from_bbox

pytestmark = pytest.mark.process

Capture = pytest.CaptureFixture[str]
SHAPE = (120, 120)


def corner(crs: str, lonlat_deg: tuple[float, float]) -> tuple[float, float]:
    """A tile's corner in its own zone, so that a place lies in its middle; whole 20 m."""
    x, y = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(*lonlat_deg)
    return round((x - 2000) / 20) * 20.0, round((y + 2000) / 20) * 20.0


def at(name: str, crs: str, lonlat_deg: tuple[float, float], value: int) -> object:
    """A scene of one shade, four kilometres wide, around a place."""
    dn = np.full((10, 400, 400), value, dtype=np.uint16)
    dn[:, ::2, ::2] += 300
    return scene(name, "2024-06-11", dn, crs=crs, west_north_m=corner(crs, lonlat_deg))


def build(imagery: StacImagery, region: Region, out: Path, resolution: int = 9) -> BuildReport:
    options = BuildOptions(resolution=resolution, quiet=True)
    return build_index(region.name, region, imagery, tiny_model(), out, options=options)


def reasons(report: BuildReport) -> Counter[str]:
    with duckdb.connect(str(report.path / "cells.duckdb"), read_only=True) as table:
        return Counter(row[0] for row in table.execute("SELECT reason FROM missing").fetchall())


def test_tiles_of_two_zones_are_one_picture(tmp_path: Path) -> None:
    """Either side of 0 degrees, where zone 30 ends and zone 31 begins; both scenes reach over."""
    scenes = [
        at("west", "EPSG:32630", (-0.025, 51.5), 800),
        at("east", "EPSG:32631", (0.025, 51.5), 2000),
    ]
    region = region_from_bbox((-0.04, 51.495, 0.04, 51.505), "greenwich")
    with (
        published(tmp_path, scenes) as world,
        world.open(tmp_path / "cache", region=region) as imagery,
    ):
        assert {tile.grid.crs for tile in imagery.tiles} == {"EPSG:32630", "EPSG:32631"}
        assert imagery.coverage.geom_type == "Polygon"
        middle = imagery.read(Footprint.web_mercator_square((0.0, 51.5), 3000), SHAPE)
        report = build(imagery, region, tmp_path / "indexes")
    assert middle.valid.all()
    shades = middle.dn[0]
    assert shades[:, :20].max() <= 1100
    assert shades[:, -20:].min() >= 2000
    assert report.manifest.missing == {}
    assert report.manifest.cells_indexed == len(cells_of(region.geometry, 9)) > 10
    assert {s["crs"] for s in report.manifest.imagery["scenes"]} == {"EPSG:32630", "EPSG:32631"}


def test_a_region_over_the_antimeridian_is_one_build(tmp_path: Path) -> None:
    scenes = [
        at("west", "EPSG:32760", (179.985, -16.5), 800),
        at("east", "EPSG:32701", (-179.985, -16.5), 2000),
    ]
    region = region_from_bbox((179.975, -16.51, -179.975, -16.49), "taveuni")
    with (
        published(tmp_path, scenes) as world,
        world.open(tmp_path / "cache", region=region) as imagery,
    ):
        assert [s["name"] for s in imagery.describe()["scenes"]] == ["east", "west"]
        assert all(abs(part.bounds[0]) <= 180 for part in shapely.get_parts(imagery.coverage))
        over = imagery.read(Footprint.web_mercator_square((179.9999, -16.5), 3000), SHAPE)
        report = build(imagery, region, tmp_path / "indexes")
    assert over.valid.all()
    assert over.dn[0, :, :10].max() <= 1100
    assert over.dn[0, :, -10:].min() >= 2000
    manifest = report.manifest
    assert manifest.missing == {}
    halves = [
        region_from_bbox((179.975, -16.51, 180, -16.49)),
        region_from_bbox((-180, -16.51, -179.975, -16.49)),
    ]
    wanted = np.union1d(*(cells_of(half.geometry, 9).ids for half in halves))
    np.testing.assert_array_equal(np.sort(open_index(report.path.parent).cells.h3), wanted)
    assert len(wanted) > 20


@pytest.fixture(scope="module")
def clouded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two dates with the same hole of 1.2 by 1.2 kilometres."""
    folder = tmp_path_factory.mktemp("clouded")
    dn = toy_pixels()
    classes = clear_classes(dn)
    classes[60:120, 90:150] = CLOUD
    scenes = [
        scene(f"S2A_{n}", f"2024-06-1{n}", dn, classes=classes, cloud_percent=n) for n in (1, 2)
    ]
    with published(folder, scenes) as world:
        yield world


BOX = (-0.120, 51.495, -0.090, 51.512)


def test_cells_below_clouds_are_counted_and_explained(clouded: World, tmp_path: Path) -> None:
    region = region_from_bbox(BOX, "cloudy")
    with clouded.open(tmp_path / "cache", region=region) as imagery:
        report = build(imagery, region, tmp_path / "indexes", resolution=10)
    missing = report.manifest.missing
    assert 40 < missing["no data in the imagery"] < 130  # 1.44 km2 of cells of 0.015 km2
    assert reasons(report) == Counter(missing)
    assert any("cells (" in w and "no data in the imagery" in w for w in report.manifest.warnings)
    (told,) = [w for w in report.manifest.warnings if w.startswith("Clouds or gaps hide")]
    assert told.endswith("widen --dates or raise --max-cloud to see it.")


def test_vectors_are_those_of_the_same_pixels_in_a_file(tmp_path: Path) -> None:
    dn = toy_pixels().copy()
    dn[:, 1::2], dn[:, :, 1::2] = dn[:, ::2], dn[:, :, ::2]  # alike at 10 and 20 m
    region = region_from_bbox(BOX, "box")
    with published(tmp_path, [scene("S2A_1", "2024-06-01", dn)]) as world:
        with world.open(tmp_path / "cache", region=region) as imagery:
            remote = build(imagery, region, tmp_path / "remote")
        with open_imagery(tmp_path / "cogs", dn_offset=-1000) as files:
            local = build_box(files, tmp_path / "local", bbox_wsen_deg=BOX, resolution=9)
    a, b = open_index(remote.path.parent), open_index(local.path.parent)
    np.testing.assert_array_equal(a.cells.h3, b.cells.h3)
    rows = np.arange(a.rs.count)
    cosine = np.einsum("nd,nd->n", a.rs.vectors(rows), b.rs.vectors(rows))
    assert cosine.min() > 0.999


@pytest.mark.parametrize("resolution", [9, 11])
def test_an_estimate_is_what_the_build_turns_out_to_be(
    clouded: World, tmp_path: Path, resolution: int
) -> None:
    region = region_from_bbox(BOX, "box")
    with clouded.open(tmp_path / "cache", region=region) as imagery:
        before = len(clouded.files.log)
        guess = estimate(region, imagery, tiny_model(), resolution=resolution)
        assert len(clouded.files.log) == before  # no pixel was fetched for it
        report = build(imagery, region, tmp_path / "indexes", resolution)
        assert guess.download is not None
        kept = list((tmp_path / "cache").rglob("*.tif"))
        assert guess.download.windows == len(kept) == 4
        after = estimate(region, imagery, tiny_model(), resolution=resolution)
        assert after.download is not None
        assert (after.download.windows, after.download.cached) == (0, 4)
    manifest = report.manifest
    assert guess.cells == manifest.cells_in_region
    assert guess.frames == manifest.frames["count"]
    assert guess.area_km2 == pytest.approx(manifest.region["area_km2"], abs=0.001)
    tokens = manifest.files["tokens.npy"].size_bytes
    assert guess.token_bytes == pytest.approx(tokens, rel=0.01)
    rest = sum(f.size_bytes for f in manifest.files.values()) - tokens
    assert guess.index_bytes == pytest.approx(rest, rel=0.25)
    files = sum(f.stat().st_size for f in (clouded.folder / "cogs").rglob("*.tif"))
    assert guess.download.bytes == pytest.approx(files, rel=0.1)
    assert 0 < guess.seconds < 60


def command(world: World, folder: Path, *flags: str) -> list[str]:
    box = "--bbox={},{},{},{}".format(*BOX)
    source = ["--imagery", f"stac:{world.url}", "--imagery-cache", str(folder / "cache")]
    model = ["--model", "untrained:tiny", "--resolution", "9", "--out", str(folder / "indexes")]
    return ["build", box, *source, "--dates", DATES, *model, *flags]


def test_a_dry_run_says_what_it_would_be_and_does_nothing(
    clouded: World, tmp_path: Path, capsys: Capture
) -> None:
    assert main(command(clouded, tmp_path, "--dry-run")) == 0
    told = capsys.readouterr()
    assert told.err == (
        f"imagery from the catalogue {clouded.url}, collection sentinel-2-c1-l2a (--imagery PATH "
        "takes files instead); model untrained:tiny\n"
    )
    said = told.out.splitlines()
    assert said[0].startswith("region bbox: 3.9 km2, 45 cells of H3 resolution 9, ")
    assert said[0].endswith(" frames")
    assert said[1].startswith("disk: ")
    assert said[2].startswith("download: about ")
    assert said[2].endswith(" in 4 windows")
    assert said[3].startswith("time: about ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_dry_run_downloads_no_weights(
    clouded: World, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    argv = command(clouded, tmp_path, "--dry-run")
    at = argv.index("--model")
    del argv[at : at + 2]
    assert main(argv) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("disk: ")  # 4 frames of 12 x 12 tokens of 768 halves
    assert said[1].endswith(" and 885 kB of token maps")
    assert list(tmp_path.iterdir()) == []


def test_a_second_build_in_another_process_fetches_nothing(
    clouded: World, tmp_path: Path, capsys: Capture
) -> None:
    assert main(command(clouded, tmp_path)) == 0
    told = capsys.readouterr().err
    assert "download: about " in told
    assert f"MB in {tmp_path / 'cache'}" in told
    assert "imagery: 0.0 MB fetched" not in told
    fetched = len(clouded.files.log)
    argv = [sys.executable, "-m", "indexer", *command(clouded, tmp_path)]
    again = warm_run(argv, cwd=REPOSITORY, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert len(clouded.files.log) == fetched
    assert "imagery: 0.0 MB fetched and kept" in again.stderr
    builds = [b for b in (tmp_path / "indexes" / "bbox").iterdir() if b.is_dir()]
    hashes = [json.loads((b / "manifest.json").read_bytes())["files"] for b in builds]
    assert len(hashes) == 2
    for name in ("rs.faiss", "location.faiss", "tokens.npy"):
        assert hashes[0][name] == hashes[1][name]


@pytest.mark.parametrize(
    ("flags", "status", "says"),
    [
        (["--dates", "2024"], 2, "--dates '2024': two days with a slash between are needed; give"),
        (["--dates", "2024-07-01/2024-06-01"], 2, "the first is after the last"),
        (["--dates", "2024-02-30/2024-06-01"], 2, "give FROM/TO, for example"),
        (["--max-cloud", "0"], 2, "--max-cloud 0 is not above 0"),
        (["--dates-per-place", "0"], 2, "--dates-per-place 0 is not at least 1"),
        (["--dn-offset", "-1000"], 2, "a catalogue says these itself: leave them out"),
        (["--stac-collection", "x"], 1, "has no collection 'x'; it has: sentinel-2-c1-l2a. Pass"),
        (["--max-cloud", "0.5"], 1, "raise --max-cloud, or widen --dates"),
    ],
)
def test_flags_that_cannot_work(
    clouded: World, tmp_path: Path, capsys: Capture, flags: list[str], status: int, says: str
) -> None:
    assert says in refusal(command(clouded, tmp_path, "--quiet", *flags), capsys, status)
    assert list(tmp_path.iterdir()) == []


def test_a_catalogue_needs_a_region(clouded: World, tmp_path: Path, capsys: Capture) -> None:
    argv = [word for word in command(clouded, tmp_path) if not word.startswith("--bbox")]
    assert "pass --region, --bbox, --polygon or --place" in refusal(argv, capsys, status=2)
    assert "or --imagery PATH to index all that files show" in refusal(["build"], capsys, status=2)


def test_missing_packages_are_named(
    clouded: World, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "indexer.imagery.stac.query.find_spec", lambda name: None if "odc" in name else object()
    )
    said = refusal(command(clouded, tmp_path), capsys)
    assert said == (
        "imagery from a catalogue needs odc-stac: pip install 'gair-geolocator[stac]', or give "
        "local files with --imagery"
    )
    assert refusal(["build", "--region", "london"], capsys) == said  # without any other flag, too


def test_threads_end_with_the_imagery(clouded: World, tmp_path: Path) -> None:
    with clouded.open(tmp_path, region=region_from_bbox(BOX)) as imagery:
        windows: Windows = imagery.windows
    with pytest.raises(RuntimeError, match="shutdown"):
        windows._pool.submit(print)
