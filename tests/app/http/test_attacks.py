"""Attacks on a running server: each is refused in words, and the server lives on."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from app_pages import RunningPage, wait_for
from mutations import mutated
from photo_samples import encode, exif_with, png
from toy_city import photo

from app.engine.decoding import cost_of
from app.engine.limits import Limits
from app.engine.uploads import Upload, Uploads, check_upload
from app.http.guard import UPLOAD, Guard
from app.options import ServerOptions
from gair.errors import PhotoError
from gair.photos.photo import open_photo

SCRIPT = "<script>alert(1)</script>"
REFUSED = (400, 408, 413, 415, 422, 429)
SECRET = "a secret of the server"


@pytest.fixture(scope="module")
def http(server: RunningPage) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def street() -> bytes:
    return encode(photo(), "JPEG")


@pytest.fixture
def alive(server: RunningPage, http: httpx.Client, street: bytes) -> Iterator[None]:
    """The server answers after the attack as before, and nothing ended in a traceback."""
    before = server.errors()
    yield
    assert search(http, "street.jpg", street).status_code == 200
    assert http.get("").status_code == 200
    assert "Traceback" not in server.errors()[len(before) :]


def search(http: httpx.Client, name: str, content: bytes) -> httpx.Response:
    return http.post("search", files={"photo": (name, content)})


def upload(http: httpx.Client, name: str, content: bytes) -> str:
    (path,) = http.post("gradio_api/upload", files={"files": (name, content)}).json()
    return str(path)


def memory_mb(server: RunningPage, of: str = "VmRSS") -> float:
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(of))


@pytest.mark.process
def test_a_thousand_broken_files_are_read_or_refused() -> None:
    read, said = 0, list[tuple[str, str]]()
    for kind, content in mutated(1000):
        upload = Upload(f"fuzz.{kind.lower()}", content)
        assert cost_of(upload, Limits()).memory_bytes >= 0
        try:
            check_upload(upload, Limits())
            assert open_photo(content, max_pixels=1_000_000, name=upload.name).rgb.size
            read += 1
        except PhotoError as error:
            said.append((upload.name, str(error)))
    assert read > 100  # or the mutations would all be caught by the first look
    assert len(said) > 400
    assert all(name in text and "\n" not in text for name, text in said)


@pytest.mark.process
@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_broken_files_over_http(http: httpx.Client, count: int) -> None:
    codes: list[int] = []
    for kind, content in mutated(count, seed=1):
        response = search(http, f"fuzz.{kind.lower()}", content)
        assert response.status_code in (200, 413, 415, 422), (kind, response.text)
        if response.status_code != 200:
            assert set(response.json()) == {"error"}
        codes.append(response.status_code)
    assert {200, 415, 422} <= set(codes)


@pytest.mark.process
@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("path", ["search", "verify", "gradio_api/upload"])
def test_a_bomb_and_200_mb_do_not_fill_the_memory(
    path: str, server: RunningPage, http: httpx.Client
) -> None:
    def body() -> Iterator[bytes]:
        name = "files" if "upload" in path else "photo"
        yield f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="a.jpg"\r\n'.encode()
        yield b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\xff"
        for _ in range(200):
            yield bytes(1_000_000)
        yield b"\r\n--x--\r\n"

    before = memory_mb(server)
    bomb = png(13_000, 13_000, 1, 0, bytes(13_000 * (1 + 13_000 // 8)))
    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert http.post(path, content=body(), headers=kind).status_code == 413
    declared = {**kind, "content-length": str(sum(map(len, body())))}
    assert http.post(path, content=body(), headers=declared).status_code == 413
    if "upload" not in path:
        where = {"lat_deg": "51.5", "lon_deg": "0"} if path == "verify" else {}
        response = http.post(path, files={"photo": ("bomb.png", bomb)}, data=where)
        assert response.status_code == 413
        assert "169,000,000 pixels" in response.json()["error"]
    assert memory_mb(server) < before + 250


@pytest.mark.process
@pytest.mark.usefixtures("alive")
def test_many_pixels_in_a_few_bytes_do_not_fill_the_memory(
    server: RunningPage, http: httpx.Client
) -> None:
    """Eight photos of 100 megapixels are too many; the most that is allowed stays in bounds."""
    photos = [
        ("photo", (f"{n}.png", png(10_000, 10_000, 1, 0, bytes([0, n]) + bytes(12_509_998))))
        for n in range(8)
    ]
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # the peak begins anew
    before = memory_mb(server)
    response = http.post("search", files=photos)
    assert response.status_code == 413
    assert "800,000,000 pixels together" in response.json()["error"]
    assert http.post("search", files=photos[:2]).status_code == 200
    assert memory_mb(server, "VmHWM") < before + 700


@pytest.mark.process
@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("name", ["a.svg", "a.jpg", "a.html", "a.png"])
def test_markup_is_no_photo(http: httpx.Client, name: str) -> None:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg">{SCRIPT}</svg>'
    xxe = '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>'
    for text in (svg, xxe, f"<!doctype html>{SCRIPT}", f"<?php {SCRIPT}", "%!PS\n(x) run"):
        response = search(http, name, text.encode())
        assert response.status_code == 415
        assert response.json()["error"].startswith(f"{name} is not a photo in a known format")


@pytest.mark.process
@pytest.mark.usefixtures("alive")
def test_a_file_of_the_server_cannot_be_named(
    server: RunningPage, http: httpx.Client, tmp_path: Path, street: bytes
) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(street + SECRET.encode())
    (uploads,) = server.uploads.glob("gair-uploads-*")
    inside = Path(upload(http, "street.jpg", street))
    tricks = [
        str(secret),
        f"{inside.parent}/../../../{secret.relative_to('/')}",
        f"{uploads}/../seen.txt",
        f"file://{secret}",
        f"http://127.0.0.1:{urlsplit(server.url).port}/health",
        "/etc/passwd",
        "/proc/self/environ",
        f"{secret}\x00.jpg",
        "~/secret.jpg",
        "\\\\server\\share\\a.jpg",
    ]
    for path in tricks:
        for data in (
            {"path": path, "meta": {"_type": "gradio.FileData"}},
            {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}, "is_stream": True},
            {"path": None, "url": path, "meta": {"_type": "gradio.FileData"}},
        ):
            said = call(http, "search", [data, 5, None, None, None])
            assert "event: error" in said, (path, data)
            assert SECRET not in said
        shown = http.get(f"gradio_api/file={path}".replace("\x00", "%00"))
        assert shown.status_code in (400, 404)
        assert SECRET not in shown.text
        response = http.post("search", data={"photo": path}, files={"x": b""})
        assert response.status_code == 422
        assert search(http, path.replace("\x00", ""), b"no photo").status_code == 415
    for path in ("gair-static/../server.py", "gair-static/..%2fserver.py", "assets/../../x"):
        assert http.get(path).status_code == 404
    assert secret.exists()


def call(http: httpx.Client, name: str, data: list[Any]) -> str:
    """What an endpoint of Gradio's says in the end."""
    begun = http.post(f"gradio_api/call/{name}", json={"data": data})
    if begun.status_code != 200:
        return f"error {begun.status_code}"
    event = begun.json()["event_id"]
    return http.get(f"gradio_api/call/{name}/{event}").text


