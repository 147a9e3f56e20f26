"""Chances of places: as often right as they say, never certain, never more than one in all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from indexer.probability.chances import (
    beta_interval,
    disjoint,
    fit_place_curves,
    most_sure,
)
from indexer.probability.confidence import expit, fit_confidence, logit


def test_an_interval_is_that_of_the_beta_distribution_around_the_chance() -> None:
    low, high = beta_interval([0.3, 0.0], 500)
    wanted = beta(0.3 * 100 + 0.5, 0.7 * 100 + 0.5).ppf([0.025, 0.975])
    assert (low[0], high[0]) == pytest.approx(wanted)
    assert low[1] == 0
    assert 0 < high[1] < 0.05
    narrow = np.subtract(*beta_interval(0.3, 50_000))
    assert abs(narrow) < abs(np.subtract(*beta_interval(0.3, 500))) / 8


def test_intervals_hold_the_true_chance_of_curves_fitted_on_few_photos() -> None:
    rng = np.random.default_rng(0)
    at, held = np.array([0.1, 0.3, 0.5, 0.8]), []
    for _ in range(60):
        mass = rng.beta(1, 2, 300)
        inside = rng.random(300) < expit(0.7 * logit(mass) - 0.4)
        low, high = beta_interval(fit_confidence(mass, inside).chance(at), 300)
        true = expit(0.7 * logit(at) - 0.4)
        held.append((low <= true) & (true <= high))
    assert np.mean(held) > 0.93


def test_nothing_is_certain_and_places_share_what_the_best_one_leaves() -> None:
    assert most_sure(100) == pytest.approx(100 / 101)
    chances = disjoint(np.array([0.6, 0.3, 0.4, 0.1]), 0.95)
    assert chances[0] == 0.6
    assert (np.diff(chances) <= 0).all()
    assert chances.sum() == pytest.approx(0.95)
    np.testing.assert_array_equal(disjoint(np.array([0.2, 0.1]), 0.95), [0.2, 0.1])
    np.testing.assert_allclose(disjoint(np.array([1.0, 0.5]), 0.9), [0.9, 0.0], atol=1e-15)
    assert disjoint(np.empty(0), 0.9).size == 0


def test_curves_of_places_say_what_happened_by_rank() -> None:
    """Masses that say twice too much of the best place, and half too little of the others."""
    rng = np.random.default_rng(1)
    mass = np.sort(rng.dirichlet(np.ones(12), 4000), axis=1)[:, ::-1][:, :5].copy()
    true = np.concatenate([mass[:, :1] / 2, mass[:, 1:] * 1.3], axis=1)
    drawn = rng.random((4000, 1))
    ends = true.cumsum(axis=1)
    inside = (drawn < ends) & (drawn >= ends - true)  # one place at most holds the truth
    mass[0, 3:] = np.nan
    curves = fit_place_curves(200.0, mass, inside)
    assert curves is not None
    said = np.array([curves.chances(row) for row in mass[1:]])
    np.testing.assert_allclose(said.mean(axis=0), inside[1:].mean(axis=0), atol=0.03)
    assert abs(said[:, 0] - true[1:, 0]).mean() < 0.02
    assert fit_place_curves(200.0, mass[:, :1], inside[:, :1]) is None
