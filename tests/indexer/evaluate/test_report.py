"""A whole evaluation of a small index: what a search answers, what is counted, what is written."""

from __future__ import annotations

import dataclasses
import html.parser
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_builds import tiny_model
from stated import stated_within
from toy_city import photo

from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.commands.evaluate import headlines
from indexer.evaluate import judge
from indexer.evaluate.evaluate import evaluate
from indexer.evaluate.options import EvaluateOptions
from indexer.evaluate.report.report import TEMPLATES, html_of, write_report
from indexer.evaluate.summary import grouped
from indexer.evaluate.task import in_calibration
from indexer.photos.swapped import swapped
from indexer.photos.vectors import PhotoVectors, photo_vectors
from indexer.probability.calibration import SCHEMA_VERSION, Calibration, calibration_path
from indexer.probability.confidence import Curve
from indexer.probability.decisions import Trials
from indexer.probability.out_of_index import fit_out_of_index
from indexer.probability.posterior import ScoreWeights
from indexer.search.geolocator import Geolocator

QUIET = EvaluateOptions(quiet=True, resamples=100, command="x <y> & z")
NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def plain(tiny_index: Path) -> Geolocator:
    return Geolocator.open("toy", indexes_dir=tiny_index, model=tiny_model())


@pytest.fixture(scope="module")
def photos(plain: Geolocator, tmp_path_factory: pytest.TempPathFactory) -> PhotoVectors:
    """Fifteen photos: two outside the index, three that fail for three reasons."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    cells = plain.index.cells.lonlat_deg
    lines = ["file,lat,lon,weather,n"]
    for number in range(15):
        photo(number).save(folder / f"{number}.png")
        lon, lat = cells[rng.integers(len(cells))] + rng.uniform(-1e-4, 1e-4, 2)
        place = f"{lat},{lon}"
        if number in (3, 4):
            place = f"{lat + 1},{lon}"
        if number == 5:
            place = ","
        if number == 6:
            place = f"{lat},999"
        if number == 7:
            (folder / "7.png").write_bytes(b"no photo")
        lines.append(f"{number}.png,{place},{'rain' if number % 3 else NASTY},{number}")
    (folder / "photos.csv").write_text("\n".join(lines))
    return photo_vectors(
        plain, folder / "photos.csv", cache=None, extra=("weather", "n"), quiet=True
    )


def calibration_of(geolocator: Geolocator, photos: PhotoVectors) -> Calibration:
    """Made up, but for what photos look like."""
    rows = np.flatnonzero(photos.usable)
    manifest = geolocator.index.manifest
    return Calibration(
        schema_version=SCHEMA_VERSION,
        build=manifest.build,
        model_fingerprint=manifest.model.fingerprint,
        created_utc="2026-01-01T00:00:00+00:00",
        photos=len(rows),
        left_out={},
        weights=ScoreWeights(12.0, 5.0, 150.0),
        masses=np.linspace(0.05, 0.95, 30),
        confidence={500.0: Curve(1.1, 0.2), 2000.0: Curve(0.9, 0.1)},
        refined_confidence={500.0: Curve(1.2, 0.3), 2000.0: Curve(0.8, 0.2)},
        out_of_index=fit_out_of_index(
            photos.s[rows], np.arange(len(rows)), np.arange(len(rows)) / 9
        ),
        claims={},
        false_claims={},
        photo_lonlat_deg=photos.lonlat_deg,
        measured={},
        # All that are left over miss by 600 m: none may be answered within 500 m, all within 2 km.
        trials=Trials(
            (500.0, 2000.0), np.full((300, 2), 0.01), np.full(300, 600.0), np.full(300, 0.5)
        ),
    )


@pytest.fixture(scope="module")
def others(plain: Geolocator, tmp_path_factory: pytest.TempPathFactory) -> PhotoVectors:
    """Photos that no report is about."""
    folder = tmp_path_factory.mktemp("others")
    for number in range(12):
        photo(100 + number).save(folder / f"{number}.png")
    found = photo_vectors(plain, folder, cache=None, quiet=True)
    lonlat = plain.index.cells.lonlat_deg[:12] + 0.0
    return dataclasses.replace(found, lonlat_deg=lonlat)


@pytest.fixture(scope="module")
def calibrated(
    tiny_index: Path, others: PhotoVectors, plain: Geolocator, tmp_path_factory: Any
) -> Geolocator:
    folder = tmp_path_factory.mktemp("calibrated") / "toy"
    shutil.copytree(tiny_index / "toy", folder)
    made = calibration_of(plain, others)
    made.save(calibration_path(folder, made.build))
    return Geolocator.open(folder, model=tiny_model())


@pytest.fixture(scope="module")
def report(calibrated: Geolocator, photos: PhotoVectors, others: PhotoVectors) -> dict[str, Any]:
    options = dataclasses.replace(QUIET, slice_by=("weather", "n"), thorough=True)
    return evaluate(calibrated.space, photos, options, outside=others)


@pytest.fixture(scope="module")
def reports(
    plain: Geolocator, calibrated: Geolocator, photos: PhotoVectors
) -> dict[str, dict[str, Any]]:
    """Short ones, without and with a calibration."""
    both = {"plain": plain, "calibrated": calibrated}
    return {name: evaluate(each.space, photos, QUIET) for name, each in both.items()}


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages whose words are looked at: drawing takes seconds."""
    monkeypatch.setattr("indexer.evaluate.report.report.draw_all", lambda _: {})


