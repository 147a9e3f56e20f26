"""What leaves the page, and what is said of photos, claims and indexes: right, and only text."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from explored_answers import near_of, pair_of, similar_of
from jinja2 import UndefinedError
from PIL import Image
from view_answers import ANSWER, EVIL, FIRST, Page, space_of

from app.views.cards import (
    CellFacts,
    PhotoFacts,
    cell_html,
    facts_html,
    outside_html,
    places_html,
    verdict_html,
)
from app.views.explored import comparison_html, near_photos_html, similar_html
from app.views.exports import answer_csv, answer_geojson, answer_kml
from app.views.index_facts import (
    explore_html,
    facts_line_html,
    imagery_dates,
    standing_warnings_html,
)
from app.views.report import AnswerMap, report_html
from app.views.templates import ENVIRONMENT, jpeg_uri, render
from app.views.wording import share
from indexer.ground.nearby import GroundPhoto
from indexer.probability.evidence import Evidence
from indexer.probability.verdicts import Verdict
from indexer.search.answer import NOT_IN_INDEX
from indexer.search.maps.ground_picture import Chip

SQUARE = {"type": "Polygon", "coordinates": [[[0, 51], [1, 51], [1, 52], [0, 52], [0, 51]]]}
CHIP = Chip(Image.new("RGB", (2, 2)), (0.25, 0.5), 640.0)
VERDICT = Verdict(
    verdict="consistent",
    sentence="The photo is consistent.",
    lon_deg=-0.1,
    lat_deg=51.5,
    radius_m=500.0,
    mass=0.2,
    rank=3,
    compared=200,
    percentile=99.0,
    p_elsewhere=0.015,
    p_false=0.02,
    p_true=0.6,
    level=0.05,
    tested_radius_m=500.0,
    rates={},
    distinct_as_good=2,
    distinct_compared=41,
    likelihood_ratio=12.4,
    evidence=(
        Evidence(
            alternative="random",
            against="somewhere else in the index",
            likelihood_ratio=12.4,
            limit=300.0,
            support="moderate support for the claim",
            posterior_odds=3.1,
            posterior_probability=0.756,
            sentence="This score is about 12 times more probable.",
        ),
    ),
    masses_elsewhere=np.geomspace(1e-6, 0.3, 200),
)


HOSTILE_MANIFEST = SimpleNamespace(
    name=EVIL,
    build=EVIL,
    created_utc=EVIL,
    region={"name": EVIL, "area_km2": 1.0, "attribution": EVIL},
    cells_indexed=1,
    cells_in_region=2,
    h3_resolution=9,
    missing={EVIL: 1},
    imagery={"scenes": [{"dates": [EVIL], "level": EVIL}], "attribution": EVIL, "licence": EVIL},
    model=SimpleNamespace(name=EVIL, trained=False, licence=EVIL, location_weight=None),
    frames={},
    query_mode=EVIL,
    tokens=None,
    seconds={},
    files={},
)


class FakeRegion:
    """A region's outline, and nothing else."""

    def to_geojson(self, properties: dict[str, Any] | None = None) -> dict[str, Any]:
        shown = {"level": 0.9, "km2": 3.0, **(properties or {})}
        return {"type": "Feature", "properties": shown, "geometry": SQUARE}


BELIEVED = dataclasses.replace(
    ANSWER,
    calibrated=True,
    regions=({"level": 0.9, "mass": 0.9, "km2": 3.0, "cells": 5, "promised": True},),
    make_region=lambda level: FakeRegion(),
)
HOSTILE_REFERENCES = SimpleNamespace(
    photos=12,
    places=3,
    dates={"first": EVIL, "last": EVIL, "unknown": 0},
    with_heading=2,
    licences={EVIL: 12},
    sources={EVIL: 12},
)
HOSTILE_PHOTO = GroundPhoto(12.3, 0.5, 90.0, EVIL, EVIL, f"javascript:{EVIL}", EVIL, EVIL)
HOSTILE = dataclasses.replace(
    BELIEVED,
    photo=EVIL,
    photos=(EVIL,),
    index=EVIL,
    build=EVIL,
    model=EVIL,
    model_licence=EVIL,
    attribution=EVIL,
    warnings=(EVIL,),
    prior=EVIL,
    candidates=(
        dataclasses.replace(FIRST, h3_cell=EVIL, ground_score=0.5, ground_photos=(HOSTILE_PHOTO,)),
    ),
    ground_weight=0.07,
)


