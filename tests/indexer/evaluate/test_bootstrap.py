"""Resamples by weights against resamples drawn photo by photo; intervals that hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from indexer.evaluate.bootstrap import (
    Resamples,
    as_json,
    percentiles,
    weighted_mean,
    weighted_quantiles,
)

RNG = np.random.default_rng(3)
VALUES = RNG.lognormal(size=40)


def listed(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Every photo as often as it was drawn."""
    return np.repeat(values, weights.astype(int))


def test_a_resample_has_as_many_photos_and_the_same_ones_for_a_seed() -> None:
    drawn = Resamples(np.arange(40), resamples=50, seed=4)
    assert (drawn.weights.sum(axis=1) == 40).all()
    assert (drawn.weights == Resamples(np.arange(40), resamples=50, seed=4).weights).all()
    assert (drawn.weights != Resamples(np.arange(40), resamples=50, seed=5).weights).any()
    # Each photo is left out of (1 - 1/40)^40 = 36 % of the resamples.
    assert (drawn.weights == 0).mean() == pytest.approx(0.363, abs=0.02)


def test_means_and_quantiles_are_those_of_the_photos_drawn() -> None:
    drawn = Resamples(np.arange(40), resamples=30).weights
    means, shares = weighted_mean(VALUES, drawn.astype(float)), (0.1, 0.5, 0.75, 0.9, 1.0)
    quantiles = weighted_quantiles(VALUES, shares, drawn)
    for row, weights in enumerate(drawn):
        some = listed(VALUES, weights)
        assert means[row] == pytest.approx(some.mean())
        wanted = [np.sort(some)[math.ceil(share * len(some)) - 1] for share in shares]
        assert quantiles[row].tolist() == wanted


def test_infinity_is_never_interpolated() -> None:
    values = np.array([1.0, 2.0, np.inf, np.inf])
    once = np.ones((1, 4), dtype=np.uint8)
    assert weighted_quantiles(values, (0.5, 0.51), once)[0].tolist() == [2, np.inf]
    assert weighted_mean(values, once)[0] == np.inf
    assert weighted_mean(values, np.array([[3.0, 1, 0, 0]]))[0] == 1.25


def test_columns_at_once_are_columns_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from indexer.evaluate import bootstrap

    columns = RNG.random((40, 3)) < 0.4
    together = Resamples(np.arange(40), resamples=200, seed=1).means(columns)
    monkeypatch.setattr(bootstrap, "_NUMBERS_AT_ONCE", 100)  # a few resamples at a time
    drawn = Resamples(np.arange(40), resamples=200, seed=1)
    for column, measured in enumerate(together):
        alone = drawn.mean(columns[:, column])
        assert (measured.value, measured.low, measured.high) == pytest.approx(
            (alone.value, alone.low, alone.high)
        )


def test_a_share_of_none_or_all_has_a_binomial_interval() -> None:
    hits = np.stack([np.zeros(12), np.ones(12), np.arange(12) < 6], axis=1).astype(bool)
    none, every, half = Resamples(np.arange(12)).shares(hits)
    assert (none.low, every.high) == (0, 1)
    assert (1 - none.high) ** 12 == pytest.approx(0.025)
    assert every.low**12 == pytest.approx(0.025)
    assert half == Resamples(np.arange(12)).means(hits)[2]
    assert math.isnan(Resamples(np.arange(0)).shares(np.zeros((0, 1), dtype=bool))[0].value)


def test_the_same_photos_of_a_resample_are_resampled_once() -> None:
    drawn = Resamples(np.arange(30).repeat(2), resamples=20, seed=3)
    assert drawn.of(np.arange(60)) is drawn
    rows = np.array([0, 1, 5, 8, 59])
    some = drawn.of(rows)
    assert drawn.of(rows.copy()) is some
    afresh = Resamples(drawn.place[rows], resamples=20, seed=3)
    assert (some.weights == afresh.weights).all()
    assert some.places == afresh.places
    assert drawn.of(rows[::-1]) is not some


