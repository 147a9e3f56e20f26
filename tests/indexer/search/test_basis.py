"""Basis of an answer: said in text and JSON, and without it no promise."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from hand_calibration import calibrate_by_hand
from small_builds import tiny_model
from toy_city import photo

from indexer.commands.search import answer_lines
from indexer.search.geolocator import Geolocator
from indexer.search.space import SearchSpace


@pytest.fixture(scope="module")
def toy(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    folder = tmp_path_factory.mktemp("calibrated")
    shutil.copytree(tiny_index / "toy", folder / "toy")
    calibrate_by_hand(folder / "toy")
    return Geolocator.open("toy", indexes_dir=folder, model=tiny_model())


@pytest.mark.parametrize("places", [130, 99, None])
def test_an_answer_says_what_it_rests_on_and_few_places_promise_nothing(
    toy: Geolocator, places: int | None
) -> None:
    assert toy.calibration is not None
    other = Geolocator(toy.index, toy.model)
    other.calibration = dataclasses.replace(toy.calibration, places=places)
    other.space = SearchSpace(toy.index, toy.model, other.calibration)
    answer = other.search(photo(4))
    told = answer.to_dict()
    created = "2026-01-01T00:00:00+00:00"
    assert told["calibration"] == {"photos": 390, "places": places, "created_utc": created}
    lines = "\n".join(answer_lines(answer))
    number = "an unknown number of" if places is None else places
    assert f"rests on 390 photos of {number} places, 2026-01-01" in lines
    assert [region["promised"] for region in answer.regions] == [places == 130] * 2
    assert answer.region(0.7).promised is (places == 130)
    codes = {warning["code"] for warning in told["warnings"]}
    told_why = {99: "calibrated_on_few_places", None: "calibrated_on_unknown_places"}
    assert codes & set(told_why.values()) == ({told_why[places]} if places in told_why else set())
    lon_deg, lat_deg = toy.index.cells.lonlat_deg[20]
    verdict = other.verify(photo(4), lon_deg, lat_deg).to_dict()
    assert verdict["calibration"] == told["calibration"]
    assert {warning["code"] for warning in verdict["warnings"]} >= codes & set(told_why.values())
