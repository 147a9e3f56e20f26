"""Asking servers: what passes is asked again, what they ask for is done, nothing is for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from repository import REPOSITORY
from street_servers import TOKEN, ServedPhoto, StreetServer, street_photo, street_server

from gair.errors import DownloadError
from gair.http import Patience
from training.dataset.streetscapes.options import Endpoints
from training.dataset.streetscapes.providers import PhotoFacts, providers
from training.dataset.streetscapes.web import Web, retry_after_s

QUICK = Patience(tries=3, first_pause_s=0.01)


def one_photo(**changes: object) -> ServedPhoto:
    photo = ServedPhoto("mapillary", "1", (9.17, 48.77), street_photo(1, (96, 64)))
    photo.__dict__.update(changes)
    return photo


def look_up(server: StreetServer, web: Web, source: str = "mapillary") -> PhotoFacts | None:
    base = server.base_url
    endpoints = Endpoints(f"{base}/graph", f"{base}/tile", f"{base}/kartaview")
    return providers(web, endpoints, TOKEN, 1024)[source].look_up("1")


@pytest.mark.process
def test_what_mapillary_says() -> None:
    with street_server(one_photo()) as server, Web(QUICK) as web:
        facts = look_up(server, web)
    assert facts is not None
    assert facts.file_url.startswith(f"{server.base_url}/file/mapillary-1.jpg")
    assert (facts.lonlat_deg, facts.heading_deg) == ((9.17, 48.77), 90.0)
    assert facts.captured_at == "2019-06-08T13:20:00+00:00"
    assert facts.panorama is False
    assert facts.licence == "CC BY-SA 4.0"
    assert web.traffic.requests == 1


@pytest.mark.process
def test_what_kartaview_says() -> None:
    with street_server(one_photo(source="kartaview", panorama=True)) as server, Web(QUICK) as web:
        facts = look_up(server, web, "kartaview")
        server.photos.clear()
        assert look_up(server, web, "kartaview") is None
    assert facts is not None
    assert (facts.lonlat_deg, facts.heading_deg) == ((9.17, 48.77), 12.5)
    assert facts.captured_at == "2016-05-03T10:20:30"
    assert facts.panorama is True


@pytest.mark.process
@pytest.mark.parametrize("trouble", ["429", "transient", "limit"])
def test_errors_that_pass_are_asked_again(trouble: str) -> None:
    with street_server(one_photo(trouble=trouble, troubles=2)) as server, Web(QUICK) as web:
        assert look_up(server, web) is not None
        assert (web.traffic.requests, web.traffic.retries) == (3, 2)


@pytest.mark.process
def test_a_server_is_given_up_after_some_tries() -> None:
    with street_server(one_photo(trouble="429", troubles=9)) as server, Web(QUICK) as web:
        with pytest.raises(DownloadError, match=r"/graph/1 gave no usable answer in 3 tries"):
            look_up(server, web)
        assert server.asked["graph"] == 3


@pytest.mark.process
@pytest.mark.parametrize("status", [429, 503])
def test_a_failure_in_the_body_of_a_200_passes_too(status: int) -> None:
    with street_server(one_photo(source="kartaview")) as server, Web(QUICK) as web:
        server.kartaview_answer = status
        with pytest.raises(DownloadError, match="gave no usable answer in 3 tries"):
            look_up(server, web, "kartaview")
        assert server.asked["kartaview"] == 3
        server.kartaview_answer = 200
        assert look_up(server, web, "kartaview") is not None


@pytest.mark.process
def test_all_threads_keep_the_pause_that_a_server_asks_for() -> None:
    with street_server(one_photo(trouble="429")) as server, Web(QUICK) as web:
        server.retry_after = "1"
        began = time.monotonic()
        threads = [threading.Thread(target=look_up, args=(server, web)) for _ in range(3)]
        threads[0].start()
        while not server.asked["graph"]:
            time.sleep(0.01)
        time.sleep(0.1)
        for thread in threads[1:]:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began > 0.99
        assert server.asked["graph"] == 4  # nobody asked in between


@pytest.mark.process
def test_an_answer_that_drips_is_given_up() -> None:
    patience = Patience(tries=1, silence_s=5, answer_s=0.1)
    with street_server(one_photo(trouble="stall")) as server, Web(patience) as web:
        facts = look_up(server, web)
        assert facts is not None
        with pytest.raises(DownloadError, match="gave no usable answer in 1 tries"):
            web.get(facts.file_url)


def test_nobody_listens() -> None:
    with Web(QUICK) as web, pytest.raises(DownloadError) as caught:
        web.get("http://127.0.0.1:9/x?access_token=MLY", {"access_token": "MLY"})
    assert "http://127.0.0.1:9/x gave no usable answer" in str(caught.value)
    assert "MLY" not in str(caught.value)


@pytest.mark.process
def test_a_stopped_client_asks_nobody() -> None:
    with street_server(one_photo()) as server, Web(QUICK) as web:
        web.stop()
        with pytest.raises(DownloadError, match="being stopped"):
            look_up(server, web)
        assert not server.asked


def test_how_long_a_server_wants_to_be_left_alone() -> None:
    assert retry_after_s("120", 0) == 120
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT", 1445412400.0) == 80
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT", 1445412481.0) == 0
    assert retry_after_s("", 0) is None
    assert retry_after_s("soon", 0) is None


@pytest.mark.process
def test_a_proxy_of_the_environment_is_not_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    with street_server(one_photo()) as server, Web(QUICK) as web:
        assert look_up(server, web) is not None
        with pytest.raises(DownloadError):  # others do go through it
            web.get("http://gair.invalid/")


@pytest.mark.process
def test_importing_asks_nobody_and_needs_no_client() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*a): raise AssertionError('asked the network')\n"
        "socket.socket.connect = refuse\n"
        "import training.dataset.streetscapes.providers, training.dataset.streetscapes.listings\n"
        "assert not {'httpx', 'mapbox_vector_tile'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