@pytest.mark.process
@pytest.mark.usefixtures("alive")
def test_markup_in_names_and_tags_stays_text(http: httpx.Client) -> None:
    tagged = encode(photo(), "JPEG", exif=exif_with({0x010E: SCRIPT, 0x0131: SCRIPT}))
    name = f'"><img src=x onerror=alert(1)>{SCRIPT}.jpg'
    response = search(http, name, tagged)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert (
        "alert" not in response.text
        or "\\u003c" in response.text
        or SCRIPT in response.json()["photo"]
    )
    assert "/" not in response.json()["photo"]
    assert "0x010E" not in response.text
    path = upload(http, "a.jpg", tagged)
    shown = http.get(f"gradio_api/file={path}")
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["x-content-type-options"] == "nosniff"


@pytest.mark.process
@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("name", ["search", "verify"])
def test_wrong_types_are_refused_by_the_endpoints(
    http: httpx.Client, name: str, street: bytes
) -> None:
    photo_data = {"path": upload(http, "a.jpg", street), "meta": {"_type": "gradio.FileData"}}
    nested: Any = []
    for _ in range(500):
        nested = [nested]
    for wrong in (None, "x", [], {}, True, 1e308, -1, "5; DROP TABLE", nested):
        rest = [5, None, None, None] if name == "search" else [51.5, 0.0, 500, None]
        for at in range(4):
            data = [photo_data, *rest]
            data[1 + at] = wrong
            if (wrong is None and rest[at] is None) or wrong is True:
                continue  # the default, or read as 1
            if (wrong, at) in ((-1, 1), (-1, 2)) and name == "verify":
                continue
            events = call(http, name, data)
            refused = "error 400" if wrong is nested else "event: error"  # before the queue
            assert refused in events, (wrong, at, events)
            assert "Traceback" not in events
        assert "error" in call(http, name, [wrong])
        assert ("error 400" if wrong is nested else "event: error") in call(
            http, name, [wrong, *rest]
        )
    for body in (b"", b"null", b"[]", b"{", b'{"data": 7}', b"\xff\xfe", b"[" * 50_000):
        response = http.post(
            f"gradio_api/call/{name}", content=body, headers={"content-type": "application/json"}
        )
        assert 400 <= response.status_code < 500, body[:20]


