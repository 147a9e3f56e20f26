"""Reference photos on the page, in a real browser: dots, their map, those near a place."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_browser import BROWSER_MARKS, Visit
from app_site import REFERENCES

pytestmark = BROWSER_MARKS

DRAWN = "canvas.gair-references[data-drawn]"


def test_reference_photos_are_shown_and_listed(visit: Visit, photos: dict[str, Path]) -> None:
    button = visit.tab.locator("[data-gair-references]")
    heat = visit.tab.locator("[data-gair-layer='ground']")
    assert button.is_hidden()  # the index that is shown first has none
    assert heat.is_hidden()
    visit.tab.select_option("#gair-index", "ground")
    button.wait_for()
    assert button.get_attribute("aria-pressed") == "false"
    assert visit.count(DRAWN) == 0
    button.click()
    visit.seen(DRAWN)
    visit.settled()
    assert visit.tab.get_attribute(DRAWN, "data-drawn") == str(REFERENCES)
    assert visit.hash()["photos"] == "1"
    visit.upload(photos["street"])
    visit.tab.click("[data-gair-pick='1']")
    near = visit.seen("[data-gair-place='1'] .gair-references-near").inner_text()
    assert " away, looking " in near
    assert "CC BY-SA 4.0, by P" in near
    links = visit.tab.locator("[data-gair-place='1'] .gair-references-near a")
    assert links.first.get_attribute("href").startswith("https://photos.example/")
    assert links.first.get_attribute("rel") == "noopener noreferrer"
    heat.click()
    visit.seen(".gair-legend >> text=log ratio, reference photos")
    visit.settled()
    visit.keep("desktop-references")
    assert visit.hash()["heat"] == "ground"
    visit.show("explore")
    assert f"{REFERENCES} of " in visit.text("#gair-explored")
    visit.tab.select_option("#gair-index", "toy")
    visit.tab.wait_for_selector(DRAWN, state="detached")
    assert heat.is_hidden()
    assert visit.state("layer") == "fused"


def test_an_address_brings_back_the_dots(visit: Visit) -> None:
    visit.open("#index=ground&photos=1")
    visit.seen(DRAWN)
    assert visit.overflowing() == []


@pytest.mark.parametrize("width", [390])
def test_the_buttons_fit_a_phone(visit: Visit, width: int) -> None:
    visit.tab.set_viewport_size({"width": width, "height": 844})
    visit.tab.select_option("#gair-index", "ground")
    visit.tab.locator("[data-gair-references]").wait_for()
    cut = visit.tab.evaluate(
        "() => [...document.querySelectorAll('.gair-buttons button')].filter(e => e.offsetParent)"
        ".filter(e => e.getBoundingClientRect().right > Math.min("
        "e.parentElement.getBoundingClientRect().right + 1, innerWidth)).map(e => e.innerText)"
    )
    assert cut == []
    visit.keep("phone-references")
