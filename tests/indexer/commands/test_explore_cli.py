"""Command ``explore``: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from explored_city import explored_city
from hand_calibration import calibrate_by_hand
from toy_city import photo

from indexer.commands.cli import main
from indexer.probability.confidence import Curve
from indexer.probability.likelihood_ratios import PairRatio, RatioCurve

PAIRS = PairRatio(
    200.0, 400, 90, 2000, 150, 0.5, 0.25, 0.9, RatioCurve(Curve(1.5, 0.0), 90, 150, 90.0)
)


@pytest.fixture(scope="module")
def home(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explored")
    explored_city(tiny_index, folder)
    calibrate_by_hand(folder / "toy", pairs=PAIRS)
    for number in (1, 2):
        photo(number).save(folder / f"{number}.jpg")
    return folder


def run(home: Path, *words: str) -> int:
    return main(["explore", *words, "--indexes", str(home)])


def test_places_like_a_place(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "like.geojson"
    words = ["--like", "51.5, -0.1", "--like", "51.51,-0.09", "--unlike", "51.51, -0.08"]
    assert run(home, *words, "-k", "3", "--out", str(out)) == 0
    told = capsys.readouterr().out
    assert "toy: 3 places like + 51." in told
    assert "less that with the counter-examples" in told
    assert run(home, *words, "-k", "3", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["schema_version"], len(values["like"]), len(values["places"])) == (1, 2, 3)
    features = json.loads(out.read_text())["features"]
    assert [f["properties"].get("rank") for f in features] == [1, 2, 3, None, None, None]


def test_photos_of_a_place(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(home, "--photos-near", "51.5,-0.1", "-k", "2") == 0
    told = capsys.readouterr().out
    assert "2 of 80 reference photos, closest to 51.50000, -0.10000" in told
    assert "are as like" in told
    assert run(home, "--photos-near", "51.5,-0.2") == 0
    assert "no cell of the index holds the place" in capsys.readouterr().out


def test_two_photos(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [str(home / "1.jpg"), str(home / "2.jpg")]
    assert run(home, "--same-place", *both, "--prior-probability", "0.1") == 0
    told = capsys.readouterr().out
    assert "that they were taken within 200 m of each other, if both photos were taken" in told
    assert "rests on 400 pairs of 90 places" in told
    assert "before looking: 10 %" in " ".join(told.split())
    assert run(home, "--same-place", *both, "--json") == 0
    assert 0 < json.loads(capsys.readouterr().out)["probability"] < 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give one of --like"),
        (["--like", "51.5,-0.1", "--photos-near", "51.5,-0.1"], "give one of --like"),
        (["--unlike", "51.5,-0.1"], "no example of a place"),
        (["--like", "a park"], "a park"),
        (["--like", "51.5,-0.1", "--out", "x.kml"], "must end in .geojson or .csv"),
        (["--same-place", "one.jpg"], "names 1 photos: name two"),
        (["--same-place", "a.jpg", "b.jpg", "--out", "x.csv"], "--out is for places"),
        (["--like", "51.5,-0.1", "-k", "0"], "-k is 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    home: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(home, *words) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
