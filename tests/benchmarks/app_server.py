"""The server of a benchmark, in a process of its own, and clients that ask it without pause.

Run as a script: ``python app_server.py '{"indexes": ..., "port": ..., "mode": "batched"}'``.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repository import REPOSITORY


@dataclass
class Served:
    """A running server."""

    port: int
    pid: int
    ready_s: float
    """From the start of the process until the port was open."""
    mode: str = "batched"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def memory_mb(self) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(one.split()[1]) / 1000 for one in lines if one.startswith("VmRSS"))

    def cpu_s(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def health(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/health")
        found = json.loads(connection.getresponse().read())
        connection.close()
        return dict(found)


@contextmanager
def served(indexes: Path, mode: str = "batched") -> Iterator[Served]:
    """A server of the index ``london``, until the block ends.

    Args:
        indexes: folder of indexes.
        mode: ``batched``, as it ships; ``batches of 1``, the same pool of workers and every
            question computed for itself; ``one at a time``, the next begun after the last;
            ``verified first``, as it ships, but all files are hashed before the port opens.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = json.dumps({"indexes": str(indexes), "port": port, "mode": mode})
    needed = [REPOSITORY, REPOSITORY / "tests" / "support"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, needed))}
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, __file__, told], env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield Served(port, process.pid, time.perf_counter() - began, mode)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


@dataclass
class Asked:
    """What clients met."""

    seconds: list[float] = field(default_factory=list)
    """Of each answer, from the first byte sent to the last received."""
    errors: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def per_s(self) -> float:
        return len(self.seconds) / self.wall_s

    def quantile_ms(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return 1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def ask(server: Served, photos: Sequence[bytes], clients: int, wall_s: float) -> Asked:
    """Let clients ask ``POST /search`` for a while, each one question after the other.

    No photo is sent twice: a few bytes after the end of the image make it another file.
    """
    found, numbers = Asked(), itertools.count()
    began = time.perf_counter()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        while time.perf_counter() - began < wall_s:
            photo = photos[next(numbers) % len(photos)] + os.urandom(8)
            since = time.perf_counter()
            try:
                status, answer = _post(connection, photo)
            except OSError as error:
                found.errors.append(repr(error))
                connection.close()
                continue
            if status == 200 and len(answer["candidates"]) == 5:
                found.seconds.append(time.perf_counter() - since)
            else:
                found.errors.append(f"{status}: {answer}")
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.wall_s = time.perf_counter() - began
    return found


def _post(connection: http.client.HTTPConnection, photo: bytes) -> tuple[int, Any]:
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
    body = head + photo + b"\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    connection.request("POST", "/search", body, kind)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def _serve(told: dict[str, Any]) -> None:
    from app.engine.engine import Engine
    from app.engine.indexes import Indexes
    from app.engine.limits import Limits
    from app.options import ServerOptions
    from app.server import serving

    class OneAtATime(Engine):
        """Whoever asks waits until the one before has its answer."""

        turn = threading.Lock()

        def search(self, *args: Any, **query: Any) -> Any:
            with self.turn:
                return super().search(*args, **query)

    limits = Limits() if told["mode"] == "batched" else Limits(batch_photos=1)
    kind = OneAtATime if told["mode"] == "one at a time" else Engine
    indexes = Indexes(
        Path(told["indexes"]), verify="first" if told["mode"] == "verified first" else "later"
    )
    options = ServerOptions(port=told["port"], limits=limits)
    with serving(lambda uploads: kind(indexes, limits, uploads), options, "london"):
        print("ready", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _serve(json.loads(sys.argv[1]))
