"""Share of "not in this index": Bayes' rule with a factor that was measured, or bounded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from gair.errors import UsageError
from indexer.probability.open_world import (
    bound_of,
    check_prior,
    elsewhere_of,
    fit_bayes_factor,
)


@pytest.mark.parametrize("p", [1e-4, 0.01, 0.05, 0.2, 0.36])
def test_the_bound_is_the_best_that_any_falling_alternative_can_do(p: float) -> None:
    """P-values under the alternative as Beta(shape, 1): the density at p, at its best shape."""
    best = minimize_scalar(
        lambda shape: -shape * p ** (shape - 1), bounds=(1e-3, 1), method="bounded"
    )
    assert bound_of(p) == pytest.approx(-best.fun, rel=1e-4)


def test_an_ordinary_photo_is_no_evidence_for_elsewhere() -> None:
    assert bound_of(0.4) == bound_of(1.0) == 1
    assert bound_of(0.05) > bound_of(0.1) > 1


def test_a_measured_factor_is_the_ratio_of_the_densities() -> None:
    rng = np.random.default_rng(0)
    here, elsewhere = rng.normal(0, 1, 3000), rng.normal(-2, 1, 500)
    factor = fit_bayes_factor(np.sort(here), elsewhere)
    for score in (-3.0, -2.0, -1.0, 0.0, 1.0):
        true = norm.pdf(score, -2) / norm.pdf(score, 0)
        assert np.log(factor.at(score)) == pytest.approx(np.log(true), abs=0.5)
    assert factor.at(-1e9) == pytest.approx(501)  # no more than there were photos
    assert factor.at(1e9) == pytest.approx(1 / 501)


def test_scores_on_two_sides_give_a_finite_factor_and_strange_is_never_evidence_for_here() -> None:
    apart = fit_bayes_factor(np.linspace(1, 2, 50), np.linspace(-2, -1, 50))
    assert 1 < apart.at(-1.5) <= 51
    swapped = fit_bayes_factor(np.linspace(-2, -1, 50), np.linspace(1, 2, 50))
    assert swapped.slope == 0
    assert swapped.at(5.0) == pytest.approx(1.0, abs=0.05)


def test_shares_are_true_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    factor = fit_bayes_factor(rng.normal(0, 1, 2000), rng.normal(-1.5, 1, 2000))
    foreign = rng.random(20_000) < 0.2
    scores = rng.normal(-1.5 * foreign, 1)
    said = np.array([elsewhere_of(0.2, factor.at(s), "measured").probability for s in scores])
    for low in (0.0, 0.2, 0.4, 0.6):
        told = (said >= low) & (said < low + 0.2)
        assert foreign[told].mean() == pytest.approx(said[told].mean(), abs=0.05)


def test_priors_are_probabilities_and_certain_ones_stay() -> None:
    assert elsewhere_of(0.0, 50.0, "bound").probability == 0
    assert elsewhere_of(1.0, 0.1, "bound").probability == 1
    assert elsewhere_of(0.5, 3.0, "measured").probability == pytest.approx(0.75)
    for prior in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="elsewhere_prior"):
            check_prior(prior)