def row(report: dict[str, Any], key: str) -> Any:
    return next(m for m in report["methods"] if m["key"] == key)


@pytest.mark.parametrize("which", ["plain", "calibrated"])
def test_the_answer_that_is_judged_is_what_a_search_answers(
    which: str,
    photos: PhotoVectors,
    reports: dict[str, dict[str, Any]],
    request: pytest.FixtureRequest,
) -> None:
    geolocator: Geolocator = request.getfixturevalue(which)
    found = reports[which]
    errors = []
    for number, one in enumerate(found["figures"]["photos"]):
        if number in (5, 6, 7):
            assert one["error_m"] == "inf"
            assert one["best_lonlat_deg"] is None
            errors.append(np.inf)
            continue
        best = geolocator.search(photos.photos[number].path, k=1).candidates[0]
        place = np.array(best.refined_lonlat_deg)
        assert one["best_lonlat_deg"] == pytest.approx(place, abs=1e-6)
        errors.append(float(haversine_m(place, photos.lonlat_deg[number])))
    own = row(found, "answer")["numbers"]
    assert own["median_m"]["value"] == pytest.approx(np.sort(errors)[7])
    for key, measured in own["accuracy"].items():
        assert measured["value"] == pytest.approx(np.mean(np.array(errors) <= float(key)))
    assert own["mean_m"]["value"] == "inf"
    finite = [error for error in errors if np.isfinite(error)]
    assert own["mean_answered_m"]["value"] == pytest.approx(np.mean(finite))


def test_confidence_and_regions_are_those_of_a_search(
    calibrated: Geolocator, photos: PhotoVectors, report: dict[str, Any]
) -> None:
    judged = np.flatnonzero(photos.usable)
    answers = [calibrated.search(photos.photos[n].path, k=1) for n in judged]
    for column, radius_m in enumerate((500.0, 2000.0)):
        said = np.mean([stated_within(calibrated.space, answer)[column] for answer in answers])
        found = report["calibration"]["confidence_within"][f"{radius_m:g}"]
        assert found["said"] == pytest.approx(said, rel=1e-5)
    rows = calibrated.space.cell_row(photos.lonlat_deg[judged])
    for column, level in enumerate((0.5, 0.9)):
        regions = [answer.region(level) for answer in answers]
        held = [n >= 0 and n in region.rows for n, region in zip(rows, regions, strict=True)]
        found = report["calibration"]["regions"][column]
        assert found["covered"]["value"] == pytest.approx(np.mean(held))
        assert found["covered"]["photos"] == 12
        assert found["covered_inside"]["photos"] == 10
    logs = [np.log(a.posterior[n]) for n, a in zip(rows, answers, strict=True) if n >= 0]
    nll = report["calibration"]["nll"]["answer"]["value"]
    assert nll == pytest.approx(-np.mean(logs), rel=1e-5)


