"""Wheel in a fresh environment: installed as a new user would, and used from photo to page.

``make dist`` runs this after it built the wheel. Everything lies under a temporary folder that goes
in the end, and none of the checkout is importable there. Each step is timed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CITY = ["--seed", "3", "--side-km", "2", "--dates", "1", "--photos", "4"]
"""Small, to be quick: it shows that everything is there, not how good it is."""


def main() -> int:
    """Prove it, or end with what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel.resolve()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="gair-dist-") as folder:
        prove(wheel, Path(folder))
    print(f"{wheel.name}: all in {time.perf_counter() - began:.0f} s")
    return 0


def prove(wheel: Path, folder: Path) -> None:
    """Install, draw a city, index it, search, open the page."""
    with timed("a fresh environment"):
        run(folder, sys.executable, "-m", "venv", folder / "venv")
    bin_folder = folder / "venv" / "bin"
    pip = [bin_folder / "python", "-m", "pip", "install", "--quiet"]
    with timed("pip install of the wheel"):
        run(folder, *pip, "-c", REPOSITORY / "constraints.txt", wheel)
    gair = bin_folder / "gair"
    with timed("gair --help"):
        check("gair COMMAND ..." in run(folder, gair, "--help"), "no help")
    said = run(folder, gair, "--version")
    check("faiss-cpu" in said, f"FAISS did not come by itself: {said}")
    home = run(folder, bin_folder / "python", "-c", "import app; print(app.__file__)").strip()
    check(home.startswith(str(folder.resolve())), f"the checkout is imported: {home}")
    with timed("the extra synthetic"):
        run(folder, *pip, "-c", REPOSITORY / "constraints.txt", f"{wheel}[synthetic]")
    with timed("demo data drawn"):
        run(folder, gair, "synthetic", "city", "--out", "city", *CITY)
    with timed("indexed"):
        build = ["build", "--imagery", "city/imagery", "--model", "shipped:demo", "--name", "demo"]
        run(folder, gair, *build, "--resolution", "9")
    with (folder / "city" / "photos.csv").open(encoding="utf-8") as file:
        photo = folder / "city" / next(csv.DictReader(file))["file"]
    with timed("a search"):
        (answer,) = json.loads(run(folder, gair, "search", photo, "--index", "demo", "--json"))
        check(len(answer["candidates"]) == 5, "not five places")
    with timed("the page, up and answering"):
        page_answers(folder, gair, photo, answer)


def page_answers(folder: Path, gair: Path, photo: Path, answer: dict[str, object]) -> None:
    """Start the page, fetch it, and ask it what was asked before."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = subprocess.Popen(
        [gair, "app", "--index", "demo", "--port", str(port)],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert page.stdout is not None
        address = None
        for line in page.stdout:
            if match := re.search(r"http://[\d.]+:\d+", line):
                address = match[0]
                break
        check(address is not None, "the page did not say where it is")
        with urllib.request.urlopen(f"{address}/", timeout=60) as response:
            check(b"gair-app" in response.read() and response.status == 200, "no page")
        curl = ["curl", "-sf", "-F", f"photo=@{photo}", "-F", "k=5", f"{address}/search"]
        there = json.loads(run(folder, *curl))
        check(there["candidates"][0] == answer["candidates"][0], "another answer")  # type: ignore[index]
    finally:
        page.terminate()
        page.wait(30)


def environment() -> dict[str, str]:
    """This one without what leads to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(folder: Path, *command: object) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    words = " ".join(str(word) for word in command)
    check(done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def check(right: bool, wrong: str) -> None:
    """End where something is not as it must be."""
    if not right:
        raise SystemExit(f"error: {wrong}")


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Say how long a step took."""
    began = time.perf_counter()
    yield
    print(f"{time.perf_counter() - began:7.1f} s  {step}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
