"""Moving picture of the page for the README: a photo, its places, the heat map, a claim.

``python docs/site/picture.py --index demo --photo PHOTO.jpg --at LAT,LON`` starts the page, drives
it in a headless Chromium, and writes ``docs/pictures/page.webp``. What is seen is what the page
answers; nothing is drawn over it.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
OUT = REPOSITORY / "docs" / "pictures" / "page.webp"
CHROMIUM = "/usr/bin/chromium"
SIZE_PX = {"width": 1280, "height": 800}
SHOWN_PX = (960, 600)
MOST_BYTES = 1_000_000
PATIENCE_MS = 240_000


@contextmanager
def page(index: str, indexes: Path) -> Iterator[str]:
    """The address of the page, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "app", "--index", index, "--indexes", str(indexes)]
    url = f"http://127.0.0.1:{port}/"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([*command, "--port", str(port)], env=environment) as server:
        try:
            until = time.monotonic() + PATIENCE_MS / 1000
            while not answers(f"{url}health"):
                if server.poll() is not None or time.monotonic() > until:
                    raise SystemExit("the page did not start")
                time.sleep(0.3)
            yield url
        finally:
            server.terminate()


def answers(url: str) -> bool:
    """Whether somebody answers there."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def frames(tab: Any, url: str, photo: Path, claim: str) -> Iterator[tuple[bytes, int]]:  # noqa: ANN401
    """Pictures of the page and how long each is shown, milliseconds."""
    tab.goto(url)
    tab.wait_for_selector("path.gair-outline", state="attached")
    yield tab.screenshot(), 1200
    tab.set_input_files("#gair-file", str(photo))
    tab.wait_for_selector(".gair-answer")
    tab.wait_for_selector(".gair-heat[data-drawn]")
    tab.wait_for_timeout(1500)  # the map flies to the places
    yield tab.screenshot(), 2600
    tab.locator(".gair-place").first.scroll_into_view_if_needed()
    tab.wait_for_timeout(500)
    yield tab.screenshot(), 2200
    tab.click("[data-gair-show='claim']")
    tab.fill("#gair-claim-text", claim)
    yield tab.screenshot(), 1500
    tab.click("#gair-claim .gair-go")
    verdict = tab.wait_for_selector(".gair-verdict")
    verdict.evaluate("verdict => verdict.scrollIntoView()")
    tab.wait_for_timeout(1500)
    yield tab.screenshot(), 3000


def main() -> int:
    """Make the picture; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", default="demo", help="a calibrated index")
    parser.add_argument("--indexes", type=Path, default=Path("indexes"), help="their folder")
    parser.add_argument("--photo", type=Path, required=True, help="a photo to ask about")
    parser.add_argument("--at", required=True, help="a claim about it, LAT,LON")
    parser.add_argument("--out", type=Path, default=OUT, help="what to write")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with page(options.index, options.indexes) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport=SIZE_PX, color_scheme="light")
        tab.set_default_timeout(PATIENCE_MS)
        shown = list(frames(tab, url, options.photo, options.at))
        browser.close()
    pictures = [
        Image.open(io.BytesIO(content)).convert("RGB").resize(SHOWN_PX, Image.Resampling.LANCZOS)
        for content, _ in shown
    ]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(
        options.out,
        save_all=True,
        append_images=pictures[1:],
        duration=[duration_ms for _, duration_ms in shown],
        loop=0,
        quality=80,
        method=6,
    )
    size = options.out.stat().st_size
    print(f"{options.out}: {len(pictures)} pictures, {size:,} bytes")
    return int(size > MOST_BYTES)


if __name__ == "__main__":
    raise SystemExit(main())
