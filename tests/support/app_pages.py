"""A running page for the tests of the app, and the photos they show it.

The page runs in a process of its own, as it does for people. Run as a script, this file is that
process: ``python app_pages.py '{"indexes": ..., "port": ..., "seen": ...}'``.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photo_samples import encode, gps_jpeg, png
from repository import REPOSITORY
from toy_city import photo
from warm_processes import WarmServer

STOPPING_S = 60.0
"""How long a server may take to stop: 10 s for questions, 10 s for connections, and on a machine
that has other work to do several times that."""
BERLIN = {1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)}
"""EXIF GPS tags of 52.5 degrees north, 13.4 east."""


@dataclass(frozen=True)
class RunningPage:
    """Where the page is, and what it was asked."""

    url: str
    log: Path
    uploads: Path
    """Folder that the folder of uploads lies in."""
    process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def errors(self) -> str:
        """What the server wrote to its log."""
        return (self.uploads / "errors.txt").read_text()

    def seen(self) -> list[str]:
        """The sha256 of every file that reached the engine."""
        return self.log.read_text().split()


@contextmanager
def running_page(
    indexes: Path,
    folder: Path,
    examples: Path | None = None,
    *,
    limits: dict[str, float] | None = None,
    **options: Any,
) -> Iterator[RunningPage]:
    """The page of the index ``toy`` at a free port; what it needs to write goes to ``folder``.

    Args:
        indexes: folder of the indexes.
        folder: for uploads and the log.
        examples: photos that the page offers.
        limits: fields of :class:`app.engine.limits.Limits`.
        **options: further fields of :class:`app.options.ServerOptions`; ``auth`` as its flag.
    """
    port = free_port()
    page = RunningPage(f"http://127.0.0.1:{port}/", folder / "seen.txt", folder)
    page.log.write_text("")
    told = {"indexes": str(indexes), "port": port, "seen": str(page.log)}
    told |= {"examples": str(examples) if examples else None, "limits": limits or {}}
    command = [sys.executable, __file__, json.dumps({**told, "options": options})]
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "support")])
    env = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder)}
    with (
        (folder / "errors.txt").open("w") as errors,
        WarmServer(command, env=env, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise AssertionError((folder / "errors.txt").read_text())
            yield replace(page, process=process)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=STOPPING_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def wait_for(condition: Callable[[], object], seconds: float = 8.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_photos(folder: Path) -> dict[str, Path]:
    """Photos by what is special about them."""
    street = encode(photo(), "JPEG")
    contents = {
        "street.jpg": street,
        "other.png": encode(photo(seed=5).convert("RGBA"), "PNG"),
        "berlin.jpg": gps_jpeg(BERLIN),
        "slow.jpg": encode(photo(seed=6), "JPEG"),
        "bug.jpg": encode(photo(seed=7), "JPEG"),
        "cut.jpg": street[: len(street) // 2],
        "notes.jpg": b"this is no photo",
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "bomb.png": png(13_000, 13_000, 1, 0, bytes(13_000 * (1 + 13_000 // 8))),
        "heavy.jpg": street + bytes(21 * 1024 * 1024),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {Path(name).stem: folder / name for name in contents}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _serve(told: dict[str, Any]) -> None:
    from app.engine.engine import Engine
    from app.engine.indexes import Indexes
    from app.engine.limits import Limits
    from app.engine.uploads import Upload
    from app.examples import read_samples
    from app.options import Credentials, ServerOptions
    from app.server import serving

    class WatchedEngine(Engine):
        """The real thing, except that it notes its photos, and what it does to two of them."""

        slow = threading.local()

        def _seen(self, *args: Any) -> Any:
            if vars(self.slow).pop("searching", False):
                time.sleep(1.5)
            return super()._seen(*args)

        def search(self, name: str, photos: Any, **options: Any) -> Any:
            for upload in photos:
                assert isinstance(upload, Upload)
                with Path(told["seen"]).open("a") as seen:
                    seen.write(hashlib.sha256(upload.content).hexdigest() + "\n")
                self.slow.searching = upload.name == "slow.jpg"
                if upload.name == "bug.jpg":
                    raise RuntimeError("a bug, for the sake of the test")
            return super().search(name, photos, **options)

    indexes, limits = Indexes(Path(told["indexes"])), Limits(**told["limits"])
    samples = tuple(read_samples(Path(told["examples"]))) if told["examples"] else ()
    chosen = dict(told["options"])
    if "auth" in chosen:
        chosen["auth"] = Credentials.parse(chosen["auth"])
    chosen["public_hosts"] = tuple(chosen.get("public_hosts", ()))
    options = ServerOptions(port=told["port"], examples=samples, limits=limits, **chosen)
    with serving(lambda uploads: WatchedEngine(indexes, limits, uploads), options, "toy"):
        print("ready", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    # A shell that starts tests in the background makes them deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _serve(json.loads(sys.argv[1]))