def test_decisions_are_those_of_a_search(
    calibrated: Geolocator, photos: PhotoVectors, report: dict[str, Any]
) -> None:
    rows = report["calibration"]["decisions"]["rows"]
    row = next(r for r in rows if (r["max_error_rate"], r["within_m"]) == (0.1, 500.0))
    judged = np.flatnonzero(photos.usable)
    wrong = []
    promising = Geolocator(calibrated.index, calibrated.model)
    assert promising.calibration is not None
    promising.space.calibration = dataclasses.replace(promising.calibration, places=130)
    for n in judged:
        # A photo that is refused is judged here, and a search does not answer it.
        geo = promising.search(photos.photos[n].path, k=1, max_error_rate=0.1)
        assert geo.decision is not None
        refused = geo.membership is not None and not geo.membership.in_index
        assert geo.decision.kind == ("none" if refused else "larger_disc")
        shown = np.array(geo.candidates[0].shown_lonlat_deg)
        wrong.append(bool(haversine_m(shown, photos.lonlat_deg[n]) > 2000.0))
    assert (row["within"]["answered"], row["within"]["wrong"]["photos"]) == (0, 0)
    assert row["larger_disc"]["answered"] == pytest.approx(len(judged) / len(photos))
    assert row["larger_disc"]["wrong"]["value"] == pytest.approx(np.mean(wrong))


def test_failures_and_truths_outside_are_counted(report: dict[str, Any]) -> None:
    found = report["photos"]
    assert (found["listed"], found["judged"], found["outside_the_index"]) == (15, 12, 2)
    assert sum(found["failures"].values()) == 3
    assert len(found["failures"]) == 3
    widest = list(row(report, "answer")["numbers"]["accuracy"].values())[-1]
    assert widest["value"] == pytest.approx(12 / 15)  # an error, however large, is no failure
    everywhere = row(report, "answer")["numbers"]["recall_by_area"]
    assert everywhere[-1]["found"]["value"] <= 10 / 15


@pytest.mark.process
def test_what_cannot_be_measured_says_why(reports: dict[str, dict[str, Any]]) -> None:
    found = reports["plain"]
    assert found["calibration"] == {
        "measured": False,
        "why": "not measured: calibrate first (python -m indexer calibrate)",
    }
    assert "calibrate first" in row(found, "density")["why"]
    assert "--thorough" in found["offset"]["why"]
    assert "--thorough" in found["noise"]["why"]
    assert "--stress" in found["stress"]["why"]
    assert not found["out_of_index"]["measured"]
    page = html_of(found)
    assert "Not measured: calibrate first" in page


def test_weights_of_your_own_are_not_calibrated(
    calibrated: Geolocator, photos: PhotoVectors
) -> None:
    options = dataclasses.replace(QUIET, rs_weight=1.0, location_weight=0.0)
    found = evaluate(calibrated.space, photos, options)
    assert "other weights" in found["calibration"]["why"]
    centre, imagery = (row(found, key)["numbers"] for key in ("centre", "imagery"))
    assert centre == imagery
    with pytest.raises(UsageError, match="weights -1"):
        evaluate(calibrated.space, photos, dataclasses.replace(QUIET, rs_weight=-1.0))


def test_calibration_photos_are_refused_unless_allowed(
    calibrated: Geolocator, photos: PhotoVectors, others: PhotoVectors
) -> None:
    assert calibrated.calibration is not None
    assert in_calibration(calibrated.calibration, others.s).all()
    assert not in_calibration(calibrated.calibration, photos.s).any()
    with pytest.raises(UsageError, match="12 of 12 photos were used to calibrate index 'toy'"):
        evaluate(calibrated.space, others, QUIET)
    allowed = dataclasses.replace(QUIET, allow_calibration_photos=True)
    found = evaluate(calibrated.space, others, allowed)
    assert found["photos"]["used_for_calibration"] == 12
    assert any("flatter" in note for note in found["notes"])


