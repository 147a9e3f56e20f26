"""An evaluation with reference photos: without and with them, by density, and nobody's own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from grounded_city import GroundedCity
from model_city import unit

from gair.geo import haversine_m
from indexer.calibrate.calibrate import calibrate
from indexer.evaluate.by_density import photos_around
from indexer.evaluate.evaluate import evaluate
from indexer.evaluate.options import EvaluateOptions
from indexer.evaluate.report.report import html_of
from indexer.evaluate.task import make_task
from indexer.ground.left_out import COPIES, NEAR, OF_SEQUENCE

QUIET = EvaluateOptions(quiet=True, resamples=50)


@pytest.fixture(scope="module")
def city() -> GroundedCity:
    """Calibrated, with reference photos in its western half only."""
    city = GroundedCity()
    assert city.ground is not None
    places = city.ground.comparison.photos.lonlat_deg
    west = places[:, 0] < np.median(city.field.lonlat_deg[:, 0])
    city.give(city.reference_s[west], places[west])
    city.calibration = calibrate(city, city.asked(250, 1), quiet=True)
    return city


def test_the_report_has_all_ways_to_answer_and_a_row_for_each_density(city: GroundedCity) -> None:
    photos = city.asked(120, 2)
    report = evaluate(city, photos, QUIET)
    methods = {row["key"]: row for row in report["methods"]}
    assert all(methods[key]["measured"] for key in ("without_ground", "ground", "nearest_photo"))
    answer, without = (methods[key]["numbers"] for key in ("answer", "without_ground"))
    assert answer["median_m"]["value"] < without["median_m"]["value"]
    assert report["search"]["ground_weight"] > 0
    ground = report["ground"]
    names = [row["photos_a_km2"] for row in ground["rows"]]
    assert names[:2] == ["all", "none"]
    assert len(names) > 2
    assert sum(row["photos"] for row in ground["rows"][1:]) == 120
    for row in ground["rows"]:
        assert set(row["methods"]) == {"answer", "without_ground", "imagery", "nearest_photo"}
        assert row["regions"][1]["covered"]["photos"] == row["photos"]
        assert 0 <= row["confidence"]["200"]["ece"]["value"] <= 1
    assert ground["rows"][0]["regions"][1]["covered"]["value"] > 0.8
    report["index"]["bbox_wsen_deg"] = [-0.11, 51.5, -0.08, 51.515]
    page = html_of(report)
    assert "What do reference photos add?" in page
    assert "left out as evidence of it" in page
    assert any("reference photos left out as a photo's own evidence" in n for n in report["notes"])


def test_photos_around_are_those_that_are_not_left_out(city: GroundedCity) -> None:
    photos = city.asked(60, 2)
    task = make_task(city, photos, QUIET)
    assert city.ground is not None
    places = city.ground.comparison.photos.lonlat_deg
    for row, around in enumerate(photos_around(task)):
        away_m = haversine_m(places, photos.lonlat_deg[row])
        count = ((away_m > 100) & (away_m <= 500)).sum()
        assert around == pytest.approx(count / (np.pi * 0.25))


def test_the_photos_own_walk_and_crop_are_no_evidence_and_are_counted(city: GroundedCity) -> None:
    photos = city.asked(120, 2)
    assert city.ground is not None
    there = city.ground.comparison.photos
    rng = np.random.default_rng(3)
    steps = 150.0 * np.arange(1, 4)[:, None, None] / (69_000.0, 111_000.0)
    walk = (photos.lonlat_deg + steps * (1, 0)).reshape(-1, 2)
    crop = photos.lonlat_deg + rng.uniform(-30, 30, (120, 2)) / (69_000.0, 111_000.0)
    alike = photos.s + 0.05 * unit(rng, 120)
    alike /= np.linalg.norm(alike, axis=1, keepdims=True)
    planted = GroundedCity()
    planted.calibration = city.calibration
    names = [f"walk {number}" for number in range(120)]
    planted.give(
        np.concatenate([there.vectors(np.arange(len(there))), photos.s, *[alike] * 4]).astype(
            np.float32
        ),
        np.concatenate([there.lonlat_deg, photos.lonlat_deg, walk, crop]),
        [*[""] * len(there), *names * 4, *[""] * 120],
    )
    honest, flattered = (evaluate(space, photos, QUIET) for space in (city, planted))
    counts = flattered["ground"]["left_out"]
    assert counts[COPIES] == 120
    assert counts[OF_SEQUENCE] == 360
    assert counts[NEAR] >= honest["ground"]["left_out"][NEAR] + 120
    assert flattered["ground"]["left_out_of_photos"] == 120
    nearest = {
        row["key"]: row["numbers"]["accuracy"]["200"]["value"]
        for row in flattered["methods"]
        if row["key"] in ("nearest_photo", "answer")
    }
    assert max(nearest.values()) < 0.6  # with them in, every photo would be found
    apart = dataclasses.replace(QUIET, ground_apart_m=0.0)
    beside = evaluate(planted, photos, apart)
    assert beside["ground"]["left_out"][NEAR] == 0
    assert beside["ground"]["left_out"][COPIES] == 120
    found = next(row for row in beside["methods"] if row["key"] == "nearest_photo")
    assert found["numbers"]["accuracy"]["200"]["value"] > 0.9  # the crop gives it away


def test_without_reference_photos_a_report_says_nothing_of_them(city: GroundedCity) -> None:
    bare = GroundedCity()
    bare.ground = None
    report = evaluate(bare, city.asked(30, 2), QUIET)
    assert "ground" not in report
    assert "ground_weight" not in report["search"]
    keys = {row["key"] for row in report["methods"]}
    assert not keys & {"ground", "without_ground", "nearest_photo"}
    off = evaluate(city, city.asked(30, 2), dataclasses.replace(QUIET, ground=False))
    rows = {row["key"]: row for row in off["methods"]}
    assert not rows["ground"]["measured"]
    assert rows["nearest_photo"]["measured"]
    assert off["search"]["weights_by"] == "you"
