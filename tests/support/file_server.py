"""A file server on loopback that speaks HTTP ranges and misbehaves when told to."""

from __future__ import annotations

import contextlib
import functools
import http.server
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Served:
    """What a server did, and what it shall do next."""

    url: str = ""
    log: list[tuple[str, str, int, int]] = field(default_factory=list)
    """(method, path, status, bytes of content) of every request."""
    trouble: list[int | str | None] = field(default_factory=list)
    """For the next requests, one each: a status, ``stall``, ``close``, or None for none."""
    always: int | str | None = None
    """Trouble of every request, once ``trouble`` is used up."""
    stall_s: float = 3.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def bytes_sent(self) -> int:
        """Of all files."""
        return sum(count for _, _, _, count in self.log)

    def next_trouble(self) -> int | str | None:
        with self.lock:
            return self.trouble.pop(0) if self.trouble else self.always

    def note(self, method: str, path: str, status: int, count: int) -> None:
        with self.lock:
            self.log.append((method, path, status, count))


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, folder: Path, served: Served, *args: object) -> None:
        self.folder, self.served = folder, served
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        trouble = self.served.next_trouble()
        if isinstance(trouble, str):
            self.served.note(self.command, self.path, 0, 0)
            if trouble == "stall":
                time.sleep(self.served.stall_s)
            self.close_connection = True
            return
        file = self.folder / self.path.split("?")[0].lstrip("/")
        if trouble is not None or not file.is_file():
            self._reply(trouble or 404, b"", {}, body)
            return
        size = file.stat().st_size
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            self._reply(200, file.read_bytes(), {"Accept-Ranges": "bytes"}, body)
            return
        first, last = int(wanted[1]), min(int(wanted[2] or size - 1), size - 1)
        with file.open("rb") as opened:
            opened.seek(first)
            part = opened.read(last - first + 1)
        self._reply(206, part, {"Content-Range": f"bytes {first}-{last}/{size}"}, body)

    def _reply(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.served.note(self.command, self.path, status, len(content) if body else 0)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            with contextlib.suppress(OSError):
                self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


_ports_used: set[int] = set()


def _on_a_port_of_its_own(handler: Callable[..., _Handler]) -> _Server:
    """A server at a port that none had before in this process: GDAL keeps files by address."""
    taken: list[_Server] = []
    while (server := _Server(("127.0.0.1", 0), handler)).server_address[1] in _ports_used:
        taken.append(server)  # closed below, or the system might give the same port again
    for other in taken:
        other.server_close()
    _ports_used.add(server.server_address[1])
    return server


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve a folder until the block ends."""
    served = Served()
    server = _on_a_port_of_its_own(functools.partial(_Handler, folder, served))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
