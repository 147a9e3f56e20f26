"""A data set with frames from a catalogue: a real STAC API server and file server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from file_server import serving
from folder_files import files_of
from json_server import answering, collections, stac_root
from stac_world import (
    COLLECTION,
    brighter,
    publish,
    published,
    resampled,
    scene,
    toy_pixels,
)
from street_samples import listed_photos, write_tables
from street_servers import TOKEN, street_server

from gair.geo import Footprint
from training.dataset.cli import main
from training.dataset.pack.options import CatalogueOptions
from training.dataset.pack.stac_frames import StacFrames
from training.dataset.shards import ShardedDataset
from training.dataset.streetscapes.providers import TOKEN_VARIABLE

pytestmark = pytest.mark.process

FRAME = Footprint.web_mercator_square((-0.1075, 51.505), 2446)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("stac")
    dn = toy_pixels()
    cloudy = np.full((200, 200), 4, dtype=np.uint8)
    cloudy[80:120, 80:120] = 9
    scenes = [
        scene("S2_a", "2024-05-01", dn, cloud_percent=8.0),
        scene("S2_b", "2024-06-01", brighter(dn, 40), cloud_percent=2.0),
        scene("S2_c", "2024-07-01", brighter(dn, 80), cloud_percent=5.0, classes=cloudy),
        scene("S2_d", "2024-07-20", brighter(dn, 90), cloud_percent=60.0),
    ]
    with published(folder, scenes) as made:
        yield made


def ground(square: Footprint) -> shapely.Polygon:
    return shapely.Polygon(square.lonlat_deg([[-1, -1], [1, -1], [1, 1], [-1, 1]]))


def test_each_day_is_read_as_it_is(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = CatalogueOptions("2024-05-01/2024-07-31", world.url, cache=tmp_path / "cache")
    with StacFrames({"London": ground(FRAME)}, options, 2, tmp_path / "kept") as frames:
        assert frames.days_over(FRAME) == ["2024-06-01", "2024-07-01"]  # the least cloudy ones
        first = frames.read("2024-06-01", FRAME)
        assert first.valid_fraction == 1
        monkeypatch.setattr("stac_world.SHAPE", first.dn.shape[1:])
        # GDAL widens its kernel where a pixel is a little larger than the source's.
        assert np.median(np.abs(first.dn - resampled(world, "S2_b"))) <= 2
        clouded = frames.read("2024-07-01", FRAME)
        assert 0.5 < clouded.valid_fraction < 0.99
        seen = clouded.valid & first.valid
        difference = np.median(clouded.dn[:, seen].astype(int) - first.dn[:, seen])
        assert difference == pytest.approx(40, abs=2)
        assert frames.attribution("2024-06-01").endswith("Copernicus Sentinel data 2024")
        assert [layer["day"] for layer in frames.describe()] == [
            "2024-05-01", "2024-06-01", "2024-07-01"]  # fmt: skip
        assert frames.coverage.contains(ground(FRAME).centroid)
    # Its answer is kept: nobody needs to be there to go on.
    gone = CatalogueOptions("2024-05-01/2024-07-31", world.url, cache=tmp_path / "cache")
    requests = len(world.files.log)
    with StacFrames({"London": ground(FRAME)}, gone, 3, tmp_path / "kept") as again:
        assert len(again.days_over(FRAME)) == 3
        np.testing.assert_array_equal(again.read("2024-06-01", FRAME).dn, first.dn)
    assert len(world.files.log) == requests


def test_a_data_set_with_a_catalogue(
    world: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    rows = listed_photos(16)
    digests = []
    with street_server(*(row.served for row in rows)) as server:
        for out in ("one", "another"):
            argv = [
                "streetscapes", "--tables", str(write_tables(tmp_path / "tables", rows)),
                "--imagery", "stac", "--stac-url", world.url, "--dates", "2024-05-01/2024-07-31",
                "--imagery-cache", str(tmp_path / "cache"), "--dates-per-footprint", "2",
                "--footprint-m", "600", "--buffer-m", "100", "--shares", "0.5,0.25,0.25",
                "--out", str(tmp_path / out), "--quiet", *server.flags(),
            ]  # fmt: skip
            assert main(argv) == 0, capsys.readouterr().err
            digests.append(files_of(tmp_path / out))
    assert digests[0] == digests[1]
    dataset = ShardedDataset.open(tmp_path / "one", verify=True)
    assert set(map(tuple, dataset.dates)) == {("2024-06-01", "2024-07-01")}
    assert "of 2024-05-01 to 2024-07-01" in (tmp_path / "one/README.md").read_text()


def test_days_of_two_scales_meet_alike_and_a_bad_day_shows_nothing(tmp_path: Path) -> None:
    """A catalogue that states no offset: one day before baseline 04.00, two after it."""
    (tmp_path / "cogs").mkdir()
    dn = toy_pixels()
    with answering() as answers, serving(tmp_path / "cogs") as files:
        items = []
        for day, baseline, higher in (
            ("2024-05-01", "03.01", 0), ("2024-06-01", "05.11", 1000), ("2024-07-01", "05.11", 1000)
        ):  # fmt: skip
            made = scene(f"S2_{day}", day, dn, stored_higher=higher)
            item = publish(made, tmp_path / "cogs", files.url)
            item["properties"]["s2:processing_baseline"] = baseline
            for asset in item["assets"].values():
                asset.pop("raster:bands", None)
            items.append(item)
        items[2]["assets"]["red"]["href"] += ".gone"
        items.append({**items[0], "id": "S2_odd", "assets": {}})
        answers.by_path |= {
            "/": stac_root(answers.url),
            "/collections": collections(COLLECTION),
            "/search": {"type": "FeatureCollection", "features": items, "links": []},
        }
        options = CatalogueOptions("2024-05-01/2024-07-31", answers.url, cache=tmp_path / "cache")
        with StacFrames({"London": ground(FRAME)}, options, 3, tmp_path / "kept") as frames:
            days = frames.days_over(FRAME)
            old, new, bad = (frames.read(day, FRAME) for day in days)
            warnings = frames.warnings
    assert days == ["2024-05-01", "2024-06-01", "2024-07-01"]
    np.testing.assert_array_equal(old.dn, new.dn)
    assert old.valid.all()
    assert not bad.valid.any()
    told = "\n".join(warnings)
    assert "The scene S2_odd was left out: it lacks B2, " in told
    assert "The scene S2_2024-07-01 was left out: cannot read it from 127.0.0.1" in told
    assert "S2_2024-06-01 states no offset, but processing baseline 05.11: 0.1 of refl" in told
