"""Evidence of claims, measured: what verify says, judged on photos that nothing was fitted on."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from model_city import ModelCity, calibrated_city, listed, unit

from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.claim_evidence import Located, evidence_report
from indexer.evaluate.report.plots import LIGHT, claims_figure
from indexer.probability.known_claims import KINDS, draw_claims
from indexer.probability.verdicts import verify_claim

PHOTOS = 300


def located(city: ModelCity, count: int = PHOTOS) -> Located:
    photos = city.photos(count, 41)
    return Located(photos.s, photos.lonlat_deg, city.cell_row(photos.lonlat_deg))


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    city = calibrated_city()
    foreign = listed(unit(np.random.default_rng(77), 150), np.full((150, 2), np.nan))
    return evidence_report(
        city, located(city), foreign, Resamples(np.arange(PHOTOS), resamples=100)
    )


def test_ratios_are_calibrated_and_useful(numbers: dict[str, Any]) -> None:
    assert numbers["measured"]
    assert numbers["photos"] == PHOTOS
    rows = {(row["alternative"], row["radius_m"]): row for row in numbers["rows"]}
    assert {name for name, _ in rows} == {"random", "lookalike", "elsewhere"}
    for name in ("random", "lookalike", "elsewhere"):
        for radius_m in (200.0, 500.0):
            row = rows[name, radius_m]
            cost, least = row["cllr"], row["least_cllr"]
            assert least <= cost["value"] < min(1.0, 1.15 * least)
            assert cost["low"] < cost["value"] < cost["high"]
            assert row["median_true"] > 1.2 > 0.8 > row["median_false"]
            assert row["false_misled"] < 0.1
            assert (np.diff(row["calibration"]["pav"]) >= 0).all()
            above = np.array(row["tippett"]["true"]) - row["tippett"]["false"]
            assert above.min() >= -0.02
            assert above.max() > 0.4
    json.dumps(numbers, allow_nan=False)


def test_a_figure_is_drawn_of_them(numbers: dict[str, Any]) -> None:
    figure = claims_figure({"claims": numbers}, LIGHT)
    assert figure is not None
    left, right = figure.axes
    assert "within 500 m" in left.get_title()
    assert len(left.lines) == 4
    assert len(right.lines) == 6
    assert claims_figure({"claims": {"measured": False}}, LIGHT) is None


def test_the_ratios_that_are_judged_are_those_of_verify() -> None:
    city = calibrated_city()
    assert city.calibration is not None
    photos = located(city, 4)
    claims = draw_claims(
        city, photos.lonlat_deg, 200.0, city.alike(photos.cell_row), np.random.default_rng(0)
    )
    p = city.posterior(photos.s)
    p = np.stack([q / q.sum() for q in p])
    curve = city.calibration.likelihood_ratios["random"][200.0]
    for kind in KINDS:
        claims[kind].look(city.field, p, slice(0, 4))
        for number in range(4):
            verdict = verify_claim(city, p[number], claims[kind].lonlat_deg[number], 200.0)
            judged = np.exp(curve.log_ratio(claims[kind].score[number]))
            assert verdict.likelihood_ratio == pytest.approx(float(judged))


def test_why_nothing_was_measured() -> None:
    city = ModelCity(calibrated_city().true_weights, bbox_wsen_deg=(-0.12, 51.495, -0.08, 51.515))
    drawn = Resamples(np.arange(30), resamples=10)
    assert "calibrate first" in evidence_report(city, located(city, 30), None, drawn)["why"]
    city.calibration = calibrated_city().calibration
    assert city.calibration is not None
    few = evidence_report(city, located(city, 5), None, drawn)
    assert "5 photos were taken in the index, and 20 are needed" in few["why"]
    city.calibration = dataclasses.replace(city.calibration, likelihood_ratios={})
    older = evidence_report(city, located(city, 30), None, drawn)
    assert "calibrate again" in older["why"]
