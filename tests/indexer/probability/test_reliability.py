"""Calibration measures, each against a slow loop of its definition and a case done by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from indexer.evaluate.bootstrap import Resamples
from indexer.probability.reliability import (
    area_under_risk,
    auroc,
    binomial_interval,
    calibration_error,
    calibration_error_by_luck,
    confidence_groups,
    log_losses,
    reliability,
    risk_coverage,
)

RNG = np.random.default_rng(8)
CONFIDENCE = RNG.random(230) ** 2
RIGHT = RNG.random(230) < CONFIDENCE**1.5


def test_groups_are_of_equal_size_and_keep_equal_confidences_together() -> None:
    group = confidence_groups(CONFIDENCE)
    assert np.bincount(group).tolist() == [23] * 10
    assert (np.diff(group[np.argsort(CONFIDENCE)]) >= 0).all()
    tied = confidence_groups(np.repeat([0.1, 0.2, 0.9], [50, 3, 47]))
    assert len(set(tied[:50])) == len(set(tied[50:53])) == len(set(tied[53:])) == 1


def test_ece_against_a_loop_and_by_hand() -> None:
    group = confidence_groups(CONFIDENCE)
    expected = 0.0
    for g in set(group.tolist()):
        mine = group == g
        expected += mine.mean() * abs(RIGHT[mine].mean() - CONFIDENCE[mine].mean())
    assert calibration_error(CONFIDENCE, RIGHT)[0] == pytest.approx(expected)
    # Two groups: 0.2 said and 1 of 4 right; 0.8 said and 2 of 4 right.
    said = np.repeat([0.2, 0.8], 4)
    right = np.array([1, 0, 0, 0, 1, 1, 0, 0], dtype=bool)
    assert calibration_error(said, right, 2)[0] == pytest.approx((0.05 + 0.3) / 2)


def test_ece_of_resamples_is_that_of_the_photos_drawn() -> None:
    group = confidence_groups(CONFIDENCE)
    weights = Resamples(np.arange(230), resamples=5).weights.astype(float)
    errors = calibration_error(CONFIDENCE, RIGHT, weights=weights)
    for row, times in enumerate(weights.astype(int)):
        expected = 0.0
        for g in set(group.tolist()):
            mine = np.repeat(np.arange(230), times * (group == g))
            expected += abs((RIGHT[mine] - CONFIDENCE[mine]).sum()) / 230
        assert errors[row] == pytest.approx(expected)


def test_a_perfect_confidence_has_only_the_ece_of_luck() -> None:
    said = RNG.random(3000)
    by_luck = calibration_error_by_luck(said)
    perfect = [calibration_error(said, RNG.random(3000) < said)[0] for _ in range(30)]
    assert by_luck == pytest.approx(np.mean(perfect), rel=0.15)
    assert calibration_error(said, RNG.random(3000) < said**2)[0] > 3 * by_luck


def test_the_reliability_diagram_has_what_each_group_said_and_did() -> None:
    diagram = reliability(CONFIDENCE, RIGHT)
    group = confidence_groups(CONFIDENCE)
    for g in range(10):
        mine = group == g
        assert diagram.photos[g] == mine.sum()
        assert diagram.said[g] == pytest.approx(CONFIDENCE[mine].mean())
        assert diagram.true[g] == pytest.approx(RIGHT[mine].mean())
        assert diagram.low[g] <= diagram.true[g] <= diagram.high[g]
    assert len(reliability(np.zeros(0), np.zeros(0, dtype=bool)).said) == 0


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 10), (10, 10), (1, 1), (450, 500)])
def test_the_binomial_interval_has_2_5_percent_in_each_tail(hits: int, trials: int) -> None:
    def at_least(k: int, p: float) -> float:
        return sum(
            math.comb(trials, i) * p**i * (1 - p) ** (trials - i) for i in range(k, trials + 1)
        )

    low, high = (float(end) for end in binomial_interval(hits, trials))
    if hits:
        assert at_least(hits, low) == pytest.approx(0.025, rel=1e-6)
    else:
        assert low == 0
    if hits < trials:
        assert 1 - at_least(hits + 1, high) == pytest.approx(0.025, rel=1e-6)
    else:
        assert high == 1


def test_risk_and_coverage_by_hand() -> None:
    confidence = np.array([0.9, 0.1, 0.5, -np.inf])
    loss = np.array([0.0, 1, 0, 1])
    coverage, risk = risk_coverage(confidence, loss)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert area_under_risk(confidence, loss)[0] == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_equal_confidences_count_as_the_mean_of_all_their_orders() -> None:
    confidence = np.array([0.7, 0.4, 0.4, 0.4, 0.4, 0.1])
    loss = np.array([0.0, 1, 1, 0, 0, 1])
    areas = []
    for order in itertools.permutations(range(1, 5)):
        ordered = loss[[0, *order, 5]]
        areas.append((np.cumsum(ordered) / np.arange(1, 7)).mean())
    assert area_under_risk(confidence, loss)[0] == pytest.approx(np.mean(areas))
    assert risk_coverage(confidence, loss)[1].mean() == pytest.approx(np.mean(areas))


def test_areas_of_resamples_are_those_of_the_photos_drawn() -> None:
    loss = (~RIGHT).astype(float)
    weights = Resamples(np.arange(230), resamples=6).weights.astype(float)
    areas = area_under_risk(CONFIDENCE, loss, weights)
    for row, times in enumerate(weights.astype(int)):
        mine = np.repeat(np.arange(230), times)
        assert areas[row] == pytest.approx(area_under_risk(CONFIDENCE[mine], loss[mine])[0])


def test_auroc_over_all_pairs() -> None:
    inside, outside = RNG.integers(0, 6, 40).astype(float), RNG.integers(-2, 5, 25).astype(float)
    wins = [(a > b) + 0.5 * (a == b) for a in inside for b in outside]
    assert auroc(inside, outside)[0] == pytest.approx(np.mean(wins))
    one, other = (Resamples(np.arange(n), resamples=4).weights for n in (40, 25))
    areas = auroc(inside, outside, one, other)
    for row in range(4):
        a, b = np.repeat(inside, one[row]), np.repeat(outside, other[row])
        assert areas[row] == pytest.approx(auroc(a, b)[0])


def test_log_losses_are_nats() -> None:
    assert log_losses(np.log([0.5, 1.0])) == pytest.approx([math.log(2), 0])
    assert log_losses(np.array([-np.inf]))[0] == np.inf
    assert log_losses(np.array([-np.inf]), floor=-20)[0] == 20