def report_of(answer: Any, chips: dict[int, Chip], photo: str = "data:image/jpeg,AAAA") -> str:
    return report_html(
        answer,
        outline=SQUARE,
        photos=[photo],
        chips=chips,
        imagery_licence=EVIL,
        imagery_dates="2024-03-16",
        made_utc="2026-01-01 00:00",
    )


def shell_of(thumbnails: list[bytes]) -> str:
    return render(
        "shell.html",
        names=[EVIL],
        start=EVIL,
        thumbnails=thumbnails,
        listed=200,
        examples_note=EVIL,
        synthetic=True,
        minutes_kept=10,
        radii_m=(500.0, 1000.0),
    )


def facts(**changes: Any) -> PhotoFacts:
    photo = PhotoFacts("street.jpg", 12_345, (320, 200), (13.4, 52.5), 90.0, "2024-05-06T07:08:09")
    return dataclasses.replace(photo, **changes)


def test_coordinates_in_the_photo_are_disclosed_and_measured() -> None:
    sentence = "This photo carries coordinates (52.50000, 13.40000); they were not used."
    text = Page(facts_html([facts(), facts(gps_lonlat_deg=None)])).text
    assert text.count(sentence) == 1
    assert "2024-05-06 07:08:09" in text
    assert "320 × 200 pixels, 12 kB" in text
    told = Page(facts_html([facts(from_best_m=3449.0)])).text
    assert "They are 3.4 km from the best guess." in told
    assert "carries coordinates" not in facts_html([facts(gps_lonlat_deg=None)])


@pytest.mark.process
def test_a_photo_from_elsewhere_is_told_first_and_loudly() -> None:
    page = Page(places_html(dataclasses.replace(ANSWER, warnings=(NOT_IN_INDEX,)), 0.1))
    assert page.text.startswith("!Not in this index. This photo looks like nothing")
    assert page.text.count("looks like nothing") == 1


def test_a_chip_has_a_ring_where_the_place_is() -> None:
    chip_html = ENVIRONMENT.get_template("macros.html").module.chip
    html = chip_html(CHIP, "place 1")
    assert "left:25.0%;top:50.0%" in html
    assert 'alt="Satellite picture around place 1, 640 m wide"' in html
    assert Page(chip_html(None, "place 1")).text == "no picture kept"


def test_a_picture_in_the_page_carries_no_tags() -> None:
    picture = Image.new("RGB", (40, 20), "red")
    picture.info["exif"] = b"Exif\0\0MM\0*\0\0\0\x08\0\0"
    assert "RXhpZg" not in jpeg_uri(picture)  # "Exif" in base64


@pytest.mark.process
def test_a_verdict_has_its_numbers_and_a_plot_of_the_others() -> None:
    page = Page(verdict_html(VERDICT, "street.jpg", None))
    for text in ("Consistent", "51.50000, -0.10000, within 500 m", "about 2 of 41", "99.0", "60 %"):
        assert text in page.text
    assert "This score is about 12 times more probable." in page.text
    assert "12 (1 to 300 either way can be told)" in page.text
    none = dataclasses.replace(
        VERDICT, evidence=(), likelihood_ratio=None, evidence_sentence="No ratio: too few."
    )
    assert "No ratio: too few." in Page(verdict_html(none, "street.jpg", None)).text
    svg = verdict_html(VERDICT, "street.jpg", None)
    assert 20 < svg.count("<rect") <= 38
    assert svg.count("gair-above") < svg.count("gair-below")
    assert "better than 99 % of them" in svg
    nowhere = dataclasses.replace(VERDICT, masses_elsewhere=None, rank=None, percentile=None)
    assert "<svg" not in verdict_html(nowhere, "street.jpg", None)
    flat = dataclasses.replace(VERDICT, masses_elsewhere=np.zeros(3), mass=0.0)
    assert verdict_html(flat, "street.jpg", None).count("<rect") == 1


def test_shares_read_well() -> None:
    shown = [share(v) for v in (0, 0.5, 0.034, 0.00034, 1e-9, 1)]
    assert shown == ["0 %", "50 %", "3.4 %", "0.034 %", "under 0.001 %", "100 %"]


def test_a_cell_says_what_it_is() -> None:
    cell = CellFacts("89195da49abffff", -0.1, 51.5, 0.4, -0.2, 1.5, 0.1, True, 7, 171, CHIP)
    text = Page(cell_html(cell)).text
    assert "10 % probability of the cell, if the photo was taken in this index, 7 of 171" in text
    assert "−0.200" in text
    assert "Photos1.500" in text
    score = dataclasses.replace(cell, probable=False)
    assert "0.100 score, 7 of 171 cells" in Page(cell_html(score)).text
    assert "No cell of this index" in Page(outside_html(1, 2)).text


