"""What must not be believed, kept or told: odd answers, broken tiles, and the token."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pytest
from street_servers import TOKEN, ServedPhoto, StreetServer, street_photo, street_server

from gair.errors import DownloadError, UsageError
from gair.http import Patience
from training.dataset.streetscapes.areas import parse_area
from training.dataset.streetscapes.listings import Lister
from training.dataset.streetscapes.options import Endpoints, Lists, StreetscapesOptions
from training.dataset.streetscapes.providers import PhotoFacts, providers
from training.dataset.streetscapes.web import Web, retry_after_s

QUICK = Patience(tries=2, first_pause_s=0.01)
HERE = (9.17, 48.77)
AREA = "Hamlet=9.165,48.765,9.175,48.775"
PAGE = b"<html>Please log in to the hotel's network</html>"
SOURCES = ("mapillary", "kartaview")


def photos(*lonlats_deg: tuple[float, float]) -> list[ServedPhoto]:
    return [
        ServedPhoto(source, str(number), lonlat_deg, street_photo(1, (96, 64)))
        for source in SOURCES
        for number, lonlat_deg in enumerate(lonlats_deg, start=1)
    ]


def endpoints(server: StreetServer) -> Endpoints:
    base = server.base_url
    return Endpoints(f"{base}/graph", f"{base}/tile", f"{base}/kartaview")


def look_up(server: StreetServer, source: str) -> PhotoFacts | None:
    with Web(QUICK) as web:
        return providers(web, endpoints(server), TOKEN, 1024)[source].look_up("1")


def listed(server: StreetServer, folder: Path, source: str, *areas: str) -> list[pa.Table]:
    with Web(QUICK) as web:
        lister = Lister(web, endpoints(server), TOKEN, folder, concurrency=2, quiet=True)
        return getattr(lister, source)([parse_area(area) for area in areas])


@pytest.mark.process
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("status", [200, 400, 451])
def test_a_page_instead_of_an_answer_does_not_mean_that_the_photo_is_gone(
    source: str, status: int
) -> None:
    with street_server(*photos(HERE)) as server:
        server.page = (status, PAGE)
        with pytest.raises(DownloadError):
            look_up(server, source)
        server.page = None
        assert look_up(server, source) is not None
        server.photos.clear()
        assert look_up(server, source) is None


@pytest.mark.process
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("page", [PAGE, b"\x1f\x8b cut short", b'{"currentPageItems": {"a": 1}}'])
def test_a_broken_listing_is_not_kept(tmp_path: Path, source: str, page: bytes) -> None:
    with street_server(*photos(HERE)) as server:
        server.page = (200, page)
        with pytest.raises(DownloadError, match="run again later|no usable answer"):
            listed(server, tmp_path, source, AREA)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
        server.page = None
        (table,) = listed(server, tmp_path, source, AREA)
        assert table["image_id"].to_pylist() == ["1"]


@pytest.mark.process
def test_a_refusal_in_the_body_of_a_listing_is_no_empty_tile(tmp_path: Path) -> None:
    with street_server(*photos(HERE)) as server:
        server.kartaview_answer = 400
        with pytest.raises(DownloadError, match="refuses with status 400"):
            listed(server, tmp_path, "kartaview", AREA)
        server.kartaview_answer = 200
        (table,) = listed(server, tmp_path, "kartaview", AREA)
        assert len(table) == 1


@pytest.mark.process
@pytest.mark.parametrize("source", SOURCES)
def test_areas_of_one_name_are_both_listed(tmp_path: Path, source: str) -> None:
    with street_server(*photos(HERE, (9.57, 48.77))) as server:
        tables = listed(server, tmp_path, source, AREA, "Hamlet=9.565,48.765,9.575,48.775")
    assert [table["image_id"].to_pylist() for table in tables] == [["1"], ["2"]]


@pytest.mark.parametrize(
    "url", ["http://[broken/x.jpg", "http://a b/x", "/x.jpg", "", "http://\x00"]
)
def test_an_address_that_is_none_is_that_of_one_photo(url: str) -> None:
    with Web(QUICK) as web, pytest.raises(DownloadError) as caught:
        web.get(url)
    assert not caught.value.for_all


@pytest.mark.parametrize("url", ["graph.mapillary.com", "ftp://mirror/", "http://"])
def test_a_mirror_must_have_an_address(url: str) -> None:
    with pytest.raises(UsageError, match="is no address: give"):
        Endpoints(mapillary_graph=url)


@pytest.mark.process
@pytest.mark.parametrize("cut", [0, 100])
def test_a_token_that_the_server_repeats_is_not_told(cut: int) -> None:
    with street_server(*photos(HERE)) as server:
        server.token_answer = "400"
        server.token_message = f"{'x' * cut} Malformed access token {TOKEN}"
        with pytest.raises(DownloadError, match="does not accept the token") as caught:
            look_up(server, "mapillary")
    assert TOKEN[:8] not in str(caught.value)


@pytest.mark.process
def test_the_token_is_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with street_server(*photos(HERE)) as server:
        listed(server, tmp_path, "mapillary", AREA)
        look_up(server, "mapillary")
        assert server.asked["tile"] == 1
    assert TOKEN not in caplog.text
    assert TOKEN.replace("|", "%7C") not in caplog.text
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes()


@pytest.mark.parametrize("token", ["MLY|1|a\nb", "MLY|1|…", "MLY 1"])
def test_a_token_that_cannot_be_sent_is_refused_untold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    from training.dataset.streetscapes import choosing

    monkeypatch.setenv(choosing.TOKEN_VARIABLE, f" {token} ")
    options = StreetscapesOptions(Lists(mapillary_areas=(AREA,)), tmp_path / "out")
    with pytest.raises(UsageError, match="is no token: copy it again") as caught:
        choosing.token(options)
    assert token not in str(caught.value)


def test_a_password_in_an_address_is_not_told() -> None:
    with Web(QUICK) as web, pytest.raises(DownloadError) as caught:
        web.get("http://me:secret@127.0.0.1:9/x?token=secret")
    assert "http://127.0.0.1:9/x gave no usable answer" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_pause_in_digits_that_are_no_number_is_none() -> None:
    assert retry_after_s("²", 0) is None
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 -0000", 1445412400.0) == 80
