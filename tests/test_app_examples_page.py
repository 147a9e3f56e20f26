"""Sample photos on the page, in a real browser: one click or key, and they are searched."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_browser import BROWSER_MARKS, PHONE, Visit
from app_pages import RunningPage, running_page, sha256
from PIL import Image

from training.synthetic.city import City
from training.synthetic.files import write_city

PHOTOS = 26  # two more than the page offers

pytestmark = BROWSER_MARKS


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("city")
    write_city(City(seed=8, side_m=1600.0), folder, photos=PHOTOS, dates=1, quiet=True)
    return folder


@pytest.fixture(scope="module")
def page(
    tiny_index: Path, city: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningPage]:
    with running_page(tiny_index, tmp_path_factory.mktemp("page"), city) as page:
        yield page


def file_of(city: Path, number: int) -> Path:
    return city / "photos" / f"city-8-{number - 1:04d}.jpg"


def test_a_click_on_an_example_searches_that_very_file(
    visit: Visit, page: RunningPage, city: Path
) -> None:
    assert visit.count("[data-gair-example]") == 24
    assert "synthetic city, no place on Earth" in visit.tab.inner_text("#gair-examples")
    visit.keep("examples-empty")
    visit.tab.get_by_role("button", name="Example photo 3", exact=True).click()
    visit.tab.wait_for_selector(".gair-answer")
    assert page.seen()[-1] == sha256(file_of(city, 3))
    assert visit.tab.inner_text(".gair-photo-name") == "city-8-0002.jpg"
    assert visit.count(".gair-pin") == visit.count("[data-gair-place]") == 5
    visit.tab.wait_for_selector("#gair-photo img")
    assert "carries coordinates" not in visit.tab.inner_text("#gair-found")
    visit.keep("examples-answer", whole=True)


def test_keys_reach_the_examples_and_a_second_one_replaces_the_first(
    visit: Visit, page: RunningPage, city: Path
) -> None:
    visit.tab.locator("[data-gair-example='1']").focus()
    visit.tab.keyboard.press("Tab")
    visit.tab.keyboard.press("Enter")
    visit.tab.wait_for_selector("text=city-8-0001.jpg")
    visit.tab.keyboard.press("Tab")
    visit.keep("examples-focus")
    visit.tab.keyboard.press("Space")
    visit.tab.wait_for_selector("text=city-8-0002.jpg")
    assert page.seen()[-2:] == [sha256(file_of(city, number)) for number in (2, 3)]


def test_the_pictures_say_nothing_of_where_they_are_from(visit: Visit, city: Path) -> None:
    pictures = visit.tab.locator("[data-gair-example] img")
    for number in range(24):
        head, _, data = (pictures.nth(number).get_attribute("src") or "").partition(",")
        assert head == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert not picture.getexif()
            assert "exif" not in picture.info
    names = [pictures.nth(number).get_attribute("alt") for number in range(24)]
    assert names == [f"Example photo {number}" for number in range(1, 25)]
    rows = (city / "photos.csv").read_text().splitlines()[1:]
    html = visit.tab.content()
    for row in rows:
        lat, lon = row.split(",")[1:3]
        assert lat[:7] not in html
        assert lon[:8] not in html


def test_an_example_that_is_gone_can_be_shown_again(visit: Visit, page: RunningPage) -> None:
    """The server deletes its copy of an example as it deletes an upload, not the example."""
    for file in page.uploads.glob("gair-uploads-*/*/city-8-*.jpg"):
        file.unlink()
    visit.tab.click("[data-gair-example='5']")
    visit.tab.wait_for_selector("text=city-8-0004.jpg")
    (copy,) = page.uploads.glob("gair-uploads-*/*/city-8-0004.jpg")
    copy.unlink()
    visit.tab.click("[data-gair-example='6']")
    visit.tab.wait_for_selector("text=city-8-0005.jpg")
    visit.tab.click("[data-gair-example='5']")
    visit.tab.wait_for_selector("text=city-8-0004.jpg")


def test_a_phone_shows_the_examples_without_scrolling_sideways(
    browser: Any, page: RunningPage
) -> None:
    visit = Visit(browser, page, viewport=PHONE, color_scheme="dark", has_touch=True)
    assert visit.tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    visit.tab.tap("[data-gair-example='24']")
    visit.tab.wait_for_selector(".gair-answer")
    visit.keep("examples-phone", whole=True)
    visit.context.close()
    assert visit.outside == visit.errors == []