def test_percentiles_of_a_thousand_numbers() -> None:
    low, high = percentiles(RNG.permutation(np.arange(1, 1001.0)))
    assert (low, high) == (25, 975)


def test_intervals_hold_the_true_mean_about_as_often_as_they_say() -> None:
    held = 0
    for seed in range(200):
        sample = np.random.default_rng([9, seed]).random(80) < 0.3
        measured = Resamples(np.arange(80), resamples=200, seed=seed).mean(sample)
        held += measured.low <= 0.3 <= measured.high
    assert 0.90 <= held / 200 <= 0.99


def interval_of(place: np.ndarray, hits: np.ndarray, seed: int) -> tuple[float, float]:
    measured = Resamples(place, resamples=400, seed=seed).mean(hits)
    return measured.low, measured.high


def test_intervals_hold_where_photos_come_in_sequences() -> None:
    """50 sequences of 10 photos, right or wrong together; resampled by photo they hold half."""
    sequence = np.arange(50).repeat(10)
    by_sequence = by_photo = 0
    for seed in range(400):
        rng = np.random.default_rng([11, seed])
        chance = rng.beta(0.4, 0.93, 50)  # 0.3 on average
        hits = rng.random(500) < chance[sequence]
        mean = 0.4 / 1.33
        low, high = interval_of(sequence, hits, seed)
        by_sequence += low <= mean <= high
        if seed < 100:
            low, high = interval_of(np.arange(500), hits, seed)
            by_photo += low <= mean <= high
    assert 0.925 <= by_sequence / 400 <= 0.975
    assert by_photo / 100 < 0.75


def test_resamples_draw_whole_places() -> None:
    place = np.array([7, 7, 2, 7, 2, 5])
    drawn = Resamples(place, resamples=60, seed=2)
    assert drawn.places == 3
    times = drawn.weights[:, [0, 2, 5]].astype(int)
    assert (drawn.weights == times[:, [0, 0, 1, 0, 1, 2]]).all()
    assert (times.sum(axis=1) == 3).all()
    some = drawn.of(np.array([1, 4, 0]))
    assert some.places == 2
    assert (some.weights[:, 0] == some.weights[:, 2]).all()
    assert (some.weights[:, 0].astype(int) + some.weights[:, 1] == 2).all()
    hits = np.array([True, True, False, True, False, False])
    for row, (mean,) in zip(
        times, drawn.values(lambda w: w @ hits[:, None] / w.sum(1)[:, None]), strict=True
    ):
        assert mean == pytest.approx(3 * row[0] / (3 * row[0] + 2 * row[1] + row[2]))
    (share,) = drawn.shares(hits[:, None])
    assert share.value == 0.5
    assert (share.low, share.high) == (0, 1)  # three places say little


def test_a_share_of_all_has_as_many_tries_as_places() -> None:
    (every,) = Resamples(np.arange(12).repeat(30)).shares(np.ones((360, 1), dtype=bool))
    assert every.low**12 == pytest.approx(0.025)


def test_one_place_has_no_interval() -> None:
    measured = Resamples(np.zeros(9, dtype=int)).mean(VALUES[:9])
    assert measured.value == pytest.approx(VALUES[:9].mean())
    assert math.isnan(measured.low)
    assert math.isnan(measured.high)


def test_no_photos_give_no_number() -> None:
    assert math.isnan(Resamples(np.arange(0)).mean(np.zeros(0)).value)
    assert math.isnan(Resamples(np.arange(0)).means(np.zeros((0, 2)))[1].low)


def test_json_has_no_infinity() -> None:
    assert Resamples(np.arange(2), resamples=10).mean([1.0, np.inf]).to_json()["value"] == "inf"
    assert (as_json(-np.inf), as_json(np.nan), as_json(0.5)) == ("-inf", "not a number", 0.5)
