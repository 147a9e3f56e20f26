"""A running page for the tests of the app, and the photos they show it.

The page runs in a process of its own, as it does for people. Run as a script, this file is that
process: ``python app_pages.py INDEXES PORT SEEN [EXAMPLES]``.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photo_samples import encode, gps_jpeg, png
from toy_city import photo

REPOSITORY = Path(__file__).resolve().parents[1]
BERLIN = {1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)}
"""EXIF GPS tags of 52.5 degrees north, 13.4 east."""


@dataclass(frozen=True)
class RunningPage:
    """Where the page is, and what it was asked."""

    url: str
    log: Path
    uploads: Path
    """Folder that the folder of uploads lies in."""

    def seen(self) -> list[str]:
        """The sha256 of every file that reached the engine."""
        return self.log.read_text().split()


@contextmanager
def running_page(
    indexes: Path, folder: Path, examples: Path | None = None
) -> Iterator[RunningPage]:
    """The page of the index ``toy`` at a free port; what it needs to write goes to ``folder``."""
    port = free_port()
    page = RunningPage(f"http://127.0.0.1:{port}/", folder / "seen.txt", folder)
    page.log.write_text("")
    command = [sys.executable, __file__, str(indexes), str(port), str(page.log)]
    command += [str(examples)] if examples else []
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    env = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield page
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)


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


def _serve(indexes: str, port: str, log: str, *examples: str) -> None:
    from app.examples import read_samples
    from app.options import ServerOptions
    from app.server import serving
    from indexer.geolocate import Geolocator

    class WatchedGeolocator(Geolocator):
        """The real thing, except that it notes its photos, and what it does to two of them."""

        def search(self, image: Any, **options: Any) -> Any:
            with Path(log).open("a") as seen:
                seen.write(sha256(Path(image)) + "\n")
            if Path(image).name == "slow.jpg":
                time.sleep(1.5)
            if Path(image).name == "bug.jpg":
                raise RuntimeError("a bug, for the sake of the test")
            return super().search(image, **options)

    geo = WatchedGeolocator.open("toy", indexes_dir=indexes)
    samples = tuple(sample for source in examples for sample in read_samples(Path(source)))
    with serving(geo, ServerOptions(port=int(port), examples=samples)):
        print("ready", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    # A shell that starts tests in the background makes them deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _serve(*sys.argv[1:])