def test_reference_photos_near_a_place_come_with_their_credit() -> None:
    photo = GroundPhoto(
        42.4, 0.613, 271.6, "2024-05-06", "Mapillary", "https://a.example/1", "CC BY-SA 4.0", "by P"
    )
    bare = GroundPhoto(1800.0, -0.1, None, None, "archive", "", "", "")
    place = dataclasses.replace(FIRST, ground_score=-1.25, ground_photos=(photo, bare))
    answer = dataclasses.replace(ANSWER, candidates=(place,), ground_weight=0.07)
    page = Page(places_html(answer, 0.1))
    text = " ".join(page.text.split())
    assert "42 m away, looking 272°, 2024-05-06, cosine 0.613" in text
    assert "Mapillary ↗, CC BY-SA 4.0, by P" in text
    assert "1.8 km away, cosine −0.100archive, licence unknown" in text
    assert [v for name, v in page.attributes if v == "https://a.example/1"] == [
        "https://a.example/1"
    ]
    assert "Photos−1.250" in text
    assert "+ 0.07 × photos" in text
    assert "photos" not in Page(places_html(ANSWER, 0.1)).text.lower()
    report = " ".join(Page(report_of(answer, {}).replace("<!doctype html>", "")).text.split())
    assert "Mapillary https://a.example/1, CC BY-SA 4.0, by P" in report
    assert re.search(r"1.8 km away, cosine −0.100\s*archive\s*, licence unknown", report)
    assert "location, 0.07 reference photos," in report
    assert "Reference photos" not in Page(report_of(ANSWER, {}).replace("<!doctype html>", "")).text


def test_dates_of_imagery_are_few_or_a_span() -> None:
    scenes = [{"dates": [f"2024-03-{day:02d}T10:00:00Z"]} for day in range(1, 20)]
    assert imagery_dates({"scenes": scenes[:2]}) == "2024-03-01, 2024-03-02"
    assert imagery_dates({"scenes": scenes}) == "2024-03-01 to 2024-03-19, 19 days"
    assert imagery_dates({}) == "not recorded"


