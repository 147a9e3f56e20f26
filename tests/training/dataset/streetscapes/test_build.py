"""From tables and servers to a data set: every photo is packed or counted, and nothing is lost."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from folder_files import files_of
from packing_samples import column
from street_samples import Listed, blurred_photo, listed_photos, write_tables
from street_servers import TOKEN, TROUBLES, StreetServer, street_photo, street_server
from toy_city import write_city

from gair.errors import DatasetError, DownloadError, UsageError
from gair.http import Patience
from indexer.ground.listed import link_of, list_photos
from indexer.photos.listing import BROKEN
from training.dataset.pack.checks import OUTSIDE
from training.dataset.pack.options import SplitOptions
from training.dataset.shards import ShardedDataset
from training.dataset.streetscapes.build import NEAR_DUPLICATE, BuildReport, build
from training.dataset.streetscapes.fetch import BLURRED, GONE, MOVED
from training.dataset.streetscapes.journal import Journal
from training.dataset.streetscapes.options import (
    Endpoints,
    FetchOptions,
    Lists,
    SelectionOptions,
    StreetscapesOptions,
)
from training.dataset.streetscapes.providers import TOKEN_VARIABLE
from training.dataset.streetscapes.selection import CELL_FULL, INDOOR, PANORAMA, POOR, TINY

pytestmark = pytest.mark.process

QUICK = Patience(tries=4, first_pause_s=0.01)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy city on three days."""
    folder = tmp_path_factory.mktemp("imagery")
    for day in ("20230102", "20230620", "20240501"):
        write_city(folder / f"s_{day}T101010.tif", seed=int(day) % 7)
    return folder


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)


KARTAVIEW_PAGE = "https://kartaview.org/details/77/5"


def options_for(
    server: StreetServer, tables: Path, imagery: Path, out: Path, **changes: Any
) -> StreetscapesOptions:
    standard = StreetscapesOptions(
        lists=Lists(tables=(tables,)),
        out=out,
        imagery=(imagery,),
        dates_per_footprint=2,
        fetch=FetchOptions(concurrency=6),
        endpoints=Endpoints(
            f"{server.base_url}/graph", f"{server.base_url}/tile", f"{server.base_url}/kartaview"
        ),
        patience=QUICK,
        split=SplitOptions(shares=(0.5, 0.25, 0.25), buffer_m=100),
        footprint_m=600,
        quiet=True,
    )
    return dataclasses.replace(standard, **changes)


def manifest_of(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "dataset.json").read_bytes()))


