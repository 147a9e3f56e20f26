"""Locate in a real browser: what people see, press and are told. No request leaves the machine.

Screenshots of every state go to ``artifacts/``, to be looked at.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from app_browser import BROWSER_MARKS, DESKTOP, PHONE, UPLOAD, Visit
from app_pages import RunningPage, sha256

pytestmark = BROWSER_MARKS


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
    visit.seen("text=/search")
    assert "photo=handle_file('photo.jpg')" in visit.text("body")


def test_before_a_photo_the_page_says_what_it_is(visit: Visit) -> None:
    text = visit.text("#gair-index-line")
    for fact in ("171 cells", "untrained-tiny", "Apache-2.0", "Copernicus", "Untrained"):
        assert fact in text
    assert visit.tab.input_value("#gair-index") == "toy"
    assert "places it ranks mean nothing" in visit.text(".gair-notice-grave")
    assert "Not calibrated" in text
    visit.tab.click(".gair-warnings summary")
    assert "Uncalibrated: scores rank places" in visit.text("#gair-warnings")
    assert visit.count("path.gair-outline") == 1
    assert visit.count(".gair-grid-label") > 2
    assert "No photo yet" in visit.text("#gair-found")
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
    assert all(-1 <= float(text.replace("−", "-")) <= 1 for text in shown)
    first = rows.first.inner_text()
    assert re.search(r"^51\.\d{3}, -?0\.\d{3}$", first, re.MULTILINE)  # digits by its error
    assert "Imagery" in first
    assert "Location" in first
    assert sorted(visit.tab.locator(".gair-pin").all_inner_texts()) == list("12345")
    best = visit.text(".gair-best")
    assert "refined between cells" in best
    assert "Not calibrated: scores rank places, they are not probabilities" in best
    assert visit.text(".gair-best-where") == rows.first.locator(".gair-lonlat").inner_text()
    assert rows.locator(".gair-pick .gair-chip img").count() == 5
    assert "carries coordinates" not in visit.text("#gair-photo-facts")
    visit.seen(".gair-heat[data-drawn]")
    visit.keep("desktop-answer")


def test_choosing_a_row_or_a_marker_highlights_both(visit: Visit, photos: dict[str, Path]) -> None:
    visit.upload(photos["street"])
    visit.settled()
    visit.tab.click("[data-gair-pick='3']")
    assert visit.text(".gair-pin.gair-chosen") == "3"
    assert visit.count("path.gair-cell.gair-chosen") == 1
    pictures = visit.tab.locator(".gair-chosen .gair-eye img")
    assert pictures.count() == 2
    assert visit.tab.evaluate(
        "[...document.querySelectorAll('.gair-chosen .gair-eye img')].every(i => i.naturalWidth)"
    )
    assert "642 m wide" in pictures.nth(1).get_attribute("alt")
    visit.keep("desktop-chosen")
    visit.settled()
    visit.tab.locator(".gair-pin", has_text="2").click()
    visit.seen(".gair-place.gair-chosen[data-gair-place='2']")
    assert visit.tab.get_attribute("[data-gair-pick='3']", "aria-pressed") == "false"
    assert visit.text(".gair-pin.gair-chosen") == "2"
    visit.tab.click(".gair-chosen [data-gair-copy]")
    visit.seen(".gair-chosen [data-gair-copy] >> text=Copied")
    copied = visit.tab.evaluate("navigator.clipboard.readText()")
    assert copied == visit.text(".gair-chosen .gair-lonlat")
    link = visit.tab.get_attribute(".gair-chosen a", "href") or ""
    lat, lon = re.findall(r"m(?:lat|lon)=(-?\d+\.\d{5})(?!\d)", link)  # where the pin is
    assert link == f"https://www.openstreetmap.org/?mlat={lat}&mlon={lon}#map=16/{lat}/{lon}"
    for written, exact in zip(copied.split(", "), (lat, lon), strict=True):
        assert float(written) == pytest.approx(float(exact), abs=0.00051)
    visit.tab.locator(".gair-pin", has_text="4").focus()
    visit.tab.keyboard.press("Enter")
    assert visit.text(".gair-pin.gair-chosen") == "4"


def test_a_click_on_a_cell_tells_its_score_and_its_parts(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.click_map()
    assert "No photo yet" in visit.seen(".gair-cell-card").inner_text()
    visit.upload(photos["street"])
    visit.settled()
    visit.tab.click("text=Whole index")
    visit.settled()
    visit.click_map(0.55, 0.6)
    card = visit.seen(".gair-cell-card:has(.gair-parts)").inner_text()
    assert re.search(r"score, \d+ of 171 cells", card)
    assert "H3 89" in card
    rs = float(re.findall(r"−?0\.\d{3}(?=\n|$)", card)[0].replace("−", "-"))
    fused = float((re.search(r"(−?0\.\d{3})\s+score", card) or ["", "9"])[1].replace("−", "-"))
    assert fused == pytest.approx(rs, abs=0.0011)
    assert visit.count(".gair-cell-card .gair-chip img") == 1
    assert visit.count("path.gair-looked") == 1
    visit.keep("desktop-cell")
    visit.tab.keyboard.press("Escape")
    visit.click_map(0.98, 0.9)
    visit.seen("text=No cell of this index")


def test_the_heat_map_shows_imagery_location_or_both(visit: Visit, photos: dict[str, Path]) -> None:
    visit.upload(photos["street"])
    visit.settled()
    visit.tab.click("text=Whole index")
    visit.settled()
    seen = {}
    for layer, words in (
        ("fused", "score"), ("imagery", "cosine, imagery"), ("location", "cosine, location")
    ):  # fmt: skip
        visit.tab.click(f"[data-gair-layer='{layer}']")
        visit.seen(f".gair-legend span >> text=/^{words}$/")
        visit.seen(".gair-heat[data-drawn='171']")
        visit.settled()
        seen[layer] = visit.tab.evaluate("document.querySelector('.gair-heat').toDataURL()")
    # Without a calibration location has no weight: the score looks like the imagery.
    assert seen["fused"] == seen["imagery"]
    assert seen["location"] != seen["imagery"]
    visit.tab.click("[data-gair-layer='off']")
    visit.tab.wait_for_selector(".gair-heat:not([data-drawn])", state="attached")
    assert visit.hash()["heat"] == "off"


def test_a_photo_that_cannot_be_used_is_explained_in_the_page(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.upload(photos["street"])
    visit.upload(photos["notes"], then=".gair-error")
    assert "notes.jpg is not a photo" in visit.text(".gair-error")
    assert visit.count(".gair-pin") == 0
    visit.keep("desktop-error")
    visit.upload(photos["cut"], then="text=cut.jpg is truncated")
    visit.tab.click(".gair-strip [aria-label='Remove cut.jpg']")
    visit.seen(".gair-empty")
    visit.upload(photos["street"])


def test_a_bug_or_a_heavy_file_leaves_a_message_not_a_spinner(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.upload(photos["bug"], then=".gair-error")
    assert "The search did not finish" in visit.text(".gair-error")
    visit.tab.set_input_files(UPLOAD, str(photos["heavy"]))
    visit.seen("text=/maximum|too large|exceed|larger|20 MB/i")
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
    visit.seen(".gair-strip li")
    visit.keep("desktop-busy")
    visit.upload(photos["other"], then=".gair-answer >> text=other.png")
    visit.tab.wait_for_timeout(2000)
    visit.upload(photos["slow"], then=".gair-busy >> text=Searching")
    visit.tab.click(".gair-strip [aria-label='Remove slow.jpg']")
    visit.seen(".gair-empty")
    visit.tab.wait_for_timeout(2000)
    assert visit.count("#gair-found .gair-empty") == 1
    assert set(visit.tab.evaluate("window.named")) == {"other.png"}


def test_settings_search_again_even_while_a_search_runs(
    visit: Visit, photos: dict[str, Path]
) -> None:
    """No change is lost: the first search is still under way when both settings are changed."""
    visit.settings()
    visit.upload(photos["slow"], then=".gair-busy >> text=Searching")
    visit.set("k", "8")
    visit.set("share", "0.3")
    visit.seen("[data-gair-place='8']")
    visit.seen("text=0.30 × imagery + 0.70 × location (weights by you)")
    assert visit.text("#gair-settings-said") == "8 places, imagery 0.30 (by you)"
    visit.tab.wait_for_timeout(1700)  # until the first search has long ended
    assert visit.count(".gair-pin") == 8
    assert "0.30 × imagery" in visit.text("#gair-found")
    visit.keep("desktop-settings")
    visit.set("k", "")
    assert visit.tab.input_value("input[type=number][data-gair-setting='k']") == "8"
    visit.tab.click("[data-gair-reset]")
    visit.seen("text=1.00 × imagery + 0.00 × location (weights by default)")
    assert visit.text("#gair-settings-said") == "5 places, imagery 1.00 (by default)"
    assert visit.count(".gair-pin") == 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    scheme: str, browser: Any, page: RunningPage, photos: dict[str, Path]
) -> None:
    visit = Visit(browser, page, viewport=PHONE, color_scheme=scheme, has_touch=True)
    assert visit.tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    if scheme == "light":
        visit.keep("phone-light-empty", whole=True)
    visit.upload(photos["berlin"])
    visit.tab.click("[data-gair-pick='1']")
    for tab in ("locate", "explore", "claim"):
        visit.show(tab)
        if tab == "claim":
            visit.tab.fill("#gair-claim-text", "51.5, -0.1")
            visit.tab.keyboard.press("Enter")
            visit.seen(".gair-verdict")
        assert visit.tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert visit.overflowing() == []
        visit.keep(f"phone-{scheme}-{tab}", whole=True)
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
    visit.seen(".gair-heat[data-drawn]")
    visit.keep("desktop-dark")
    visit.tab.click("[data-gair-theme]")
    assert not visit.tab.evaluate(dark)
    visit.tab.reload()
    visit.ready()
    assert not visit.tab.evaluate(dark)
    visit.context.close()
    assert visit.outside == visit.errors == []
