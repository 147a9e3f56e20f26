"""Tables by condition: each row is an evaluation of its photos, and of no others."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from model_city import ModelCity, listed, unit
from toy_city import photo

from gair.errors import UsageError
from indexer.evaluate.evaluate import evaluate
from indexer.evaluate.options import EvaluateOptions
from indexer.photos.vectors import PhotoVectors
from indexer.probability.posterior import ScoreWeights
from training.experiments.by_condition import (
    condition_rows,
    main,
    promise_text,
    read_conditions,
    table_text,
)

QUIET = EvaluateOptions(quiet=True, resamples=50)


@pytest.fixture(scope="module")
def city() -> ModelCity:
    return ModelCity(ScoreWeights(20.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def photos(city: ModelCity) -> PhotoVectors:
    """Ten photos that look like where they were taken, ten of chance, and one that is broken."""
    cells = np.random.default_rng(0).choice(len(city.field), 21, replace=False)
    s = np.concatenate([city.index.rs.vectors(cells[:10]), unit(np.random.default_rng(1), 11)])
    s[20] = np.nan
    made = listed(s, city.field.lonlat_deg[cells])
    made.failures[20] = "broken"
    return made


CONDITIONS = ["fog"] * 10 + ["a|b"] * 11


def write_manifest(file: Path, rows: list[dict[str, Any]]) -> Path:
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return file


def test_each_row_is_an_evaluation_of_its_photos(city: ModelCity, photos: PhotoVectors) -> None:
    rows = condition_rows(city, photos, CONDITIONS, 200.0, QUIET)
    assert [(row["condition"], row["photos"]) for row in rows] == [
        ("fog", 10),
        ("a|b", 11),
        ("all", 21),
    ]
    parts = (np.arange(10), np.arange(10, 21), np.arange(21))
    for row, part in zip(rows, parts, strict=True):
        report = evaluate(city, photos.taken(part), QUIET)
        by_key = {
            method["key"]: method["numbers"] for method in report["methods"] if "numbers" in method
        }
        own, blind = by_key["answer"], by_key["blind"]
        assert row["best_guess"] == own["accuracy"]["200"]
        assert row["place_10"] == own["recall_places"]["10"]["200"]
        assert row["cell_1"] == own["recall_cells"]["1"]["200"]
        assert row["cell_10"] == own["recall_cells"]["10"]["200"]
        assert row["median_m"] == own["median_m"]
        assert row["chance_1"] == blind["accuracy"]["200"]["value"]
        assert row["chance_10"] == blind["recall_cells"]["10"]["200"]["value"]
    fog, chance, whole = rows
    assert fog["best_guess"]["value"] == 1
    assert chance["best_guess"]["value"] < 0.3
    assert fog["failures"] == {}
    assert chance["failures"] == whole["failures"] == {"photo cannot be read": 1}


def test_the_table_has_a_line_a_row_and_says_what_failed(
    city: ModelCity, photos: PhotoVectors
) -> None:
    lines = table_text(condition_rows(city, photos, CONDITIONS, 200.0, QUIET)).splitlines()
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|") == 11
    assert lines[2].startswith("| fog | 10 | 100.0 % (")
    assert lines[3].startswith("| a\\|b | 11 |")
    assert lines[4].startswith("| all | 21 |")
    assert lines[-1] == "1 count as not found: photo cannot be read"


def test_one_condition_needs_no_row_of_all(city: ModelCity, photos: PhotoVectors) -> None:
    (row,) = condition_rows(city, photos, ["x"] * 21, 200.0, QUIET)
    assert row["condition"] == "x"
    with pytest.raises(UsageError, match="20 is not measured with cells of this size: choose of"):
        condition_rows(city, photos, ["x"] * 21, 20.0, QUIET)


def test_a_condition_is_the_column_or_the_files_name(tmp_path: Path) -> None:
    plain = {"file": "a.jpg", "lat": 1, "lon": 2}
    named = write_manifest(
        tmp_path / "named.csv",
        [{**plain, "condition": "rain", "season": "2"}, {**plain, "condition": "", "season": "1"}],
    )
    night = write_manifest(tmp_path / "night.csv", [plain])
    listed_photos, conditions = read_conditions([named, night])
    assert conditions == ["rain", "(empty)", "night"]
    assert len(listed_photos) == 3
    assert read_conditions([named], "season")[1] == ["2", "1"]
    with pytest.raises(UsageError, match=r"night.csv has no column 'season'"):
        read_conditions([named, night], "season")
    with pytest.raises(UsageError, match="is a folder: give a manifest"):
        read_conditions([tmp_path])


def test_the_command_prints_the_table(
    boxes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifests = []
    for name in ("day", "night"):
        photo(len(name)).save(tmp_path / f"{name}.jpg")
        rows = [{"file": f"{name}.jpg", "lat": 51.5055, "lon": -0.104}]
        manifests += ["--photos", str(write_manifest(tmp_path / f"{name}.csv", rows))]
    argv = ["--indexes", str(boxes), *manifests, "--quiet"]
    assert main([*argv, "--location-weight", "0.5"]) == 0
    told = capsys.readouterr().out
    assert "| day | 1 |" in told
    assert "| all | 2 |" in told
    assert told.endswith("Weights: imagery 1, location 0.5 (by you).\n")
    assert main([*argv, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["weights"] == {"rs": 1, "location": 0, "source": "default", "ground": 0}
    assert [row["condition"] for row in report["rows"]] == ["day", "night", "all"]
    assert main([*argv, "--rs-weight", "-1"]) == 2
    assert "weights -1 (rs)" in capsys.readouterr().err


def test_what_is_said_and_what_is_so_are_told_by_condition(
    boxes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(boxes / "box", tmp_path / "indexes" / "box")
    names, manifests = ("day", "night"), []
    for name in names:
        photo(len(name)).save(tmp_path / f"{name}.jpg")
        rows = [{"file": f"{name}.jpg", "lat": 51.5055, "lon": -0.104}]
        manifests += ["--photos", str(write_manifest(tmp_path / f"{name}.csv", rows))]
    argv = ["--indexes", str(tmp_path / "indexes"), *manifests, "--quiet", "--promises"]
    assert main(argv) == 2
    assert "--promises of condition 'day' cannot be measured" in capsys.readouterr().err
    calibrate_by_hand(tmp_path / "indexes" / "box")
    assert main([*argv, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["promises"]
    assert [(row["condition"], row["promised"]["value"]) for row in told] == [
        ("day", 1.0),
        ("night", 1.0),
    ]
    text = promise_text(told)
    assert "| day | 1 |" in text
    assert "| promised |" in text