def test_what_is_fetched_is_what_is_packed(two_days: Path, tmp_path: Path) -> None:
    rows = listed_photos(24)
    with street_server(*(row.served for row in rows)) as server:
        server.delay_s = 0.05  # so that questions meet
        report = build(options_for(server, write_tables(tmp_path / "t", rows), two_days,
                                   tmp_path / "out", keep_photos=True))  # fmt: skip
        assert set(server.served.values()) == {1}
        assert len(server.agents) == 1
        assert "gair-geolocator" in server.agents.pop()
        assert 1 < server.most_at_once <= 12  # the server counts a while longer than the client
    assert report.left_out == {}
    listed_again, _ = list_photos(tmp_path / "out.unfinished/manifest.parquet")
    assert len(listed_again) == len(rows)
    links = {"Mapillary": "https://www.mapillary.com/app/?pKey=", "KartaView": KARTAVIEW_PAGE}
    for photo in listed_again:  # as reference photos of an index
        assert photo.path.is_file()
        assert photo.sequence == {"Mapillary": "f1ih", "KartaView": "77"}[photo.source]
        assert link_of(photo).startswith(links[photo.source])
    photos = [
        row
        for file in sorted((tmp_path / "out/photos").glob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]
    by_id = {f"{row.served.source}-{row.served.image_id}": row for row in rows}
    assert {photo["photo_id"] for photo in photos} == set(by_id)
    for photo in photos:
        listed = by_id[photo["photo_id"]]
        assert photo["jpeg"] == listed.served.jpeg
        assert (photo["lon_deg"], photo["lat_deg"]) == listed.served.lonlat_deg
        assert photo["place"] == listed.city
        assert photo["heading_deg"] == 77.25  # the table's, not the server's
        assert photo["captured_at"].startswith(listed.when[:10])
        assert photo["licence"] == "CC BY-SA 4.0"
        image_id = listed.served.image_id
        if listed.served.source == "mapillary":
            assert photo["source"] == "Mapillary"
            assert photo["attribution"] == (
                f"Mapillary image by user{image_id}, CC BY-SA 4.0, "
                f"https://www.mapillary.com/app/?pKey={image_id}"
            )
        else:
            assert photo["source"] == "KartaView"
            assert "KartaView contributors, CC BY-SA 4.0" in photo["attribution"]
            assert photo["attribution"].endswith(KARTAVIEW_PAGE)
    dataset = ShardedDataset.open(tmp_path / "out", verify=True)
    assert {tuple(dates) for dates in dataset.dates} == {("2023-01-02", "2024-05-01")}
    splits = Counter(
        (split, place)
        for split in ("train", "val", "test")
        for place in set(ShardedDataset.open(tmp_path / "out", split).places)
    )
    assert len(splits) == len({row.city for row in rows})  # a city is in one split


def left_out_rows() -> tuple[list[Listed], Counter[str]]:
    """Photos with something wrong, and what."""
    rows = listed_photos(30)

    def change(number: int, served: dict[str, Any] | None = None, **row: Any) -> None:
        rows[number] = dataclasses.replace(rows[number], **row)
        rows[number].served.__dict__.update(served or {})

    change(0, projection="spherical", width=7680, height=3840)
    change(1, place="church/indoor")
    change(2, quality="very poor")
    change(3, width=320, height=240)
    change(4, {"gone": True})
    change(5, {"gone": True})  # KartaView's
    change(6, {"jpeg": blurred_photo(3)})
    change(7, {"jpeg": street_photo(7, (320, 240))})
    change(8, {"jpeg": street_photo(8)[:3000]})
    change(9, {"panorama": True})
    change(10, {"jpeg": street_photo(10, (900, 300))})
    rows[16].served.__dict__.update(jpeg=street_photo(12), lonlat_deg=rows[12].served.lonlat_deg)
    wanted = Counter({PANORAMA: 3, INDOOR: 1, POOR: 1, TINY: 2, GONE: 2, BLURRED: 1, BROKEN: 1})
    return rows, wanted + Counter({NEAR_DUPLICATE: 1})


def test_each_reason_is_counted(two_days: Path, tmp_path: Path) -> None:
    rows, wanted = left_out_rows()
    far = dataclasses.replace(rows[20].served, lonlat_deg=(9.0, 48.0))
    rows[20] = dataclasses.replace(rows[20], served=far)
    wanted[OUTSIDE] += 1
    with street_server(*(row.served for row in rows)) as server:
        tables = write_tables(tmp_path / "t", rows)
        server.photos["mapillary-10021"].lonlat_deg = (9.0, 48.0)  # the table says otherwise
        wanted[MOVED] += 1
        report = build(options_for(server, tables, two_days, tmp_path / "out"))
    manifest = manifest_of(tmp_path / "out")
    assert manifest["left_out"] == wanted
    packed = sum(split["photos"] for split in manifest["splits"].values())
    assert packed + sum(wanted.values()) == report.candidates == 30
    facts = manifest["facts"]["streetscapes"]
    assert (facts["candidates"], facts["chosen"], facts["fetched"]) == (30, 26, 17)
    assert any("sharpness of" in complaint for complaint in report.complaints)
    assert str(tmp_path) not in (tmp_path / "out/dataset.json").read_text()
    card = (tmp_path / "out/README.md").read_text()
    for reason in wanted:
        assert f" {reason} | " in card
    assert "| choosing | a panorama | 1 |" in card
    assert "| fetching | a panorama | 2 |" in card
    assert "| packing | outside the imagery | 1 |" in card
    assert "30 photos were listed, 26 chosen and 17 fetched" in card
    assert "Contains modified Copernicus Sentinel data" in card
    assert "SYNTHETIC" not in card
    assert (tmp_path / "out/map.png").read_bytes().startswith(b"\x89PNG")
    assert str(tmp_path) not in card


def test_trouble_that_passes_leaves_no_trace(two_days: Path, tmp_path: Path) -> None:
    rows = listed_photos(24)
    tables = write_tables(tmp_path / "t", rows)
    digests = []
    for name in ("plain", "troubled"):
        for number, row in enumerate(rows):
            row.served.trouble = TROUBLES[number % len(TROUBLES)] if name == "troubled" else ""
            row.served.troubles = 1 + number % 2
        with street_server(*(row.served for row in rows)) as server:
            report = build(options_for(server, tables, two_days, tmp_path / name))
            assert set(server.served.values()) == {1}
            if name == "troubled":
                assert server.asked["graph"] + server.asked["file"] > 40 + 16
        assert report.left_out == {}
        digests.append(files_of(tmp_path / name))
    assert digests[0] == digests[1]
    assert set(digests[0]) >= {"README.md", "map.png", "dataset.json"}


def test_a_stall_is_given_up_and_asked_again(two_days: Path, tmp_path: Path) -> None:
    rows = listed_photos(4)
    rows[1].served.trouble = "stall"
    with street_server(*(row.served for row in rows)) as server:
        tables = write_tables(tmp_path / "t", rows)
        patience = Patience(tries=4, first_pause_s=0.01, silence_s=0.4)
        report = build(options_for(server, tables, two_days, tmp_path / "out", patience=patience))
        assert report.left_out == {}
        assert server.asked["file"] >= 5


@pytest.mark.parametrize("status", ["200", "401"])
def test_a_token_that_is_refused_is_said_to_be(two_days: Path, tmp_path: Path, status: str) -> None:
    rows = listed_photos(12)
    with street_server(*(row.served for row in rows)) as server:
        server.token_answer = status
        options = options_for(server, write_tables(tmp_path / "t", rows), two_days,
                              tmp_path / "out")  # fmt: skip
        with pytest.raises(DownloadError) as caught:
            build(options)
        assert "does not accept the token (Invalid OAuth access token data.)" in str(caught.value)
        assert TOKEN_VARIABLE in str(caught.value)
        assert TOKEN not in str(caught.value)
        server.token_answer = ""
        assert build(options).left_out == {}  # a right one goes on


def test_a_refusal_by_kartaview_in_a_200(two_days: Path, tmp_path: Path) -> None:
    rows = listed_photos(6)
    with street_server(*(row.served for row in rows)) as server:
        server.kartaview_answer = 401
        options = options_for(server, write_tables(tmp_path / "t", rows), two_days,
                              tmp_path / "out")  # fmt: skip
        with pytest.raises(DownloadError, match="KartaView refuses with status 401"):
            build(options)


def test_no_token_is_noticed_before_anything_is_asked(
    two_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE)
    rows = listed_photos(6)
    with street_server(*(row.served for row in rows)) as server:
        options = options_for(server, write_tables(tmp_path / "t", rows), two_days,
                              tmp_path / "out")  # fmt: skip
        with pytest.raises(UsageError, match="Mapillary wants a token"):
            build(options)
        assert not server.asked
        only = dataclasses.replace(options, selection=SelectionOptions(sources=("kartaview",)))
        assert build(only).fetched == 2
        assert not server.asked["graph"]


def test_photos_that_cannot_be_had_are_asked_for_again(two_days: Path, tmp_path: Path) -> None:
    rows = listed_photos(12)
    rows[4].served.trouble, rows[4].served.troubles = "500", 10**6
    with street_server(*(row.served for row in rows)) as server:
        tables = write_tables(tmp_path / "t", rows)
        options = options_for(server, tables, two_days, tmp_path / "out")
        with pytest.raises(DownloadError, match="1 of 12 photos cannot be had now, such as map"):
            build(options)
        assert not (tmp_path / "out").exists()
        before = server.asked["file"]
        accepting = dataclasses.replace(options, accept_missing=True)
        report = build(accepting)
        assert report.left_out == {"not to be had: its server failed": 1}
        assert server.asked["file"] == before + QUICK.tries  # nothing else was asked for
        assert build(accepting).was_complete
        with pytest.raises(UsageError, match="holds another data set: pass `overwrite`"):
            build(options)


def test_a_server_that_is_down_stops_the_build_soon(two_days: Path, tmp_path: Path) -> None:
    rows = listed_photos(60)
    with street_server(*(row.served for row in rows)) as server:
        server.down = True
        options = options_for(server, write_tables(tmp_path / "t", rows), two_days,
                              tmp_path / "out", patience=Patience(tries=2, first_pause_s=0.01),
                              selection=SelectionOptions(per_cell=50))  # fmt: skip
        with pytest.raises(DownloadError, match=r"gave no usable answer in 2 tries \(status 503\)"):
            build(options)
        assert server.asked.total() < 2 * 45
        server.down = False
        assert build(options).left_out == {}


def test_a_long_pause_is_not_waited_for(two_days: Path, tmp_path: Path) -> None:
    rows = listed_photos(4)
    rows[0].served.trouble = "429"
    with street_server(*(row.served for row in rows)) as server:
        server.retry_after = "86400"
        tables = write_tables(tmp_path / "t", rows)
        with pytest.raises(DownloadError, match="asks for a pause of 86,400 s"):
            build(options_for(server, tables, two_days, tmp_path / "out"))


@contextmanager
def left_unfinished(imagery: Path, folder: Path, *, photos: int) -> Iterator[StreetscapesOptions]:
    """The options of a build that ended because a photo could not be had; its server goes on."""
    rows = listed_photos(photos)
    rows[4].served.trouble, rows[4].served.troubles = "500", 10**6
    with street_server(*(row.served for row in rows)) as server:
        tables = write_tables(folder / "t", rows)
        options = options_for(server, tables, imagery, folder / "out")
        with pytest.raises(DownloadError):
            build(options)
        yield options


def test_an_unfinished_build_keeps_its_options(two_days: Path, tmp_path: Path) -> None:
    with left_unfinished(two_days, tmp_path, photos=12) as options:
        other = dataclasses.replace(options, selection=SelectionOptions(per_cell=1))
        with pytest.raises(UsageError, match=r"unfinished build with other options \(selection\)"):
            build(other)


def test_a_slip_before_anything_has_come_is_no_unfinished_build(
    two_days: Path, tmp_path: Path
) -> None:
    rows = listed_photos(6)
    with street_server(*(row.served for row in rows)) as server:
        tables = write_tables(tmp_path / "t", rows)
        options = options_for(server, tables, two_days, tmp_path / "out")
        slip = dataclasses.replace(options, selection=SelectionOptions(cities=("Wstham",)))
        with pytest.raises(UsageError, match="no usable photo is of a city 'Wstham'"):
            build(slip)
        assert build(options).fetched == 6


@pytest.mark.parametrize("name", ["chosen.json", "chosen.parquet", "recipe.json"])
def test_a_choice_that_cannot_be_read(two_days: Path, tmp_path: Path, name: str) -> None:
    with left_unfinished(two_days, tmp_path, photos=6) as options:
        (tmp_path / "out.unfinished" / name).write_bytes(b"{")
        with pytest.raises(DatasetError, match=f"{name.split('.')[0]}.* cannot be read: remove"):
            build(options)


def test_a_complete_build_leaves_the_work_of_another(two_days: Path, tmp_path: Path) -> None:
    rows = listed_photos(12)
    with street_server(*(row.served for row in rows)) as server:
        tables = write_tables(tmp_path / "t", rows)
        options = options_for(server, tables, two_days, tmp_path / "out")
        build(options)
        rows[4].served.trouble, rows[4].served.troubles = "500", 10**6
        other = dataclasses.replace(
            options, selection=SelectionOptions(per_cell=40), overwrite=True
        )
        with pytest.raises(DownloadError, match="1 of 12 photos cannot be had now"):
            build(other)
        work = tmp_path / "out.unfinished"
        before = files_of(work)
        assert build(options).was_complete
        assert files_of(work) == before


def test_what_has_come_is_looked_through_once(
    two_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    plain = Journal.outcomes
    monkeypatch.setattr(Journal, "outcomes", lambda self: calls.append(1) or plain(self))
    rows = listed_photos(4)
    with street_server(*(row.served for row in rows)) as server:
        tables = write_tables(tmp_path / "t", rows)
        build(options_for(server, tables, two_days, tmp_path / "out"))
    assert len(calls) == 1  # of a million photos it is half a gigabyte


def build_areas(server: StreetServer, imagery: Path, out: Path) -> BuildReport:
    box = "Hamlet=-0.14,51.49,-0.09,51.52"
    lists = Lists(mapillary_areas=(box,), kartaview_areas=(box,))
    chosen = SelectionOptions(per_cell=20)
    options = options_for(server, Path(), imagery, out, lists=lists, selection=chosen,
                          split=SplitOptions(shares=(1, 0, 0)))  # fmt: skip
    return build(options)


def test_areas_are_listed_by_their_providers(two_days: Path, tmp_path: Path) -> None:
    rows = listed_photos(24)
    with street_server(*(row.served for row in rows)) as server:
        report = build_areas(server, two_days, tmp_path / "out")
        looked_up = sum(key.startswith("kartaview") for key in server.served)
        assert server.asked["tile"] == server.asked["kartaview"] - looked_up >= 4
    inside = [
        row
        for row in rows
        if -0.14 <= row.served.lonlat_deg[0] <= -0.09 and 51.49 <= row.served.lonlat_deg[1] <= 51.52
    ]
    assert 5 < report.candidates <= len(inside) + 2
    assert set(column(tmp_path / "out", "photos", "place")) == {"Hamlet"}
    assert set(column(tmp_path / "out", "photos", "source")) == {"Mapillary", "KartaView"}
    placed = {
        photo_id: (lon, lat)
        for photo_id, lon, lat in zip(
            *(column(tmp_path / "out", "photos", n) for n in ("photo_id", "lon_deg", "lat_deg")),
            strict=True,
        )
    }
    for row in rows:
        key = f"{row.served.source}-{row.served.image_id}"
        if key in placed:
            assert placed[key] == pytest.approx(row.served.lonlat_deg, abs=4e-6)  # tiles round


def test_the_caps_of_cells_hold(two_days: Path, tmp_path: Path) -> None:
    rows = listed_photos(40)
    with street_server(*(row.served for row in rows)) as server:
        tables = write_tables(tmp_path / "t", rows)
        report = build(options_for(server, tables, two_days, tmp_path / "out",
                                   selection=SelectionOptions(per_cell=1)))  # fmt: skip
        assert len(server.served) == report.chosen == 40 - report.left_out[CELL_FULL] < 40


def test_nothing_wanted_is_an_error(two_days: Path, tmp_path: Path) -> None:
    rows = [dataclasses.replace(row, place="kitchen") for row in listed_photos(3)]
    with street_server() as server:
        tables = write_tables(tmp_path / "t", rows)
        with pytest.raises(DatasetError, match="none of 3 photos is wanted: 3 indoors"):
            build(options_for(server, tables, two_days, tmp_path / "out"))