@pytest.mark.process
@pytest.mark.usefixtures("alive")
def test_wrong_types_are_refused_by_the_pages_own_function(http: httpx.Client) -> None:
    config = http.get("config").json()
    (page,) = [c["id"] for c in config["components"] if c["props"].get("elem_id") == "gair-page"]
    for data in (None, 7, "x", [], {}, {"what": "x"}, {"photos": ["/etc/passwd"]}, {"index": 7}):
        body = {"session_hash": "x", "component_id": page, "fn_name": "ask", "data": data}
        response = http.post("gradio_api/component_server", json=body)
        assert response.status_code == 200, (data, response.text)
        assert "error" in response.json()
        assert "root:" not in response.text
    for change in ({"component_id": 10**9}, {"fn_name": "__init__"}, {"fn_name": "load"}):
        response = http.post("gradio_api/component_server", json={**body, **change})
        assert response.status_code == 404, change


@pytest.mark.process
@pytest.mark.usefixtures("alive")
def test_200_questions_at_once_are_answered_or_refused(http: httpx.Client, street: bytes) -> None:
    limits = httpx.Limits(max_connections=200)
    with (
        httpx.Client(base_url=http.base_url, timeout=60, limits=limits) as many,
        ThreadPoolExecutor(200) as pool,
    ):
        responses = list(
            pool.map(lambda n: search(many, f"{n}.jpg", street + str(n).encode()), range(200))
        )
    codes = [response.status_code for response in responses]
    assert set(codes) <= {200, 429}
    assert codes.count(200) >= 32
    for response in responses:
        if response.status_code == 429:
            assert "wait already" in response.json()["error"]
            assert response.headers["retry-after"]
    assert http.get("health").json()["queue"]["inside"] == 0


@pytest.mark.process
@pytest.mark.usefixtures("alive")
def test_clients_that_vanish_leave_nothing_behind(
    server: RunningPage, http: httpx.Client, street: bytes
) -> None:
    where = urlsplit(server.url)
    address = where.hostname or "", where.port or 0
    body = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="slow.jpg"\r\n\r\n'
    body += street + b"\r\n--x--\r\n"
    head = (
        f"POST /search HTTP/1.1\r\nHost: {where.netloc}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    for sent in (head + body, head + body[:100], head[:30], b""):
        for _ in range(5):
            with socket.create_connection(address) as client:
                client.sendall(sent)
    time.sleep(0.2)
    event = http.post("gradio_api/call/search", json={"data": [None]}).json()
    with http.stream("GET", f"gradio_api/call/search/{event['event_id']}"):
        pass  # gone before the answer
    wait_for(lambda: http.get("health").json()["queue"]["inside"] == 0)


def test_uploads_at_once_are_counted(tmp_path: Path) -> None:
    """As many as questions may come are waited for, the next one is refused, later all is well."""
    most = Limits().max_waiting

    async def attack() -> list[int]:
        done = asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await done.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def ask() -> int:
            sent: list[Any] = []

            async def send(message: Any) -> None:
                sent.append(message)

            async def receive() -> Any:
                return {"type": "http.request", "body": b"", "more_body": False}

            headers = [(b"host", b"localhost")]
            scope = {"type": "http", "method": "POST", "path": UPLOAD, "headers": headers}
            await guard(scope, receive, send)
            return int(sent[0]["status"])

        guard = Guard(slow, ServerOptions(), Uploads(tmp_path, Limits()), lambda: False)
        waiting = [asyncio.create_task(ask()) for _ in range(most)]
        await asyncio.sleep(0)
        codes = [await ask()]
        done.set()
        return [*codes, *[await one for one in waiting], await ask()]

    assert asyncio.run(attack()) == [429, *[200] * most, 200]


@pytest.mark.process
def test_no_endpoint_takes_a_path_or_an_address(http: httpx.Client) -> None:
    """Nothing that programs are told of asks for one."""
    document = json.dumps(http.get("openapi.json").json())
    for word in ('"url"', '"path"', "file_path", "image_url"):
        assert word not in document
