"""What holds for a photo: its conditions are compared, and a photo of nothing is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from PIL import Image
from small_builds import tiny_model
from toy_city import photo

from gair.errors import UsageError
from gair.photos.photo import conditions_of, open_photo
from indexer.commands.search import answer_lines
from indexer.probability.conditions import fit_conditions
from indexer.probability.conformal import GroupedMasses
from indexer.search.answer import Answer
from indexer.search.geolocator import Geolocator
from indexer.search.maps.make_heatmap import make_heatmap

IN = "brightness, contrast and greenness"
BLACK = Image.new("RGB", (320, 200))


def dark(seed: int = 1) -> Image.Image:
    return photo(seed).point(lambda value: value // 8)


@pytest.fixture(scope="module")
def calibrated(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    """An index that was calibrated on photos like those of ``toy_city``."""
    folder = tmp_path_factory.mktemp("conditions") / "toy"
    shutil.copytree(tiny_index / "toy", folder)
    values = np.stack([conditions_of(open_photo(photo(n))).values for n in range(60)])
    conditions = fit_conditions(values, np.random.default_rng(0).normal(0, 0.1, 60), np.arange(60))
    calibrate_by_hand(folder, conditions=conditions)
    return Geolocator.open(folder, model=tiny_model())


def codes(answer: Any) -> list[str]:
    return [warning["code"] for warning in answer.to_dict()["warnings"]]


def claim(geolocator: Geolocator, image: Any) -> Any:
    lon_deg, lat_deg = geolocator.index.cells.lonlat_deg[3]
    return geolocator.verify(image, lon_deg, lat_deg, 500.0)


def test_an_alike_photo_is_promised(calibrated: Geolocator) -> None:
    answer = calibrated.search(photo(1))
    assert answer.unlike == ()
    assert all(region["promised"] for region in answer.regions)
    assert "unlike_calibration" not in codes(answer)
    assert answer.given == "if it was taken in this index"


def test_an_unlike_photo_is_told_what_is_unlike_and_promised_nothing(
    calibrated: Geolocator,
) -> None:
    answer = calibrated.search(dark())
    assert answer.unlike == ("brightness", "contrast", "greenness")
    assert not any(region["promised"] or region["refused"] for region in answer.regions)
    assert not answer.region(0.9).promised
    assert "unlike_calibration" in codes(answer)
    assert json.loads(json.dumps(answer.to_dict()))["unlike"] == [
        "brightness",
        "contrast",
        "greenness",
    ]
    text = "\n".join(answer_lines(answer))
    assert f"its {IN} are unlike those of the calibration photos" in text
    assert f"if it was taken in this index, and if its {IN} made no difference" in text
    verdict = claim(calibrated, dark())
    assert (verdict.verdict, verdict.likelihood_ratio) == ("cannot tell", None)
    assert f"is unlike the calibration photos in its {IN}" in verdict.sentence
    assert verdict.unlike == answer.unlike
    assert "unlike_calibration" in codes(verdict)
    (seen,) = calibrated.seen([dark()])
    drawn = make_heatmap(calibrated.space, calibrated.every_cell(seen))
    assert drawn.region is not None
    assert not drawn.region.promised
    assert IN in drawn.note


@pytest.mark.parametrize("image", [BLACK, Image.new("RGB", (300, 200), "red"), photo(1, (5, 200))])
def test_a_photo_of_nothing_is_refused_as_such(calibrated: Geolocator, image: Image.Image) -> None:
    answer = calibrated.search(image)
    assert all(region["refused"] and not region["promised"] for region in answer.regions)
    assert answer.membership is not None
    assert not answer.membership.in_index
    assert codes(answer)[0] == "no_content"
    assert "not_in_index" not in codes(answer)
    verdict = claim(calibrated, image)
    assert verdict.verdict == "cannot tell"
    assert "there is nothing to see in the photo" in verdict.sentence
    assert codes(verdict)[0] == "no_content"


def test_without_calibration_a_photo_of_nothing_is_told_all_the_same(tiny_index: Path) -> None:
    plain = Geolocator.open(tiny_index / "toy", model=tiny_model())
    assert "no_content" in codes(plain.search(BLACK))
    assert "no_content" not in codes(plain.search(photo(1)))
    assert claim(plain, BLACK).verdict == "cannot tell"
    (seen,) = plain.seen([BLACK])
    assert "nothing to see" in make_heatmap(plain.space, plain.every_cell(seen)).note


def test_one_of_several_photos_is_enough(calibrated: Geolocator) -> None:
    together: Answer = calibrated.search([photo(1), BLACK], same_place=True)
    assert codes(together)[0] == "no_content"
    together = calibrated.search([photo(1), dark()], same_place=True)
    assert "brightness" in together.unlike


def test_a_calibration_from_before_conditions_says_so(
    calibrated: Geolocator, tmp_path: Path
) -> None:
    folder = tmp_path / "toy"
    shutil.copytree(calibrated.index.path.parent, folder)
    calibrate_by_hand(folder, conditions=None, schema_version=1)
    older = Geolocator.open(folder, model=tiny_model())
    answer = older.search(dark())
    assert answer.unlike == ()
    assert all(region["promised"] for region in answer.regions)
    assert "conditions_unknown" in codes(answer)
    assert "conditions_unknown" in codes(claim(older, dark()))


@pytest.fixture(scope="module")
def by_condition(calibrated: Geolocator, tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    """Calibrated by day and, at half as many places, by dusk; night has very few."""
    folder = tmp_path_factory.mktemp("by-condition") / "toy"
    shutil.copytree(calibrated.index.path.parent, folder)
    images = [photo(n) for n in range(60)] + [dark(n) for n in range(60)]
    values = np.stack([conditions_of(open_photo(image)).values for image in images])
    words = ["day"] * 60 + ["dusk"] * 57 + ["night"] * 3
    conditions = fit_conditions(
        values, np.random.default_rng(0).normal(0, 0.1, 120), np.arange(120), words
    )
    label = np.repeat([0, 1, 2], [200, 100, 5])
    mass = np.concatenate([np.linspace(0.2, 0.4, 200), np.linspace(0.5, 0.9, 105)])
    grouped = GroupedMasses(mass, np.full(305, 0.5), np.arange(305), label, label, conditions.named)
    calibrate_by_hand(folder, conditions=conditions, grouped_masses=grouped)
    return Geolocator.open(folder, model=tiny_model())


def test_regions_are_those_of_the_condition_that_a_photo_looks_like(
    by_condition: Geolocator,
) -> None:
    calibration = by_condition.calibration
    assert calibration is not None
    for image, word in ((photo(3), "day"), (dark(3), "dusk")):
        masses = calibration.masses_of(0.5, named=word)
        by_look = by_condition.search(image)
        named = by_condition.search(image, condition=word)
        assert by_look.make_region is not None
        assert named.make_region is not None
        for answer in (by_look, named):
            np.testing.assert_array_equal(answer.make_region.masses, masses)
        assert by_look.region(0.9).promised
        (seen,) = by_condition.seen([image])
        drawn = make_heatmap(by_condition.space, by_condition.every_cell(seen)).region
        assert drawn is not None
        np.testing.assert_array_equal(drawn.rows, by_look.region(0.9).rows)
    other = by_condition.search(dark(3), condition="day")
    assert other.make_region is not None
    assert other.make_region.masses.max() < 0.5


def test_a_condition_of_few_places_is_told_and_another_refused(by_condition: Geolocator) -> None:
    answer = by_condition.search(photo(3), condition="night")
    assert "condition_pooled" in codes(answer)
    assert answer.make_region is not None
    assert len(answer.make_region.masses) == 305
    assert "condition_pooled" not in codes(by_condition.search(photo(3), condition="dusk"))
    with pytest.raises(UsageError, match="`condition` 'snow' .*one of day, dusk, night"):
        by_condition.search(photo(3), condition="snow")


def test_an_index_without_conditions_refuses_any(calibrated: Geolocator) -> None:
    with pytest.raises(UsageError, match="none was measured by condition"):
        calibrated.search(photo(3), condition="night")
