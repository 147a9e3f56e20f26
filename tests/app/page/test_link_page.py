"""Links and downloads, in a real browser: a view is found again, an answer is taken along."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from app_browser import BROWSER_MARKS, DESKTOP, Visit
from app_pages import RunningPage

pytestmark = BROWSER_MARKS


def test_an_address_brings_back_the_view_but_never_the_photo(
    visit: Visit, browser: Any, page: RunningPage, photos: dict[str, Path]
) -> None:
    visit.open("#index=known&k=7&share=0.2&heat=imagery&area=-0.12,51.49 -0.09,51.49 -0.1,51.52")
    visit.upload(photos["street"])
    visit.show("claim")
    visit.tab.fill("#gair-claim-text", "51.505, -0.105")
    visit.tab.select_option("#gair-claim-radius", "1000")
    visit.seen(".gair-verdict")
    visit.settled()
    before = visit.hash()["view"]
    visit.tab.click(".leaflet-control-zoom-in")
    visit.tab.wait_for_function(
        "before => new URLSearchParams(location.hash.slice(1)).get('view') !== before", arg=before
    )
    visit.settled()
    address = visit.tab.url.removeprefix(page.url)
    assert "street" not in address
    again = Visit(browser, page, address, viewport=DESKTOP)
    assert again.state("k") == 7
    assert again.state("share") == 0.2
    assert again.state("layer") == "imagery"
    assert again.state("photos") == []
    assert again.tab.input_value("#gair-index") == "known"
    assert again.tab.input_value("#gair-claim-text") == "51.505, -0.105"
    assert again.tab.input_value("#gair-claim-radius") == "1000"
    assert not again.tab.locator("#gair-panel-claim").is_hidden()
    again.tab.wait_for_selector("path.gair-claimed", state="attached")
    again.tab.wait_for_selector("path.gair-area", state="attached")
    reproduced, meant = again.hash(), visit.hash()
    views = [[float(v) for v in said.pop("view").split(",")] for said in (reproduced, meant)]
    assert views[0] == pytest.approx(views[1], abs=2e-4)  # a few pixels
    assert reproduced == meant
    again.context.close()
    assert again.outside == again.errors == []


def test_an_address_that_makes_no_sense_shows_the_start(
    browser: Any, page: RunningPage, photos: dict[str, Path]
) -> None:
    view = "#index=../x&tab=zz&k=-4&share=9&heat=no&area=1,2 <b>&view=999,1,1&claim=<img src=x>"
    visit = Visit(browser, page, view, viewport=DESKTOP)
    assert visit.tab.input_value("#gair-index") == "toy"
    visit.upload(photos["street"])
    assert visit.count(".gair-pin") == 5
    visit.show("claim")
    visit.seen("#gair-verdict .gair-error")
    assert visit.count("#gair-verdict img") == 0
    visit.context.close()
    assert visit.outside == visit.errors == []


def download(visit: Visit, kind: str) -> tuple[str, str]:
    with visit.tab.expect_download() as waiting:
        visit.tab.click(f"[data-gair-save='{kind}']")
    saved = waiting.value
    return saved.suggested_filename, Path(saved.path()).read_text()


def test_an_answer_is_saved_as_geojson_csv_and_kml(visit: Visit, photos: dict[str, Path]) -> None:
    visit.open("#index=known")
    visit.upload(photos["berlin"])
    places = visit.tab.locator("[data-gair-place] .gair-lonlat").all_inner_texts()
    name, text = download(visit, "geojson")
    assert name == "berlin-in-known.geojson"
    document = json.loads(text)
    kinds = [feature["properties"]["kind"] for feature in document["features"]]
    assert kinds == ["place"] * 5 + ["region"] * 2
    lon, lat = document["features"][0]["geometry"]["coordinates"]
    assert [lat, lon] == [float(word) for word in places[0].split(",")]
    assert "Copernicus" in document["attribution"]
    name, text = download(visit, "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [f"{r['lat']}, {r['lon']}" for r in rows] == places
    name, text = download(visit, "kml")
    assert len(ElementTree.fromstring(text).findall(".//{*}Point")) == 5
    for exported in (json.dumps(document), text):
        assert "52.5" not in exported  # the photo's own tags stay where they are
        assert "13.4" not in exported


@pytest.mark.parametrize("index", ["known", "older"])
def test_the_report_is_one_page_that_needs_nothing_else(
    index: str, visit: Visit, photos: dict[str, Path], tmp_path: Path
) -> None:
    visit.open(f"#index={index}")
    visit.upload(photos["berlin"])
    best = visit.text(".gair-best-where")
    name, text = download(visit, "report")
    assert name == f"berlin-in-{index}.html"
    file = tmp_path / name
    file.write_text(text)
    report = visit.context.new_page()
    requested: list[str] = []
    report.on("request", lambda request: requested.append(request.url))
    report.goto(file.as_uri())
    shown = report.inner_text("body")
    assert best in shown
    for fact in ("untrained-tiny", "Apache-2.0", "Copernicus", "mean nothing", "berlin.jpg"):
        assert fact in shown
    assert report.locator("svg.map .pin").count() == 5
    assert report.locator("td img").count() == (5 if index == "known" else 0)
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []
    assert "<script" not in text
    assert report.evaluate("[...document.images].every(i => i.naturalWidth > 0)")
    assert b"Exif" not in text.encode()
    assert "13.4" not in shown
    height = report.evaluate("document.documentElement.scrollHeight")
    assert height < 1500
    report.screenshot(path=str(Path("artifacts") / f"report-{index}.png"), full_page=True)
    report.close()
