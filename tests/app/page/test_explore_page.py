"""Explore, in a real browser: another index, its facts and holes, two photos, a drawn area."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_browser import BROWSER_MARKS, Visit

pytestmark = BROWSER_MARKS


def test_an_index_tells_what_it_is_made_of(visit: Visit) -> None:
    visit.show("explore")
    text = visit.text("#gair-explored")
    for fact in ("171 at H3 resolution 9", "untrained-tiny (untrained)", "10 m", "16 frames"):
        assert fact in text
    assert "no holes" in text
    assert "None: scores rank places" in text
    assert visit.count("path.gair-hole") == 0
    visit.keep("desktop-explore")


def test_another_index_is_opened_without_a_restart(visit: Visit, photos: dict[str, Path]) -> None:
    visit.upload(photos["street"])
    assert visit.count(".gair-belief") == 0
    visit.tab.select_option("#gair-index", "known")
    visit.seen(".gair-belief")
    assert visit.tab.title() == "known · GAIR Geolocator"
    assert "Not calibrated" not in visit.text("#gair-facts")
    assert visit.hash()["index"] == "known"
    visit.show("explore")
    assert "imagery 0.75, location 0.25 (by calibration)" in visit.text("#gair-explored")
    visit.tab.select_option("#gair-index", "older")
    visit.show("locate")
    visit.seen(".gair-best >> text=centre of the best cell")
    assert "no picture kept" in visit.text(".gair-places")
    visit.show("explore")
    assert "no token maps kept" in visit.text("#gair-explored")


def test_two_photos_are_compared(visit: Visit, photos: dict[str, Path]) -> None:
    visit.show("explore")
    button = visit.tab.locator("[data-gair-compare]")
    assert button.is_disabled()
    visit.upload(photos["street"], photos["other"], then=".gair-strip[data-count='2']")
    visit.tab.wait_for_selector("[data-gair-compare]:enabled")
    button.click()
    told = visit.seen(".gair-comparison").inner_text()
    assert "cosine of street.jpg with other.png" in told
    assert -1 <= float(told.split()[0]) < 0.9999
    visit.keep("desktop-compare")
    visit.tab.click(".gair-strip [aria-label='Remove other.png']")
    visit.tab.wait_for_selector("[data-gair-compare]:disabled")
    assert visit.count(".gair-comparison") == 0


def test_places_like_a_place_are_listed_and_drawn(visit: Visit) -> None:
    visit.tab.select_option("#gair-index", "ground")
    visit.tab.wait_for_function("gairDesk.state.facts && gairDesk.state.facts.name === 'ground'")
    visit.show("explore")
    visit.tab.fill("#gair-similar-text", "51.5, -0.1")
    visit.tab.click("#gair-similar [type=submit]")
    visit.seen(".gair-similar-places >> text=10 similar places")
    visit.tab.locator(".gair-similar-list [data-gair-unlike]").first.click()
    visit.tab.wait_for_function("document.querySelectorAll('#gair-similar-chosen li').length === 2")
    visit.seen("text=less that with the counter-examples")
    assert visit.tab.locator(".gair-pin span").all_inner_texts().count("+") == 1
    assert visit.count(".gair-pin") == 12
    assert visit.overflowing() == []
    visit.settled()
    visit.keep("desktop-similar")
    visit.show("locate")
    assert visit.count(".gair-pin") == 0
    visit.click_map(0.5, 0.5)
    visit.tab.click(".gair-cell-card [data-gair-near]")
    visit.seen(".gair-near-photos >> text=10 reference photos closest to")
    visit.tab.click("[data-gair-order]")
    visit.seen("text=most like the imagery at")
    with visit.tab.expect_download() as saved:
        visit.tab.click("[data-gair-save-near=csv]")
    assert saved.value.suggested_filename == "reference-photos-in-ground.csv"
    visit.settled()
    visit.keep("desktop-near-photos")


def test_a_box_and_a_polygon_limit_the_search(visit: Visit, photos: dict[str, Path]) -> None:
    visit.upload(photos["street"])
    visit.settled()
    visit.tab.click("text=Whole index")
    visit.settled()
    visit.tab.click(".gair-map-area >> text=Box")
    visit.seen(".gair-hint >> text=two opposite corners")
    visit.click_map(0.35, 0.3)
    visit.click_map(0.6, 0.7)
    visit.seen("text=/Searched \\d+ of 171 cells: within the area/")
    visit.tab.wait_for_selector("path.gair-area", state="attached")
    west, south = visit.state("area")[0][0], min(p[1] for p in visit.state("area"))
    east, north = visit.state("area")[2][0], max(p[1] for p in visit.state("area"))
    for place in visit.tab.locator("[data-gair-place] .gair-lonlat").all_inner_texts():
        lat, lon = (float(v) for v in place.split(", "))
        assert south - 0.005 < lat < north + 0.005
        assert west - 0.005 < lon < east + 0.005
    visit.settled()
    visit.keep("desktop-area")
    visit.tab.click("text=Whole index")
    visit.settled()
    visit.tab.click(".gair-map-area >> text=Polygon")
    visit.seen(".gair-hint")
    visit.settled()
    for corner, (right, down) in enumerate(((0.4, 0.3), (0.7, 0.4), (0.5, 0.8)), start=1):
        visit.click_map(right, down)
        visit.seen(f".gair-hint[data-corners='{corner}']")
    visit.tab.keyboard.press("Enter")
    visit.tab.wait_for_function("gairDesk.state.area.length === 3")
    visit.seen(".gair-answer >> text=/Searched \\d+ of 171 cells/")
    visit.tab.click("[data-gair-clear]")
    visit.tab.wait_for_function("!/Searched \\d/.test(document.body.innerText)")
    visit.seen(".gair-answer")
    assert visit.count("path.gair-area") == 0


def test_drawing_can_be_given_up_and_an_area_without_cells_is_refused(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.tab.click(".gair-map-area >> text=Polygon")
    visit.click_map(0.4, 0.3)
    visit.tab.keyboard.press("Escape")
    visit.tab.wait_for_selector(".gair-hint", state="detached")
    assert visit.state("area") is None
    assert visit.count(".gair-cell-card") == 0
    visit.tab.click(".gair-map-area >> text=Box")
    visit.click_map(0.9, 0.85)
    visit.click_map(0.97, 0.95)
    visit.tab.wait_for_function("gairDesk.state.area !== null")
    visit.upload(photos["street"], then=".gair-error")
    assert "no cell of 171 is left" in visit.text(".gair-error")
    visit.tab.click("[data-gair-clear]")
    visit.seen(".gair-answer")


@pytest.fixture
def holed(
    browser: object, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Visit]:
    """A page of an index with a hole; a server of its own."""
    from app_browser import DESKTOP
    from app_pages import running_page
    from toy_city import write_city

    from indexer.commands.cli import main

    city = write_city(tmp_path / "city.tif", side_px=240, hole=True)
    argv = ["build", "--imagery", str(city), "--model", "untrained:tiny", "--resolution", "9"]
    assert main([*argv, "--name", "toy", "--out", str(tmp_path / "out"), "--quiet"]) == 0
    folder = tmp_path_factory.mktemp("holed")
    with running_page(tmp_path / "out", folder) as page:
        visit = Visit(browser, page, viewport=DESKTOP)
        yield visit
        visit.context.close()
        assert visit.outside == visit.errors == []
    shutil.rmtree(tmp_path / "out")


@pytest.mark.slow
def test_holes_are_drawn_and_counted(holed: Visit) -> None:
    holed.show("explore")
    assert "no data in the imagery" in holed.text("#gair-explored")
    assert holed.count("path.gair-hole") == 1
    holed.keep("desktop-holes")
