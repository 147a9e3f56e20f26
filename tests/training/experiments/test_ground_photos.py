"""The table of reference photos: its rows are kept, and made again only for other photos."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from model_city import listed, unit

from gair.errors import UsageError
from training.experiments import ground_photos
from training.experiments.ground_photos import City, GroundOptions, rows_of, table_text


def city(folder: Path, build: str = "b1") -> City:
    rng = np.random.default_rng(0)
    index = SimpleNamespace(manifest=SimpleNamespace(build=build))
    photos = listed(unit(rng, 40), rng.uniform(0, 0.1, (40, 2)))
    space = cast("Any", SimpleNamespace(index=index))
    return City(folder, space, photos, photos, photos)


def measured(asked: list[str]) -> Any:
    """Stands for calibrating and asking, which takes minutes."""

    def rows(_city: City, _options: GroundOptions, case: Any, base: Any) -> Any:
        assert base == (None if case.name == ground_photos.NONE else {"rs_weight": 3.0})
        asked.append(case.name)
        numbers = dict.fromkeys(("best_guess", "one_of_ten", "cell_1", "cell_10"), 0.25)
        numbers |= {"median_m": 1234.0, "ece": 0.03, "covered_90": 0.9}
        each = {"answer": numbers, "imagery": numbers, "nearest_photo": numbers}
        about = {"references": len(case.references), "a_km2": 4.5, "weights": {"rs_weight": 3.0}}
        return [
            {"name": case.name + side, "asked": int(inside.sum()), "methods": each, **about}
            for side, inside in case.sides.items()
        ]

    return rows


def test_rows_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ground_photos, "_rows", measured(asked))
    options = GroundOptions(out=tmp_path, references=(20, 5), photos=50, quiet=True)
    rows = rows_of(city(tmp_path / "city"), options)
    cases = ["no reference photos", "5", "20", "20 as 4 prototypes a cell", "20 in the west half"]
    assert asked == cases
    assert [row["asked"] for row in rows] == [40, 20, 20, 40, 40, 40, 20, 20]
    assert rows_of(city(tmp_path / "city"), options) == rows
    assert asked == cases
    more = dataclasses.replace(options, references=(5, 20, 40), prototypes=0)
    rows_of(city(tmp_path / "city"), more)
    assert asked[len(cases) :] == ["40"]  # the half is the same
    rows_of(city(tmp_path / "city", build="b2"), options)
    assert len(asked) == 2 * len(cases) + 1


def test_the_table_has_each_way_to_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground_photos, "_rows", measured([]))
    options = GroundOptions(out=tmp_path, references=(20,), prototypes=0, quiet=True)
    text = table_text(rows_of(city(tmp_path / "city"), options), options)
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(lines) == 3 * 3 + 2 + 2 * 2
    assert lines[0].startswith("| no reference photos | 4.5 | 40 | all three | 25.0 % |")
    assert lines[1].startswith("| no reference photos | 4.5 | 40 | imagery alone |")
    assert "20 in the west half, asked in the east half" in lines[-1]
    with pytest.raises(UsageError, match="references is"):
        GroundOptions(out=tmp_path, references=())
