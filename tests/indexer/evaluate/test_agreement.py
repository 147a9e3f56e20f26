"""One point: what a search shows, an evaluation judges and a calibration is about."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from model_city import listed
from small_builds import tiny_model
from stated import stated_within
from toy_city import photo

from gair.arrays import Vectors
from gair.geo import haversine_m
from gair.photos.photo import open_photo
from indexer.calibrate.calibrate import calibrate
from indexer.calibrate.held_out import HeldOut, examine
from indexer.evaluate.evaluate import evaluate
from indexer.evaluate.options import EvaluateOptions
from indexer.photos.vectors import PhotoVectors
from indexer.probability.calibration import calibration_path
from indexer.search.answer import Answer
from indexer.search.geolocator import Geolocator
from indexer.search.ranking import CENTRE_ONLY
from indexer.search.scored import Seen
from indexer.search.space import SearchSpace

QUIET = EvaluateOptions(quiet=True, resamples=50)
COUNT = 6


def blurred_photos(geolocator: Geolocator, count: int, seed: int) -> PhotoVectors:
    """Photos that look much, but not exactly, like where they were taken."""
    rng = np.random.default_rng(seed)
    cells = geolocator.index.cells.lonlat_deg
    places = cells[rng.integers(len(cells), size=count)] + rng.uniform(-4e-4, 4e-4, (count, 2))
    reader = geolocator.space.reader
    assert reader is not None
    places = places[reader.indexed(places)]
    s = reader.localized(places)
    s += rng.normal(0, 0.4 / np.sqrt(s.shape[1]), s.shape)
    s /= np.linalg.norm(s, axis=1, keepdims=True)
    return listed(s.astype(np.float32), places)


@pytest.fixture(scope="module")
def geolocator(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    """A real index, calibrated on photos that a real calibration was made of."""
    folder = tmp_path_factory.mktemp("agreement") / "toy"
    shutil.copytree(tiny_index / "toy", folder)
    plain = Geolocator.open(folder, model=tiny_model())
    made = calibrate(plain.space, blurred_photos(plain, 120, 0), quiet=True)
    made.save(calibration_path(folder, made.build))
    return Geolocator.open(folder, model=tiny_model())


@pytest.fixture(scope="module")
def photos(geolocator: Geolocator) -> PhotoVectors:
    more = blurred_photos(geolocator, 3 * COUNT, 1)
    return listed(more.s[:COUNT], more.lonlat_deg[:COUNT])


def searched(geolocator: Geolocator, s: Vectors, k: int = 5) -> list[Answer]:
    """What a search for k places answers, with all other options its own."""
    seen = [Seen((open_photo(photo(n)),), s[[n]]) for n in range(len(s))]
    return [geolocator.search(of_photo, k=k) for of_photo in seen]


def nearest_m(answer: Answer, place: np.ndarray, k: int) -> float:
    """From the nearest of the first k places as they are shown to where the photo was taken."""
    points = [
        candidate.refined_lonlat_deg or (candidate.lon_deg, candidate.lat_deg)
        for candidate in answer.candidates[:k]
    ]
    return float(haversine_m(np.array(points), place).min())


def test_search_evaluation_and_calibration_agree_on_the_refined_point(
    geolocator: Geolocator, photos: PhotoVectors
) -> None:
    calibration, space = geolocator.calibration, geolocator.space
    assert calibration is not None
    answers = searched(geolocator, photos.s)
    best = [answer.candidates[0] for answer in answers]
    assert all(candidate.refined_lonlat_deg is not None for candidate in best)
    shown = np.array([candidate.refined_lonlat_deg for candidate in best])
    centres = np.array([(candidate.lon_deg, candidate.lat_deg) for candidate in best])
    assert (haversine_m(shown, centres) > 1).all()  # or it would not matter which one is judged
    miss_m = haversine_m(shown, photos.lonlat_deg)

    report = evaluate(geolocator.space, photos, QUIET)
    rows = report["figures"]["photos"]
    np.testing.assert_allclose([row["best_lonlat_deg"] for row in rows], shown, atol=1e-6)
    np.testing.assert_allclose([row["error_m"] for row in rows], miss_m, atol=0.06)
    numbers = {m["key"]: m["numbers"] for m in report["methods"] if m["measured"]}
    mean_m = numbers["answer"]["mean_m"]["value"]
    assert mean_m == pytest.approx(miss_m.mean(), rel=1e-6)
    centre_m = haversine_m(centres, photos.lonlat_deg).mean()
    assert numbers["centre"]["mean_m"]["value"] == pytest.approx(centre_m)
    assert abs(mean_m - centre_m) > 1
    for k in (1, 10):
        pairs = zip(searched(geolocator, photos.s, k), photos.lonlat_deg, strict=True)
        near = [nearest_m(answer, place, k) for answer, place in pairs]
        for radius_m, share in numbers["answer"]["recall_places"][str(k)].items():
            assert share["value"] == np.mean(np.array(near) <= float(radius_m))

    truth_row = space.cell_row(photos.lonlat_deg)
    held_out = HeldOut(photos.s, photos.lonlat_deg, truth_row)
    findings = examine(space, calibration.weights, held_out, seed=0, quiet=True)
    assert findings.refined is not None
    np.testing.assert_allclose(findings.shown.miss_m, miss_m, atol=1e-3)
    said = [stated_within(geolocator.space, answer) for answer in answers]
    for column, (radius_m, disc_mass) in enumerate(findings.refined.disc_mass.items()):
        stated = [row[column] for row in said]
        curve = calibration.confidence_within(disc_mass, radius_m, refined=True)
        if column == 0:  # no smaller radius has more
            most = calibration.independent / (calibration.independent + 1)
            np.testing.assert_allclose(stated, np.minimum(curve, most), rtol=1e-4)
        evaluated = report["calibration"]["confidence_within"][f"{radius_m:g}"]
        assert evaluated["said"] == pytest.approx(np.mean(stated), rel=1e-4)
        assert evaluated["disc_mass_said"] == pytest.approx(disc_mass.mean(), rel=1e-4)
        assert evaluated["right"]["value"] == np.mean(miss_m <= radius_m)


def test_a_calibration_of_centres_is_judged_as_a_search_states_it(
    geolocator: Geolocator, photos: PhotoVectors
) -> None:
    calibration = geolocator.calibration
    assert calibration is not None
    calibration = dataclasses.replace(calibration, refined_confidence={})
    older = Geolocator(geolocator.index, geolocator.model)
    older.space = SearchSpace(geolocator.index, geolocator.model, calibration)
    answers = searched(older, photos.s)
    assert all(CENTRE_ONLY in answer.warnings for answer in answers)
    report = evaluate(older.space, photos, QUIET)
    assert CENTRE_ONLY in report["notes"]
    shown = np.array([answer.candidates[0].refined_lonlat_deg for answer in answers])
    rows = report["figures"]["photos"]
    np.testing.assert_allclose([row["best_lonlat_deg"] for row in rows], shown, atol=1e-6)
    said = [stated_within(older.space, answer, refined=False) for answer in answers]
    for column, evaluated in enumerate(report["calibration"]["confidence_within"].values()):
        stated = [row[column] for row in said]
        assert evaluated["said"] == pytest.approx(np.mean(stated), rel=1e-4)
