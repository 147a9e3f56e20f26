"""Decisions of a search: within, farther, in a region or not at all, and always why."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from small_builds import tiny_model
from toy_city import photo

from gair.errors import UsageError
from gair.geo import haversine_m
from gair.onnx.street_view import OnnxStreetView
from indexer.commands.search import answer_lines
from indexer.probability.decisions import LARGER, NONE, REGION, WITHIN, Trials
from indexer.search.answer import CELLS_ONLY
from indexer.search.geolocator import Geolocator
from indexer.search.prior import build_prior
from indexer.search.query import QueryFields

RADII_M = (200.0, 1000.0)
PLACES = 300


def trials(miss_m: float, region_mass: float) -> Trials:
    """Places that all miss by so much, whatever mass is around them."""
    masses = np.full((PLACES, 2), 0.5)
    return Trials(RADII_M, masses, np.full(PLACES, miss_m), np.full(PLACES, region_mass))


def opened(tiny_index: Path, out: Path, made: Trials | None, **changes: object) -> Geolocator:
    shutil.copytree(tiny_index / "toy", out / "toy")
    calibrate_by_hand(out / "toy", trials=made, **changes)
    return Geolocator.open("toy", indexes_dir=out, model=tiny_model())


def mass_around(geo: Geolocator, p: np.ndarray, point: tuple[float, float], m: float) -> float:
    near = haversine_m(np.array(point), geo.index.cells.lonlat_deg) <= m
    near[geo.space.cell_row([point])[0]] = True
    return float(p[near].sum())


@pytest.mark.parametrize(
    ("miss_m", "region_mass", "kind", "refine"),
    [
        (100.0, 0.4, WITHIN, True),
        (100.0, 0.4, WITHIN, False),
        (600.0, 0.4, LARGER, True),
        (9000.0, 0.4, REGION, True),
        (9000.0, 1.0, NONE, True),
    ],
)
def test_a_photo_is_answered_as_near_as_the_places_show(
    tiny_index: Path, tmp_path: Path, miss_m: float, region_mass: float, kind: str, refine: bool
) -> None:
    geo = opened(tiny_index, tmp_path, trials(miss_m, region_mass))
    if not refine:
        geo.space.__dict__["reader"] = None  # an index without token maps
    answer = geo.search(photo(1), max_error_rate=0.1, within_m=200.0)
    decision = answer.decision
    assert decision is not None
    assert decision.kind == kind
    assert decision.radius_m == {WITHIN: 200.0, LARGER: 1000.0}.get(kind)
    assert (decision.answered, decision.wrong) == ((0, 0) if kind == NONE else (PLACES, 0))
    assert answer.posterior is not None
    if decision.radius_m is not None:
        shown = answer.candidates[0].shown_lonlat_deg
        wanted = mass_around(geo, answer.posterior, shown, decision.radius_m)
        assert decision.mass == pytest.approx(wanted, rel=1e-4)
    region = answer.decided_region
    assert (region is not None) is (kind == REGION)
    if region is not None:
        assert decision.region == region.summary()
        assert decision.mass == 0.5
        assert answer.posterior[region.rows].sum() >= 0.5
        assert region.promised
    values = json.loads(json.dumps(answer.to_dict(), allow_nan=False))["decision"]
    assert values == decision.to_dict()
    line = next(line for line in answer_lines(answer) if line.startswith("  decision: "))
    assert decision.reason in line
    plain = geo.search(photo(1))
    assert plain.decision is None
    assert dataclasses.replace(answer, decision=None) == plain


def test_what_the_rule_was_not_learnt_on_is_not_answered(tiny_index: Path, tmp_path: Path) -> None:
    geo = opened(tiny_index, tmp_path, trials(100.0, 0.4))
    middle = float(np.median(geo.index.cells.lonlat_deg[:, 1]))
    asked: QueryFields = {"max_error_rate": 0.1, "within_m": 200.0}
    answers = {
        "a prior was given": geo.search(
            photo(1), prior=build_prior(geo.index, where=f"lat_deg > {middle}"), **asked
        ),
        "several photos": geo.search([photo(1), photo(2)], same_place=True, **asked),
        "a merge radius": geo.search(photo(1), merge_radius_m=300.0, **asked),
        "leave refining on": geo.search(photo(1), refine=False, **asked),
    }
    for said, answer in answers.items():
        assert answer.decision is not None
        assert answer.decision.kind == NONE
        assert said in answer.decision.reason
        assert answer.decided_region is None


def test_few_places_decide_nothing(tiny_index: Path, tmp_path: Path) -> None:
    geo = opened(tiny_index, tmp_path, trials(100.0, 0.4), places=40)
    decision = geo.search(photo(1), max_error_rate=0.1).decision
    assert decision is not None
    assert decision.kind == NONE
    assert "of 40 places" in decision.reason


def test_a_photo_that_is_refused_is_not_answered(tiny_index: Path, tmp_path: Path) -> None:
    geo = opened(tiny_index, tmp_path, trials(100.0, 0.4))
    made = geo.calibration
    assert made is not None
    strange = dataclasses.replace(made.out_of_index, scores=np.linspace(1e9, 2e9, 99))
    geo.space.calibration = dataclasses.replace(made, out_of_index=strange)
    decision = geo.search(photo(1), max_error_rate=0.1).decision
    assert decision is not None
    assert decision.kind == NONE
    assert "looks like nothing in this index" in decision.reason


def test_without_what_it_takes_the_question_is_refused(tiny_index: Path, tmp_path: Path) -> None:
    plain = Geolocator.open("toy", indexes_dir=tiny_index, model=tiny_model())
    with pytest.raises(UsageError, match="needs the probabilities of a calibrated index"):
        plain.search(photo(1), max_error_rate=0.1)
    old = opened(tiny_index, tmp_path, None)
    with pytest.raises(UsageError, match="older than decisions: calibrate again"):
        old.search(photo(1), max_error_rate=0.1)
    with pytest.raises(UsageError, match="leave own weights out"):
        old.search(photo(1), max_error_rate=0.1, rs_weight=1.0)
    with pytest.raises(UsageError, match="max_error_rate"):
        old.search(photo(1), max_error_rate=0.9)


def test_a_rule_of_refined_points_decides_nothing_without_a_decoder(
    tiny_index: Path, tmp_path: Path
) -> None:
    geo = opened(tiny_index, tmp_path, trials(100.0, 0.4))
    seen, model = geo.seen([photo(1)])[0], tiny_model()
    about = {
        "config": model.config.to_dict(),
        "model": "tiny",
        "licence": "none",
        "trained": False,
        "fingerprint": model.fingerprint(),
    }
    tower: Any = OnnxStreetView(tmp_path, about, cast("Any", None))  # it encodes nothing here
    geo.space.model = tower
    answer = geo.search(seen, max_error_rate=0.1)
    assert answer.decision is not None
    assert answer.decision.kind == NONE
    assert "need the runtime torch" in answer.decision.reason
    assert CELLS_ONLY in answer.warnings
    assert answer.runtime == "onnx"
    assert all(place.refined_lonlat_deg is None for place in answer.candidates)
    assert CELLS_ONLY not in geo.search(seen, refine=False).warnings
