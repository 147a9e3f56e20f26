"""One photo, one calibrated index: Python, the command line, the API and the page say the same."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from app_browser import BROWSER_MARKS, Visit
from app_pages import RunningPage
from PIL import Image
from toy_city import photo

from app.views.cards import places_html
from app.views.exports import answer_csv, answer_geojson, answer_kml
from app.views.report import report_html
from app.views.wording import distance, sentence
from indexer.commands.cli import main
from indexer.search.answer import Answer
from indexer.search.geolocator import Geolocator
from indexer.search.wording import (
    decision_kind,
    decision_said,
    elsewhere_said,
    percent,
    percents,
    shown_at,
    square_km,
)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "street.jpg"
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2024:06:20 15:02:00", 0x9011: "+01:00"}
    photo(3).save(path, exif=exif)
    return path


@pytest.fixture(scope="module")
def answer(site_indexes: Path, street: Path) -> Answer:
    return Geolocator.open("known", indexes_dir=site_indexes).search(street)


def assert_same(told: Any, meant: Any) -> None:
    """Equal structure and words; numbers up to the rounding of a sum in another order."""
    if isinstance(meant, dict):
        assert told.keys() == meant.keys()
        for key in meant:
            assert_same(told[key], meant[key])
    elif isinstance(meant, list):
        assert len(told) == len(meant)
        for a, b in zip(told, meant, strict=True):
            assert_same(a, b)
    elif isinstance(meant, float):
        assert told == pytest.approx(meant, rel=1e-5, abs=1e-7)
    else:
        assert told == meant


def test_the_command_line_prints_the_answer(
    site_indexes: Path, street: Path, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--index", "known", "--indexes", str(site_indexes)]
    assert main(["search", str(street), *where, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert_same(told, answer.to_dict())
    assert main(["search", str(street), *where]) == 0
    text = capsys.readouterr().out
    for c in answer.candidates:
        assert c.probability is not None
        assert f"  {c.rank:4d}  {percent(c.probability):>9}" in text
        lon_deg, lat_deg = c.shown_lonlat_deg
        assert f"  {lat_deg:.{answer.decimals}f}  " in text
        assert f"  {lon_deg:.{answer.decimals}f}  " in text
    for region in answer.regions:
        assert f"{region['level']:.0%} region: {square_km(region['km2'])} in" in text
    near = answer.confidence[0]
    assert f"{percent(near.probability)} within 200 m ({percents(near.interval)}; any place" in text
    assert answer.elsewhere is not None
    assert elsewhere_said(answer.elsewhere) in text
    assert answer.given in text
    assert "  taken 2024-06-20 14:02 UTC\n" in text
    for c, sun in zip(answer.candidates, answer.sun.places, strict=True):
        assert f"  place {c.rank}: {sun.said}\n" in text


def test_files_and_the_report_say_what_the_answer_says(
    site_indexes: Path, street: Path, answer: Answer, tmp_path: Path
) -> None:
    best, wanted = answer.candidates[0], of_places(answer)
    assert best.probability is not None
    document = json.loads(answer_geojson(answer))
    points = [f for f in document["features"] if f["properties"]["kind"] == "place"]
    told = [{k: f["properties"][k] for k in ("rank", "probability", "given")} for f in points]
    assert_same(told, [{k: w[k] for k in ("rank", "probability", "given")} for w in wanted])
    assert [f["geometry"]["coordinates"] for f in points] == [w["lonlat"] for w in wanted]
    rows = list(csv.DictReader(io.StringIO(answer_csv(answer))))
    for row, w in zip(rows, wanted, strict=True):
        assert float(row["probability"]) == pytest.approx(w["probability"], rel=1e-3)
        assert [float(row["lon"]), float(row["lat"])] == w["lonlat"]
        assert row["given"] == answer.given
    assert answer.elsewhere is not None
    elsewhere = elsewhere_said(answer.elsewhere)
    kml = answer_kml(answer)
    report = report_html(
        answer,
        outline={"type": "Polygon", "coordinates": [[[0, 51], [1, 51], [1, 52], [0, 51]]]},
        photos=[],
        chips={},
        imagery_licence="",
        imagery_dates="",
        made_utc="",
    )
    card = places_html(answer, 1.0)
    for text in (html.unescape(page) for page in (kml, report, card)):
        assert sentence(elsewhere) in text or elsewhere in text
        assert answer.given in text
        for c in answer.candidates:
            assert c.probability is not None
            assert percent(c.probability) in text
        assert "%" in text
    for text in (report, card):
        assert shown_at(answer, best) in text
    assert "Photo taken 2024-06-20 14:02 UTC. Place 1: sun in the south-west (" in report
    for c, sun in zip(answer.candidates, answer.sun.places, strict=True):
        assert f"Place {c.rank}: {sun.said}." in report
    out = tmp_path / "where.geojson"
    where = ["--index", "known", "--indexes", str(site_indexes)]
    assert main(["search", str(street), *where, "--geojson", str(out)]) == 0
    features = json.loads(out.read_text())["features"]
    assert features[1]["geometry"]["coordinates"] == list(best.shown_lonlat_deg)
    assert_same(features[1]["properties"]["probability"], best.probability)


@pytest.mark.parametrize(
    ("rate", "within_m", "kind"),
    [
        (0.4, 500.0, "within"),
        (0.3, 200.0, "larger_disc"),
        (0.2, 100.0, "region"),
        (0.002, 2000.0, "none"),
    ],
)
def test_files_have_the_decision(
    site_indexes: Path, street: Path, tmp_path: Path, rate: float, within_m: float, kind: str
) -> None:
    geolocator = Geolocator.open("known", indexes_dir=site_indexes)
    answer = geolocator.search(street, max_error_rate=rate, within_m=within_m)
    assert (decision := answer.decision) is not None
    assert decision.kind == kind
    out = tmp_path / "where.geojson"
    asked = ["--max-error-rate", str(rate), "--within-m", str(within_m), "--geojson", str(out)]
    where = ["--index", "known", "--indexes", str(site_indexes)]
    assert main(["search", str(street), *where, *asked]) == 0
    for text in (answer_geojson(answer), out.read_text()):
        document = json.loads(text)
        assert_same(document["decision"], dataclasses.asdict(decision))
        told = document["features"][-1]
        assert_same(
            told["properties"] | {"given": ""},
            {"kind": "decision", "decision_kind": decision.kind, "given": ""}
            | {k: v for k, v in dataclasses.asdict(decision).items() if k != "kind"},
        )
        if decision.radius_m is not None:
            best = [round(v, answer.decimals) for v in answer.candidates[0].shown_lonlat_deg]
            assert told["geometry"] == {"type": "Point", "coordinates": best}
        elif answer.decided_region is not None:
            assert_same(told["geometry"], answer.decided_region.to_geojson()["geometry"])
        else:
            assert (decision.kind, told["geometry"]) == ("none", None)
    for row in csv.DictReader(io.StringIO(answer_csv(answer))):
        assert row["decision"] == decision.kind
        assert float(row["max_error_rate"]) == rate
        radius_m, region = decision.radius_m, decision.region
        assert row["decided_within_m"] == ("" if radius_m is None else f"{radius_m:.4g}")
        assert row["decided_km2"] == ("" if region is None else f"{region['km2']:.4g}")
    kml = ElementTree.fromstring(answer_kml(answer))
    (marked,) = [
        mark
        for mark in kml.findall(".//{*}Placemark")
        if mark.findtext("{*}name") == f"decision: {decision_kind(decision, distance)}"
    ]
    assert sentence(decision_said(decision)) in (marked.findtext("{*}description") or "")
    assert bool(marked.findall(".//{*}Polygon")) == (decision.region is not None)
    assert bool(marked.findall("{*}Point")) == (decision.radius_m is not None)


def test_files_without_a_decision_have_none(answer: Answer) -> None:
    document = json.loads(answer_geojson(answer))
    assert document["decision"] is None
    assert {f["properties"]["kind"] for f in document["features"]} == {"place", "region"}
    assert {r["decision"] for r in csv.DictReader(io.StringIO(answer_csv(answer)))} == {""}
    assert "decision" not in answer_kml(answer)


def of_places(answer: Answer) -> list[dict[str, Any]]:
    """What files say of each place."""
    return [
        {
            "rank": c.rank,
            "probability": c.probability,
            "given": answer.given,
            "lonlat": [round(v, answer.decimals) for v in c.shown_lonlat_deg],
        }
        for c in answer.candidates
    ]


@pytest.mark.process
def test_the_api_returns_the_answer(page: RunningPage, street: Path, answer: Answer) -> None:
    from gradio_client import Client, handle_file

    client = Client(page.url, verbose=False, analytics_enabled=False)
    told = client.predict(handle_file(str(street)), index="known", api_name="/search")
    client.close()
    # Of a file that was sent, its name is all that the server knows.
    meant = answer.to_dict() | {"photo": street.name, "photos": [street.name]}
    assert_same(told, meant)


@pytest.mark.process
@pytest.mark.browser
@BROWSER_MARKS[1]
def test_the_page_shows_the_answer(visit: Visit, street: Path, answer: Answer) -> None:
    visit.open("#index=known")
    visit.upload(street)
    rows = visit.tab.locator(".gair-score b").all_inner_texts()
    assert rows == [percent(c.probability or 0.0) for c in answer.candidates]
    belief = visit.text(".gair-belief")
    for region in answer.regions:
        assert f"region, {square_km(region['km2'])}" in belief
    for c in answer.confidence:
        assert percent(c.probability) in belief
        assert percents(c.interval) in belief
    assert answer.elsewhere is not None
    assert sentence(elsewhere_said(answer.elsewhere)) in belief
    visit.seen("#gair-sun-said >> text=2024-06-20 14:02 UTC, says the photo")
    for c, sun in zip(answer.candidates, answer.sun.places, strict=True):
        line = visit.tab.locator(f"[data-gair-sun='{c.rank}']").text_content()
        assert line == f"{sentence(sun.said)}."
    assert answer.candidates[0].refined_lonlat_deg is not None
    assert visit.text(".gair-best-where") == shown_at(answer, answer.candidates[0])
    assert visit.count("path.gair-region-50") >= 1
    assert visit.count("path.gair-region-90") >= 1
    assert "not probabilities" not in visit.text("#gair-found")
    visit.seen(".gair-legend >> text=probability a km²")
    visit.keep("desktop-calibrated")


@pytest.mark.process
@pytest.mark.browser
@BROWSER_MARKS[1]
def test_the_page_decides_as_python_does(visit: Visit, site_indexes: Path, street: Path) -> None:
    geolocator = Geolocator.open("known", indexes_dir=site_indexes)
    visit.open("#index=known")
    visit.upload(street)
    assert visit.count(".gair-decision") == 0
    visit.settings()
    for percent_wrong, within_m in (("40", "500"), ("40", "2000"), ("0.2", "2000")):
        visit.set("within_m", within_m)
        visit.set("error_percent", percent_wrong)
        said = f"text={float(percent_wrong):.1f}% wrong answers within {float(within_m):,.0f} m"
        told = visit.seen(f".gair-decision >> {said}").inner_text()
        meant = geolocator.search(
            street, max_error_rate=float(percent_wrong) / 100, within_m=float(within_m)
        )
        assert meant.decision is not None
        kind = decision_kind(meant.decision, distance)
        assert told == f"Decision: {kind}. {sentence(decision_said(meant.decision))}."
        assert visit.count("path.gair-decided") == (meant.decision.kind != "none")
    assert visit.hash()["wrong"] == "0.2"
    assert "at most 0.2 % wrong" in visit.text("#gair-settings-said")
    visit.set("error_percent", "")
    visit.tab.wait_for_selector(".gair-decision", state="detached")


@pytest.mark.process
@pytest.mark.browser
@BROWSER_MARKS[1]
def test_other_weights_take_the_probabilities_away(visit: Visit, street: Path) -> None:
    visit.open("#index=known")
    visit.upload(street)
    visit.settings()
    share = visit.tab.locator("input[type=number][data-gair-setting='share']")
    assert float(share.input_value()) == 0.75
    visit.set("share", "0.2")
    notice = visit.seen("#gair-found .gair-notice")
    assert "weights of your own" in notice.inner_text().lower()
    assert visit.count(".gair-belief") == 0
    assert visit.count("path.gair-region-90") == 0
    visit.set("share", "0.75")
    visit.seen(".gair-belief")
