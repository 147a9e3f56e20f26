"""Mapillary and KartaView on loopback: they answer, and fail, as the real ones are documented to.

One server plays both APIs and the hosts of the files. Trouble is given by photo and wears off after
some requests, so a client that does the right thing gets every photo in the end.
"""

from __future__ import annotations

import functools
import json
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import mapbox_vector_tile
import numpy as np
from photo_samples import encode
from PIL import Image
from toy_city import photo

from training.dataset.streetscapes.options import KARTAVIEW, MAPILLARY
from training.dataset.streetscapes.selection import key_of

TOKEN = "MLY|123|secret"
TROUBLES = ("429", "500", "expired", "truncated", "cut", "transient", "limit")
"""What passes after a while: too many requests, a crash, an old address, a broken JPEG, a dropped
connection, and Mapillary's errors in the body for "try again" and "limit reached"."""


@functools.cache
@functools.cache
def street_photo(seed: int, size: tuple[int, int] = (500, 320)) -> bytes:
    """A sharp JPEG."""
    coarse = np.asarray(photo(seed, size), dtype=np.int16)
    fine = np.random.default_rng(seed).integers(-30, 31, (size[1] // 4, size[0] // 4, 1))
    detail = np.kron(fine, np.ones((4, 4, 1), dtype=np.int16))
    pixels = np.clip(coarse + detail, 0, 255).astype(np.uint8)
    return encode(Image.fromarray(pixels), "JPEG", quality=70)


@dataclass
class ServedPhoto:
    """A photo that a provider has."""

    source: str
    image_id: str
    lonlat_deg: tuple[float, float]
    jpeg: bytes
    captured_ms: int = 1_560_000_000_000
    heading_deg: float = 90.0
    panorama: bool = False
    gone: bool = False
    trouble: str = ""
    troubles: int = 1
    """How many times it comes."""


@dataclass
class StreetServer:
    """The state of the server; tests look into it and change it."""

    photos: dict[str, ServedPhoto] = field(default_factory=dict)
    base_url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by path without the id: graph, kartaview, file, tile, nearby."""
    served: Counter[str] = field(default_factory=Counter)
    """Files served in full by key."""
    agents: set[str] = field(default_factory=set)
    token_answer: str = ""
    """``200`` or ``401``: refuse every token by an error in such an answer."""
    token_message: str = "Invalid OAuth access token data."
    kartaview_answer: int = 200
    """What the body of KartaView says."""
    page: tuple[int, bytes] | None = None
    """A status and an HTML page that come instead of any answer, as from a hotel's network."""
    retry_after: str = "0"
    down: bool = False
    delay_s: float = 0.0
    before_file: Callable[[int], None] = lambda count: None
    """Called before each file with the number of files asked for."""
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    _had: Counter[str] = field(default_factory=Counter)
    _serial: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, *photos: ServedPhoto) -> None:
        for one in photos:
            self.photos[key_of(one.source, one.image_id)] = one

    def troubled(self, key: str, kinds: tuple[str, ...]) -> str:
        """The trouble that a request for a photo meets now, if it is of these kinds."""
        one = self.photos[key]
        with self.lock:
            if one.trouble in kinds and self._had[key] < one.troubles:
                self._had[key] += 1
                return one.trouble
        return ""

    def fresh_url(self, one: ServedPhoto) -> str:
        key = key_of(one.source, one.image_id)
        with self.lock:
            self._serial[key] += 1
            return f"{self.base_url}/file/{key}.jpg?oe={self._serial[key]}"

    def is_fresh(self, key: str, serial: str) -> bool:
        return serial == str(self._serial[key])

    def flags(self) -> list[str]:
        """Command line flags that point at this server."""
        return [
            "--mapillary-url", f"{self.base_url}/graph",
            "--mapillary-tiles-url", f"{self.base_url}/tile",
            "--kartaview-url", f"{self.base_url}/kartaview",
        ]  # fmt: skip


@contextmanager
def street_server(*photos: ServedPhoto) -> Iterator[StreetServer]:
    """A running server."""
    state = StreetServer()
    state.add(*photos)

    class Handler(_Handler):
        server_state = state

    server = _Server(("127.0.0.1", 0), Handler)
    state.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients are killed here."""


class _Handler(BaseHTTPRequestHandler):
    server_state: StreetServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._counted(None)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self._counted(parse_qs(self.rfile.read(length).decode()))

    def _counted(self, form: dict[str, list[str]] | None) -> None:
        state = self.server_state
        with state.lock:
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
        try:
            self._answer(form)
        except (BrokenPipeError, ConnectionResetError):  # the client was killed
            self.close_connection = True
        finally:
            with state.lock:
                state.at_once -= 1

    def _answer(self, form: dict[str, list[str]] | None) -> None:
        state = self.server_state
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        _, kind, *rest = parts.path.split("/")
        with state.lock:
            state.asked[kind] += 1
            state.agents.add(self.headers.get("User-Agent", ""))
        if state.delay_s:
            time.sleep(state.delay_s)
        if state.down:
            self._send(503, b"try later", "text/plain")
        elif state.page is not None:
            self._send(*state.page, "text/html")
        elif kind == "graph":
            self._graph(rest[0], query)
        elif kind == "tile":
            self._tile(*(int(number) for number in rest), query.get("access_token", ""))
        elif kind == "kartaview" and form is not None:
            self._nearby(form)
        elif kind == "kartaview":
            self._kartaview(query["id"])
        else:
            self._file(rest[0].removesuffix(".jpg"), query["oe"])

    def _graph(self, image_id: str, query: dict[str, str]) -> None:
        state = self.server_state
        if state.token_answer or self.headers.get("Authorization") != f"OAuth {TOKEN}":
            self._token_refused()
            return
        one = state.photos.get(key_of(MAPILLARY, image_id))
        if one is None or one.gone:
            self._json(400, {"error": {
                "message": f"Unsupported get request. Object with ID '{image_id}' does not exist",
                "type": "GraphMethodException", "code": 100, "error_subcode": 33}})  # fmt: skip
            return
        trouble = state.troubled(key_of(MAPILLARY, image_id), ("429", "transient", "limit"))
        if trouble == "429":
            self._send(429, b"", "text/plain", {"Retry-After": state.retry_after})
        elif trouble == "limit":
            self._json(403, {"error": {"message": "Application request limit reached",
                                       "type": "OAuthException", "code": 4}})  # fmt: skip
        elif trouble == "transient":
            self._json(500, {"error": {"message": "An unexpected error has occurred",
                                       "type": "OAuthException", "is_transient": True,
                                       "code": 2}})  # fmt: skip
        else:
            file_url = state.fresh_url(one)
            facts = {
                "id": image_id,
                "geometry": {"type": "Point", "coordinates": list(one.lonlat_deg)},
                "captured_at": one.captured_ms,
                "compass_angle": one.heading_deg,
                "is_pano": one.panorama,
                "creator": {"username": f"user{image_id}", "id": "9"},
                "sequence": "f1ih",
                "thumb_1024_url": file_url,
                "thumb_2048_url": file_url,
            }
            self._json(200, {k: v for k, v in facts.items() if k in query["fields"].split(",")})

    def _token_refused(self) -> None:
        status = int(self.server_state.token_answer or 401)
        self._json(status, {"error": {"message": self.server_state.token_message,
                                      "type": "OAuthException", "code": 190}})  # fmt: skip

    def _kartaview(self, image_id: str) -> None:
        state = self.server_state
        code = state.kartaview_answer
        status = {"apiCode": 600 if code == 200 else 401, "apiMessage": "said so", "httpCode": code}
        one = state.photos.get(key_of(KARTAVIEW, image_id))
        if code != 200:
            self._json(200, {"status": status, "result": {"data": []}})
        elif one is None or one.gone:
            self._json(200, {"status": {**status, "apiCode": 601}, "result": {"data": []}})
        elif state.troubled(key_of(KARTAVIEW, image_id), ("429",)):
            self._send(429, b"", "text/plain", {"Retry-After": state.retry_after})
        else:
            lon, lat = one.lonlat_deg
            self._json(200, {"status": status, "result": {"data": [{
                "id": image_id, "lat": str(lat), "lng": str(lon), "heading": "12.5",
                "shotDate": "2016-05-03 10:20:30.000", "sequenceId": "77", "sequenceIndex": "5",
                "projection": "SPHERE" if one.panorama else "PLANE",
                "fileurlProc": state.fresh_url(one)}]}})  # fmt: skip

    def _nearby(self, form: dict[str, list[str]]) -> None:
        north, west = map(float, form["bbTopLeft"][0].split(","))
        south, east = map(float, form["bbBottomRight"][0].split(","))
        page, size = int(form["page"][0]), int(form["ipp"][0])
        items = [
            {"id": one.image_id, "lat": str(one.lonlat_deg[1]), "lng": str(one.lonlat_deg[0]),
             "heading": "12.5", "shot_date": "2016-05-03 10:20:30", "sequence_id": "77"}
            for one in self.server_state.photos.values()
            if one.source == KARTAVIEW
            and west <= one.lonlat_deg[0] < east
            and south <= one.lonlat_deg[1] < north
        ]  # fmt: skip
        shown = items[(page - 1) * size : page * size]
        said = {"apiCode": "600", "httpCode": self.server_state.kartaview_answer}
        self._json(200, {"status": said, "currentPageItems": shown,
                         "totalFilteredItems": [str(len(items))]})  # fmt: skip

    def _tile(self, zoom: int, x: int, y: int, token: str) -> None:
        if token != TOKEN or self.server_state.token_answer:
            self._token_refused()
            return
        features = []
        for one in self.server_state.photos.values():
            tile_x, tile_y = _tile_xy(one.lonlat_deg, zoom)
            if one.source != MAPILLARY or (math.floor(tile_x), math.floor(tile_y)) != (x, y):
                continue
            properties = {
                "id": int(one.image_id),
                "captured_at": one.captured_ms,
                "compass_angle": one.heading_deg,
                "is_pano": one.panorama,
            }
            px, py = (round(value % 1 * 4096) for value in (tile_x, tile_y))
            features.append({"geometry": f"POINT({px} {py})", "properties": properties})
        tile = mapbox_vector_tile.encode(
            [{"name": "image", "features": features}], default_options={"y_coord_down": True}
        )
        self._send(200, tile, "application/x-protobuf")

    def _file(self, key: str, serial: str) -> None:
        state = self.server_state
        state.before_file(state.asked["file"])
        one = state.photos[key]
        trouble = state.troubled(key, ("500", "expired", "truncated", "cut", "stall"))
        if trouble == "500":
            self._send(500, b"oops", "text/plain")
        elif trouble == "expired" or not state.is_fresh(key, serial):
            self._send(403, b"URL signature expired", "text/plain")
        elif trouble == "truncated":
            self._send(200, one.jpeg[: len(one.jpeg) // 2], "image/jpeg")
        elif trouble in ("cut", "stall"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(one.jpeg)))
            self.end_headers()
            self.wfile.write(one.jpeg[:900])
            self.wfile.flush()
            if trouble == "stall":
                time.sleep(2)
            self.close_connection = True
        else:
            self._send(200, one.jpeg, "image/jpeg")
            with state.lock:
                state.served[key] += 1

    def _json(self, status: int, body: object) -> None:
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(
        self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _tile_xy(lonlat_deg: tuple[float, float], zoom: int) -> tuple[float, float]:
    """Tile coordinates as in https://wiki.openstreetmap.org/wiki/Slippy_map_tilenames."""
    lon, lat = lonlat_deg
    tan = math.tan(math.radians(lat))
    y = (1 - math.asinh(tan) / math.pi) / 2
    return (lon + 180) / 360 * 2**zoom, y * 2**zoom
