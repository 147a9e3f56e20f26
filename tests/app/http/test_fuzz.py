"""Whatever is sent to whichever route is answered or refused in one line, without a traceback."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from app_pages import RunningPage

pytestmark = pytest.mark.process


def nested(depth: int) -> Any:
    value: Any = []
    for number in range(depth):
        value = {"a": value} if number % 2 else [value]
    return value


ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e308, 10**400, "", "x", "x" * 5000, "\x00", "\ud800", "../..", "é",
    [], {}, [[]], [None] * 50, nested(40), nested(300), {"path": "x"}, {"path": 7}, {"__a__": 1},
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
)  # fmt: skip
"""Values by type, size and depth."""
RAW = (b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 50_000, b"1" * 9000, b"NaN", b'{"a": 1e999}')
"""Bodies that are no question of anybody's."""
JSON_ROUTES: dict[str, dict[str, Any]] = {
    "similar": {"like": ["51.5, -0.1"], "unlike": [], "k": 3, "apart_m": 500, "index": "toy"},
    "photos-near": {"at": "51.5, -0.1", "k": 3, "order": "distance", "index": "toy"},
    "mcp": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search_photo"}},
    "gradio_api/component_server": {
        "component_id": 1, "fn_name": "ask", "session_hash": "s", "data": {"do": "locate"},
    },
    "gradio_api/queue/join": {"data": [None] * 5, "fn_index": 0, "session_hash": "s"},
    "gradio_api/call/search": {"data": [None] * 5},
    "gradio_api/call/v2/search": {"photo": None},
    "gradio_api/run/search": {"data": [None] * 5},
    "gradio_api/run/verify": {"data": [None] * 7},
    "gradio_api/run/compare": {"data": [None] * 4},
    "gradio_api/run/similar": {"data": ["51.5, -0.1", "", 3, 500, "toy"]},
    "gradio_api/call/v2/photos_near": {"at": "51.5, -0.1", "k": 3, "order": "distance"},
    "gradio_api/cancel": {"session_hash": "s", "fn_index": 0, "event_id": "e"},
    "gradio_api/reset": {"event_id": "e"},
}  # fmt: skip
"""Routes that take JSON, with a question as they know it."""
PAGE = {
    "do": "locate", "index": "toy", "photos": ["x"], "k": 3, "share": 0.5, "area": [[0, 0]] * 3,
    "layer": "fused", "claim": "51.5, 0", "radius_m": 50, "kind": "csv", "number": 1,
    "lonlat": [0, 0], "like": ["51.5, -0.1"], "unlike": [], "at": "51.5, -0.1", "order": "distance",
}  # fmt: skip
KINDS = (
    "index",
    "locate",
    "heat",
    "cell",
    "verify",
    "compare",
    "similar",
    "near_photos",
    "save",
    "place",
    "example",
    "forget",
)
FORMS = {"k": "3", "bbox": "0,0,1,1", "within": "{}", "max_error_rate": "0.1", "index": "toy"}
LONG = "a" * 5000
PATHS = (
    f"static/{LONG}", f"assets/{LONG}", f"gair-static/{LONG}", "assets/%00", "static/%ff", LONG,
    f"gradio_api/file={LONG}", "gradio_api/file=%00", f"gradio_api/call/search/{LONG}",
    "gradio_api/call/search/nobody", "gradio_api/queue/data",
    "gradio_api/queue/data?session_hash=x",
    f"gradio_api/queue/data?session_hash={LONG}", "gradio_api/upload_progress",
    "gradio_api/upload_progress?upload_id=x", f"?deep_link={LONG}", "config?deep_link=../../x",
    "?view=%00&__theme=x", "gradio_api/info?all_endpoints=maybe", "theme.css?v=%00",
    "manifest.json", "robots.txt", "gradio_api/queue/status", "gradio_api/startup-events",
    "gradio_api/user", "gradio_api/login_check", "gradio_api/app_id", "openapi.json?x=%00",
    "gradio_api/openapi.json", "favicon.ico", "health?x=1", "gradio_api/nothing",
    "picture/toy/x/0/1/0/0.webp", "picture/toy/x/9/99/9999999/9999999.webp",
    f"picture/{LONG}/x/0/1/0/0.webp", "picture/%00/x/0/1/0/0.webp",
    "picture/toy/%2e%2e/0/1/0/0.webp", "picture/toy/x/0/1/0/0.webp?x=%00",
    f"picture/toy/x/{LONG}.webp", "picture/toy/x/-1/1/0/0.webp",
)  # fmt: skip
HEADERS = (
    {"origin": "http://["}, {"origin": LONG}, {"origin": "\xe9"}, {"host": "["}, {"host": LONG},
    {"authorization": "Basic \xff"}, {"authorization": LONG},
    {"content-type": "multipart/form-data; boundary=" + LONG}, {"content-type": "\xff"},
    {"accept-language": LONG}, {"cookie": "a=\xff; b"}, {"x-forwarded-host": "["},
    {"range": "bytes=a"},
    {"content-encoding": "gzip"}, {"accept": "text/\x7f"}, {"expect": "nothing"},
)  # fmt: skip


@pytest.fixture(scope="module")
def http(server: RunningPage) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture
def quiet(server: RunningPage) -> Iterator[None]:
    """No traceback of anybody's in the log."""
    before = len(server.errors())
    yield
    assert "Traceback" not in server.errors()[before:]


def page_of(http: httpx.Client) -> int:
    components = http.get("config").json()["components"]
    return next(int(c["id"]) for c in components if c["props"].get("elem_id") == "gair-page")