def test_the_index_is_not_worldwide_and_has_no_geoscore(report: dict[str, Any]) -> None:
    assert not report["index"]["worldwide"]
    assert "geoscore" not in row(report, "answer")["numbers"]
    assert report["index"]["radii_m"][0] == 200  # a corner of a cell is 190 m away


def test_every_photo_is_in_one_row_of_each_slice(report: dict[str, Any]) -> None:
    weather, number = report["slices"]
    assert {r["value"]: r["photos"] for r in weather["rows"]} == {NASTY: 5, "rain": 10}
    assert [r["photos"] for r in number["rows"]] == [4, 3, 4, 4]
    assert grouped([str(n) for n in range(8)]) == [str(n) for n in range(8)]
    assert set(grouped([*("ab" * 20), *map(chr, range(65, 91))])) >= {"a", "b", "(other)"}
    assert grouped(["", "x"]) == ["(empty)", "x"]


def test_centres_the_offset_and_the_noise_test_need_token_maps(
    report: dict[str, Any],
) -> None:
    assert row(report, "centre")["measured"]
    assert row(report, "bilinear")["measured"]
    assert report["offset"]["photos"] == 12
    noise = report["noise"]
    assert noise["photos"] == 15  # those that failed are not found
    assert [row["noise_m"] for row in noise["rows"]] == [0, 25, 50, 100, 200, 400]
    assert all(row["recall"] <= 12 / 15 for row in noise["rows"])


