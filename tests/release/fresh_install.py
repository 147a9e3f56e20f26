"""Wheel in a fresh environment: installed as a new user would, and used from photo to page.

``make dist`` runs this after it built the wheel. Everything lies under a temporary folder that goes
in the end, and none of the checkout is importable there. Each step is timed.

What a new user meets is filmed: with the wheel installed, a bundle that somebody shared is opened
and a photo is asked about in a browser, in under three minutes. The pictures are kept in
``artifacts/first-day``, to be looked at; where there is no Chromium none are made, which is said.
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
PICTURES = REPOSITORY / "artifacts" / "first-day"
CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_S = 180
"""From an installed wheel to an answer in a browser."""
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
    with timed("the page, up and answering"), page_of(folder, gair) as address:
        page_answers(folder, photo, answer, address)
    with timed("a bundle, written to be shared"):
        run(folder, gair, "index", "bundle", "demo", "demo.gair")
    first_day(folder, gair, photo)


def first_day(folder: Path, gair: Path, photo: Path) -> None:
    """Open the bundle where there is no index, ask the page about a photo in a browser, film it."""
    home = folder / "first-day"
    home.mkdir()
    began = time.perf_counter()
    with timed("the bundle, opened by somebody else"):
        said = run(home, gair, "index", "open", folder / "demo.gair")
        check("licence" in said.lower(), f"no licence was told: {said}")
    with timed("a photo, answered in a browser"), page_of(home, gair) as address:
        filmed = film(address, photo)
    took_s = time.perf_counter() - began
    check(took_s < PATIENCE_S, f"from the wheel to an answer in {took_s:.0f} s, over {PATIENCE_S}")
    print(f"{took_s:7.1f} s  from the installed wheel to the answer; {filmed}")


def film(address: str, photo: Path) -> str:
    """Ask the page about a photo as a person does, and keep what they see; says what was kept."""
    if not CHROMIUM.exists():
        return f"not filmed, for there is no {CHROMIUM}"
    from playwright.sync_api import sync_playwright

    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1360, "height": 860})
        tab.set_default_timeout(1000 * PATIENCE_S)
        wrong: list[str] = []
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(address)
        tab.wait_for_selector("path.gair-outline", state="attached")
        tab.screenshot(path=PICTURES / "1-page.png")
        tab.set_input_files("#gair-file", str(photo))
        tab.wait_for_selector(".gair-answer")
        tab.wait_for_timeout(1000)  # the map flies to the place
        tab.screenshot(path=PICTURES / "2-answer.png")
        browser.close()
    check(not wrong, f"the page met errors: {wrong}")
    return f"pictures in {PICTURES.relative_to(REPOSITORY)}"


@contextmanager
def page_of(folder: Path, gair: Path) -> Iterator[str]:
    """The address of a page over a folder's index ``demo``, while the block runs."""
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
        if address is None:
            raise SystemExit("error: the page did not say where it is")
        yield address
    finally:
        page.terminate()
        page.wait(30)


def page_answers(folder: Path, photo: Path, answer: dict[str, object], address: str) -> None:
    """Fetch the page, and ask it what was asked before."""
    with urllib.request.urlopen(f"{address}/", timeout=60) as response:
        check(b"gair-app" in response.read() and response.status == 200, "no page")
    curl = ["curl", "-sf", "-F", f"photo=@{photo}", "-F", "k=5", f"{address}/search"]
    there = json.loads(run(folder, *curl))
    check(there["candidates"][0] == answer["candidates"][0], "another answer")  # type: ignore[index]


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