def bodies(page: int) -> Iterator[tuple[str, bytes]]:
    """Every JSON route with every field of its question as every odd value."""
    for path, question in JSON_ROUTES.items():
        yield from ((path, raw) for raw in RAW)
        for name, value in itertools.product([*question, "more"], ODD):
            yield path, json.dumps({**question, name: value}).encode()
        if "data" in question and isinstance(question["data"], list):
            for at, value in itertools.product(range(len(question["data"])), ODD):
                data = [*question["data"]]
                data[at] = value
                yield path, json.dumps({**question, "data": data}).encode()
    for kind, name, value in itertools.product(KINDS, PAGE, ODD):
        asked = {**PAGE, "do": kind, name: value}
        call = {"component_id": page, "fn_name": "ask", "session_hash": "s", "data": asked}
        yield "gradio_api/component_server", json.dumps(call).encode()
    for name, value in itertools.product(("name", "arguments", "more"), ODD):
        params = {"name": "verify_photo", "arguments": {}, name: value}
        yield "mcp", json.dumps({**JSON_ROUTES["mcp"], "params": params}).encode()


def refused_in_one_line(response: httpx.Response) -> bool:
    """Whether it is an answer, or a refusal that says why in one line."""
    if response.status_code < 400:
        return True
    error = response.json()["error"]
    line = error["message"] if isinstance(error, dict) else error  # as JSON-RPC has it
    return bool(line) and len(line) <= 400 and "\n" not in line and response.status_code < 500


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("count", [80, pytest.param(10_000, marks=pytest.mark.slow)])
def test_json_of_any_type_size_and_depth(count: int, http: httpx.Client) -> None:
    asked = list(bodies(page_of(http)))
    random.Random(4).shuffle(asked)
    for path, body in asked[:count]:
        response = http.post(path, content=body, headers={"content-type": "application/json"})
        assert refused_in_one_line(response), (path, body[:300], response.text[:300])


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("gradio_api/queue/join", {"data": [], "fn_index": 999, "session_hash": "s"}, 404),
        ("gradio_api/queue/join", {"data": [], "fn_index": 0, "session_hash": ["s"]}, 422),
        ("gradio_api/call/search", {"data": [None] * 9}, 422),
        ("gradio_api/call/v2/search", {"colour": "red"}, 422),
        ("gradio_api/component_server", {"component_id": 10**9, "fn_name": "ask"}, 404),
        ("gradio_api/run/search", {"data": [nested(100)]}, 400),
    ],
)
def test_functions_and_arguments_that_gradio_has_not(
    path: str, body: object, status: int, http: httpx.Client
) -> None:
    response = http.post(path, json=body)
    assert (response.status_code, set(response.json())) == (status, {"error"})


@pytest.mark.usefixtures("quiet")
def test_odd_names_and_numbers_of_mcp(http: httpx.Client) -> None:
    for change in (
        {"id": [1]}, {"id": True}, {"id": "x" * 300}, {"method": ["tools/call"]},
        {"params": {"name": ["search_photo"]}}, {"params": {"name": {}}}, {"params": [1]},
        {"params": {"name": "search_photo", "arguments": [1]}},
    ):  # fmt: skip
        reply = http.post("mcp", json={**JSON_ROUTES["mcp"], **change})
        assert reply.status_code == 200
        said = reply.json()
        assert "error" in said or said["result"]["isError"], change
    for raw in (b'{"id": 1e999}', b'{"id": NaN}', b'{"id": "\\ud800"}'):
        assert http.post("mcp", content=raw, headers=JSON).json()["error"]["code"] == -32700


JSON = {"content-type": "application/json"}


@pytest.mark.usefixtures("quiet")
def test_a_number_beyond_all_numbers_on_the_page(http: httpx.Client) -> None:
    page = page_of(http)
    for change, said in (
        ({"k": 10**400}, "k must be a number of fewer than 300 digits"),
        (
            {"do": "verify", "claim_number": 10**400},
            "claim_number is beyond all numbers: it must be from 1 to 1e+06",
        ),
    ):
        call = {"component_id": page, "fn_name": "ask", "data": {**PAGE, **change}}
        reply = http.post("gradio_api/component_server", json=call).json()
        assert reply["error"] == said


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:30])
def test_odd_addresses(path: str, http: httpx.Client) -> None:
    with http.stream("GET", path) as response:  # some of Gradio's are streams that do not end
        if response.status_code >= 400:
            response.read()
            assert refused_in_one_line(response), response.text[:300]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("header", HEADERS, ids=lambda header: next(iter(header)))
@pytest.mark.parametrize("path", ["", "search", "gradio_api/upload", "gradio_api/run/search"])
def test_odd_headers(path: str, header: dict[str, str], http: httpx.Client) -> None:
    method = "POST" if path else "GET"
    request = http.build_request(method, path, content=b"{}" if path else None)
    if path and "content-type" not in header:
        request.headers["content-type"] = "application/json"
    kept = [(k, v) for k, v in request.headers.raw if k.decode().lower() not in header]
    odd = [(name.encode(), value.encode("latin-1")) for name, value in header.items()]
    request.headers = httpx.Headers([*kept, *odd])
    response = http.send(request)
    assert refused_in_one_line(response), (header, response.text[:300])


@pytest.mark.usefixtures("quiet")
@pytest.mark.slow
def test_fields_of_forms_of_any_type_and_size(http: httpx.Client) -> None:
    texts = [json.dumps(value) for value in ODD if value != "\ud800"]
    for path, name, text in itertools.product(("search", "verify"), FORMS, texts):
        response = http.post(path, files={"photo": ("a.jpg", b"\xff\xd8\xff")}, data={name: text})
        assert refused_in_one_line(response), (path, name, text[:80], response.text[:300])
