"""The API: plain HTTP, gradio_client, MCP; what each answers and what each refuses."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_pages import RunningPage, sha256, wait_for, write_photos

from app.http.answer_schemas import answer_model, pair_model, similar_model, verdict_model
from indexer.explore.similar import similar_places
from indexer.search.geolocator import Geolocator

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def page(server: RunningPage) -> RunningPage:
    return server


@pytest.fixture(scope="module")
def http(page: RunningPage) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=page.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def client(page: RunningPage) -> Iterator[Any]:
    from gradio_client import Client

    client = Client(page.url, verbose=False, analytics_enabled=False)
    yield client
    client.close()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_photos(tmp_path_factory.mktemp("photos"))


def post(http: httpx.Client, path: str, *photos: Path, **fields: object) -> httpx.Response:
    files = [("photo", (photo.name, photo.read_bytes())) for photo in photos]
    return http.post(path, files=files, data={k: str(v) for k, v in fields.items()})


def ask(client: Any, photo: Any, *args: Any, api_name: str = "/search") -> Any:
    from gradio_client import handle_file

    if isinstance(photo, Path):
        photo = handle_file(str(photo))
    return client.predict(photo, *args, api_name=api_name)


def tool(http: httpx.Client, name: str, **arguments: object) -> Any:
    call = {"name": name, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}
    reply = http.post("mcp", json=body).json()
    assert reply["id"] == 7
    return reply["result"]


def test_all_three_ways_answer_what_the_engine_answers(
    http: httpx.Client, client: Any, tiny_index: Path, photos: dict[str, Path]
) -> None:
    geo = Geolocator.open("toy", indexes_dir=tiny_index)
    photo = photos["street"]
    expected = geo.search(photo, k=3, rs_weight=0.25, location_weight=0.75).to_dict()
    plain = post(http, "search", photo, k=3, rs_weight=0.25, location_weight=0.75).json()
    encoded = base64.b64encode(photo.read_bytes()).decode()
    weights = {"rs_weight": 0.25, "location_weight": 0.75}
    called = tool(http, "search_photo", photos=[encoded], k=3, **weights)["structuredContent"]
    odd = post(http, "verify", photo, lat_deg=51.5, lon_deg=-0.1, prior_odds=0.5, claim_number=2)
    assert (odd.json()["prior_odds"], odd.json()["claim_number"]) == (0.5, 2)
    assert odd.json()["warnings"][-1]["code"] in ("many_claims", "claim_at_rim")
    for reply in (plain, ask(client, photo, 3, 0.25, 0.75), called):
        assert set(reply) == set(expected)
        assert answer_model().model_validate(reply)
        rows = [c["row"] for c in expected["candidates"]]
        assert [c["row"] for c in reply["candidates"]] == rows
        scores = [c["score"] for c in expected["candidates"]]
        assert [c["score"] for c in reply["candidates"]] == pytest.approx(scores, abs=1e-6)
        assert reply["schema_version"] == expected["schema_version"]
        assert reply["rs_weight"] == 0.25
        assert reply["trained"] is False
    assert plain["photo"] == "street.jpg"
    assert plain["sun"] == {"at_utc": None, "reason": "no_time", "places": []}
    timed = post(http, "search", photo, k=2, taken_at="2024-06-20T13:02+01:00").json()
    assert timed["sun"]["at_utc"] == "2024-06-20T12:02:00Z"
    assert [round(sun["elevation_deg"]) for sun in timed["sun"]["places"]] == [62, 62]
    odd_time = post(http, "search", photo, taken_at="2024-06-20T13:02")
    assert (odd_time.status_code, "has no offset" in odd_time.json()["error"]) == (422, True)
    assert len(post(http, "search", photo).json()["candidates"]) == 5


def test_claims_are_verified_all_three_ways(
    http: httpx.Client, client: Any, tiny_index: Path, photos: dict[str, Path]
) -> None:
    geo = Geolocator.open("toy", indexes_dir=tiny_index)
    photo = photos["street"]
    expected = geo.verify(photo, -0.1, 51.5, 300).to_dict()
    plain = post(http, "verify", photo, lat_deg=51.5, lon_deg=-0.1, radius_m=300).json()
    encoded = base64.b64encode(photo.read_bytes()).decode()
    place = {"lat_deg": 51.5, "lon_deg": -0.1, "radius_m": 300}
    called = tool(http, "verify_photo", photos=[encoded], **place)["structuredContent"]
    odd = post(http, "verify", photo, lat_deg=51.5, lon_deg=-0.1, prior_odds=0.5, claim_number=2)
    assert (odd.json()["prior_odds"], odd.json()["claim_number"]) == (0.5, 2)
    assert odd.json()["warnings"][-1]["code"] in ("many_claims", "claim_at_rim")
    written = post(http, "verify", photo, at="51°30'N 0°6'W", radius_m=300).json()
    asked = ask(client, photo, 51.5, -0.1, 300, api_name="/verify")
    for reply in (plain, written, asked, called):
        assert verdict_model().model_validate(reply)
        assert reply["sentence"] == expected["sentence"]
        assert reply["mass"] == pytest.approx(expected["mass"], abs=1e-5)


def test_an_index_is_explored_over_http(
    http: httpx.Client, tiny_index: Path, photos: dict[str, Path]
) -> None:
    geo = Geolocator.open("toy", indexes_dir=tiny_index)
    (lon, lat), (lon_2, lat_2) = geo.index.cells.lonlat_deg[[5, 120]].tolist()
    question = {"like": [f"{lat}, {lon}"], "unlike": [f"{lat_2}, {lon_2}"], "k": 3, "apart_m": 500}
    reply = http.post("similar", json=question)
    expected = similar_places(geo, [(lon, lat)], [(lon_2, lat_2)], k=3, apart_m=500)
    assert reply.json() == similar_model().model_validate(reply.json()).model_dump(mode="json")
    assert reply.json() == json.loads(json.dumps(expected.to_dict()))
    pair = post(http, "compare", photos["street"], photos["other"], prior_probability=0.1)
    assert pair_model().model_validate(pair.json())
    assert "not calibrated" in pair.json()["why"]
    for path, body, told in (
        ("similar", {"like": []}, "like: List should have at least 1 item"),
        ("similar", {"like": ["51.5, -0.1"], "text": "a park"}, "text: Extra inputs"),
        ("similar", {"like": ["a park"]}, "a park"),
        ("photos-near", {"at": "51.5, -0.1"}, "has no reference photos"),
        ("photos-near", {"at": "51.5, -0.1", "order": "x"}, "order: Input should be"),
    ):
        refused = http.post(path, json=body)
        assert refused.status_code == 422
        assert told in refused.json()["error"]
    for content in (b"[]", b"{", b"NaN"):
        assert http.post("similar", content=content).status_code == 400
    assert "1 photos: send two" in post(http, "compare", photos["street"]).json()["error"]
    assert http.get("similar").status_code == 405


def test_several_photos_of_one_place_and_a_box(
    http: httpx.Client, tiny_index: Path, photos: dict[str, Path]
) -> None:
    both = post(http, "search", photos["street"], photos["other"]).json()
    assert both["photos"] == ["street.jpg", "other.png"]
    west, south, east, north = -0.1, 51.5, -0.08, 51.52
    boxed = post(http, "search", photos["street"], bbox=f"{west},{south},{east},{north}").json()
    assert boxed["candidates"]
    for place in boxed["candidates"]:
        assert west <= place["lon_deg"] <= east
        assert south <= place["lat_deg"] <= north
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    polygon = str({"type": "Polygon", "coordinates": [ring]}).replace("'", '"')
    drawn = post(http, "search", photos["street"], within=polygon).json()
    assert drawn["candidates"] == boxed["candidates"]


def test_a_box_over_180_degrees_holds_the_cells_that_a_build_of_it_would(
    http: httpx.Client, photos: dict[str, Path]
) -> None:
    """From 100 degrees east over the antimeridian to 0.08 west, which is 179.92 degrees wide."""
    boxed = post(http, "search", photos["street"], bbox="-179.95,51,-0.09,52").json()
    over = post(http, "search", photos["street"], bbox="180.05,51,359.91,52").json()
    assert over["candidates"] == boxed["candidates"]
    assert all(place["lon_deg"] <= -0.09 for place in over["candidates"])


def test_two_people_who_send_the_same_photo_share_nothing(
    http: httpx.Client, photos: dict[str, Path]
) -> None:
    """A question of one of them does not delete the photo of the other."""

    def send() -> dict[str, str]:
        files = {"files": ("street.jpg", photos["street"].read_bytes())}
        (path,) = http.post("gradio_api/upload", files=files).json()
        return {"path": path}

    def run(photo: object) -> httpx.Response:
        return http.post("gradio_api/run/search", json={"data": [photo, 1]})

    mine, yours = send(), send()
    assert mine != yours
    for photo in (mine, yours):
        (answer,) = run(photo).json()["data"]
        assert len(answer["candidates"]) == 1
        assert run(photo).status_code == 422  # it is gone now


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("run/search", {"data": ["street.jpg"]}, 422, "a photo comes as an uploaded file"),
        ("run/search", {"data": [{"path": "/etc/passwd"}]}, 422, "has deleted this photo by now"),
        ("run/search", {"data": []}, 422, "no photo was given"),
        ("run/search", {"data": [None] * 9}, 422, "data has 9 values, /search takes 5"),
        ("run/search", {"data": 7}, 422, "data: Input should be a valid list"),
        ("run/search", [], 422, "the body: Input should be a valid dictionary"),
        ("run/verify", {"data": [{"path": "x"}, 51.5, 0]}, 422, "has deleted this photo by now"),
        ("component_server", {"component_id": 0, "fn_name": "ask"}, 404, "no such function"),
        ("component_server", {"component_id": "x", "fn_name": "ask"}, 422, "component_id: "),
    ],
)
def test_calls_of_gradios_routes_are_refused_as_those_of_ours(
    path: str, body: object, status: int, message: str, http: httpx.Client
) -> None:
    response = http.post(f"gradio_api/{path}", json=body)
    assert (response.status_code, set(response.json())) == (status, {"error"})
    assert message in response.json()["error"]


def test_openapi_documents_every_field_with_its_own_words(http: httpx.Client) -> None:
    document = http.get("openapi.json").json()
    assert set(document["paths"]) == {
        *("/search", "/verify", "/compare", "/similar", "/photos-near", "/health"),
    }
    answer = document["components"]["schemas"]["SearchAnswer"]["properties"]
    assert answer["merge_radius_m"]["description"].startswith("Cells closer than this are one")
    candidate = document["components"]["schemas"]["Candidate"]["properties"]
    assert candidate["rs_score"]["description"].startswith("Cosine of the photo with the imagery")
    decision = document["components"]["schemas"]["Decision"]["properties"]
    assert decision["kind"]["description"] == "within, larger_disc, region or none."
    search = document["paths"]["/search"]["post"]
    form = search["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) >= {"photo", "k", "index", "rs_weight", "within", "bbox"}
    assert set(form["properties"]) >= {"max_error_rate", "within_m"}
    assert set(search["responses"]) >= {"200", "400", "404", "413", "415", "422", "429", "503"}


def test_only_questions_of_programs_are_public(client: Any) -> None:
    api = client.view_api(return_format="dict")
    named = ["/search", "/verify", "/compare", "/similar", "/photos_near"]
    assert list(api["named_endpoints"]) == named
    assert api["unnamed_endpoints"] == {}
    names = [p["parameter_name"] for p in api["named_endpoints"]["/search"]["parameters"]]
    assert names == ["photo", "k", "rs_weight", "location_weight", "index"]
    names = [p["parameter_name"] for p in api["named_endpoints"]["/compare"]["parameters"]]
    assert names == ["photo_a", "photo_b", "prior_probability", "index"]


@pytest.mark.parametrize("name", ["street", "other", "berlin"])
def test_the_engine_gets_the_file_byte_for_byte(
    name: str, http: httpx.Client, client: Any, page: RunningPage, photos: dict[str, Path]
) -> None:
    ask(client, photos[name])
    assert page.seen()[-1] == sha256(photos[name])
    assert post(http, "search", photos[name]).status_code == 200
    assert page.seen()[-1] == sha256(photos[name])


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("cut", 422, "cut.jpg is truncated"),
        ("notes", 415, "notes.jpg is not a photo in a known format"),
        ("drawing", 415, "drawing.svg is not a photo in a known format"),
        ("heavy", 413, "heavy.jpg has 22.0 MB; send 20 MB or less"),
        ("bomb", 413, "169,000,000 pixels"),
    ],
)
def test_a_photo_that_cannot_be_read_is_named_in_the_error(
    name: str,
    status: int,
    message: str,
    http: httpx.Client,
    client: Any,
    photos: dict[str, Path],
) -> None:
    started = time.perf_counter()
    response = post(http, "search", photos[name])
    assert time.perf_counter() - started < 2
    assert (response.status_code, set(response.json())) == (status, {"error"})
    assert message in response.json()["error"]
    if name != "heavy":
        with pytest.raises(Exception, match=message):
            ask(client, photos[name])


@pytest.mark.parametrize(
    ("path", "fields", "status", "message"),
    [
        ("search", {"k": 0}, 422, "k: Input should be greater than or equal to 1"),
        ("search", {"k": 101}, 422, "k: "),
        ("search", {"k": "many"}, 422, "k: Input should be a valid integer"),
        ("search", {"rs_weight": 0, "location_weight": 0}, 422, "weights 0"),
        ("search", {"rs_weight": "nan"}, 422, "rs_weight: "),
        ("search", {"index": "atlantis"}, 404, "there are: toy"),
        ("search", {"index": "../toy"}, 404, "there are: toy"),
        ("search", {"colour": "red"}, 422, "colour: Extra inputs are not permitted"),
        ("search", {"bbox": "1,2,3"}, 422, "west,south,east,north"),
        ("search", {"bbox": "10,10,11,11"}, 422, "no cell of 171 is left"),
        ("search", {"bbox": "170,-80,-170,80"}, 422, "no cell of 171 is left"),
        ("search", {"bbox": "170,-80,190,80"}, 422, "no cell of 171 is left"),
        ("search", {"bbox": "1,2,3,1"}, 422, "south 2 is not less than north 1"),
        ("search", {"within": "/etc/passwd"}, 422, "no GeoJSON"),
        ("search", {"within": '{"type": "Polygon", "coordinates": 7}'}, 422, "malformed"),
        ("verify", {"lon_deg": 0}, 422, "lat_deg: Field required"),
        ("verify", {"lat_deg": 91, "lon_deg": 0}, 422, "lat_deg: "),
        ("verify", {"lat_deg": 139.7, "lon_deg": 35.6}, 422, "mean lat_deg 35.6, lon_deg 139.7?"),
        ("verify", {"at": "139.7, 35.6"}, 422, "did you mean 35.6, 139.7?"),
        ("verify", {"at": "51.5, 0", "lat_deg": 51.5}, 422, "give it or at, not both"),
        ("verify", {"lat_deg": 1, "lon_deg": 0, "radius_m": -1}, 422, "radius_m: "),
    ],
)
def test_fields_that_make_no_sense_are_refused(
    path: str,
    fields: dict[str, object],
    status: int,
    message: str,
    http: httpx.Client,
    photos: dict[str, Path],
) -> None:
    response = post(http, path, photos["street"], **fields)
    assert (response.status_code, set(response.json())) == (status, {"error"})
    assert message in response.json()["error"]
    assert "\n" not in response.json()["error"]


def test_requests_of_another_form_are_refused(http: httpx.Client, photos: dict[str, Path]) -> None:
    multipart = {"content-type": "multipart/form-data; boundary=x"}
    cases: list[tuple[dict[str, Any], int]] = [
        ({"json": {"photo": "/etc/passwd"}}, 400),
        ({"content": b"--x\r\nnonsense", "headers": multipart}, 422),
        ({"content": b"--x\r\nno colon here\r\n\r\n", "headers": multipart}, 400),
        ({"content": b"", "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"data": {"photo": "http://127.0.0.1:9/a.jpg"}, "files": {"x": b""}}, 422),
        ({"files": {"file": ("a.jpg", b"abc")}}, 422),
        ({"files": {"photo": ("a.jpg", b"")}}, 422),
        ({"files": [("photo", ("a.jpg", b"x"))] * 9}, 400),
    ]
    for request, status in cases:
        response = http.post("search", **request)
        assert response.status_code == status, (request, response.text)
        assert set(response.json()) == {"error"}
    assert http.get("search").status_code == 405
    assert post(http, "search", photos["street"]).status_code == 200


def test_arguments_of_gradio_client_that_make_no_sense_are_refused(
    client: Any, photos: dict[str, Path]
) -> None:
    wrong = [((0,), "k: "), (("x",), "k: "), (([1],), "k: "), ((5, 0, 0), "weights 0")]
    for args, message in [*wrong, ((5, None, None, "atlantis"), "there are: toy")]:
        with pytest.raises(Exception, match=message):
            ask(client, photos["street"], *args)
    with pytest.raises(Exception, match="no photo was given"):
        ask(client, None)


def test_a_bug_is_500_without_a_word_about_the_inside(
    http: httpx.Client, page: RunningPage, photos: dict[str, Path]
) -> None:
    response = post(http, "search", photos["bug"])
    assert response.status_code == 500
    assert response.json() == {"error": "something went wrong in the server; its log says what"}
    assert response.headers["x-content-type-options"] == "nosniff"
    wait_for(lambda: "a bug, for the sake of the test" in page.errors())


def test_health_says_what_is_served_and_how_busy_it_is(http: httpx.Client) -> None:
    health = http.get("health").json()
    assert health["status"] == "ok"
    (index,) = health["indexes"]
    assert index["name"] == "toy"
    assert index["open"] is True
    assert index["cells"] == 171
    assert index["build"]
    assert health["queue"]["inside"] == 0
    assert health["queue"]["most"] == 32
    assert health["uptime_s"] > 0


def test_mcp_speaks_the_protocol_and_takes_bytes_only(
    http: httpx.Client, photos: dict[str, Path]
) -> None:
    def say(**message: object) -> Any:
        return http.post("mcp", json={"jsonrpc": "2.0", **message})

    hello = say(id=1, method="initialize", params={"protocolVersion": "2025-06-18"}).json()
    assert hello["result"]["protocolVersion"] == "2025-06-18"
    assert say(method="notifications/initialized").status_code == 202
    tools = say(id=2, method="tools/list").json()["result"]["tools"]
    assert [one["name"] for one in tools] == [
        *("search_photo", "verify_photo"),
        *("similar_places", "photos_near_place", "compare_photos"),
    ]
    assert tools[0]["inputSchema"]["required"] == ["photos"]
    assert say(id=3, method="nonsense").json()["error"]["code"] == -32601
    assert http.post("mcp", json=[1]).json()["error"]["code"] == -32600
    for sent in ("http://127.0.0.1:9/a.jpg", ["http://127.0.0.1:9/a.jpg"], ["/etc/passwd"], []):
        result = tool(http, "search_photo", photos=sent)
        assert result["isError"]
        assert "base64" in result["content"][0]["text"]
    svg = base64.b64encode(photos["drawing"].read_bytes()).decode()
    assert "not a photo" in tool(http, "search_photo", photos=[svg])["content"][0]["text"]


def test_photos_leave_the_disk_at_once(
    page: RunningPage, client: Any, http: httpx.Client, photos: dict[str, Path]
) -> None:
    (uploads,) = page.uploads.glob("gair-uploads-*")
    assert uploads.stat().st_mode & 0o077 == 0
    before = {f for f in uploads.rglob("*") if f.is_file()}
    ask(client, photos["street"])
    post(http, "search", photos["other"])
    assert {f for f in uploads.rglob("*") if f.is_file()} <= before
