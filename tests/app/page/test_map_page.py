"""The map's own picture, overlays and the sun, in a real browser; screenshots to be looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from app_browser import BROWSER_MARKS, PHONE, Visit
from photo_samples import encode
from PIL import Image
from toy_city import photo

pytestmark = BROWSER_MARKS

TILES = ".leaflet-gairPicture-pane img.leaflet-tile-loaded"
OTHER_TILES = ".leaflet-gairOtherPicture-pane img.leaflet-tile-loaded"
CREDIT = ".gair-picture-credit"
OVERLAYS = "input[aria-label='Choose GeoJSON, KML or GPX files']"
SAID = ".gair-overlay-said"

KML = """<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark>
<name>Yard &lt;b&gt;1</name><Polygon>
<outerBoundaryIs><LinearRing><coordinates>-0.120,51.505 -0.115,51.505 -0.115,51.509 -0.120,51.505
</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></Document></kml>"""
GPX = """<?xml version="1.0"?>
<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1">
<wpt lat="51.507" lon="-0.112"><name>gate</name></wpt><trk><trkseg>
<trkpt lat="51.504" lon="-0.118"/>
<trkpt lat="51.508" lon="-0.110"/></trkseg></trk></gpx>"""


def red_of(visit: Visit) -> int:
    """How many tiles of the picture have colours in them."""
    return int(
        visit.tab.evaluate(
            "(tiles) => [...document.querySelectorAll(tiles)].filter((tile) => {"
            " const canvas = document.createElement('canvas'); canvas.width = canvas.height = 16;"
            " const context = canvas.getContext('2d'); context.drawImage(tile, 0, 0, 16, 16);"
            " const { data } = context.getImageData(0, 0, 16, 16);"
            " return data.some((value, n) => n % 4 === 0 && value > 60 && data[n + 3] > 200);"
            "}).length",
            TILES,
        )
    )


def test_the_imagery_lies_under_the_heat_map_and_fades(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.seen(TILES)
    visit.settled()
    assert red_of(visit) >= 1
    assert visit.text(CREDIT) == (
        "Imagery date unknown. Contains modified Copernicus Sentinel data"
    )
    assert visit.count(".gair-grid-label") > 2
    assert visit.tab.locator("select[aria-label='Day of the imagery']").is_hidden()
    visit.keep("desktop-picture-empty")
    visit.upload(photos["street"])
    visit.seen(".gair-heat[data-drawn]")
    visit.settled()
    visit.keep("desktop-picture-heat")
    order = visit.tab.evaluate(
        "() => ['gairPicture', 'gairHeat'].map((name) =>"
        " Number(document.querySelector(`.leaflet-${name}-pane`).style.zIndex))"
    )
    assert order == sorted(order)
    slider = visit.tab.locator("input[aria-label='Opacity of the picture']")
    slider.fill("40")
    opacity = "document.querySelector('.leaflet-gairPicture-pane').style.opacity"
    assert visit.tab.evaluate(opacity) == "0.4"
    visit.tab.click("[data-gair-theme]")
    slider.fill("100")
    visit.keep("desktop-picture-dark")
    visit.tab.click("[data-gair-theme]")
    visit.tab.select_option("#gair-index", "older")  # which has no picture
    visit.tab.wait_for_selector(TILES, state="detached")
    assert visit.tab.locator(".gair-map-picture").is_hidden()
    assert visit.tab.locator(CREDIT).is_hidden()
    assert visit.count(".gair-grid-label") > 2


def test_two_days_are_swiped_and_blink(visit: Visit) -> None:
    visit.tab.select_option("#gair-index", "days")
    day = visit.tab.locator("select[aria-label='Day of the imagery']")
    other = visit.tab.locator("select[aria-label='Day to compare with']")
    day.wait_for()
    assert day.locator("option").all_inner_texts() == ["As indexed", "2024-03-01", "2024-06-11"]
    day.select_option("2024-03-01")
    other.select_option("2024-06-11")
    visit.seen(OTHER_TILES)
    visit.settled()
    assert visit.text(CREDIT).startswith("Imagery 2024-03-01 | 2024-06-11. Contains modified")
    clip = "document.querySelector('.leaflet-gairOtherPicture-pane').style.clipPath"
    middle = visit.tab.evaluate(clip)
    assert middle.startswith("polygon(")
    visit.tab.locator("input[aria-label='Where the two days meet']").fill("250")
    assert visit.tab.evaluate(clip) != middle
    visit.keep("desktop-picture-swipe")
    blink = visit.tab.locator("text=Blink")
    blink.click()
    assert visit.tab.evaluate(clip) == ""
    hidden = "document.querySelector('.leaflet-gairOtherPicture-pane').style.visibility"
    visit.tab.wait_for_function(f"{hidden} === 'hidden'")
    visit.tab.wait_for_function(f"{hidden} === ''")
    blink.click()
    other.select_option("-")
    visit.tab.wait_for_selector(OTHER_TILES, state="detached")
    assert blink.is_hidden()
    assert visit.tab.locator(".gair-swipe").is_hidden()


def test_ones_own_files_are_drawn_and_what_is_wrong_with_one_is_a_line(
    visit: Visit, tmp_path: Path
) -> None:
    features = [
        {"type": "Feature", "properties": {"name": "<img src=x onerror=alert(1)>"}, "geometry": g}
        for g in (
            {"type": "Point", "coordinates": [-0.11, 51.506]},
            {"type": "LineString", "coordinates": [[-0.12, 51.504], [-0.11, 51.509]]},
        )
    ]
    good = {
        "plan.geojson": json.dumps({"type": "FeatureCollection", "features": features}),
        "yard.kml": KML,
        "track.gpx": GPX,
    }
    bad = {
        "broken.geojson": ("{", "is not GeoJSON: choose"),
        "other.json": ('{"a": 1}', "has no type"),
        "empty.geojson": ('{"type": "FeatureCollection", "features": []}', "has nothing in it"),
        "metres.geojson": (
            '{"type": "Point", "coordinates": [530000, 180000]}',
            "is no longitude and latitude",
        ),
        "shape.geojson": ('{"type": "Circle", "coordinates": [0, 51]}', "cannot be drawn"),
        "cut.kml": (KML[:200], "is not KML: it is damaged"),
        "page.gpx": ("<html/>", "is not GPX"),
        "large.geojson": (" " * 10_000_001, "at most 10 MB"),
    }
    for name, text in {**good, **{key: text for key, (text, _) in bad.items()}}.items():
        (tmp_path / name).write_text(text)
    visit.tab.set_input_files(OVERLAYS, [str(tmp_path / name) for name in good])
    visit.seen(f"{SAID} >> text=track.gpx: 2 shown")
    visit.settled()
    assert visit.count("path.gair-overlay") == 3
    assert visit.count(".gair-overlay-dot") == 2
    visit.tab.hover(".gair-overlay-dot >> nth=0")
    assert "<img src=x onerror=alert(1)>" in visit.seen(".leaflet-tooltip").inner_text()
    visit.keep("desktop-overlays")
    for name, (_, words) in bad.items():
        visit.tab.set_input_files(OVERLAYS, str(tmp_path / name))
        line = visit.seen(f"{SAID}[role=alert] >> text={name}").inner_text()
        assert words in line
        assert "\n" not in line
    assert visit.count("path.gair-overlay") == 3
    visit.tab.click("text=Clear overlays")
    assert visit.count("path.gair-overlay") == 0


def dated_photo(folder: Path) -> Path:
    """A photo whose camera wrote the time and its offset from UTC."""
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2024:06:20 13:02:00", 0x9011: "+01:00"}
    path = folder / "dated.jpg"
    path.write_bytes(encode(photo(seed=3), "JPEG", exif=exif))
    return path


def test_the_sun_is_told_and_drawn_where_the_time_is_known(
    visit: Visit, photos: dict[str, Path], tmp_path: Path
) -> None:
    visit.upload(photos["street"])
    visit.seen("#gair-sun-said >> text=does not say when it was taken")
    assert visit.count(".gair-sun-mark") == 0
    typed = visit.tab.locator("[data-gair-taken]")
    typed.fill("2024-06-20T13:02")
    typed.press("Enter")
    visit.seen("#gair-sun-said >> text=has no offset from UTC")
    typed.fill("2024-06-20T18:00+01:00")
    typed.press("Enter")
    visit.seen("#gair-sun-said >> text=2024-06-20 17:00 UTC, as typed")
    visit.upload(dated_photo(tmp_path))
    visit.seen("#gair-sun-said >> text=2024-06-20 12:02 UTC, says the photo")
    line = visit.tab.locator("[data-gair-sun='1']").text_content() or ""
    assert line.startswith("Sun in the south (1")
    assert "62° high; shadows point north (" in line  # and not 360°
    assert "360°" not in line
    visit.seen(".gair-sun-mark svg")
    disc = ".gair-sun-disc"
    x, y = (float(visit.tab.get_attribute(disc, name) or "nan") for name in ("cx", "cy"))
    assert abs(x) < 10  # due south: down on the map
    assert 80 < y < 90
    visit.tab.click("[data-gair-pick='2']")
    visit.settled()
    visit.keep("desktop-sun")
    assert visit.count(".gair-sun-mark") == 1
    assert visit.overflowing() == []


@pytest.mark.parametrize("width", [390])
def test_all_of_it_fits_a_phone(visit: Visit, tmp_path: Path, width: int) -> None:
    visit.tab.set_viewport_size({**PHONE, "width": width})
    visit.tab.select_option("#gair-index", "days")
    visit.tab.locator("select[aria-label='Day of the imagery']").wait_for()
    visit.tab.select_option("select[aria-label='Day to compare with']", "2024-06-11")
    visit.upload(dated_photo(tmp_path))
    visit.seen("#gair-sun-said >> text=says the photo")
    visit.seen(TILES)
    visit.settled()
    visit.tab.locator(".gair-map").scroll_into_view_if_needed()
    visit.keep("phone-picture")
    assert visit.overflowing() == []
    covered = visit.tab.evaluate(
        "() => [...document.querySelectorAll('.gair-pin')].filter((pin) => {"
        " const at = pin.getBoundingClientRect();"
        " return [...document.querySelectorAll('.gair-map .leaflet-top.leaflet-left > *')].some("
        "(one) => { const box = one.getBoundingClientRect(); return box.width &&"
        " at.left < box.right && at.right > box.left && at.top < box.bottom; });"
        "}).map((pin) => pin.innerText)"
    )
    assert covered == []
    cut = visit.tab.evaluate(
        "() => [...document.querySelectorAll('.gair-buttons button, .gair-buttons select, "
        ".gair-buttons input[type=range]')].filter(e => e.offsetParent)"
        ".filter(e => e.getBoundingClientRect().right > Math.min("
        "e.parentElement.getBoundingClientRect().right + 1, innerWidth)).map(e => e.outerHTML)"
    )
    assert cut == []
