"""Places by name, from a server on loopback that answers as Nominatim is documented to."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from refusals import built, refusal
from shapely.geometry import mapping

from gair.errors import RegionError, UsageError
from indexer.commands.cli import main
from indexer.regions.geocoder import find_place

Capture = pytest.CaptureFixture[str]
# https://nominatim.org/release-docs/latest/api/Output/, format jsonv2
LICENCE = "Data © OpenStreetMap contributors, ODbL 1.0. http://osm.org/copyright"


def place(name: str, display_name: str, shape: Any) -> dict[str, Any]:
    return {
        "place_id": 1, "licence": LICENCE, "osm_type": "relation", "osm_id": 51800, "lat": "51.5",
        "lon": "-0.1", "category": "boundary", "type": "administrative", "importance": 0.7,
        "name": name, "display_name": display_name, "boundingbox": ["51", "52", "-1", "0"],
        "geojson": mapping(shape),
    }  # fmt: skip


CITY = shapely.box(-0.114, 51.507, -0.07, 51.522)
ANSWERS: dict[str, Any] = {
    "City of London": [
        place("City of London", "City of London, England", CITY),
        place("City of London", "City of London, Ontario", shapely.box(-81.4, 42.8, -81.1, 43.1)),
        place("City of London", "City of London, a pub", shapely.Point(-0.1, 51.5)),
    ],
    "Toytown": [place("Toytown", "Toytown, Ruritania", shapely.box(-0.108, 51.503, -0.1, 51.508))],
    "nowhere": [],
    "a pub": [place("The Crown", "The Crown, London", shapely.Point(0, 51))],
    "an object": {"error": "no"},
}  # fmt: skip


class Nominatim(http.server.BaseHTTPRequestHandler):
    """Answers searches with :data:`ANSWERS`."""

    def __init__(self, requests: list[tuple[str, str | None]], *args: object) -> None:
        self.requests = requests
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(address.query))
        self.requests.append((address.path, self.headers.get("User-Agent")))
        wrong = not {("format", "jsonv2"), ("polygon_geojson", "1")} <= query.items()
        if address.path != "/search" or wrong or query["q"] == "busy":
            self.send_error(429 if query.get("q") == "busy" else 400)
            return
        content = b"<html>" if query["q"] == "html" else json.dumps(ANSWERS[query["q"]]).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def nominatim(requests: list[tuple[str, str | None]]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Nominatim, requests)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with nominatim([]) as address:
        yield address


@pytest.mark.process
def test_one_match_is_the_region_and_the_program_names_itself() -> None:
    requests: list[tuple[str, str | None]] = []
    with nominatim(requests) as url:
        region = find_place("Toytown", url + "/")
    assert (region.name, region.attribution) == ("toytown", LICENCE)
    assert region.bbox_wsen_deg == pytest.approx((-0.108, 51.503, -0.1, 51.508))
    ((path, agent),) = requests
    assert path == "/search"
    assert str(agent).startswith("gair-geolocator/")


@pytest.mark.process
def test_several_matches_are_listed_with_their_areas_and_one_is_chosen(url: str) -> None:
    with pytest.raises(RegionError) as caught:
        find_place("City of London", url)
    assert str(caught.value) == (
        "'City of London' may be 2 places, 1: City of London, England (5.1 km2); 2: City of "
        "London, Ontario (815.9 km2): add `place_number`"
    )
    second = find_place("City of London", url, place_number=2)
    assert second.bbox_wsen_deg[0] == pytest.approx(-81.4)
    assert find_place("City of London", url, place_number=1).name == "city-of-london"
    with pytest.raises(UsageError, match=r"`place_number` 3 is not in 1\.\.2"):
        find_place("City of London", url, place_number=3)


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "knows no area named 'nowhere'"),
        ("a pub", "knows no area named 'a pub'"),
        ("busy", "refused with status 429: try again later"),
        ("html", "does not answer as Nominatim does"),
        ("an object", "does not answer as Nominatim does"),
    ],
)
def test_what_a_geocoder_cannot_tell(url: str, name: str, says: str) -> None:
    with pytest.raises(RegionError, match=says):
        find_place(name, url)


@pytest.mark.process
def test_a_geocoder_on_this_machine_is_asked_without_a_proxy(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert find_place("Toytown", url).name == "toytown"


def test_addresses_that_cannot_work() -> None:
    with pytest.raises(RegionError, match=r"cannot reach the geocoder http://127\.0\.0\.1:9 "):
        find_place("x", "http://127.0.0.1:9")
    with pytest.raises(UsageError, match="no http or https URL"):
        find_place("x", "file:///etc")
    with pytest.raises(UsageError, match="`place` is empty"):
        find_place(" ", "http://127.0.0.1:9")


@pytest.mark.process
def test_a_place_is_built(url: str, city_tif: Path, tmp_path: Path) -> None:
    argv = ["build", "--imagery", str(city_tif), "--model", "untrained:tiny", "--quiet"]
    where = ["--place", "Toytown", "--geocoder", url, "--out", str(tmp_path)]
    assert main([*argv, *where, "--resolution", "9"]) == 0
    assert (tmp_path / "toytown" / "CURRENT").is_file()


def test_nobody_is_asked_without_a_place(city_tif: Path, tmp_path: Path, capsys: Capture) -> None:
    argv = built(city_tif, tmp_path, "--geocoder", "http://127.0.0.1:9")
    assert "go with --place NAME" in refusal(argv, capsys, status=2)
