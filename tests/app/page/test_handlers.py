"""The desk: every question of the page, on a real engine, and what it says to nonsense."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_pages import BERLIN
from app_site import REFERENCES
from photo_samples import encode, gps_jpeg
from PIL import Image
from toy_city import photo
from view_answers import ANSWER, FIRST

from app.engine.engine import Engine
from app.engine.indexes import Indexes
from app.engine.limits import Limits
from app.engine.uploads import GONE, Uploads
from app.examples import Sample
from app.page.handlers import Desk
from app.views.cards import places_html
from app.views.map import (
    MOST_DOTS,
    cosine_levels,
    density_levels,
    map_places,
    reference_points,
)
from indexer.index.index import open_index
from indexer.probability.decisions import Decision

EXIF_MARK = b"Exif"


@pytest.fixture(scope="module")
def desk(site_indexes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "uploads").mkdir()
    sample = folder / "sample.jpg"
    photo(3).save(sample)
    limits = Limits()
    uploads = Uploads(folder / "uploads", limits)
    engine = Engine(Indexes(site_indexes), limits, uploads)
    yield Desk(engine, uploads, (Sample(sample), Sample(folder / "gone.jpg")))
    engine.close()


@pytest.fixture
def street(desk: Desk) -> str:
    return put(desk, "street.jpg", encode(photo(), "JPEG"))


@pytest.fixture
def berlin(desk: Desk) -> str:
    return put(desk, "berlin.jpg", gps_jpeg(BERLIN))


def put(desk: Desk, name: str, content: bytes) -> str:
    path = desk.uploads.folder / name
    path.write_bytes(content)
    return str(path)


def ask(desk: Desk, do: str, **values: Any) -> dict[str, Any]:
    """A good answer; as JSON would carry it."""
    reply = desk.ask({"do": do, "index": "known", **values})
    assert "error" not in reply, reply
    return json.loads(json.dumps(reply, allow_nan=False))


def test_an_index_is_described(desk: Desk) -> None:
    reply = ask(desk, "index")
    assert reply["cells"] == 171
    assert (reply["share"], reply["share_by"]) == (0.75, "by calibration")
    assert reply["calibrated"] is True
    assert reply["outline"]["type"] == "Polygon"
    assert reply["holes"] is None
    assert ask(desk, "index", index="toy")["calibrated"] is False


def test_places_come_with_pictures_facts_and_a_map(desk: Desk, berlin: str) -> None:
    reply = ask(desk, "locate", photos=[berlin], k=4)
    assert len(reply["map"]["places"]) == 4
    assert [r["properties"]["level"] for r in reply["map"]["regions"]] == [0.9, 0.5]
    assert "km from the best guess" in reply["facts"]
    assert reply["list"].count('alt="Satellite picture around place') == 8
    assert not Path(berlin).exists()
    older = ask(desk, "locate", index="older", photos=[berlin], k=4)
    assert older["list"].count("no picture kept") == 8


def test_an_area_and_own_weights_change_the_answer(desk: Desk, street: str) -> None:
    whole = ask(desk, "locate", photos=[street], k=5)
    area = [[-0.12, 51.49], [-0.1, 51.49], [-0.1, 51.51], [-0.12, 51.51]]
    part = ask(desk, "locate", photos=[street], k=5, area=area)
    assert "within the area" in part["list"]
    assert all(-0.127 < p["position"][1] < -0.093 for p in part["map"]["places"])
    assert part["map"] != whole["map"]
    own = ask(desk, "locate", photos=[street], k=5, share=0.2)
    assert "eights of your own" in own["list"]
    same = ask(desk, "locate", photos=[street], k=5, share=0.75)
    assert same["map"] == whole["map"]


def test_a_decision_is_asked_for_in_percent(desk: Desk, street: str) -> None:
    plain = ask(desk, "locate", photos=[street], k=3, error_percent=None, within_m=700)
    assert "Decision" not in plain["list"]
    assert plain["map"]["decision"] is None
    told = ask(desk, "locate", photos=[street], k=3, error_percent=40, within_m=700)
    assert "At most 40.0% wrong answers within 700 m" in told["list"]
    report = ask(desk, "save", kind="report", photos=[street], k=3, error_percent=40)
    assert "at most 40.0% wrong answers within 500 m" in report["text"]
    wrong = {"do": "locate", "index": "known", "photos": [street], "k": 3, "error_percent": 60}
    assert desk.ask(wrong)["error"] == "error_percent is 60: it must be from 0.1 to 50"


def test_a_decision_is_drawn_as_what_it_answers_with() -> None:
    def decided(kind: str, radius_m: float | None) -> Decision:
        return Decision(kind, 0.1, 500.0, radius_m, 0.5, None, 100, 1, 120, 0.95, "so")

    drawn = map_places(replace(ANSWER, decision=decided("larger_disc", 2000.0)))["decision"]
    lon_deg, lat_deg = FIRST.shown_lonlat_deg
    assert drawn == {"position": [lat_deg, lon_deg], "radius_m": 2000.0}
    assert map_places(replace(ANSWER, decision=decided("none", None)))["decision"] is None
    card = places_html(replace(ANSWER, calibrated=True, decision=decided("within", 500.0)), 0.1)
    assert "<b>Decision: within 500 m.</b> So." in card


def unpacked(text: str, kind: str) -> Any:
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def test_heat_is_a_colour_for_every_cell_and_outlines_once(desk: Desk, street: str) -> None:
    reply = ask(desk, "heat", photos=[street], layer="imagery")
    levels = unpacked(reply["levels"], "u1")
    heat = desk.engine.heatmap("known", [desk.uploads.take(street)], "imagery")
    assert levels.shape == (171,)
    assert levels.argmax() == heat.values.argmax()
    assert (levels.min(), levels.max()) == (1, 255)
    assert (reply["low"], reply["high"]) == pytest.approx((heat.values.min(), heat.values.max()))
    outlines = reply["outlines"]
    centres = unpacked(outlines["centres"], "<i4").reshape(-1, 2) / 2**32
    cells = open_index(desk.engine.indexes.folder / "known").cells
    assert centres[:, 0] * 360 == pytest.approx(cells.lonlat_deg[:, 0], abs=1e-6)
    lat = np.degrees(np.arctan(np.sinh(-2 * np.pi * centres[:, 1])))
    assert lat == pytest.approx(cells.lonlat_deg[:, 1], abs=1e-6)
    corners = unpacked(outlines["corners"], "<i2").reshape(-1, 6, 2) * outlines["unit"] / 2**32
    across_m = np.linalg.norm(corners[:, 0] - corners[:, 3], axis=1) * 40_075_017 * 0.6225
    assert np.sqrt(cells.area_m2 * 8 / np.sqrt(27)) == pytest.approx(across_m, rel=0.05)
    again = ask(desk, "heat", photos=[street], layer="fused", has=reply["build"])
    assert "outlines" not in again
    assert again["log"] is True
    own = ask(desk, "heat", photos=[street], layer="fused", share=0.0, has=reply["build"])
    assert own["log"] is False
    location = ask(desk, "heat", photos=[street], layer="location", has=reply["build"])
    assert own["levels"] == location["levels"]


def test_reference_photos_are_dots_a_map_and_evidence(desk: Desk, street: str) -> None:
    reply = ask(desk, "index", index="ground")
    assert reply["references"] == REFERENCES
    assert "300 of " in reply["explore"]
    assert ask(desk, "index")["references"] == 0
    dots = ask(desk, "references", index="ground")
    counts = np.frombuffer(base64.b64decode(dots["counts"]), "<i4")
    points = np.frombuffer(base64.b64decode(dots["points"]), "<i4").reshape(-1, 2)
    assert counts.sum() == REFERENCES
    geo = desk.engine.indexes.get("ground")
    assert geo.space.ground is not None
    lonlat_deg = geo.space.ground.comparison.photos.lonlat_deg
    shown = np.sort(points[:, 0] / 2**32 * 360)
    np.testing.assert_allclose(shown, np.sort(lonlat_deg[:, 0]), atol=1e-6)
    refused = desk.ask({"do": "references", "index": "toy"})
    assert refused["error"] == "index 'toy' has no reference photos"
    question = {"photos": [street], "index": "ground"}
    places = ask(desk, "locate", **question, k=3)
    assert "Reference photos near it that look most like yours" in places["list"]
    heat = ask(desk, "heat", **question, layer="ground")
    assert heat["words"] == "log ratio, reference photos"
    assert heat["low"] < 0 < heat["high"]
    assert "Photos" in ask(desk, "cell", **question, lonlat=lonlat_deg[0].tolist())["card"]
    best = geo.search(encode(photo(), "JPEG")).candidates[0]
    assert ask(desk, "heat", **question, layer="fused")["high"] == pytest.approx(best.score)
    refused = desk.ask({"do": "heat", **question, "index": "toy", "layer": "ground"})
    assert "no reference photos" in refused["error"]


def test_many_reference_photos_are_fewer_dots() -> None:
    places = np.random.default_rng(0).uniform((0, 50), (1, 51), (MOST_DOTS + 20_000, 2))
    dots = reference_points(places)
    counts = np.frombuffer(base64.b64decode(dots["counts"]), "<i4")
    assert counts.sum() == len(places)
    assert MOST_DOTS / 8 < len(counts) <= MOST_DOTS


def test_levels_show_what_is_high_and_hide_what_is_nothing() -> None:
    p, area = np.array([0.5, 0.05, 0.00051, 1e-9, 0.0]), np.full(5, 1e6)
    levels, low, high = density_levels(p, area)
    assert levels.tolist()[0] == 255
    assert levels.tolist()[3:] == [0, 0]
    assert levels[0] > levels[1] > levels[2] >= 1
    assert (low, high) == pytest.approx((0.0005, 0.5))
    assert density_levels(np.zeros(2), area[:2])[0].tolist() == [0, 0]
    assert cosine_levels(np.array([0.1, np.nan, 0.3]))[0].tolist() == [1, 0, 255]


def test_a_cell_tells_its_parts(desk: Desk, street: str) -> None:
    best = ask(desk, "locate", photos=[street], k=1)["map"]["places"][0]
    lat, lon = np.mean(best["cell"], axis=0).tolist()
    reply = ask(desk, "cell", photos=[street], lonlat=[lon, lat])
    assert "probability of the cell, " in reply["card"]
    assert len(reply["cell"]) == 6
    assert ask(desk, "cell", photos=[street], lonlat=[0, 0])["cell"] is None
    assert "No photo yet" in ask(desk, "cell", photos=[], lonlat=[lon, lat])["card"]


def test_a_claim_two_photos_and_a_typed_place(desk: Desk, street: str, berlin: str) -> None:
    reply = ask(desk, "verify", photos=[berlin], claim="51.5 N 0.1 W", radius_m=500)
    assert reply["claim"] == [51.5, -0.1]
    assert "<svg" in reply["verdict"]
    assert "52.50000, 13.40000" in reply["verdict"]
    place = {"photos": [berlin], "claim": "51.5 N 0.1 W", "radius_m": 500}
    again = ask(desk, "verify", **place, claim_number=2, prior_percent=1.5)["verdict"]
    assert "2nd claim tested on this photo" in again
    assert "2nd claim" not in reply["verdict"]
    assert ask(desk, "place", claim="51.5, -0.1")["claim"] == [51.5, -0.1]
    told = ask(desk, "compare", photos=[street, street])["comparison"]
    assert "<b>1.000</b>" in told
    assert "both are the same picture" in told


def test_similar_places_and_photos_of_a_place(desk: Desk) -> None:
    asked = {"index": "ground", "like": ["51.5, -0.1"], "unlike": ["51.51, -0.08"]}
    reply = ask(desk, "similar", **asked)
    marks = [point["mark"] for point in reply["points"]]
    assert marks == ["+", "\u2212", *map(str, range(1, 11))]
    assert all(len(point["cell"]) >= 5 for point in reply["points"])
    assert reply["list"].count("data-gair-similar-place") == 10
    saved = ask(desk, "save_similar", **asked, kind="csv")
    assert saved["name"] == "similar-places-in-ground.csv"
    first = next(csv.DictReader(io.StringIO(saved["text"])))
    assert [float(first["lat"]), float(first["lon"])] == pytest.approx(
        reply["points"][2]["position"], abs=1e-6
    )
    near = ask(desk, "near_photos", index="ground", at="51.5, -0.1")
    assert near["list"].count("Mapillary") == len(near["points"]) - 1 == 10
    assert near["points"][0]["position"] == [51.5, -0.1]
    place = {"index": "ground", "at": "51.5, -0.1", "order": "likeness"}
    text = ask(desk, "save_near_photos", **place, kind="geojson")["text"]
    assert json.loads(text)["order"] == "likeness"


@pytest.mark.parametrize("kind", ["geojson", "csv", "kml", "report"])
def test_nothing_of_the_photos_tags_leaves_with_a_file(desk: Desk, berlin: str, kind: str) -> None:
    reply = ask(desk, "save", photos=[berlin], k=3, kind=kind)
    assert reply["name"].startswith("berlin-in-known.")
    text = reply["text"]
    drawn = re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)  # full of numbers of its own
    assert not re.search(r"(?<![\d.])(13\.4|52\.5)", drawn)
    assert not re.search(r"(?<![\d.])(13\.40|52\.50)", text)
    if kind == "csv":
        assert len(list(csv.reader(io.StringIO(text)))) == 4
    if kind == "report":
        start = text.index("data:image/jpeg;base64,") + 23
        picture = base64.b64decode(text[start : text.index('"', start)])
        assert picture.startswith(b"\xff\xd8")
        assert EXIF_MARK not in picture
        assert EXIF_MARK in gps_jpeg(BERLIN)


def test_an_example_is_a_copy_among_the_uploads(desk: Desk) -> None:
    reply = ask(desk, "example", number=1)
    assert desk.uploads.take(reply["path"]).content == desk.samples[0].photo.read_bytes()
    assert reply["preview"].startswith("data:image/jpeg;base64,")
    gone = desk.ask({"do": "example", "index": "known", "number": 2})
    assert gone == {"error": "example photo 2 is gone", "gone": False}
    assert "number is 3" in desk.ask({"do": "example", "number": 3})["error"]


def test_a_photo_that_was_forgotten_is_asked_for_again(desk: Desk) -> None:
    street = put(desk, "forgotten.jpg", encode(photo(9), "JPEG"))
    ask(desk, "locate", photos=[street], k=1)
    assert ask(desk, "preview", photos=[street])["preview"].startswith("data:image/jpeg")
    ask(desk, "forget", photos=[street])
    gone = desk.ask({"do": "locate", "index": "known", "photos": [street], "k": 1})
    assert gone == {"error": GONE, "gone": True}


BAD = [
    (None, "a question is a JSON object, not nothing"),
    ([1], "a question is a JSON object, not list"),
    ({}, "do must be text"),
    ({"do": "nonsense"}, "no question 'nonsense'"),
    ({"do": "__init__"}, "no question"),
    ({"do": "index", "index": 7}, "index must be text, not int"),
    ({"do": "index", "index": "../known"}, "no index '../known'"),
    ({"do": "index", "index": "\0"}, "no index"),
    ({"do": "locate", "index": "known", "k": 1}, "photos must be a list"),
    ({"do": "locate", "index": "known", "photos": [], "k": 1}, "0 photos"),
    ({"do": "locate", "index": "known", "photos": [{}], "k": 1}, "photos must be a list"),
    ({"do": "locate", "index": "known", "photos": ["x"] * 99, "k": 1}, "99 photos"),
    ({"do": "locate", "index": "known", "photos": ["/etc/passwd"], "k": 1}, GONE),
    ({"do": "locate", "index": "known", "photos": ["http://x/y.jpg"], "k": 1}, GONE),
    ({"do": "locate", "index": "known", "photos": ["\0"], "k": 1}, GONE),
    ({"do": "preview", "photos": ["../../etc/passwd"]}, GONE),
    ({"do": "compare", "index": "known", "photos": ["x"]}, "1 photos"),
    ({"do": "verify", "claim": None}, "claim must be text"),
    ({"do": "similar", "index": "known", "like": []}, "like must be a list of 1 to 100 places"),
    ({"do": "similar", "index": "known", "like": [7]}, "like must be a list of 1 to 100 places"),
    ({"do": "similar", "index": "known", "like": ["9, 9"]}, "no cell of index 'known'"),
    ({"do": "near_photos", "index": "known", "at": "51.5, -0.1"}, "no reference photos"),
    ({"do": "near_photos", "index": "known", "at": "51, 0", "order": "x"}, "choose distance"),
    ({"do": "example", "number": True}, "number must be a number, not bool"),
]


@pytest.mark.parametrize(("values", "told"), BAD)
def test_nonsense_gets_one_line(desk: Desk, values: Any, told: str) -> None:
    error = desk.ask(values)["error"]
    assert told in error
    assert "\n" not in error


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"k": "5"}, "k must be a number, not str"),
        ({"k": float("nan")}, "k is nan"),
        ({"k": 1e9}, "k is 1e\\+09: it must be from 1 to 100"),
        ({"k": True}, "k must be a number, not bool"),
        ({"k": 10**400}, "k must be a number"),
        ({"share": 2}, "share is 2"),
        ({"share": []}, "share must be a number, not list"),
        ({"area": "x"}, "an area has 3 to 500 corners"),
        ({"area": [[0, 0]] * 501}, "an area has 3 to 500 corners"),
        ({"area": [[0, 0], [1, 1], "x"]}, "a point is a pair"),
        ({"area": [[0, 0], [1, 1], [None, 1]]}, "must be a number, not nothing"),
        ({"area": [[0, 0], [1, 1], [0, 1e400]]}, "no longitude or latitude"),
        ({"area": [[0, 0], [0, 0], [0, 0]]}, "the area"),
        ({"area": [[0, 51], [1, 52], [0, 52], [1, 51]]}, "not a valid area"),
        ({"do": "heat", "layer": "x"}, "choose fused, imagery, location"),
        ({"do": "save", "kind": "exe"}, "choose geojson, csv, kml, report"),
        ({"do": "verify", "claim": "51.5 0", "radius_m": -1}, "radius_m is -1"),
        (
            {"do": "verify", "claim": "51.5 0", "radius_m": 500, "prior_percent": 100},
            "prior_percent is 100: it must be from 0.0001 to 99.9999",
        ),
        (
            {"do": "verify", "claim": "51.5 0", "radius_m": 500, "claim_number": "2"},
            "claim_number must be a number",
        ),
        ({"do": "cell", "lonlat": [0]}, "a point is a pair"),
        ({"do": "cell", "lonlat": [0, 91]}, "no longitude or latitude"),
    ],
)
def test_values_that_make_no_sense_are_named(
    desk: Desk, street: str, values: dict[str, Any], told: str
) -> None:
    request = {"do": "locate", "index": "known", "photos": [street], "k": 5, **values}
    with pytest.raises(AssertionError, match=told):
        ask(desk, request.pop("do"), **request)


def test_the_sun_is_known_by_a_photos_time_or_a_typed_one(desk: Desk, street: str) -> None:
    lonlats = [[-0.11, 51.5], [151.2, -33.87]]
    unknown = ask(desk, "sun", photos=[street], lonlats=lonlats)
    assert unknown == {"places": [], "said": "the photo does not say when it was taken"}
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2024:06:20 13:02:00", 0x9011: "+01:00"}
    dated = put(desk, "dated.jpg", encode(photo(seed=8), "JPEG", exif=exif))
    told = ask(desk, "sun", photos=[street, dated], lonlats=lonlats)  # the first that says
    london, sydney = told["places"]
    assert told["said"] == "2024-06-20 12:02 UTC, says the photo"
    assert london["azimuth_deg"] == pytest.approx(180, abs=1)
    assert london["elevation_deg"] == pytest.approx(62, abs=0.3)
    assert sydney["elevation_deg"] < 0
    typed = ask(desk, "sun", photos=[dated], lonlats=lonlats, taken_at="2024-06-20T05:00Z")
    assert typed["said"] == "2024-06-20 05:00 UTC, as typed"
    assert typed["places"][0]["azimuth_deg"] == pytest.approx(60, abs=5)
    for taken_at, words in (("noon", "is no time"), ("2024-06-20T05:00", "has no offset")):
        reply = desk.ask({"do": "sun", "photos": [dated], "lonlats": lonlats, "taken_at": taken_at})
        assert words in reply["error"]
    found = {"index": "toy", "photos": [dated], "k": 2, "kind": "report"}
    assert "Photo taken 2024-06-20 12:02 UTC. Place 1: sun in" in ask(desk, "save", **found)["text"]
    typed_report = ask(desk, "save", **found, taken_at="2024-06-20T05:00Z")["text"]
    assert "Photo taken 2024-06-20 05:00 UTC. Place 1: sun in the north-east (" in typed_report
    undated = ask(desk, "save", **found | {"photos": [street]})["text"]
    assert "not known: the photo does not say when it was taken" in undated
    nowhere = desk.ask({"do": "sun", "photos": [dated], "lonlats": [[500, 0]]})
    assert nowhere["error"] == "a coordinate is no longitude or latitude in degrees"


def test_an_index_tells_the_layers_of_its_pictures(desk: Desk) -> None:
    (layer,) = ask(desk, "index", index="toy")["pictures"]
    assert (layer["number"], layer["day"], layer["words"]) == (0, None, "date unknown")
    assert layer["attribution"] == "Contains modified Copernicus Sentinel data"
    assert layer["zoom"] == 13
    (south, west), (north, east) = layer["corners"]
    assert south < 51.5 < north
    assert west < -0.11 < east
    assert ask(desk, "index", index="older")["pictures"] == []
    days = [layer["day"] for layer in ask(desk, "index", index="days")["pictures"]]
    assert days == [None, "2024-03-01", "2024-06-11"]
