"""Likelihood ratios: against densities that are known, and on claims that nothing was fitted to."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from model_city import calibrated_city

from gair.arrays import Floats
from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.calibrate.claim_ratios import low_cllr
from indexer.probability.evidence import (
    odds_in_words,
    prior_odds_of,
    ratio_in_words,
    support_in_words,
    weigh,
    weighed,
)
from indexer.probability.known_claims import (
    TRUE,
    Alike,
    claims_at,
    draw_claims,
    look_at_all,
    lookalike_claims,
)
from indexer.probability.likelihood_ratios import (
    ELSEWHERE,
    FEWEST_PLACES,
    LOOKALIKE,
    RANDOM,
    RatioCurve,
    crossed_log_ratios,
    curves_from_json,
    curves_json,
    fit_ratio,
)
from indexer.probability.ratio_cost import cllr, least_cllr


def gaussians(seed: int, n: int, m: int, scale: float = 1.0) -> tuple[Floats, Floats]:
    """Scores whose log likelihood ratio is 2 x / scale."""
    rng = np.random.default_rng(seed)
    return scale * rng.normal(1, 1, n), scale * rng.normal(-1, 1, m)


def fitted(true: Floats, false: Floats) -> RatioCurve | None:
    """The curve where each claim is about a place of its own."""
    return fit_ratio(true, np.arange(len(true)), false, np.arange(len(false)))


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_a_curve_is_the_ratio_of_the_densities_however_the_score_is_scaled(scale: float) -> None:
    curve = fitted(*gaussians(0, 3000, 1500, scale))
    assert curve is not None
    x = np.linspace(-1, 1, 9)
    assert curve.log_ratio(scale * x) == pytest.approx(2 * x, abs=0.35)
    assert (np.diff(curve.log_ratio(np.linspace(-9, 9, 400))) >= 0).all()


def test_ratios_cost_hardly_more_than_they_must_and_mislead_no_more_often_than_they_say() -> None:
    curve = fitted(*gaussians(1, 400, 400, 0.5))
    assert curve is not None
    fresh = gaussians(2, 4000, 4000, 0.5)
    true, false = (curve.log_ratio(scores) for scores in fresh)
    assert cllr(true, false)[0] < 1.1 * least_cllr(true, false)
    # Of false claims at most 1 in k has a ratio of k or more, and of true ones 1 in k below 1 / k.
    for k in (2, 5, 20):
        assert (false >= np.log(k)).mean() < 1 / k
        assert (true <= -np.log(k)).mean() < 1 / k


def test_few_false_claims_that_score_far_lower_are_told_as_well_as_many() -> None:
    """Photos of another city score from far below up to what true ones do; few are at hand."""
    rng = np.random.default_rng(5)

    def drawn(n: int, m: int) -> tuple[Floats, Floats]:
        return 5 - np.abs(rng.normal(0, 2, n)), 2 - rng.exponential(8, m)

    curve = fitted(*drawn(2000, 300))
    assert curve is not None
    true, false = (curve.log_ratio(scores) for scores in drawn(4000, 4000))
    assert cllr(true, false)[0] < 1.2 * least_cllr(true, false)  # 1.5 where each claim counts once
    assert curves_from_json([[ELSEWHERE, 100.0, {**asdict(curve), "balanced": False}]])[ELSEWHERE][
        100.0
    ].log_ratio(0.0) == pytest.approx(curve.log_ratio(0.0) - np.log(2000 / 300))


def test_no_ratio_is_beyond_the_number_of_claims_or_places() -> None:
    true, false = gaussians(3, 50, 80)
    curve = fitted(true, false)
    assert curve is not None
    assert np.exp(curve.log_ratio([-50.0, 50.0])) == pytest.approx([1 / 50, 50])
    assert fitted(true[: FEWEST_PLACES - 1], false) is None
    assert fitted(np.full(50, np.nan), false) is None


def test_a_place_counts_once_however_many_photos_it_has() -> None:
    true, false = gaussians(8, 40, 60)
    alone = fitted(true, false)
    assert alone is not None
    times = np.random.default_rng(0).integers(1, 6, 60)
    copies = fit_ratio(
        np.repeat(true, times[:40]),
        np.repeat(np.arange(40), times[:40]),
        np.repeat(false, times),
        np.repeat(np.arange(60), times),
    )
    assert copies is not None
    assert (copies.true_places, copies.false_places, copies.limit) == (40, 60, 40)
    assert copies.curve.slope == pytest.approx(alone.curve.slope, rel=1e-3)
    assert copies.curve.intercept == pytest.approx(alone.curve.intercept, abs=1e-3)
    one = np.zeros(400, dtype=np.int64)
    assert fit_ratio(np.repeat(true, 10), one, false, np.arange(60)) is None


def test_crossed_ratios_are_of_the_other_half() -> None:
    true, false = gaussians(4, 61, 80)
    false[3] = np.nan
    logs = crossed_log_ratios(true, false)
    assert [len(half) for half in logs] == [61, 79]
    curve = fitted(true[1::2], false[1::2])
    assert curve is not None
    assert logs[0][:31] == pytest.approx(curve.log_ratio(true[::2]))
    assert len(crossed_log_ratios(true[:30], false)[0]) == 0


def test_curves_come_back_from_json_as_they_were() -> None:
    curve = fitted(*gaussians(5, 60, 60))
    assert curve is not None
    curves = {RANDOM: {200.0: curve, 500.0: curve}, LOOKALIKE: {200.0: curve}}
    assert curves_from_json(json.loads(json.dumps(curves_json(curves)))) == curves


def test_lookalikes_are_far_away_and_among_the_most_alike() -> None:
    rng = np.random.default_rng(6)
    places = rng.uniform((-0.12, 51.49), (-0.08, 51.52), (600, 2))
    vectors, truths = rng.normal(size=(600, 8)), rng.normal(size=(20, 8))
    truth = rng.uniform((-0.12, 51.49), (-0.08, 51.52), (20, 2))
    alike = Alike(places, 1.0, vectors.astype(np.float32), truths.astype(np.float32))
    points, away = lookalike_claims(alike, truth, 300.0, rng)
    assert away.all()
    for point, place, like in zip(points, truth, truths, strict=True):
        far = haversine_m(places, place) > 600
        best = np.flatnonzero(far)[np.argsort(-(vectors[far] @ like))[:10]]
        assert haversine_m(places[best], point).min() < 302
        assert haversine_m(point, place) > 298
    assert not lookalike_claims(alike, truth, 50_000.0, rng)[1].any()


def test_a_calibration_weighs_claims_against_each_alternative() -> None:
    city = calibrated_city()
    assert city.calibration is not None
    curves = city.calibration.likelihood_ratios
    assert set(curves) == {RANDOM, LOOKALIKE, ELSEWHERE}
    for alternative, of_radius in curves.items():
        assert set(of_radius) >= {100.0, 200.0, 500.0}
        measured = city.calibration.measured
        for radius_m in (100.0, 200.0, 500.0):
            cost = measured[f"cllr_{alternative}_{radius_m:g}m"]
            assert measured[f"least_cllr_{alternative}_{radius_m:g}m"] <= cost < 1
    photos = city.photos(400, 5)
    p = city.posterior(photos.s)
    rows = city.cell_row(photos.lonlat_deg)
    claims = draw_claims(city, photos.lonlat_deg, 200.0, city.alike(rows), np.random.default_rng(0))
    wide = draw_claims(city, photos.lonlat_deg, 500.0, None, np.random.default_rng(1))
    every = [*claims.values(), *wide.values()]
    look_at_all(every, city.field, p, slice(0, 400))
    for of_kind in every:  # together they are what each is alone
        alone = claims_at(city, of_kind.lonlat_deg, of_kind.among, of_kind.wanted)
        alone.look(city.field, p, slice(0, 400))
        np.testing.assert_array_equal(of_kind.p_elsewhere, alone.p_elsewhere)
        np.testing.assert_array_equal(of_kind.score, alone.score)
    for alternative in (RANDOM, LOOKALIKE):
        curve = curves[alternative][200.0]
        logs = [curve.log_ratio(claims[kind].score) for kind in (TRUE, alternative)]
        assert cllr(*logs)[0] < 1.12 * least_cllr(*logs)


def test_several_photos_count_as_one() -> None:
    curve = fitted(*gaussians(7, 90, 90))
    assert curve is not None
    (one,) = weigh({RANDOM: {200.0: curve}}, 200.0, np.array([0.3, 0.3, 0.3]), 0.25)
    (alone,) = weigh({RANDOM: {200.0: curve}}, 200.0, np.array([0.3]), 0.25)
    assert one == alone
    assert alone.posterior_odds == pytest.approx(0.25 * alone.likelihood_ratio)
    assert alone.posterior_probability == pytest.approx(
        alone.posterior_odds / (1 + alone.posterior_odds)  # type: ignore[operator]
    )
    assert "Prior odds of 1 to 4 become" in alone.sentence
    assert weigh({RANDOM: {200.0: curve}}, 500.0, np.array([0.3])) == ()


def test_ratios_that_were_not_calibrated_are_withheld_and_it_is_said() -> None:
    calibration = calibrated_city().calibration
    assert calibration is not None
    scores = np.array([2.0])
    whole, _ = weighed(calibration, 200.0, 200.0, scores, None)
    assert [one.alternative for one in whole] == [RANDOM, LOOKALIKE, ELSEWHERE]
    least = calibration.measured["least_cllr_elsewhere_200m"]
    for low, kept in ((1.09 * least, True), (1.11 * least, False)):
        measured = calibration.measured | {"cllr_low_elsewhere_200m": low}
        asked = replace(calibration, measured=measured)
        evidence, sentence = weighed(asked, 200.0, 200.0, scores, None)
        assert evidence == (whole if kept else whole[:2])
        assert ("No ratio is given against its being taken outside the index" in sentence) != kept
        assert len(weighed(asked, 500.0, 500.0, scores, None)[0]) == 3
    nothing = {f"cllr_low_{name}_200m": 9.0 for name in (RANDOM, LOOKALIKE, ELSEWHERE)}
    asked = replace(calibration, measured=calibration.measured | nothing)
    evidence, sentence = weighed(asked, 200.0, 200.0, scores, None)
    assert evidence == ()
    assert sentence.count("were not calibrated") == 3
    old = {k: v for k, v in calibration.measured.items() if "low" not in k}
    assert weighed(replace(calibration, measured=old), 200.0, 200.0, scores, None)[0] == whole


def test_the_low_end_of_a_cost_is_that_of_many_samples() -> None:
    rng = np.random.default_rng(3)
    costs, lows = [], []
    for _ in range(200):
        true, false = 2 * rng.normal(1, 1, 120), 2 * rng.normal(-1, 1, 90)
        costs.append(float(cllr(true, false)[0]))
        lows.append(low_cllr(true, false) if len(lows) < 20 else 0.0)
    low = np.quantile(costs, 0.025)
    assert np.mean(lows[:20]) == pytest.approx(low, abs=0.03)
    assert low < np.mean(costs) - 0.05


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1.0, "no support for either"),
        (1.9, "no support for either"),
        (0.6, "no support for either"),
        (2.0, "weak support for the claim"),
        (0.2, "weak support for the alternative"),
        (10.0, "moderate support for the claim"),
        (1 / 50, "moderate support for the alternative"),
        (200.0, "moderately strong support for the claim"),
        (2000.0, "strong support for the claim"),
        (2e4, "very strong support for the claim"),
        (2e6, "extremely strong support for the claim"),
    ],
)
def test_words_for_ratios(ratio: float, words: str) -> None:
    assert support_in_words(ratio) == words


def test_numbers_in_words() -> None:
    assert [ratio_in_words(r) for r in (1.26, 2.0, 45.3, 4512.0)] == ["1.3", "2", "45", "4,500"]
    assert [odds_in_words(o) for o in (12.0, 1.0, 1 / 99)] == ["12 to 1", "1 to 1", "1 to 99"]


def test_a_prior_is_odds_or_a_probability() -> None:
    assert prior_odds_of(None, None) is None
    assert prior_odds_of(0.2, None) == 0.2
    assert prior_odds_of(None, 0.2) == pytest.approx(0.25)
    for odds, probability, told in (
        (0.0, None, "`prior_odds` is 0"),
        (float("nan"), None, "`prior_odds` is nan"),
        (None, 1.0, "`prior_probability` is 1"),
        (None, -0.1, "`prior_probability` is -0.1"),
        (1.0, 0.5, "give one of them"),
    ):
        with pytest.raises(UsageError, match=told):
            prior_odds_of(odds, probability)
