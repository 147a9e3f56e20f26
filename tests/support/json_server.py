"""Answers in JSON on loopback, whatever they are: for catalogues that say odd things."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Answers:
    """What is served; paths without an answer get a 404."""

    url: str = ""
    by_path: dict[str, object] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request."""
    posted: list[Any] = field(default_factory=list)
    """What was posted, read as JSON."""


@contextlib.contextmanager
def answering() -> Iterator[Answers]:
    """A server; text is sent as it is, anything else as JSON."""
    answers = Answers()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            answers.asked.append((self.command, path))
            there = path in answers.by_path
            answer = answers.by_path.get(path, "no")
            body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(200 if there else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            answers.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.do_GET()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        answers.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield answers
        finally:
            server.shutdown()
            thread.join()


def stac_root(url: str, *classes: str) -> dict[str, object]:
    """The landing page of a STAC API."""
    conforms = ("core", "collections", "item-search", *classes)
    return {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "answers",
        "description": "-",
        "conformsTo": [f"https://api.stacspec.org/v1.0.0/{name}" for name in conforms],
        "links": [
            {"rel": "data", "href": f"{url}/collections"},
            {"rel": "search", "href": f"{url}/search", "method": "POST",
             "type": "application/geo+json"},
        ],
    }  # fmt: skip


def collections(*names: str) -> dict[str, object]:
    """The list of collections."""
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
    return {
        "links": [],
        "collections": [
            {"type": "Collection", "stac_version": "1.0.0", "id": name, "description": "-",
             "license": "other", "links": [], "extent": extent}
            for name in names
        ],
    }  # fmt: skip
