"""A real Chromium for the tests of the page; it reaches nothing but the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from app_pages import RunningPage

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
ARTIFACTS = Path(__file__).resolve().parents[1] / "artifacts"
DESKTOP = {"width": 1360, "height": 860}
PHONE = {"width": 390, "height": 844}
UPLOAD = "#gair-photo input[type=file]"

BROWSER_MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}"),
]


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser until the block ends."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """One tab on the page. Whatever it asks of another host is blocked and remembered."""

    def __init__(self, browser: Any, page: RunningPage, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(30_000)
        self.url = page.url
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.route("**/*", self._only_the_page)
        self.tab.goto(page.url)
        self.tab.wait_for_selector(".gair-map .leaflet-control-zoom")
        self.tab.wait_for_selector(UPLOAD, state="attached")

    def _only_the_page(self, route: Any) -> None:
        url = route.request.url
        if url.startswith((self.url, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def upload(self, photo: Path, then: str = ".gair-answer") -> None:
        self.tab.set_input_files(UPLOAD, str(photo))
        self.tab.wait_for_selector(then)

    def keep(self, name: str, *, whole: bool = False) -> None:
        ARTIFACTS.mkdir(exist_ok=True)
        self.tab.wait_for_timeout(350)  # the map is still gliding
        self.tab.screenshot(path=str(ARTIFACTS / f"{name}.png"), full_page=whole)

    def count(self, selector: str) -> int:
        return int(self.tab.locator(selector).count())
