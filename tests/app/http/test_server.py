"""The server around page and API: who may ask, how much, and how it ends."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from app_pages import RunningPage, running_page, wait_for, write_photos
from small_builds import flip_byte, grow_tokens

from app.http.connections import MOST_CONNECTIONS
from app.http.guard import security_headers
from app.options import ServerOptions, TileSource

pytestmark = pytest.mark.process

AUTH = ("alice", "wonderland")


@pytest.fixture(scope="module")
def page(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPage]:
    """With a password, behind a proxy under /gair, and little patience."""
    limits = {"max_waiting": 4, "timeout_s": 6.0, "max_upload_mb": 1.0, "kept_mb": 1.5}
    with running_page(
        tiny_index,
        tmp_path_factory.mktemp("page"),
        limits=limits,
        auth=":".join(AUTH),
        root_path="/gair",
        public_hosts=["maps.example.org"],
    ) as page:
        yield page


@pytest.fixture(scope="module")
def http(page: RunningPage) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=page.url, auth=AUTH, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_photos(tmp_path_factory.mktemp("photos"))


def form(photo: Path) -> dict[str, Any]:
    return {"files": {"photo": (photo.name, photo.read_bytes())}}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "config",
        "openapi.json",
        "gair-static/map.js",
        "picture/toy/20200101T000000Z-0000/0/1/0/0.webp",
        "assets/x",
        "gradio_api/info",
        "gradio_api/file=/etc/passwd",
        "nowhere",
    ],
)
def test_nothing_is_seen_without_the_password(page: RunningPage, path: str) -> None:
    response = httpx.get(f"{page.url}{path}")
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic")
    assert "toy" not in response.text


def test_a_wrong_password_costs_a_second(page: RunningPage, photos: dict[str, Path]) -> None:
    for method, path in (("GET", ""), ("GET", "health")):
        response = httpx.request(method, f"{page.url}{path}", auth=("alice", "wonder"))
        assert response.status_code == 401
        assert response.elapsed.total_seconds() > 0.9
    assert httpx.post(f"{page.url}search", **form(photos["street"])).status_code == 401
    assert page.seen() == []


def test_monitors_need_no_password_and_learn_nothing(page: RunningPage, http: httpx.Client) -> None:
    assert httpx.get(f"{page.url}health").json() == {"status": "ok"}
    assert http.get("health").json()["indexes"][0]["name"] == "toy"


def test_with_the_password_everything_works_under_the_proxys_path(
    http: httpx.Client, photos: dict[str, Path]
) -> None:
    page = http.get("")
    assert page.status_code == 200
    assert "/gair" in page.text
    assert http.get("gair-static/map.js").status_code == 200
    assert http.get("config").status_code == 200
    assert http.post("search", **form(photos["street"])).status_code == 200
    assert http.get("openapi.json").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.2:80"])
def test_other_host_names_are_refused(http: httpx.Client, host: str) -> None:
    """As after DNS rebinding."""
    response = http.get("", headers={"host": host})
    assert response.status_code == 403
    assert "--public-host" in response.json()["error"]


@pytest.mark.parametrize("host", ["localhost:1", "[::1]:80", "maps.example.org"])
def test_own_host_names_are_not(http: httpx.Client, host: str) -> None:
    assert http.get("health", headers={"host": host}).status_code == 200


def test_other_sites_cannot_ask_in_somebodys_name(
    http: httpx.Client, page: RunningPage, photos: dict[str, Path]
) -> None:
    before = len(page.seen())
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "file://"):
        response = http.post("search", headers={"origin": origin}, **form(photos["street"]))
        assert response.status_code == 403, origin
    assert len(page.seen()) == before
    own = page.url.rstrip("/")
    for origin in (own, "https://maps.example.org"):
        response = http.post("search", headers={"origin": origin}, **form(photos["street"]))
        assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "docs", 404),
        ("GET", "monitoring", 404),
        ("GET", "gradio_api/proxy=http://127.0.0.1:1/", 404),
        ("GET", "gradio_api/file=http://127.0.0.1:1/", 404),
        ("GET", "gradio_api/dev/reload", 404),
        ("POST", "gradio_api/vibe-edit/", 404),
        ("GET", "svelte/x", 404),
        ("POST", "mcp", 404),
        ("PUT", "search", 405),
        ("DELETE", "", 405),
    ],
)
def test_only_what_the_page_needs_is_there(
    http: httpx.Client, method: str, path: str, status: int
) -> None:
    response = http.request(method, path, json={} if method == "POST" else None)
    assert response.status_code == status
    assert set(response.json()) == {"error"}


def test_every_response_tells_the_browser_what_it_may_do(http: httpx.Client) -> None:
    for path in ("", "health", "gair-static/map.js", "nowhere", "gradio_api/info"):
        headers = http.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
    tiles = TileSource("https://{s}.tiles.example.org/{z}/{x}/{y}.png", "me")
    policy = dict(security_headers(ServerOptions(tiles=tiles)))[b"content-security-policy"]
    assert b"img-src 'self' data: blob: https://*.tiles.example.org;" in policy


def upload(http: httpx.Client, name: str, content: bytes) -> httpx.Response:
    return http.post("gradio_api/upload", files={"files": (name, content)})


def test_uploads_are_shown_from_memory_and_only_so(
    http: httpx.Client, page: RunningPage, photos: dict[str, Path]
) -> None:
    (folder,) = page.uploads.glob("gair-uploads-*")
    (path,) = upload(http, "street.jpg", photos["street"].read_bytes()).json()
    assert http.get(f"gradio_api/file={path}").content == photos["street"].read_bytes()
    (script,) = upload(http, "a.html", b"<script>alert(1)</script>").json()
    shown = http.get(f"gradio_api/file={script}")
    assert shown.headers["content-disposition"].startswith("attachment")
    for trick in (f"{folder}/../seen.txt", f"{folder}/%2e%2e/seen.txt", "seen.txt", "~/.bashrc"):
        assert http.get(f"gradio_api/file={trick}").status_code == 404


def test_uploads_that_nobody_asks_about_do_not_fill_the_disk(
    http: httpx.Client, photos: dict[str, Path]
) -> None:
    codes = [upload(http, f"{n}.jpg", bytes([n]) * 900_000).status_code for n in range(4)]
    assert codes[0] == 200
    assert codes[-1] == 429
    assert http.post("search", **form(photos["street"])).status_code == 200


def test_too_large_a_body_is_refused_whether_it_says_so_or_not(http: httpx.Client) -> None:
    def zeros() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        for _ in range(30):
            yield bytes(1_000_000)

    kind = {"content-type": "multipart/form-data; boundary=x"}
    for path in ("search", "verify", "gradio_api/upload"):
        for content in (bytes(30_000_000), zeros()):
            response = http.post(path, content=content, headers=kind)
            assert response.status_code in (413, 429), path
    json = {"content-type": "application/json"}
    for path in ("gradio_api/component_server", "gradio_api/queue/join", "gradio_api/call/search"):
        assert http.post(path, content=bytes(2_000_000), headers=json).status_code == 413
        assert http.post(path, content=b"x", headers=kind).status_code == 415


def test_a_body_that_never_ends_is_not_waited_for(page: RunningPage, http: httpx.Client) -> None:
    where = urlsplit(page.url)
    token = http.build_request("GET", "").headers  # only for the shape of a request
    assert token["host"] == where.netloc
    head = (
        f"POST /search HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Basic "
        "YWxpY2U6d29uZGVybGFuZA==\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        "Content-Length: 1000\r\n\r\n--x\r\n"
    )
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=20) as slow:
        slow.sendall(head.encode())
        assert b"408" in slow.recv(4096).split(b"\r\n")[0]


def test_whoever_has_the_password_gets_in_past_silent_connections(
    page: RunningPage, http: httpx.Client
) -> None:
    """More of them than there is room for, from the same address: half send the first bytes."""
    where = urlsplit(page.url)
    address = where.hostname or "", where.port or 0
    with contextlib.ExitStack() as opened:
        for number in range(MOST_CONNECTIONS + 50):
            silent = opened.enter_context(socket.create_connection(address, timeout=20))
            if number % 2:
                silent.sendall(b"GET /gair/health HTTP/1.1\r\nHost:")
        response = httpx.get(f"{page.url}health", auth=AUTH, timeout=10)
        assert response.status_code == 200
        assert response.json()["indexes"][0]["name"] == "toy"
        assert http.get("config").status_code == 200


def test_too_many_questions_at_once_are_refused_and_the_rest_answered(
    http: httpx.Client, photos: dict[str, Path]
) -> None:
    """``slow.jpg`` takes 1.5 s, so all of them meet."""
    with ThreadPoolExecutor(24) as pool:
        codes = list(
            pool.map(lambda _: http.post("search", **form(photos["slow"])).status_code, range(24))
        )
    assert set(codes) <= {200, 429}
    assert codes.count(200) >= 4
    assert codes.count(429) >= 12
    load = http.get("health").json()["queue"]
    assert load["inside"] == 0
    assert http.post("search", **form(photos["street"])).status_code == 200


def test_a_server_finds_damage_while_it_answers(
    tiny_index: Path, tmp_path: Path, photos: dict[str, Path]
) -> None:
    """From the first answer to the word that there are no more, without a restart."""
    index = Path(shutil.copytree(tiny_index, tmp_path / "indexes")) / "toy"
    tokens = grow_tokens(index, 2 << 30)
    flip_byte(tokens, tokens.stat().st_size - 1)
    with (
        running_page(index.parent, tmp_path, auth=":".join(AUTH)) as page,
        httpx.Client(base_url=page.url, auth=AUTH, timeout=30) as http,
    ):
        (facts,) = http.get("health").json()["indexes"]
        assert facts["verification"] == "verifying"
        assert http.post("search", **form(photos["street"])).status_code == 200
        wait_for(lambda: httpx.get(f"{page.url}health").json() == {"status": "damaged"}, 120)
        refused = http.post("search", **form(photos["street"]))
        assert refused.status_code == 500
        assert f"no more answers: {tokens} differs" in refused.json()["error"]
        assert http.get("health").json()["indexes"][0]["problem"] == refused.json()["error"]
        assert http.get("").status_code == 200
        assert page.errors().strip() == f"error: {refused.json()['error']}"


def test_questions_that_are_being_answered_are_finished_when_it_stops(
    http: httpx.Client, page: RunningPage, photos: dict[str, Path]
) -> None:
    """The last test here: it stops the server of the others."""
    (uploads,) = page.uploads.glob("gair-uploads-*")
    responses: list[httpx.Response] = []
    asking = threading.Thread(
        target=lambda: responses.append(http.post("search", **form(photos["slow"])))
    )
    asking.start()
    wait_for(lambda: http.get("health").json()["queue"]["inside"])
    assert page.process is not None
    page.process.send_signal(signal.SIGINT)
    wait_for(lambda: http.get("health").json()["status"] == "stopping")
    late = http.post("search", **form(photos["street"]))
    assert (late.status_code, late.headers["retry-after"]) == (503, "5")
    assert "stopping" in late.json()["error"]
    asking.join(20)
    assert page.process.wait(20) == 0
    assert [len(response.json()["candidates"]) for response in responses] == [5]
    assert not uploads.exists()
    assert page.errors() == ""
