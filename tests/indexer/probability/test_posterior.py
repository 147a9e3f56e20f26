"""From scores to probabilities: against loops of the formula, and what must hold of any."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from some_cells import field_around

from gair.arrays import Floats
from gair.errors import UsageError
from indexer.probability.posterior import (
    ScoreWeights,
    area_log_prior,
    log_likelihood,
    posterior,
    posterior_by_each,
    same_place,
    shared_by,
)

WEIGHTS = ScoreWeights(rs_weight=30.0, location_weight=12.0, spread_m=400.0)
FIELD = field_around(179.9, -16.8, 8, 5)
COUNT = len(FIELD)


def cosines(seed: int, photos: int = 3) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (photos, COUNT)).astype(np.float32)


def posterior_loop(rs: Floats, location: Floats, blur: Floats, log_prior: Floats) -> Floats:
    """p(x) of one photo, cell by cell."""
    likelihood = []
    for x in range(COUNT):
        total = 0.0
        for y in range(COUNT):
            logit = WEIGHTS.rs_weight * float(rs[y]) + WEIGHTS.location_weight * float(location[y])
            total += blur[x, y] * math.exp(logit)
        likelihood.append(total)
    weighted = [math.exp(log_prior[x]) * likelihood[x] for x in range(COUNT)]
    return np.array(weighted) / sum(weighted)


@pytest.mark.parametrize("blurred", [True, False])
def test_the_posterior_is_its_formula(blurred: bool) -> None:
    rs, location = cosines(0), cosines(1)
    blur = FIELD.blur(WEIGHTS.spread_m) if blurred else None
    dense = np.eye(COUNT) if blur is None else blur.toarray()
    log_prior = area_log_prior(FIELD.area_m2)
    log_prior[[3, 50]] = -np.inf
    p = posterior(log_likelihood(rs, location, WEIGHTS, blur), log_prior)
    assert p.shape == (3, COUNT)
    for photo in range(3):
        wanted = posterior_loop(rs[photo], location[photo], dense, log_prior)
        np.testing.assert_allclose(p[photo], wanted, rtol=1e-6)
    assert not p[:, [3, 50]].any()
    np.testing.assert_allclose(p.sum(axis=1), 1.0)


def test_by_hand() -> None:
    likelihoods = np.log([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(posterior(likelihoods, np.log([1, 1, 1]))[0], [1 / 8, 2 / 8, 5 / 8])
    np.testing.assert_allclose(posterior(likelihoods, np.log([4, 2, 0.4]))[0], [0.4, 0.4, 0.2])


def test_no_weight_leaves_the_prior() -> None:
    nothing = ScoreWeights(0.0, 0.0, 0.0)
    p = posterior(
        log_likelihood(cosines(0), cosines(1), nothing, None), area_log_prior(FIELD.area_m2)
    )
    np.testing.assert_allclose(p, np.tile(FIELD.area_m2 / FIELD.area_m2.sum(), (3, 1)))
    assert nothing.temperature == math.inf
    assert nothing.shares == (0.0, 0.0)


def test_a_weight_of_zero_does_not_look_at_the_scores() -> None:
    one = ScoreWeights(5.0, 0.0, 0.0)
    nan = np.full((3, COUNT), np.nan)
    assert np.isfinite(log_likelihood(cosines(0), nan, one, None)).all()


def test_the_scores_that_came_in_stay_as_they_are() -> None:
    rs, location = cosines(0).astype(np.float64), cosines(1).astype(np.float64)
    before = rs.copy(), location.copy()
    log_likelihood(rs, location, ScoreWeights(1.0, 1.0, 0.0), None)
    assert (rs == before[0]).all()
    assert (location == before[1]).all()


def test_a_temperature_is_one_over_the_weights() -> None:
    assert ScoreWeights(30.0, 10.0, 0.0).temperature == pytest.approx(1 / 40)
    assert ScoreWeights(30.0, 10.0, 0.0).shares == pytest.approx((0.75, 0.25))


@pytest.mark.parametrize("sharp", [40.0, 3e3, 1e6])
def test_unlikely_cells_keep_their_order_however_sharp_the_weights(sharp: float) -> None:
    # Where the prior leaves only cells whose likelihood underflows, they still differ.
    blur = FIELD.blur(WEIGHTS.spread_m)
    assert blur is not None
    rs = cosines(4, 2)
    rs[:, 0] = 3.0
    logs = log_likelihood(rs, rs, ScoreWeights(sharp, 0.0, WEIGHTS.spread_m), blur)
    assert np.isfinite(logs).all()
    dense = blur.toarray()
    for photo in range(2):
        raised = sharp * (rs[photo].astype(np.float64) - 3.0)
        with np.errstate(divide="ignore"):
            terms = np.log(dense) + raised
        best = terms.max(axis=1)
        wanted = best + np.log(np.exp(terms - best[:, None]).sum(axis=1))
        np.testing.assert_allclose(logs[photo], wanted, rtol=1e-9, atol=1e-9)


def test_scores_without_a_difference_give_the_prior() -> None:
    log_prior = np.log(np.arange(1.0, COUNT + 1))
    p = posterior(np.zeros((1, COUNT)), log_prior)
    np.testing.assert_allclose(p[0], np.arange(1, COUNT + 1) / (COUNT * (COUNT + 1) / 2))


def test_where_no_likelihood_is_left_the_prior_is() -> None:
    log_likelihoods = np.array([[-np.inf, 0.0, -np.inf]])
    np.testing.assert_allclose(
        posterior(log_likelihoods, np.log([3.0, 1e-300, 1.0]))[0], [0, 1, 0], atol=1e-12
    )
    with np.errstate(divide="ignore"):
        masked = np.log([3.0, 0.0, 1.0])
    np.testing.assert_allclose(posterior(log_likelihoods, masked)[0], [0.75, 0, 0.25])


def test_a_prior_that_leaves_nothing_is_refused() -> None:
    nowhere = np.full(COUNT, -np.inf)
    with pytest.raises(UsageError, match="leaves no cell to search: loosen it"):
        posterior(np.zeros((1, COUNT)), nowhere)
    with pytest.raises(UsageError, match="leaves no cell to search: loosen it"):
        posterior_by_each(cosines(0), cosines(1), WEIGHTS, None, nowhere)


@pytest.mark.parametrize("sharp", [0.0, 40.0, 300.0, 3e3, 1e6])
@pytest.mark.parametrize("blurred", [True, False])
def test_without_logarithms_in_between_it_is_the_same(sharp: float, blurred: bool) -> None:
    rng = np.random.default_rng(int(sharp))
    rs, location = cosines(4, 5), cosines(5, 5)
    ground = rng.normal(size=rs.shape)
    weights = ScoreWeights(sharp, sharp / 3, WEIGHTS.spread_m, ground_weight=1.5)
    blur = FIELD.blur(WEIGHTS.spread_m) if blurred else None
    log_prior = rng.normal(size=COUNT)
    log_prior[rs[1] > np.quantile(rs[1], 0.05)] = -np.inf  # the second photo's best are ruled out
    logs = log_likelihood(rs, location, weights, blur, ground)
    found = posterior_by_each(rs, location, weights, blur, log_prior, ground)
    np.testing.assert_allclose(found, posterior(logs, log_prior), rtol=1e-9, atol=0)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_photos_of_one_place_multiply_and_share_their_errors() -> None:
    a = np.log([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    together = posterior(same_place(a, 1.6), np.zeros(3))
    product = np.array([0.05, 0.18, 0.06]) ** (1 / 1.6)
    np.testing.assert_allclose(together, [product / product.sum()])
    four = np.repeat(a[:1], 4, axis=0)  # the same four times is no surer
    np.testing.assert_allclose(same_place(four, shared_by(four, np.zeros(3))), a[:1])


def test_the_area_prior_does_not_care_how_the_area_is_cut() -> None:
    np.testing.assert_allclose(np.exp(area_log_prior(np.array([1.0, 3.0]))), [0.25, 0.75])
    halves = posterior(np.log([[2.0, 1.0, 1.0]]), area_log_prior(np.array([1.0, 1.5, 1.5])))
    whole = posterior(np.log([[2.0, 1.0]]), area_log_prior(np.array([1.0, 3.0])))
    assert halves[0, 1:].sum() == pytest.approx(whole[0, 1])


def test_no_photos_give_no_rows() -> None:
    none = np.empty((0, COUNT), np.float32)
    logs = log_likelihood(none, none, WEIGHTS, FIELD.blur(WEIGHTS.spread_m))
    assert posterior(logs, np.zeros(COUNT)).shape == (0, COUNT)