class Page(html.parser.HTMLParser):
    """What a browser would load, and the numbers that are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.numbers: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attrs)
        self.loaded += [named[n] or "" for n in ("src", "srcset", "href", "action") if n in named]
        if tag == "data":
            self.numbers.append(named["value"] or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def values_in(report: Any) -> set[str]:
    if isinstance(report, dict):
        return set().union(*map(values_in, report.values()))
    if isinstance(report, list):
        return set().union(*map(values_in, report))
    return {str(report)}


@pytest.mark.process
def test_the_page_loads_nothing_and_shows_the_numbers_of_the_json(
    report: dict[str, Any], tmp_path: Path
) -> None:
    page_file, numbers_file = write_report(report, tmp_path / "new" / "report")
    numbers = json.loads(numbers_file.read_bytes())
    assert numbers == json.loads(json.dumps(report))
    content = page_file.read_text()
    page = Page()
    page.feed(content)
    assert len(page.loaded) == 12  # six figures, light and dark
    assert all(source.startswith("data:image/png;base64,") for source in page.loaded)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not re.search(r"@import|url\(", content)
    assert set(page.numbers) <= values_in(numbers)
    for measured in row(numbers, "answer")["numbers"]["accuracy"].values():
        if measured["value"] not in (0.0, 0.8):
            assert str(measured["value"]) in page.numbers
    text = "".join(page.text)
    for needed in (NASTY, "x <y> & z", "untrained", report["model"]["licence"], "seed 0"):
        assert needed in text
    assert report["index"]["build"] in text
    assert "prefers-color-scheme: dark" in content


def hostile(report: Any, key: str = "") -> Any:
    """The same report, where every text that is no number and no key is markup."""
    if isinstance(report, dict):
        return {key: hostile(value, key) for key, value in report.items()}
    if isinstance(report, list | tuple):
        return [hostile(value, key) for value in report]
    is_text = isinstance(report, str) and key not in ("key", "mode")
    return NASTY if is_text and report not in ("inf", "-inf", "nan") else report


@pytest.mark.usefixtures("without_figures")
def test_every_template_shows_hostile_text_as_text(
    report: dict[str, Any], reports: dict[str, dict[str, Any]]
) -> None:
    TEMPLATES.cache.clear()
    for content in (report, reports["plain"]):
        page = Page()
        page.feed(html_of(hostile(content)))
        assert "script" not in page.tags
        assert "".join(page.text).count(NASTY) > 15
    assert {name for _, name in TEMPLATES.cache} == set(TEMPLATES.list_templates(["html", "css"]))


def numbers_of(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key != "made"}


def test_the_same_photos_give_the_same_numbers(
    calibrated: Geolocator, photos: PhotoVectors, reports: dict[str, dict[str, Any]]
) -> None:
    again = evaluate(calibrated.space, photos, dataclasses.replace(QUIET, threads=1))
    assert numbers_of(again) == numbers_of(reports["calibrated"])


def test_forked_children_give_the_same_numbers(
    calibrated: Geolocator, photos: PhotoVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_MOST_PHOTOS", 2), ("_SCORED_STEPS", 2)):
        monkeypatch.setattr(judge, name, value)
    one, two = (
        evaluate(calibrated.space, photos, dataclasses.replace(QUIET, threads=count))
        for count in (1, 2)
    )
    assert numbers_of(one) == numbers_of(two)


def test_no_photo_that_can_be_judged(calibrated: Geolocator, photos: PhotoVectors) -> None:
    reasons = "1 impossible coordinates, 1 no coordinates, 1 photo cannot be read"
    with pytest.raises(UsageError, match=rf"none of 3 photos can be judged \({reasons}\)") as none:
        evaluate(calibrated.space, photos.taken(np.arange(5, 8)), QUIET)
    assert "\n" not in str(none.value)
    assert "exchanged" not in str(none.value)


def test_swapped_coordinates_are_hinted_at(calibrated: Geolocator, photos: PhotoVectors) -> None:
    def exchange(some: PhotoVectors) -> PhotoVectors:
        listed = [
            dataclasses.replace(one, lonlat_deg=one.lonlat_deg and one.lonlat_deg[::-1])
            for one in some.photos
        ]
        return dataclasses.replace(some, photos=listed, lonlat_deg=some.lonlat_deg[:, ::-1] + 0.0)

    assert not swapped(calibrated.space.cell_row, photos).any()
    found = evaluate(calibrated.space, exchange(photos.taken(np.arange(3))), QUIET)
    assert found["photos"]["outside_the_index"] == 3
    assert found["notes"][0].startswith("3 of 3 photos lie in the index only with latitude and")
    away = dataclasses.replace(photos.photos[0], lonlat_deg=(51.5, -0.1))
    assert not swapped(lambda places: np.full(len(places), -1), photos).any()
    far = PhotoVectors([away], photos.s[:1], np.full((1, 2), np.nan), {})
    assert swapped(lambda places: np.where(places[:, 1] == 51.5, 0, -1), far).tolist() == [True]


@pytest.mark.usefixtures("without_figures")
def test_photos_of_one_place_widen_the_intervals(
    calibrated: Geolocator, photos: PhotoVectors
) -> None:
    named = [dataclasses.replace(one, sequence=f"s{n // 8}") for n, one in enumerate(photos.photos)]
    few = evaluate(calibrated.space, dataclasses.replace(photos, photos=named), QUIET)
    alone = [dataclasses.replace(one, sequence=f"s{n}") for n, one in enumerate(photos.photos)]
    many = evaluate(calibrated.space, dataclasses.replace(photos, photos=alone), QUIET)
    assert (few["photos"]["places"], many["photos"]["places"]) == (2, 15)
    own, of_many = (row(found, "answer")["numbers"]["accuracy"] for found in (few, many))
    wider = 0
    for radius_m, measured in own.items():
        assert measured["value"] == of_many[radius_m]["value"]
        span, span_of_many = (m["high"] - m["low"] for m in (measured, of_many[radius_m]))
        wider += span >= span_of_many
    assert wider >= 1
    assert "of 2 places" in html_of(few)
    assert any("2 places" in line for line in headlines(few))


def test_headlines_fit_a_terminal(report: dict[str, Any]) -> None:
    lines = headlines(report)
    assert lines[0].startswith("index toy: 15 photos of ")
    assert " places, 12 judged, 2 of these" in lines[0]
    assert any(line.startswith("  region 90 %") for line in lines)
    assert all(len(line) < 100 for line in lines)


def test_a_file_is_no_folder_for_a_report(report: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file: name a folder"):
        write_report(report, tmp_path / "file")
