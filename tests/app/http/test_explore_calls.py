"""Exploring by MCP and by gradio_client: what the engine answers, and refusals in words."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_pages import RunningPage, write_photos

from app.http.answer_schemas import pair_model, similar_model
from indexer.explore.similar import similar_places
from indexer.search.geolocator import Geolocator

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def http(server: RunningPage) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def client(server: RunningPage) -> Iterator[Any]:
    from gradio_client import Client

    client = Client(server.url, verbose=False, analytics_enabled=False)
    yield client
    client.close()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_photos(tmp_path_factory.mktemp("photos"))


def tool(http: httpx.Client, name: str, **arguments: object) -> Any:
    call = {"name": name, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}
    return http.post("mcp", json=body).json()["result"]


def test_similar_places_are_those_of_the_engine(
    http: httpx.Client, client: Any, tiny_index: Path
) -> None:
    geo = Geolocator.open("toy", indexes_dir=tiny_index)
    (lon, lat), (lon_2, lat_2) = geo.index.cells.lonlat_deg[[5, 120]].tolist()
    found = similar_places(geo, [(lon, lat)], [(lon_2, lat_2)], k=3, apart_m=500).to_dict()
    expected = json.loads(json.dumps(found))
    like, unlike = f"{lat}, {lon}", f"{lat_2}, {lon_2}"
    asked: dict[str, Any] = {"k": 3, "apart_m": 500}
    called = tool(http, "similar_places", like=[like], unlike=[unlike], **asked)
    assert called["structuredContent"] == expected
    told = client.predict(f"{like}\n\n", unlike, 3, 500, api_name="/similar")
    assert told == expected
    run = http.post("gradio_api/run/similar", json={"data": [like, unlike, 3, 500]}).json()
    assert run["data"] == [expected]
    assert similar_model().model_validate(told)
    assert told["model_licence"]
    assert told["attribution"] == geo.space.attribution


def test_two_photos_are_compared_and_leave_the_disk(
    http: httpx.Client, client: Any, server: RunningPage, photos: dict[str, Path]
) -> None:
    from gradio_client import handle_file

    pair = [photos["street"], photos["other"]]
    (uploads,) = server.uploads.glob("gair-uploads-*")
    before = {f for f in uploads.rglob("*") if f.is_file()}
    told = client.predict(*(handle_file(str(p)) for p in pair), 0.1, api_name="/compare")
    assert {f for f in uploads.rglob("*") if f.is_file()} <= before
    encoded = [base64.b64encode(p.read_bytes()).decode() for p in pair]
    called = tool(http, "compare_photos", photos=encoded, prior_probability=0.1)
    for reply in (told, called["structuredContent"]):
        assert pair_model().model_validate(reply)
        assert "not calibrated" in reply["why"]
        assert reply["model_licence"]
    assert told["cosine"] == pytest.approx(called["structuredContent"]["cosine"], abs=1e-6)


def test_what_makes_no_sense_is_refused_in_words(
    http: httpx.Client, client: Any, photos: dict[str, Path]
) -> None:
    photo = base64.b64encode(photos["street"].read_bytes()).decode()
    for name, arguments, words in (
        ("similar_places", {"like": []}, "like: List should have at least 1 item"),
        ("similar_places", {"like": ["a park"]}, "a park"),
        ("similar_places", {"like": ["51.5, -0.1"], "photos": [photo]}, "photos: Extra inputs"),
        ("photos_near_place", {"at": "51.5, -0.1"}, "has no reference photos"),
        ("compare_photos", {"photos": [photo]}, "1 photos: send two to compare"),
        ("compare_photos", {"photos": ["/etc/passwd"] * 2}, "base64"),
    ):
        refused = tool(http, name, **arguments)
        assert refused["isError"]
        assert words in refused["content"][0]["text"]
    for values, name, words in (
        (["51.5, -0.1"], "/photos_near", "has no reference photos"),
        ([""], "/similar", "like: List should have at least 1 item"),
        ([None, None], "/compare", "no photo was given"),
    ):
        with pytest.raises(Exception, match=words):
            client.predict(*values, api_name=name)
    one = http.post("gradio_api/run/compare", json={"data": [{"path": "/etc/passwd"}]})
    assert (one.status_code, one.json()["error"][:18]) == (422, "no photo was given")
    many = http.post("gradio_api/run/similar", json={"data": [1] * 6})
    assert many.json()["error"] == "data has 6 values, /similar takes 5"
