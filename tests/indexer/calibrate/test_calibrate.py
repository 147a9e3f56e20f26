"""Fitting: the numbers that a city was made with are found again, and nothing else is promised."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from model_city import ModelCity, calibrated_city, listed, unit

from gair.errors import UsageError
from indexer.calibrate import fit_posterior
from indexer.calibrate.calibrate import calibrate, fit_score_weights, split_by_place
from indexer.photos.vectors import PhotoVectors
from indexer.probability.confidence import Curve, fit_confidence
from indexer.probability.conformal import mass_to_reach, one_a_place, place_weights
from indexer.probability.posterior import ScoreWeights, area_log_prior, log_likelihood, posterior
from indexer.probability.reliability import calibration_error
from indexer.search.scored import evidence


def fitted(city: ModelCity, count: int, seed: int) -> ScoreWeights:
    photos = city.photos(count, seed)
    rs, location = city.index.rs.scores(photos.s), city.index.location.scores(photos.s)
    return fit_score_weights(rs, location, city.field, city.cell_row(photos.lonlat_deg))


@pytest.mark.parametrize("seed", range(2))
def test_the_weights_of_a_city_are_found_again(seed: int) -> None:
    weights = fitted(ModelCity(ScoreWeights(12.0, 5.0, 0.0), seed), 512, 1)
    assert weights.rs_weight == pytest.approx(12, abs=1.2)
    assert weights.location_weight == pytest.approx(5, abs=1.2)
    assert weights.spread_m == 0


def test_the_spread_of_a_city_is_found_again() -> None:
    city = ModelCity(ScoreWeights(14.0, 0.0, 95.0))
    weights = fitted(city, 512, 1)
    assert weights.spread_m == pytest.approx(0.75 * city.field.spacing_m)
    assert weights.rs_weight == pytest.approx(14, abs=1.5)


def test_a_location_that_tells_nothing_gets_no_weight() -> None:
    for seed in range(3):
        assert fitted(ModelCity(ScoreWeights(12.0, 0.0, 0.0), seed), 300, 2).location_weight == 0


def test_an_imagery_that_tells_nothing_gets_hardly_any_weight() -> None:
    weights = fitted(ModelCity(ScoreWeights(0.0, 12.0, 0.0)), 400, 3)
    assert weights.rs_weight < 1.2
    assert weights.location_weight == pytest.approx(12, abs=1.5)


def test_scores_that_tell_nothing_leave_the_prior() -> None:
    city = ModelCity(ScoreWeights(1e-6, 0.0, 0.0))
    weights = fitted(city, 400, 1)
    assert 0 < weights.rs_weight < 1
    assert weights.location_weight == 0
    assert np.isfinite(weights.temperature)


@pytest.mark.parametrize("multiple", [0.0, 0.75])
def test_the_loss_is_that_of_the_posterior_and_its_gradient_is_right(multiple: float) -> None:
    city = ModelCity(ScoreWeights(9.0, 4.0, 0.0), bbox_wsen_deg=(-0.11, 51.5, -0.09, 51.51))
    photos = city.photos(40, 5)
    truth = city.cell_row(photos.lonlat_deg)
    rs, location = city.index.rs.scores(photos.s), city.index.location.scores(photos.s)
    spread_m = multiple * city.field.spacing_m
    blur = city.field.blur(spread_m)
    share = city.field.area_m2 / city.field.area_m2.sum()
    times = 1 / np.random.default_rng(1).integers(1, 5, 40)
    task = fit_posterior.FitTask(rs, location, truth, share, times)
    average = fit_posterior.average_of(task, blur)

    def slow(weights: np.ndarray) -> float:
        likelihood = log_likelihood(rs, location, ScoreWeights(*weights, spread_m), blur)
        p = posterior(likelihood, area_log_prior(city.field.area_m2))
        losses = [-np.log(p[n, row]) for n, row in enumerate(truth)]
        return float(np.average(losses, weights=times))

    for weights in np.array([[3.0, 1.0], [12.0, 6.0], [0.5, 20.0]]):
        nll, gradient = fit_posterior.mean_nll(weights, task, average)
        assert nll == pytest.approx(slow(weights), rel=1e-6)
        for axis, step in enumerate(1e-4 * np.eye(2)):
            slope = (slow(weights + step) - slow(weights - step)) / 2e-4
            assert gradient[axis] == pytest.approx(slope, abs=1e-5)


def test_the_loss_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    city = ModelCity(ScoreWeights(9.0, 4.0, 0.0), bbox_wsen_deg=(-0.11, 51.5, -0.09, 51.51))
    photos = city.photos(60, 5)
    truth = city.cell_row(photos.lonlat_deg)
    scores = city.index.rs.scores(photos.s), city.index.location.scores(photos.s)
    whole = fit_score_weights(*scores, city.field, truth)
    monkeypatch.setattr(fit_posterior, "_ENTRIES_AT_ONCE", 7 * len(city.field))
    blocks = fit_score_weights(*scores, city.field, truth)
    fitted = dataclasses.astuple(blocks)[:3]  # the others are of reference photos
    assert fitted == pytest.approx(dataclasses.astuple(whole)[:3], rel=1e-4)


def test_photos_outside_the_index_are_passed_over_and_too_few_are_refused() -> None:
    city = ModelCity(ScoreWeights(12.0, 0.0, 0.0), bbox_wsen_deg=(-0.11, 51.5, -0.09, 51.51))
    photos = city.photos(60, 1)
    rs, location = city.index.rs.scores(photos.s), city.index.location.scores(photos.s)
    truth = city.cell_row(photos.lonlat_deg)
    some = truth.copy()
    some[30:] = -1
    alone = fit_score_weights(rs[:30], location[:30], city.field, truth[:30])
    assert fit_score_weights(rs, location, city.field, some) == alone
    with pytest.raises(UsageError, match="0 of 60 photos .* needs 20"):
        fit_score_weights(rs, location, city.field, np.full(60, -1))


def test_regions_of_fresh_photos_hold_as_often_as_they_say() -> None:
    city = calibrated_city()
    assert city.calibration is not None
    photos = city.photos(500, 77)
    rs = city.index.rs.scores(photos.s)
    weights = city.calibration.weights
    likelihood = log_likelihood(rs, rs, weights, city.field.blur(weights.spread_m))
    p = posterior(likelihood, area_log_prior(city.field.area_m2))
    masses = mass_to_reach(p, city.field.area_m2, city.cell_row(photos.lonlat_deg))
    for level in (0.5, 0.9):
        missed = int((masses > city.calibration.region_mass(level)).sum())
        # Binomial, and the scatter of the calibration itself: 540 photos.
        slack = 3.1 * np.sqrt(level * (1 - level) * (1 / 500 + 1 / 540))
        assert missed / 500 == pytest.approx(1 - level, abs=slack)


def test_a_calibration_says_what_it_rests_on() -> None:
    city = calibrated_city()
    calibration = city.calibration
    assert calibration is not None
    assert calibration.photos == 900
    assert calibration.left_out == {}
    assert calibration.measured["photos_held_back"] >= 900 - 360
    assert len(calibration.masses) == calibration.measured["places_held_back"] > 200
    assert calibration.places is not None
    assert calibration.places > 300
    assert calibration.basis.doubt == ""
    assert (np.diff(calibration.masses) >= 0).all()
    assert calibration.measured["nll"] < calibration.measured["nll_chance"] - 0.5
    assert calibration.measured["coverage_90"] == pytest.approx(0.9, abs=0.06)
    shares = [calibration.measured[f"region_share_{level}"] for level in (50, 90)]
    assert 0.02 < shares[0] < shares[1] < 0.95
    assert calibration.measured["ece_500m"] < 0.06
    assert len(calibration.photo_lonlat_deg) == 900


def drives(city: ModelCity, count: int, frames: int, seed: int) -> PhotoVectors:
    """Frames of one drive: of one place, and hardly different."""
    photos, rng = city.photos(count, seed), np.random.default_rng([7, seed])
    s = photos.s.repeat(frames, axis=0)
    s += 0.02 * rng.normal(size=s.shape).astype(np.float32)
    s /= np.linalg.norm(s, axis=1, keepdims=True)
    made = listed(s, photos.lonlat_deg.repeat(frames, axis=0))
    named = [
        dataclasses.replace(photo, sequence=f"{seed}-{n // frames}")
        for n, photo in enumerate(made.photos)
    ]
    return dataclasses.replace(made, photos=named)


def test_no_place_is_both_fitted_and_measured_on() -> None:
    rng = np.random.default_rng(0)
    place = rng.integers(0, 50, 400)
    for count in (30, 160, 300):
        fitted, held = split_by_place(place, count, seed=3)
        assert np.sort(np.concatenate([fitted, held])).tolist() == list(range(400))
        assert not set(place[fitted]) & set(place[held])
        assert count - 20 < len(fitted) <= count
    alone = np.arange(100)
    assert len(split_by_place(alone, 40, seed=0)[0]) == 40
    with pytest.raises(UsageError, match="100 photos are of 3 places, too few .*100 places or"):
        split_by_place(np.arange(100) % 3, 40, seed=0)


def test_what_drives_promise_holds_for_photos_of_other_drives() -> None:
    """Six frames a drive count as one: regions and refusals hold, and say what they rest on."""
    city = ModelCity(
        ScoreWeights(14.0, 0.0, 95.0), seed=2, bbox_wsen_deg=(-0.12, 51.49, -0.09, 51.51)
    )
    missed, refused, count = 0, 0.0, 4
    for number in range(count):
        made = calibrate(city, drives(city, 150, 6, number), quiet=True)
        assert (made.photos, made.places, made.basis.doubt) == (900, 150, "")
        assert len(made.masses) == len(made.out_of_index.scores) == 90
        new = city.photos(200, 50 + number)
        rs = city.index.rs.scores(new.s)
        likelihood = log_likelihood(rs, rs, made.weights, city.field.blur(made.weights.spread_m))
        p = posterior(likelihood, area_log_prior(city.field.area_m2))
        masses = mass_to_reach(p, city.field.area_m2, city.cell_row(new.lonlat_deg))
        missed += int((masses > made.region_mass(0.9)).sum())
        nats = evidence(city, new.s, made.weights)
        refused += made.out_of_index.abstain(made.out_of_index.score(new.s, nats)).mean() / count
    # 800 photos, measured by four times 90 drives.
    assert missed / 800 == pytest.approx(0.1, abs=3 * np.sqrt(0.09 * (1 / 800 + 1 / 360)))
    assert refused < 0.05 + 3 * np.sqrt(0.05 * 0.95 * (1 / 800 + 1 / 360))


def test_numbers_of_drives_are_those_of_one_frame_each() -> None:
    """Each frame listed five times: what is measured does not change, nor does what is kept."""
    city = ModelCity(ScoreWeights(12.0, 0.0, 0.0), bbox_wsen_deg=(-0.11, 51.5, -0.09, 51.51))
    rng = np.random.default_rng(3)
    place, values = np.arange(90), rng.random(90)
    many = place.repeat(5)
    assert one_a_place(values.repeat(5), many, above=True) == pytest.approx(np.sort(values))
    mass, inside = rng.random(90), rng.random(90) < 0.4
    once = fit_confidence(mass, inside)
    often = fit_confidence(mass.repeat(5), inside.repeat(5), place_weights(many))
    assert often.chance([0.1, 0.5, 0.9]) == pytest.approx(once.chance([0.1, 0.5, 0.9]), abs=1e-3)
    photos = city.photos(60, 1)
    rs, truth = city.index.rs.scores(photos.s), city.cell_row(photos.lonlat_deg)
    alone = fit_score_weights(rs, rs, city.field, truth)
    odd = np.concatenate([np.arange(60), np.arange(30).repeat(3)])  # the first half four times
    times = place_weights(odd)
    listed_often = fit_score_weights(rs[odd], rs[odd], city.field, truth[odd], times=times)
    fitted = dataclasses.astuple(listed_often)[:3]  # the others are of reference photos
    assert fitted == pytest.approx(dataclasses.astuple(alone)[:3], rel=1e-3)


def test_the_confidence_of_a_right_posterior_is_its_mass() -> None:
    rng = np.random.default_rng(1)
    mass = rng.beta(1, 4, 5000)
    curve = fit_confidence(mass, rng.random(5000) < mass)
    assert curve.slope == pytest.approx(1, abs=0.1)
    assert curve.intercept == pytest.approx(0, abs=0.15)
    assert curve.chance([0.1, 0.3, 0.6]) == pytest.approx([0.1, 0.3, 0.6], abs=0.05)
    over = fit_confidence(mass, rng.random(5000) < mass**2)
    assert over.chance(0.5) == pytest.approx(0.25, abs=0.05)


def test_confidence_bends_where_no_logistic_does() -> None:
    """Never right below a threshold and half the time above it: no logistic fits that."""
    rng = np.random.default_rng(2)
    mass = rng.random(8000)
    inside = (mass > 0.6) & (rng.random(8000) < 0.5)
    bent = fit_confidence(mass[:4000], inside[:4000])
    straight = Curve(bent.slope, bent.intercept)
    off, off_straight = (
        float(calibration_error(curve.chance(mass[4000:]), inside[4000:])[0])
        for curve in (bent, straight)
    )
    assert off < 0.6 * off_straight


def test_a_few_photos_hardly_bend_the_logistic() -> None:
    mass = np.linspace(0.05, 0.95, 25)
    curve = fit_confidence(mass, mass > 0.6)
    assert np.abs(curve.shifts).max() < 0.5


def test_confidence_is_finite_and_never_falls() -> None:
    mass = np.linspace(0, 1, 101)
    zigzag = np.arange(101) % 20 < 10
    for inside in (mass < 0.5, mass < 2, mass > 2, zigzag):  # falling, always, never, both
        curve = fit_confidence(mass, inside)
        said = curve.chance(mass)
        assert curve.slope >= 0
        assert ((said >= 0) & (said <= 1) & np.isfinite(said)).all()
        assert (np.diff(said) >= 0).all()


def test_photos_that_cannot_be_used_are_counted_by_reason() -> None:
    city = ModelCity(ScoreWeights(12.0, 0.0, 0.0), bbox_wsen_deg=(-0.11, 51.5, -0.09, 51.51))
    photos = city.photos(75, 1)
    photos.lonlat_deg[:4] = (10.0, 10.0)
    photos.lonlat_deg[4:6] = np.nan
    photos.s[6] = np.nan
    photos.failures[6] = "not a photo"
    photos.photos[4] = dataclasses.replace(photos.photos[4], lonlat_deg=None)
    elsewhere = listed(
        unit(np.random.default_rng(0), 3), np.array([[np.nan] * 2] * 2 + [[-0.1, 51.505]])
    )
    calibration = calibrate(city, photos, out_of_index=elsewhere, quiet=True)
    assert calibration.photos == 75 - 7
    assert calibration.left_out == {
        "taken outside the index": 4,
        "no coordinates": 1,
        "impossible coordinates": 1,
        "photo cannot be read": 1,
        "from elsewhere: taken in the index": 1,
    }
    assert calibration.out_of_index.elsewhere == 2
    assert len(calibration.photo_lonlat_deg) == 73


def test_too_few_photos_are_refused_with_what_is_missing() -> None:
    city = ModelCity(ScoreWeights(12.0, 0.0, 0.0), bbox_wsen_deg=(-0.11, 51.5, -0.09, 51.51))
    photos = city.photos(60, 1)
    photos.lonlat_deg[:12] = (10.0, 10.0)
    told = "48 of 60 photos .*12 taken outside the index.* at least 50 are needed"
    with pytest.raises(UsageError, match=told):
        calibrate(city, photos, quiet=True)
    exchanged = listed(photos.s, photos.lonlat_deg[:, ::-1] + 0.0)
    hint = (
        "48 in the index only with latitude and longitude exchanged, 12 taken outside.*; 48 of 60"
    )
    with pytest.raises(
        UsageError, match=f"0 of 60 .*{hint} photos lie in the index only .*swapped"
    ):
        calibrate(city, exchanged, quiet=True)
    with pytest.raises(UsageError, match="`level` 1.5"):
        calibrate(city, photos, level=1.5, quiet=True)


def test_equal_input_gives_equal_calibrations(tmp_path_factory: pytest.TempPathFactory) -> None:
    city = ModelCity(ScoreWeights(12.0, 3.0, 0.0), bbox_wsen_deg=(-0.11, 51.5, -0.09, 51.51))
    folder = tmp_path_factory.mktemp("equal")
    files = []
    for number in range(2):
        calibration = calibrate(city, city.photos(80, 1), seed=4, quiet=True)
        dataclasses.replace(calibration, created_utc="").save(folder / f"{number}.npz")
        files.append((folder / f"{number}.npz").read_bytes())
    assert files[0] == files[1]
    other = calibrate(city, city.photos(80, 1), seed=5, quiet=True)
    dataclasses.replace(other, created_utc="").save(folder / "other.npz")
    assert (folder / "other.npz").read_bytes() != files[0]
