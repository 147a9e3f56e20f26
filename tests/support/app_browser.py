"""A real Chromium for the tests of the page; it reaches nothing but the page.

Tests wait for what a person would see, never for a time: a minute is allowed, so that two test
processes on a slow machine do not fail each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from app_pages import RunningPage
from repository import REPOSITORY

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
ARTIFACTS = REPOSITORY / "artifacts"
DESKTOP = {"width": 1360, "height": 860}
PHONE = {"width": 390, "height": 844}
UPLOAD = "#gair-file"
PATIENCE_MS = 60_000

BROWSER_MARKS = [
    pytest.mark.browser,
    pytest.mark.process,
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

    def __init__(self, browser: Any, page: RunningPage, view: str = "", **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.context.grant_permissions(["clipboard-read", "clipboard-write", "camera"])
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(PATIENCE_MS)
        self.url = page.url
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.route("**/*", self._only_the_page)
        self.open(view)

    def open(self, view: str = "") -> None:
        """Go to a view of the page, and wait until its index is there."""
        self.tab.goto(f"{self.url}{view}")
        self.ready()

    def ready(self) -> None:
        self.tab.wait_for_selector("path.gair-outline", state="attached")
        self.tab.wait_for_selector(UPLOAD, state="attached")

    def _only_the_page(self, route: Any) -> None:
        url = route.request.url
        if url.startswith((self.url, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def upload(self, *photos: Path, then: str = ".gair-answer") -> None:
        """Choose photos of one place, in place of those before, and wait for what comes."""
        self.tab.set_input_files(UPLOAD, [str(photo) for photo in photos])
        self.seen(then)

    def add(self, photo: Path) -> None:
        """Add a photo of the same place."""
        before = self.count(".gair-strip li")
        self.tab.set_input_files("#gair-file-add", str(photo))
        self.seen(f".gair-strip[data-count='{before + 1}']")
        self.seen(".gair-answer")

    def seen(self, selector: str) -> Any:
        """What a selector finds, once it is there."""
        return self.tab.wait_for_selector(selector)

    def text(self, selector: str) -> str:
        """The text of what a selector finds, as people see it."""
        return str(self.tab.inner_text(selector))

    def show(self, tab: str) -> None:
        """Open one of the three tabs."""
        self.tab.click(f"[data-gair-show='{tab}']")
        self.seen(f"#gair-panel-{tab}:not([hidden])")

    def settings(self) -> None:
        """Unfold the settings."""
        if self.tab.get_attribute("#gair-settings", "open") is None:
            self.tab.click("#gair-settings summary")

    def set(self, name: str, value: str) -> None:
        """Type a setting and leave the box."""
        box = self.tab.locator(f"input[type=number][data-gair-setting='{name}']")
        box.fill(value)
        box.blur()

    def click_map(self, right: float = 0.5, down: float = 0.5) -> None:
        """Click on the map, at shares of its width and height."""
        box = self.tab.locator(".gair-map").bounding_box()
        self.tab.mouse.click(box["x"] + right * box["width"], box["y"] + down * box["height"])

    def state(self, name: str) -> Any:
        """A value that the page keeps."""
        return self.tab.evaluate(f"gairDesk.state.{name}")

    def settled(self) -> None:
        """Wait until the map has come to rest: the same four times, and no animation runs."""
        self.tab.evaluate("window.atRest = { place: null, times: 0 }")
        self.tab.wait_for_function(
            "() => { const place = document.querySelector('.leaflet-map-pane').style.transform"
            " + document.querySelector('.leaflet-proxy').style.transform;"
            " const moves = document.querySelector('.leaflet-zoom-anim, .leaflet-pan-anim');"
            " const times = place === atRest.place && !moves ? atRest.times + 1 : 0;"
            " window.atRest = { place, times }; return times > 2; }",
            polling=100,
        )

    def hash(self) -> dict[str, str]:
        """What the address says after the #."""
        from urllib.parse import parse_qsl

        return dict(parse_qsl(re.sub(r"^[^#]*#?", "", self.tab.url)))

    def keep(self, name: str, *, whole: bool = False) -> None:
        """A screenshot, to be looked at."""
        ARTIFACTS.mkdir(exist_ok=True)
        self.tab.screenshot(path=str(ARTIFACTS / f"{name}.png"), full_page=whole)

    def count(self, selector: str) -> int:
        return int(self.tab.locator(selector).count())

    def overflowing(self) -> list[str]:
        """Classes of what reaches past the right edge of the window."""
        names = self.tab.evaluate(
            "() => [...document.querySelectorAll('.gair-app *')].filter(e => e.offsetParent && "
            "!e.closest('.gair-map, .gair-examples, svg') && "
            "e.getBoundingClientRect().right > innerWidth + 1).map(e => e.className)"
        )
        return list(names)
