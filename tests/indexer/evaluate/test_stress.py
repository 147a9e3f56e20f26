"""Stress test: its numbers are those of answers about altered photos, and night is no day."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from reference_samples import give_references, reference_photos
from small_builds import tiny_model
from toy_city import photo

from gair.geo import haversine_m
from gair.photos.photo import conditions_of, open_photo
from indexer.commands.evaluate import stress_lines
from indexer.evaluate.options import EvaluateOptions
from indexer.evaluate.report.report import TEMPLATES
from indexer.evaluate.stress import stress_report
from indexer.photos.alterations import ALTERATIONS
from indexer.photos.vectors import PhotoVectors, photo_vectors
from indexer.probability.conditions import fit_conditions
from indexer.search.geolocator import Geolocator

QUIET = EvaluateOptions(quiet=True, resamples=50, stress=True)
PHOTOS = 5


@pytest.fixture(scope="module")
def calibrated(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    folder = tmp_path_factory.mktemp("stressed") / "toy"
    shutil.copytree(tiny_index / "toy", folder)
    values = np.stack([conditions_of(open_photo(photo(n))).values for n in range(60)])
    calibrate_by_hand(folder, conditions=fit_conditions(values, np.zeros(60), np.arange(60)))
    return Geolocator.open(folder, model=tiny_model())


@pytest.fixture(scope="module")
def photos(calibrated: Geolocator, tmp_path_factory: pytest.TempPathFactory) -> PhotoVectors:
    """Photos of places, two of them of one; one is outside the index, one cannot be read."""
    folder = tmp_path_factory.mktemp("stress-photos")
    cells = calibrated.index.cells.lonlat_deg
    lines = ["file,lat,lon"]
    for number in range(PHOTOS + 2):
        photo(number).save(folder / f"{number}.png")
        lon, lat = cells[max(number, 1) * 9]
        lines.append(f"{number}.png,{lat + (number == PHOTOS)},{lon}")
    (folder / f"{PHOTOS + 1}.png").write_bytes(b"no photo")
    (folder / "photos.csv").write_text("\n".join(lines))
    return photo_vectors(calibrated, folder / "photos.csv", cache=None, quiet=True)


@pytest.fixture(scope="module")
def stress(calibrated: Geolocator, photos: PhotoVectors) -> dict[str, Any]:
    return stress_report(calibrated, photos, QUIET)


def row(stress: dict[str, Any], key: str) -> Any:
    return next(one for one in stress["rows"] if one["key"] == key)


def test_numbers_are_those_of_answers_about_the_altered_photos(
    calibrated: Geolocator, photos: PhotoVectors, stress: dict[str, Any]
) -> None:
    assert [one["key"] for one in stress["rows"]] == [
        "as it is",
        *(alteration.key for alteration in ALTERATIONS),
    ]
    for key in ("as it is", "tele", "night"):
        alter = {one.key: one.alter for one in ALTERATIONS}.get(key, lambda rgb: rgb)
        answers = [calibrated.search(alter(photo(n)), k=1) for n in range(PHOTOS)]
        lonlat = photos.lonlat_deg[:PHOTOS]
        truth = calibrated.space.cell_row(lonlat)
        points = np.array([answer.candidates[0].shown_lonlat_deg for answer in answers])
        told = row(stress, key)
        assert (told["photos"], told["places"]) == (PHOTOS, PHOTOS - 1)
        assert told["within"]["value"] == (haversine_m(points, lonlat) <= 200).mean()
        said = [answer.confidence[0].probability for answer in answers]
        assert answers[0].confidence[0].radius_m == 200
        assert told["said"]["value"] == pytest.approx(np.mean(said))
        promised = np.array([answer.region(0.9).promised for answer in answers])
        assert told["promised"]["value"] == promised.mean()
        held = np.array([t in a.region(0.9).rows for a, t in zip(answers, truth, strict=True)])
        assert told["covered"]["photos"] == promised.sum()
        assert told["covered_of_all"]["value"] == held.mean()


def test_promises_are_withheld_by_night(stress: dict[str, Any]) -> None:
    assert row(stress, "as it is")["promised"]["value"] == 1
    assert row(stress, "as it is")["unlike"] == {}
    night = row(stress, "night")
    assert night["promised"]["value"] == 0
    assert night["unlike"]["brightness"] == 1
    assert night["covered"] == {"value": "not a number", "photos": 0, "places": 0}


def section(report: dict[str, Any]) -> str:
    page = '{% import "macros.html" as ui %}{% include "stress.html" %}'
    return TEMPLATES.from_string(page).render(report=report)


def test_the_report_and_the_terminal_have_the_table(stress: dict[str, Any]) -> None:
    page, lines = section({"stress": stress}), "\n".join(stress_lines(stress))
    for text in ("black bars", "a higher camera"):
        assert text in page
        assert text in lines
    assert f'<data value="{row(stress, "night")["within"]["value"]}">' in page
    assert "brightness 100.0 %" in page
    assert "promised" in lines
    assert "not measured" in section({}).lower()  # a report from before
    assert stress_lines({"measured": False, "why": "not asked"}) == []


def test_without_calibration_only_what_is_found_is_told(
    tiny_index: Path, photos: PhotoVectors
) -> None:
    plain = Geolocator.open(tiny_index / "toy", model=tiny_model())
    told = stress_report(plain, photos.taken(np.arange(2)), QUIET)
    assert not told["calibrated"]
    assert "promised" not in told["rows"][0]
    assert told["rows"][0]["within"]["photos"] == 2
    assert "promised" not in "\n".join(stress_lines(told))


def test_photos_that_cannot_be_asked_about_are_told(
    calibrated: Geolocator, photos: PhotoVectors, tmp_path: Path
) -> None:
    nothing = stress_report(calibrated, photos.taken(np.array([PHOTOS])), QUIET)
    assert nothing == {"measured": False, "why": "not measured: no photo was taken in the index"}
    gone = photos.taken(np.arange(2))
    gone.photos[1] = dataclasses.replace(gone.photos[1], path=tmp_path / "gone.png")
    told = stress_report(calibrated, gone, QUIET)
    assert {(one["photos"], one["unreadable"]) for one in told["rows"]} == {(1, 1)}


def test_a_photos_own_reference_photos_are_no_evidence_of_what_is_made_of_it(
    calibrated: Geolocator, photos: PhotoVectors, tmp_path: Path
) -> None:
    """With the photo itself and its neighbour in the set, answers are as with neither."""
    rng = np.random.default_rng(0)
    s = rng.normal(size=(40, photos.s.shape[1])).astype(np.float32)
    s /= np.linalg.norm(s, axis=1, keepdims=True)
    cells = calibrated.index.cells.lonlat_deg
    places = cells[rng.integers(0, len(cells), 40)]
    own = np.arange(2)
    beside = photos.lonlat_deg[own] + (0.0, 3e-4)
    planted_s = np.concatenate([s, photos.s[own], photos.s[own] + 0.01 * s[own]])
    planted_s /= np.linalg.norm(planted_s, axis=1, keepdims=True)
    planted = np.concatenate([places, photos.lonlat_deg[own], beside])
    told = {}
    for name, given_s, at in (("with", planted_s, planted), ("without", s, places)):
        shutil.copytree(calibrated.index.path.parent, tmp_path / name)
        give_references(tmp_path / name, reference_photos(at, 9), given_s)
        geolocator = Geolocator.open(tmp_path / name, model=tiny_model())
        geolocator.space.calibration = None
        options = dataclasses.replace(QUIET, ground_apart_m=50.0)
        told[name] = stress_report(geolocator, photos.taken(own), options)
    assert "2 copies of it" in told["with"]["own_references"]
    assert "of 2 of 2 photos" in told["with"]["own_references"]
    assert told["with"]["rows"] == told["without"]["rows"]
    assert told["with"]["own_references"] in "\n".join(stress_lines(told["with"]))
