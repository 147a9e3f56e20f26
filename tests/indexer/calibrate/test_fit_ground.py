"""Reference photos get the weight that they earn on places held out from them, and no more."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from grounded_city import GroundedCity
from model_city import unit
from references import references

from gair.arrays import Floats, Vectors
from indexer.calibrate.calibrate import calibrate
from indexer.calibrate.fit_ground import (
    EXPECTED_KERNELS_M,
    EXPECTED_PHOTOS,
    HALF_LIVES_YEARS,
    KERNELS_M,
    SHARPNESSES,
    fit_ground,
    shuffle,
    term,
)
from indexer.calibrate.fit_posterior import (
    FitTask,
    average_of,
    fit_score_weights,
    fit_weights,
    mean_nll,
)
from indexer.ground.left_out import COPIES, NEAR, OF_SEQUENCE, own_references
from indexer.ground.likelihood import GroundField, GroundKernel
from indexer.ground.likeness import Comparison
from indexer.probability.calibration import calibration_path, load_calibration


@pytest.fixture(scope="module")
def city() -> GroundedCity:
    return GroundedCity()


def test_reference_photos_that_look_like_their_streets_get_a_weight(city: GroundedCity) -> None:
    calibration = calibrate(city, city.asked(250, 1), quiet=True)
    weights = calibration.weights
    assert weights.ground_weight > 0.1
    assert weights.ground_kernel_m in KERNELS_M
    assert weights.ground_sharpness in SHARPNESSES
    assert calibration.measured["nll"] < calibration.measured["nll_chance"] - 0.3
    assert calibration.measured["coverage_90"] > 0.8
    ground = calibration.ground
    assert ground is not None
    assert (ground.photos, ground.apart_m) == (400, 100.0)
    assert ground.left_out[NEAR] > 100
    assert ground.left_out[COPIES] == ground.left_out[OF_SEQUENCE] == 0


class ForeignCity(GroundedCity):
    """Photos follow the imagery, but by a map that the model never learned."""

    def looks(self, lonlat_deg: Floats, rng: np.random.Generator, noise: float = 0.5) -> Vectors:
        seen = self.index.rs.vectors(self.cell_row(lonlat_deg))[:, ::-1]
        return unit_rows(seen + noise * unit(rng, len(seen)))


def unit_rows(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def test_where_photos_follow_imagery_as_reference_photos_tell_they_are_expected(
    tmp_path: Path,
) -> None:
    city, without = ForeignCity(), ForeignCity()
    without.ground = None
    photos = city.asked(250, 1)
    calibration = calibrate(city, photos, quiet=True)
    weights = calibration.weights
    assert weights.ground_expected_photos in EXPECTED_PHOTOS
    assert weights.ground_kernel_m in EXPECTED_KERNELS_M
    assert weights.ground_freedom == 30.0
    blind = calibrate(without, photos, quiet=True)
    assert calibration.measured["nll"] < blind.measured["nll"] - 1.0
    calibration.save(calibration_path(tmp_path, calibration.build))
    read = load_calibration(tmp_path, calibration.build, calibration.model_fingerprint)
    assert read is not None
    assert read.weights == weights
    # New photos of the city: the weights find them, and those without reference photos do not.
    asked = city.asked(200, 9)
    truth, scores = city.cell_row(asked.lonlat_deg), city.scores(asked.s)
    found = city.ground_evidence(asked.s, scores, weights)
    assert found is not None
    best = (weights.rs_weight * scores[0] + weights.ground_weight * found.log_ratios).argmax(axis=1)
    assert (best == truth).mean() > 0.5 > 0.1 > (scores[0].argmax(axis=1) == truth).mean()
    alone = city.ground_evidence(asked.s, scores, weights.ground_alone)
    assert alone is not None
    assert not alone.kernel.expected_photos


def test_photos_of_anything_get_none() -> None:
    """They are left out around every place, and that gap alone tells where it is: not enough."""
    city = GroundedCity(1200)
    assert city.ground is not None
    city.give(unit(np.random.default_rng(2), 1200), city.ground.comparison.photos.lonlat_deg)
    photos, times = city.asked(120, 2), np.ones(120)
    truth, scores = city.cell_row(photos.lonlat_deg), city.scores(photos.s)
    base = fit_score_weights(*scores, city.field, truth)
    own = own_references(city.ground.comparison.photos, photos).rows
    looks = city.ground.comparison.likenesses(photos.s, own)
    assert fit_ground(scores, city.field, truth, base, city.ground, looks, times=times) == base
    share = city.field.area_m2 / city.field.area_m2.sum()
    task = FitTask(*scores, truth, share, times)
    start = np.array([base.rs_weight, 0.0, 0.5])
    kernel = GroundKernel(75.0, 40.0, pseudo_photos=1.0)
    gap = term(city.ground, looks, kernel, np.tile(share, (120, 1)))
    weights, nll = fit_weights(dataclasses.replace(task, ground=gap), None, start, location=False)
    _, without = fit_weights(task, None, start[:2], location=False)
    assert weights[2] > 0.2  # what it would have got
    assert (without - nll) * 120 > 6


def test_the_slope_of_what_they_say_is_the_slope_of_the_loss(city: GroundedCity) -> None:
    assert city.ground is not None
    photos = city.asked(30, 4)
    truth, rng = city.cell_row(photos.lonlat_deg), np.random.default_rng(1)
    rs, location = rng.normal(size=(2, 30, len(city.field)))
    share = city.field.area_m2 / city.field.area_m2.sum()
    likely = np.exp(0.5 * rs) * share
    looks = city.ground.comparison.likenesses(photos.s)
    said = term(city.ground, looks, GroundKernel(), likely)
    task = FitTask(rs, location, truth, share, np.ones(30), said)
    for blur in (None, city.field.blur(60.0)):
        average = average_of(task, blur)
        for weights in np.array([[0.5, 0.3, 0.4], [1.0, 0.0, 1.7]]):
            _, gradient = mean_nll(weights, task, average)
            for axis, step in enumerate(1e-5 * np.eye(3)):
                ends = (mean_nll(weights + way * step, task, average)[0] for way in (1, -1))
                slope = float(np.subtract(*ends)) / 2e-5
                assert gradient[axis] == pytest.approx(slope, abs=1e-4)
    values, _ = said.at(0.8, slice(0, 30))
    kernel = GroundKernel(rs_weight=0.5, power=0.8)
    evidence = city.ground.read(looks, kernel, likely)
    np.testing.assert_allclose(values, 0.8 * evidence.log_ratios, atol=1e-4)


def test_a_planted_photo_its_walk_and_a_crop_of_it_are_left_out_and_counted() -> None:
    """With them as evidence of their own, the city would look solved."""
    honest, flattered = GroundedCity(), GroundedCity()
    photos = honest.asked(250, 1)
    rng = np.random.default_rng(3)
    assert honest.ground is not None
    there = honest.ground.comparison.photos
    steps = 150.0 * np.arange(1, 4)[:, None, None] / (69_000.0, 111_000.0)
    walk = (photos.lonlat_deg + steps * (1, 0)).reshape(-1, 2)
    crop = photos.lonlat_deg + rng.uniform(-30, 30, (250, 2)) / (69_000.0, 111_000.0)
    near_same = photos.s + 0.05 * unit(rng, 250)
    near_same /= np.linalg.norm(near_same, axis=1, keepdims=True)
    s = np.concatenate([honest.reference_s, photos.s, *[near_same] * 4]).astype(np.float32)
    places = np.concatenate([there.lonlat_deg, photos.lonlat_deg, walk, crop])
    names = [f"walk {number}" for number in range(250)]
    flattered.give(s, places, [*[""] * 400, *names * 4, *[""] * 250])
    plain = calibrate(honest, photos, quiet=True)
    planted = calibrate(flattered, photos, quiet=True)
    assert planted.ground is not None
    assert plain.ground is not None
    counts = planted.ground.left_out
    assert counts[COPIES] == 250
    assert counts[OF_SEQUENCE] == 3 * 250
    assert counts[NEAR] >= plain.ground.left_out[NEAR] + 250
    assert planted.ground.of_photos == 250
    # Photos of others' walks stand around, so it is not the same; but no photo is found by itself.
    assert planted.measured["nll"] > plain.measured["nll"] - 0.5
    assert planted.measured["within_200m"] < 0.6


def test_a_shuffled_set_has_the_same_looks_at_other_places(city: GroundedCity) -> None:
    assert city.ground is not None
    photos = city.ground.comparison.photos
    own = [np.array([4, 9]), np.array([], dtype=np.int64)]
    comparison = Comparison(photos, nearest=398)
    likenesses = comparison.likenesses(city.asked(2, 3).s, own)
    shuffled = shuffle(likenesses, comparison, 0)
    for before, after, left_out in zip(likenesses, shuffled, own, strict=True):
        assert not np.isin(left_out, after.rows).any()
        assert len(np.unique(after.rows)) == len(before.rows)
        assert not np.array_equal(after.rows, before.rows)
        assert after.weights(20.0)[1] == before.weights(20.0)[1]


def test_what_was_measured_is_kept_and_older_files_have_none(
    city: GroundedCity, tmp_path: Path
) -> None:

    folder = tmp_path
    calibration = calibrate(city, city.asked(120, 1), ground_apart_m=0.0, quiet=True)
    assert calibration.ground is not None
    assert calibration.ground.apart_m == 0
    assert sum(calibration.ground.left_out.values()) == 0
    path = calibration_path(folder, calibration.build)
    calibration.save(path)
    read = load_calibration(folder, calibration.build, calibration.model_fingerprint)
    assert read is not None
    assert (read.ground, read.weights) == (calibration.ground, calibration.weights)
    older = dataclasses.replace(calibration, schema_version=2, ground=None)
    older.save(path)
    read = load_calibration(folder, calibration.build, calibration.model_fingerprint)
    assert read is not None
    assert read.ground is None


def test_age_counts_only_where_the_old_photos_mislead() -> None:
    """Half the photos are ten years old: as the streets are, or of streets that have changed."""
    city = GroundedCity(800)
    photos = city.asked(150, 1)
    assert city.ground is not None
    there = city.ground.comparison.photos
    old = np.arange(800) % 2 == 0
    days = np.where(old, np.datetime64("2014-05-06"), np.datetime64("2024-05-06"))
    changed = city.reference_s.copy()
    changed[old] = changed[np.random.default_rng(1).permutation(np.flatnonzero(old))]
    half_lives = []
    for s in (city.reference_s, changed):
        given = dataclasses.replace(references(s, there.lonlat_deg), taken_on=days)
        vars(given).update(content_sha256=there.content_sha256, sequence=there.sequence)
        ground = GroundField(Comparison(given), city.field.lonlat_deg)
        truth, scores = city.cell_row(photos.lonlat_deg), city.scores(photos.s)
        base = fit_score_weights(*scores, city.field, truth)
        looks = ground.comparison.likenesses(photos.s, own_references(given, photos).rows)
        fitted = fit_ground(scores, city.field, truth, base, ground, looks, times=np.ones(150))
        half_lives.append(fitted.ground_half_life_years)
    assert half_lives[0] == 0
    assert half_lives[1] in HALF_LIVES_YEARS
