"""``calibrate`` and ``verify`` from the command line, on a real index of a made-up place."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from refusals import refusal
from small_builds import BOX_WSEN_DEG

from gair.fields import from_namespace
from indexer.commands.arguments import numbers_joined
from indexer.commands.cli import build_parser, main
from indexer.commands.verify import Verify
from indexer.index.storage import read_current

Capture = pytest.CaptureFixture[str]


def write_photos(folder: Path, count: int, shift_deg: float = 0.0, seed: int = 0) -> Path:
    """Photos of noise taken in the box, and a manifest of them."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    west, south, east, north = BOX_WSEN_DEG
    manifest = folder / "photos.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "lat", "lon"])
        for number in range(count):
            pixels = rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(folder / f"{number}.png")
            lat = rng.uniform(south + 0.001, north - 0.001) + shift_deg
            writer.writerow([f"{number}.png", lat, rng.uniform(west + 0.001, east - 0.001)])
    return manifest


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("calibration") / "here", 70)


@pytest.fixture
def indexes(boxes: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(boxes, tmp_path / "indexes"))


@pytest.fixture(scope="module")
def calibrated(boxes: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of indexes of which the only one is calibrated. Do not change it."""
    indexes = tmp_path_factory.mktemp("calibrated") / "indexes"
    shutil.copytree(boxes, indexes)
    argv = ["calibrate", "--indexes", str(indexes), "--photos", str(photos), "--quiet"]
    assert main([*argv, "--cache", str(photos.parent.parent / "cache")]) == 0
    return indexes


def calibration_file(indexes: Path) -> Path:
    return indexes / "box" / f"calibration-{read_current(indexes / 'box')[0]}.npz"


def test_calibrate_keeps_its_result_beside_the_build_and_prints_it(
    indexes: Path, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    there = write_photos(tmp_path / "there", 5, shift_deg=1.0, seed=1)
    (there.parent / "3.png").write_text("no photo")
    argv = ["calibrate", "--indexes", str(indexes), "--photos", str(photos)]
    argv += ["--out-of-index", str(there), "--quiet"]
    argv += ["--cache", str(photos.parent.parent / "cache")]
    assert main([*argv, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["file"]) == calibration_file(indexes)
    assert calibration_file(indexes).is_file()
    assert told["photos"] + told["left_out"].get("taken outside the index", 0) == 70
    assert told["left_out"]["from elsewhere: cannot be read"] == 1
    assert told["familiarity"]["photos_from_elsewhere"] == 4
    assert 0 <= told["familiarity"]["miss_rate"] <= 1
    assert told["measured"]["photos_held_back"] >= 30
    assert told["rs_weight"] > 0
    pairs = told["pairs"]
    assert (pairs["radius_m"], pairs["pairs"] > 0, pairs["auroc"]) == (200, True, None)
    assert told["looks"] == []  # under 100 places nothing is promised, and none is taught
    assert main(argv) == 0
    text = capsys.readouterr().out
    assert "told by altered photos" not in text
    assert f"{pairs['pairs']:,} pairs within 200 m of each other, of {pairs['places']}" in text
    for words in ("temperature", "by chance", "region 90 %", "left out", "from elsewhere", "held"):
        assert words in text


def test_verify_says_what_it_can(calibrated: Path, photos: Path, capsys: Capture) -> None:
    photo = photos.parent / "0.png"
    argv = ["verify", str(photo), "--indexes", str(calibrated), "--radius-m", "150"]
    assert main([*argv, "--at", "51.5055,-0.1040", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["photo"] == str(photo)
    assert told["photos"] == [str(photo)]
    assert told["photo_sha256"] == [hashlib.sha256(photo.read_bytes()).hexdigest()]
    assert told["index"] == "box"
    assert told["verdict"] in ("consistent", "unlikely", "cannot tell")
    assert (told["lat_deg"], told["lon_deg"], told["radius_m"]) == (51.5055, -0.1040, 150)
    assert told["tested_radius_m"] == 200
    assert 0 < told["p_true"] <= 1
    assert main([*argv, "--at", "-12.5,45.5"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{photo}: not in this index\n")
    assert f"  SHA-256 {told['photo_sha256'][0]}\n" in text
    assert "No cell of the index lies within 150 m" in text


@pytest.mark.parametrize(
    "words",
    [
        ["--at=51.5055, -0.1040"],
        ["--at", "51.5055,", "-0.1040"],
        ["--claim", "51.5055,-0.1040"],
        ["--at", "51°30'19.8\"N 0°6'14.4\"W"],
        ["--at", "30UYC 00975 10017"],
        ["--at", "30 north 700975.9 5710017.6"],
        ["--at", "9C3XGV4W+6C2"],
        ["--at", "https://www.openstreetmap.org/#map=16/51.5055/-0.1040"],
    ],
)
def test_claims_are_read_as_people_write_them(words: list[str]) -> None:
    argv = numbers_joined(["verify", "photo.jpg", *words])
    options = from_namespace(Verify, build_parser(["verify"]).parse_args(argv))
    assert options.at[0] == pytest.approx((-0.1040, 51.5055), abs=2e-5)


def test_a_claim_with_exchanged_numbers_gets_a_hint(
    boxes: Path, photos: Path, capsys: Capture
) -> None:
    argv = ["verify", str(photos.parent / "1.png"), "--indexes", str(boxes), "--at=-0.104,51.5055"]
    assert main(argv) == 0
    told = capsys.readouterr().out
    assert "with latitude and longitude exchanged: latitude 51.5055, longitude -0.104?" in told


def test_verify_weighs_several_claims_and_counts_them(
    calibrated: Path, photos: Path, capsys: Capture
) -> None:
    argv = ["verify", str(photos.parent / "0.png"), "--indexes", str(calibrated)]
    argv += ["--radius-m", "200", "--at", "51.5055,-0.1040", "--claim=51.5060,-0.1000"]
    assert main([*argv, "--prior-probability", "0.2", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["claim_number"], second["claim_number"]) == (1, 2)
    assert first["prior_odds"] == pytest.approx(0.25)
    assert first["prior_odds"] == second["prior_odds"]
    assert "many_claims" in [warning["code"] for warning in second["warnings"]]
    assert main([*argv, "--prior-odds", "0.25"]) == 0
    text = capsys.readouterr().out
    for told in (first, second):
        assert f"  {told['sentence']}\n" in text
        assert f"  {told['evidence_sentence']}\n" in text
    assert "note: 2nd claim tested on this photo" in text


def test_verify_says_that_the_answers_own_place_is_no_test(
    calibrated: Path, photos: Path, capsys: Capture
) -> None:
    photo, indexes = str(photos.parent / "3.png"), ["--indexes", str(calibrated)]
    assert main(["search", photo, *indexes, "--json", "-k", "2"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    second = answer["candidates"][1]
    lon_deg, lat_deg = second["refined_lonlat_deg"] or (second["lon_deg"], second["lat_deg"])
    argv = ["verify", photo, *indexes, "--radius-m", "20", f"--at={lat_deg},{lon_deg}"]
    assert main([*argv, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["own_place"], told["own_place_rank"]) == (True, 2)
    assert "own_place" in [warning["code"] for warning in told["warnings"]]
    assert main(argv) == 0
    assert "note: this is no test of the answer: the claim is its own place 2" in (
        capsys.readouterr().out
    )


def test_verify_without_calibration_says_so(boxes: Path, photos: Path, capsys: Capture) -> None:
    argv = ["verify", str(photos.parent / "1.png"), "--indexes", str(boxes), "--at=51.5055,-0.104"]
    assert main(argv) == 0
    assert "the index is not calibrated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--at", "here"], "'here' is no place: write 51.50735, -0.12776"),
        (["--at", "1,2,3"], "'1,2,3' is no place"),
        (["--at", "139.7,35.6"], "did you mean 35.6, 139.7?"),
        (["--at", "-91,0"], "'-91,0' is not on Earth"),
        (["--at", "51.5,nan"], "'51.5,nan' is no place"),
        (["--at", "51.5,-0.1", "--radius-m", "0"], "radius is 0 m"),
        (["--at", "51.5,-0.1", "--radius-m", "inf"], "radius is inf m"),
        (["--at", "51.5,-0.1", "--prior-odds", "0"], "--prior-odds is 0"),
        (["--at", "51.5,-0.1", "--prior-probability", "1"], "--prior-probability is 1"),
    ],
)
def test_claims_that_make_no_sense_are_wrong_usage(
    boxes: Path, flags: list[str], told: str, capsys: Capture
) -> None:
    argv = ["verify", "photo.jpg", "--indexes", str(boxes), *flags]
    assert told in refusal(argv, capsys, status=2)


def test_a_photo_that_cannot_be_read_is_a_failure(boxes: Path, capsys: Capture) -> None:
    argv = ["verify", "nothing.jpg", "--indexes", str(boxes), "--at", "51.5055,-0.104"]
    assert "nothing.jpg" in refusal(argv, capsys)


def test_too_few_photos_are_wrong_usage_and_leave_nothing(
    indexes: Path, tmp_path: Path, capsys: Capture
) -> None:
    few = write_photos(tmp_path / "few", 12)
    argv = ["calibrate", "--indexes", str(indexes), "--photos", str(few), "--quiet"]
    assert "at least 50 are needed" in refusal(argv, capsys, status=2)
    assert "level 2" in refusal([*argv, "--level", "2"], capsys, status=2)
    assert "--seed -1" in refusal([*argv, "--seed", "-1"], capsys, status=2)
    assert not calibration_file(indexes).exists()


def test_a_damaged_calibration_stops_a_search_and_calibrating_again_mends_it(
    indexes: Path, photos: Path, capsys: Capture
) -> None:
    calibration_file(indexes).write_bytes(b"not a calibration")
    where = ["--indexes", str(indexes)]
    told = refusal(["search", str(photos.parent / "0.png"), *where], capsys)
    assert "is damaged: calibrate again" in told
    argv = ["calibrate", *where, "--photos", str(photos), "--quiet"]
    assert main([*argv, "--cache", str(photos.parent.parent / "cache")]) == 0
    assert "the old calibration is replaced" in capsys.readouterr().err
    assert main(["search", str(photos.parent / "0.png"), *where]) == 0
