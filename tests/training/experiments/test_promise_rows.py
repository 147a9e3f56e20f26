"""Rows of promises: numbers are those of answers, and outcomes follow from their intervals."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hand_calibration import calibrate_by_hand, hand_calibration
from small_builds import tiny_model
from toy_city import photo

from indexer.photos.vectors import PhotoVectors, photo_vectors
from indexer.probability.confidence import GROUPS
from indexer.probability.posterior import SharedErrors
from indexer.search.geolocator import Geolocator
from training.experiments.promise_city import CityOptions, seen_of
from training.experiments.promise_rows import (
    BROKEN,
    KEPT,
    LEVEL,
    TOLD,
    WITHHELD,
    Stated,
    about,
    ask,
    at_least,
    at_most,
    claim_rows,
    copies_rows,
    foreign_rows,
    in_groups,
    nothing_rows,
    one_by_one,
    own_guess_rows,
    parts_of,
    promise_rows,
    share_row,
)
from training.experiments.promises import main, table_text

COUNT = 6


@pytest.fixture(scope="module")
def calibrated(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    folder = tmp_path_factory.mktemp("promises") / "toy"
    shutil.copytree(tiny_index / "toy", folder)
    calibrate_by_hand(folder)
    return Geolocator.open(folder, model=tiny_model())


@pytest.fixture(scope="module")
def photos(calibrated: Geolocator, tmp_path_factory: pytest.TempPathFactory) -> PhotoVectors:
    folder = tmp_path_factory.mktemp("promise-photos")
    lines = ["file,lat,lon"]
    for number in range(COUNT):
        photo(number).save(folder / f"{number}.png")
        lon, lat = calibrated.index.cells.lonlat_deg[number * 20]
        lines.append(f"{number}.png,{lat},{lon}")
    (folder / "photos.csv").write_text("\n".join(lines))
    return photo_vectors(calibrated, folder / "photos.csv", cache=None, quiet=True)


def test_what_is_kept_of_photos_is_answered_as_their_files_are(
    calibrated: Geolocator, photos: PhotoVectors
) -> None:
    told = ask(calibrated, photos, one_by_one(photos), photos.place_of_photo)
    truth = calibrated.space.cell_row(photos.lonlat_deg)
    for number in range(COUNT):
        answer = calibrated.search(photos.photos[number].path, k=1)
        kept = calibrated.search(seen_of(photos, np.array([number])), k=1)
        assert kept.candidates[0].row == answer.candidates[0].row
        assert (kept.unlike, kept.given) == (answer.unlike, answer.given)
        region = answer.region(LEVEL)
        assert told.covered[number] == (truth[number] in region.rows)
        assert (told.promised[number], told.refused[number]) == (region.promised, region.refused)
        assert told.said[number] == pytest.approx(answer.confidence[0].probability, rel=1e-4)
    pairs = ask(calibrated, photos, in_groups(photos, 2))
    assert pairs.place.tolist() == [0, 0, 1, 1, 2, 2]
    assert not pairs.promised.any()


def exactly(chance: float) -> Stated:
    """A chance that is said for certain."""
    return Stated(chance, chance, chance)


def test_the_mean_of_chances_is_surer_than_each_by_what_each_rests_on() -> None:
    said, ends = np.array([0.2, np.nan, 0.4]), np.array([(0.1, 0.4), (np.nan,) * 2, (0.3, 0.6)])
    whole, parts = Stated.mean_of(said, ends), Stated.mean_of(said, ends, 4)
    assert (whole.value, whole.low, whole.high) == pytest.approx((0.3, 0.2, 0.5))
    assert (parts.value, parts.low, parts.high) == pytest.approx((0.3, 0.25, 0.4))
    assert Stated.mean_of(said[1:2], ends[1:2]).words == "nothing"


def test_the_mean_chance_of_several_photos_rests_on_the_fewest_places(tiny_index: Path) -> None:
    for shared, parts in (
        (None, GROUPS),  # 39 places bent each curve in five parts
        (SharedErrors(1.0, 30, 70, ((200.0, 0.1),)), 30 / (39 / GROUPS)),
        (SharedErrors(1.0, 6, 20, ((200.0, 0.1),)), 1.0),  # the shift is the same for all parts
    ):
        calibration = hand_calibration(tiny_index / "toy", shared=shared)
        assert parts_of(calibration) == pytest.approx(parts)


def test_outcomes_follow_from_the_interval() -> None:
    hits, place = np.arange(100) < 80, np.arange(100)
    for holds, outcome in (
        (at_least(0.9), BROKEN),
        (at_least(0.85), KEPT),
        (at_most(0.05), BROKEN),
        (at_most(0.75), KEPT),
        (about(exactly(0.9)), BROKEN),
        (about(exactly(0.75)), KEPT),
        (about(Stated(0.88, 0.83, 0.95)), KEPT),  # 0.08 apart: the hypotenuse of 0.07 and 0.05
        (about(Stated(0.9, 0.89, 0.95)), BROKEN),
        (about(Stated(0.68, 0.6, 0.69)), BROKEN),
        (about(Stated(0.68, 0.67, 0.78)), KEPT),
        (None, TOLD),
    ):
        row = share_row("x", "y", hits, place, 100, holds)
        assert (row.so, row.photos, row.places, row.outcome) == (0.8, 100, 100, outcome)
    withheld = share_row("x", "y", hits[:5], place[:5], 100, at_least(0.9))
    assert (withheld.so, withheld.photos, withheld.outcome) == (None, 5, WITHHELD)
    clustered = share_row("x", "y", hits, place // 10, 100, at_least(0.9))
    assert clustered.outcome == KEPT  # ten places say less than a hundred


def test_every_kind_of_row_is_made(calibrated: Geolocator, photos: PhotoVectors) -> None:
    told = ask(calibrated, photos, one_by_one(photos), photos.place_of_photo)
    rows = promise_rows("day", told, refused=True)
    rows += copies_rows(calibrated, photos, 3) + own_guess_rows(calibrated, photos, 3)
    assert [row.outcome for row in rows[-2:]] == [KEPT, KEPT]
    rows += claim_rows("day", calibrated, photos) + foreign_rows("all", calibrated, photos)
    nothing = nothing_rows(calibrated)
    rows += nothing
    assert [row.outcome for row in nothing] == [KEPT, KEPT]
    text = table_text(rows)
    assert len(text.splitlines()) == len(rows) + 4
    assert {line.count("|") for line in text.splitlines()[: len(rows) + 2]} == {8}


def test_the_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert "--photos-of" in told
    assert "--drives" in told
    assert main(["--out", "x", "--side-km", "1"]) == 2
    assert CityOptions(out=Path("x")).drives == 100
