"""Sample photos on the page, in a real browser: one click or key, and they are searched."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

from app_browser import BROWSER_MARKS, PHONE, Visit
from app_pages import RunningPage
from PIL import Image
from toy_city import photo

pytestmark = BROWSER_MARKS


def sha256_of(number: int) -> str:
    """Of the file behind an example, as :func:`app_site.write_examples` wrote it."""
    buffer = io.BytesIO()
    photo(99 + number).save(buffer, "JPEG")
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def test_a_click_on_an_example_searches_that_very_file(visit: Visit, page: RunningPage) -> None:
    assert visit.count("[data-gair-example]") == 24
    assert "synthetic city, no place on Earth" in visit.text(".gair-examples")
    visit.keep("examples-empty")
    visit.tab.get_by_role("button", name="Example photo 3", exact=True).click()
    visit.seen(".gair-photo-name >> text=example-02.jpg")
    assert page.seen()[-1] == sha256_of(3)
    assert visit.count(".gair-pin") == visit.count("[data-gair-place]") == 5
    assert visit.tab.evaluate("document.querySelector('.gair-strip img').naturalWidth") == 320
    assert "carries coordinates" not in visit.text("#gair-photo-facts")
    visit.keep("examples-answer")


def test_keys_reach_the_examples_and_a_second_one_replaces_the_first(
    visit: Visit, page: RunningPage
) -> None:
    visit.tab.locator("[data-gair-example='1']").focus()
    visit.tab.keyboard.press("Tab")
    visit.tab.keyboard.press("Enter")
    visit.seen(".gair-photo-name >> text=example-01.jpg")
    visit.tab.keyboard.press("Tab")
    visit.tab.keyboard.press("Space")
    visit.seen(".gair-photo-name >> text=example-02.jpg")
    assert page.seen()[-2:] == [sha256_of(number) for number in (2, 3)]


def test_the_pictures_say_nothing_of_where_they_are_from(visit: Visit) -> None:
    pictures = visit.tab.locator("[data-gair-example] img")
    for number in range(24):
        head, _, data = (pictures.nth(number).get_attribute("src") or "").partition(",")
        assert head == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert not picture.getexif()
            assert "exif" not in picture.info
    names = [pictures.nth(number).get_attribute("alt") for number in range(24)]
    assert names == [f"Example photo {number}" for number in range(1, 25)]
    html = visit.tab.content()
    for number in range(26):
        assert f"{-0.11234 + number / 1000:.5f}" not in html


def test_a_phone_shows_the_examples_without_scrolling_sideways(
    browser: Any, page: RunningPage
) -> None:
    visit = Visit(browser, page, viewport=PHONE, color_scheme="dark", has_touch=True)
    assert visit.tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    visit.tab.tap("[data-gair-example='24']")
    visit.seen(".gair-answer")
    visit.keep("examples-phone", whole=True)
    visit.context.close()
    assert visit.outside == visit.errors == []