def test_the_drawing_shows_every_place_and_a_scale() -> None:
    pins = {1: (0.5, 51.5), 2: (0.6, 51.6)}
    drawing = AnswerMap.of(SQUARE, [FakeRegion().to_geojson()], pins)
    svg = render("report_map.html", map=drawing)
    drawn = ElementTree.fromstring(svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"'))
    circles = drawn.findall(".//{*}circle")
    assert len(circles) == 2
    for circle in circles:
        assert 0 < float(circle.get("cx", "-1")) < 720
        assert 0 < float(circle.get("cy", "-1")) < 460
    assert ">20 km<" in svg
    assert "<circle" not in render("report_map.html", map=AnswerMap.of(SQUARE, [], {}))


def test_exports_say_the_same_as_the_answer() -> None:
    document = json.loads(answer_geojson(BELIEVED))
    assert [f["properties"]["kind"] for f in document["features"]] == ["place", "place", "region"]
    assert document["features"][0]["geometry"]["coordinates"] == [-0.12776, 51.50735]
    (first, _) = csv.DictReader(io.StringIO(answer_csv(BELIEVED)))
    assert (first["lat"], first["lon"]) == ("51.50735", "-0.12776")
    assert first["probability"] == ""
    kml = ElementTree.fromstring(answer_kml(BELIEVED))
    assert len(kml.findall(".//{*}Point")) == 2
    assert len(kml.findall(".//{*}Polygon")) == 1


def test_exports_say_what_each_kind_of_evidence_adds() -> None:
    photo = GroundPhoto(42.4, 0.6, None, "2024-05-06", "KartaView", "https://a.example/1", "", "P")
    place = dataclasses.replace(FIRST, ground_score=-1.25, ground_photos=(photo,))
    answer = dataclasses.replace(BELIEVED, candidates=(place,), ground_weight=0.08)
    (row,) = csv.DictReader(io.StringIO(answer_csv(answer)))
    assert (row["photos"], row["photos_weight"]) == ("-1.250000", "0.08")
    assert (row["imagery_weight"], row["location_weight"]) == ("0.5", "0.5")
    (described,) = ElementTree.fromstring(answer_kml(answer)).findall(
        ".//{*}Placemark/{*}description"
    )
    assert described.text == (
        "score 0.250: imagery 0.375, location -0.125, reference photos -0.100; reference photo "
        "42 m away, 2024-05-06, KartaView https://a.example/1, licence unknown, P"
    )
    geojson = json.loads(answer_geojson(answer))
    assert geojson["weights"]["photos"] == 0.08
    told = geojson["features"][0]["properties"]
    assert told["photos"] == -1.25
    assert told["reference_photos"][0]["link"] == "https://a.example/1"
    (bare, _) = csv.DictReader(io.StringIO(answer_csv(BELIEVED)))
    assert (bare["photos"], bare["photos_weight"]) == ("", "")
    assert "reference photo" not in answer_kml(BELIEVED)


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    answer = dataclasses.replace(ANSWER, index="=HYPERLINK(1)", model="+1", build="@x")
    (first, _) = csv.DictReader(io.StringIO(answer_csv(answer)))
    assert [first[k][0] for k in ("index", "model", "build")] == ["'"] * 3


def test_control_characters_do_not_break_kml() -> None:
    ElementTree.fromstring(answer_kml(dataclasses.replace(BELIEVED, index="a\0b\x08]]>&")))


def test_every_template_shows_hostile_text_as_text() -> None:
    ENVIRONMENT.cache.clear()
    index = SimpleNamespace(manifest=HOSTILE_MANIFEST, chips=None, pictures=())
    outside = dataclasses.replace(HOSTILE, warnings=(NOT_IN_INDEX, EVIL))
    cell = CellFacts(EVIL, -0.1, 51.5, 0.4, -0.2, None, 0.1, True, 7, 171, None)
    told = space_of(
        build=EVIL,
        model=EVIL,
        licence=EVIL,
        trained=False,
        attribution=EVIL,
        warnings=(EVIL, "untrained " + EVIL),
    )
    views = [
        report_of(outside, {1: CHIP}, EVIL),
        verdict_html(
            dataclasses.replace(VERDICT, sentence=EVIL, warnings=(EVIL,)), EVIL, (13.4, 52.5)
        ),
        facts_html([facts(name=EVIL, captured_at=EVIL)]),
        comparison_html(pair_of(EVIL)),
        comparison_html(pair_of(EVIL, chance=0.25)),
        similar_html(similar_of(EVIL), {1: CHIP}),
        near_photos_html(near_of(EVIL)),
        places_html(outside, 0.1, (), {1: CHIP}),
        cell_html(cell),
        explore_html(index, None, HOSTILE_REFERENCES),
        facts_line_html(told),
        standing_warnings_html(told),
        shell_of([EVIL.encode()]),
        answer_kml(HOSTILE),
    ]
    for markup in views:
        page = Page(markup)
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert "javascript:" not in str([v for name, v in page.attributes if name == "href"])
        assert EVIL in page.text + " ".join(value or "" for _, value in page.attributes)
        assert EVIL not in markup
        assert "onerror" in markup
        assert "<img src=x" not in markup
    used = {name for _, name in ENVIRONMENT.cache}
    assert used == {*ENVIRONMENT.list_templates(["html", "kml"]), "report.css"}


def test_a_template_without_one_of_its_values_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'pair' is undefined"):
        render("comparison.html", names=("a", "b"))


@pytest.mark.process
@pytest.mark.parametrize(
    "markup",
    [
        report_of(HOSTILE, {1: CHIP}),
        verdict_html(dataclasses.replace(VERDICT, sentence=EVIL, warnings=(EVIL,)), EVIL, None),
        facts_html([facts(name=EVIL, captured_at=EVIL)]),
        comparison_html(pair_of(EVIL)),
        places_html(HOSTILE, 0.1, (), {1: CHIP}),
        shell_of([]),
        answer_kml(HOSTILE),
    ],
    ids=["report", "verdict", "facts", "comparison", "places", "shell", "kml"],
)
def test_text_from_outside_stays_text(markup: str) -> None:
    page = Page(markup)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "x" not in [value for name, value in page.attributes if name == "src"]
    shown = page.text + " ".join(value or "" for _, value in page.attributes)
    assert EVIL in shown


@pytest.mark.process
def test_a_report_is_complete_and_loads_nothing() -> None:
    html = report_of(BELIEVED, {1: CHIP})
    page = Page(html.replace("<!doctype html>", ""))
    assert "script" not in page.tags
    assert all((v or "").startswith("data:") for k, v in page.attributes if k in ("src", "href"))
    assert "url(" not in html.replace("url(#frame)", "")
    for fact in ("51.50735, -0.12776", "gair-base", "CC-BY-NC-4.0", "Copernicus", "2024-03-16"):
        assert fact in page.text
