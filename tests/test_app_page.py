"""The page in a real browser: what people see, press and are told. No request leaves the machine.

Screenshots of every state go to ``artifacts/``, to be looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_browser import BROWSER_MARKS, DESKTOP, PHONE, UPLOAD, Visit
from app_pages import RunningPage, running_page, sha256, write_photos

pytestmark = BROWSER_MARKS


@pytest.fixture(scope="module")
def page(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPage]:
    with running_page(tiny_index, tmp_path_factory.mktemp("page")) as page:
        yield page


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_photos(tmp_path_factory.mktemp("photos"))


def check_nothing_comes_from_outside(visit: Visit) -> None:
    links = visit.tab.evaluate(
        "() => [...document.querySelectorAll('link[href], script[src]')].map(e => e.href || e.src)"
    )
    assert links
    assert [link for link in links if not link.startswith(visit.url)] == []
    config = json.dumps(visit.tab.evaluate("window.gradio_config"))
    assert str(Path.home()) not in config
    assert "fonts.googleapis" not in visit.tab.content()
    visit.tab.click("text=Use via API")
    visit.tab.wait_for_selector("text=/search")
    assert "photo=handle_file('photo.jpg')" in visit.tab.inner_text("body")


def test_before_a_photo_the_page_says_what_it_is(visit: Visit) -> None:
    text = visit.tab.inner_text("#gair-header")
    for fact in ("toy", "171 cells", "untrained-tiny", "Apache-2.0", "Copernicus"):
        assert fact in text
    assert "places it ranks mean nothing" in visit.tab.inner_text(".gair-notice-grave")
    assert "Uncalibrated" in text
    assert visit.count("path.gair-outline") == 1
    assert visit.count(".gair-grid-label") > 2
    assert "No photo yet" in visit.tab.inner_text("#gair-found")
    assert visit.tab.title() == "toy · GAIR Geolocator"
    visit.keep("desktop-empty")
    check_nothing_comes_from_outside(visit)


def test_a_photo_gives_places_in_the_list_and_on_the_map(
    visit: Visit, page: RunningPage, photos: dict[str, Path]
) -> None:
    visit.upload(photos["street"])
    assert page.seen()[-1] == sha256(photos["street"])
    rows = visit.tab.locator("[data-gair-place]")
    assert rows.count() == visit.count(".gair-pin") == visit.count("path.gair-cell") == 5
    shown = rows.locator(".gair-score b").all_inner_texts()
    scores = [float(text.replace("−", "-")) for text in shown]
    assert scores == sorted(scores, reverse=True)
    first = rows.first.inner_text()
    assert re.search(r"\b51\.\d{5}, -?0\.\d{5}", first)
    assert "Imagery" in first
    assert "Location" in first
    assert sorted(visit.tab.locator(".gair-pin").all_inner_texts()) == list("12345")
    assert "carries coordinates" not in visit.tab.inner_text("#gair-found")
    visit.keep("desktop-answer", whole=True)


def test_choosing_a_row_or_a_marker_highlights_both(visit: Visit, photos: dict[str, Path]) -> None:
    visit.upload(photos["street"])
    visit.tab.click("[data-gair-pick='3']")
    assert visit.tab.inner_text(".gair-pin.gair-chosen") == "3"
    assert visit.count("path.gair-cell.gair-chosen") == 1
    visit.keep("desktop-chosen")
    visit.tab.locator(".gair-pin", has_text="2").click()
    assert visit.tab.get_attribute(".gair-place.gair-chosen", "data-gair-place") == "2"
    assert visit.tab.get_attribute("[data-gair-pick='3']", "aria-pressed") == "false"
    assert visit.tab.inner_text(".gair-pin.gair-chosen") == "2"
    visit.tab.click(".gair-chosen [data-gair-copy]")
    copied = visit.tab.evaluate("navigator.clipboard.readText()")
    assert copied == visit.tab.inner_text(".gair-chosen .gair-lonlat")
    visit.tab.locator(".gair-pin", has_text="4").focus()
    visit.tab.keyboard.press("Enter")
    assert visit.tab.inner_text(".gair-pin.gair-chosen") == "4"


def test_coordinates_in_the_photo_are_disclosed(visit: Visit, photos: dict[str, Path]) -> None:
    visit.upload(photos["berlin"])
    told = visit.tab.inner_text(".gair-answer .gair-notice-info")
    assert "This photo carries coordinates (52.50000, 13.40000); they were not used." in told
    visit.keep("desktop-gps")


def test_a_photo_that_cannot_be_used_is_explained_in_the_page(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.upload(photos["street"])
    visit.upload(photos["notes"], then=".gair-error")
    assert "notes.jpg is not a photo" in visit.tab.inner_text(".gair-error")
    assert visit.count(".gair-pin") == 0
    visit.keep("desktop-error")
    visit.upload(photos["cut"], then="text=cut.jpg is truncated")
    visit.tab.click("#gair-photo button[aria-label='Remove Image']")
    visit.tab.wait_for_selector(".gair-empty")
    visit.upload(photos["street"])


def test_a_bug_or_a_heavy_file_leaves_a_message_not_a_spinner(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.upload(photos["bug"], then=".gair-error")
    assert "The search did not finish" in visit.tab.inner_text(".gair-error")
    visit.tab.click("#gair-photo button[aria-label='Remove Image']")
    visit.tab.wait_for_selector(".gair-empty")
    visit.tab.set_input_files(UPLOAD, str(photos["heavy"]))
    visit.tab.wait_for_selector("text=/maximum|too large|exceed/i")
    visit.keep("desktop-heavy")
    assert visit.count(".gair-busy") == 0


def test_the_answer_belongs_to_the_photo_that_is_shown(
    visit: Visit, photos: dict[str, Path]
) -> None:
    """An answer that comes after its photo was replaced is not shown, not even for a moment."""
    visit.tab.evaluate(
        """() => {
          window.named = [];
          new MutationObserver(() => {
            const name = document.querySelector(".gair-photo-name");
            if (name) window.named.push(name.textContent);
          }).observe(document.body, { childList: true, subtree: true, characterData: true });
        }"""
    )
    visit.upload(photos["slow"], then=".gair-busy")
    visit.keep("desktop-busy")
    visit.tab.click("#gair-photo button[aria-label='Remove Image']")
    visit.tab.wait_for_selector(".gair-empty")
    visit.upload(photos["other"])
    visit.tab.wait_for_timeout(1500)
    assert set(visit.tab.evaluate("window.named")) == {"other.png"}


def test_settings_search_again(visit: Visit, page: RunningPage, photos: dict[str, Path]) -> None:
    visit.upload(photos["street"])
    visit.tab.click("#gair-settings button")
    number = visit.tab.get_by_label("number input for Places to show")
    number.fill("8")
    number.blur()
    visit.tab.wait_for_selector("[data-gair-place='8']")
    share = visit.tab.get_by_label("number input for Weight of the imagery")
    share.fill("1")
    share.blur()
    visit.tab.wait_for_selector("text=1.00 × imagery + 0.00 × location")
    assert visit.count(".gair-pin") == 8
    visit.keep("desktop-settings")
    for file in page.uploads.glob("gair-uploads-*/*/street.jpg"):
        file.unlink()
    number.fill("4")
    number.blur()
    visit.tab.wait_for_selector("text=the server has deleted this photo by now; choose it again")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    scheme: str, browser: Any, page: RunningPage, photos: dict[str, Path]
) -> None:
    visit = Visit(browser, page, viewport=PHONE, color_scheme=scheme, has_touch=True)
    assert visit.tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    if scheme == "light":
        visit.keep("phone-light-empty")
    visit.upload(photos["berlin"])
    assert visit.tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    wide = visit.tab.evaluate(
        "() => [...document.querySelectorAll('#gair-header *, #gair-found *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.className)"
    )
    assert wide == []
    visit.keep(f"phone-{scheme}-answer", whole=True)
    visit.context.close()
    assert visit.outside == visit.errors == []


def test_dark_follows_the_system_and_the_button_overrides_it(
    browser: Any, page: RunningPage, photos: dict[str, Path]
) -> None:
    visit = Visit(browser, page, viewport=DESKTOP, color_scheme="dark")
    dark = "document.body.classList.contains('dark')"
    assert visit.tab.evaluate(dark)
    visit.upload(photos["street"])
    visit.tab.click("[data-gair-pick='1']")
    visit.keep("desktop-dark", whole=True)
    visit.tab.click("[data-gair-theme]")
    assert not visit.tab.evaluate(dark)
    visit.tab.reload()
    visit.tab.wait_for_selector(".gair-map .leaflet-control-zoom")
    assert not visit.tab.evaluate(dark)
    visit.context.close()
    assert visit.outside == visit.errors == []
