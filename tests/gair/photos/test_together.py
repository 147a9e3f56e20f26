"""Distance of Mahalanobis: as a slow one has it, and as new photos have it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from gair.arrays import Floats, Ints
from gair.photos.together import FEWEST, SHRUNK, fit_usual

LENGTH = 12


def drawn(count: int, seed: int) -> tuple[Floats, Ints]:
    rng = np.random.default_rng(seed)
    mixed = np.random.default_rng(9).normal(size=(LENGTH, LENGTH))
    return rng.normal(size=(count, LENGTH)) @ mixed + 5.0, np.arange(count) // 2


def test_distances_are_those_of_a_slow_implementation() -> None:
    values, place = drawn(200, 0)
    usual, _ = fit_usual(values, place)
    deviation = values.std(axis=0)
    shrunk = (1 - SHRUNK) * np.corrcoef(values.T) + SHRUNK * np.eye(LENGTH)
    inverse = np.linalg.inv(shrunk * np.outer(deviation, deviation))
    slow = [mahalanobis(photo, values.mean(axis=0), inverse) for photo in values[:20]]
    np.testing.assert_allclose(usual.distance(values[:20]), slow, rtol=1e-9)


def test_calibration_photos_are_as_far_off_as_new_ones() -> None:
    own, new, with_themselves = [], [], []
    for seed in range(20):
        values, place = drawn(120, seed)
        usual, of_others = fit_usual(values, place)
        own.append(of_others)
        new.append(usual.distance(drawn(500, 100 + seed)[0]))
        with_themselves.append(usual.distance(values))
    for share in (0.5, 0.95):
        wanted = np.quantile(new, share)
        assert np.quantile(own, share) == pytest.approx(wanted, rel=0.03)
        assert np.quantile(with_themselves, share) < 0.97 * wanted


def test_photos_of_one_place_are_not_compared_with_each_other() -> None:
    values, place = drawn(120, 0)
    odd = values.copy()
    odd[:40] += 50.0  # a street unlike all others, with a third of the photos
    place[:40] = 0
    assert fit_usual(odd, place)[1][:40].min() > fit_usual(odd, np.arange(120))[1][:40].max() * 5


def test_too_few_photos_say_nothing_and_what_is_not_measured_is_passed_over() -> None:
    values, place = drawn(FEWEST - 1, 0)
    usual, own = fit_usual(values, place)
    assert np.isnan(own).all()
    assert np.isnan(usual.distance(values)).all()
    values, place = drawn(100, 0)
    values[7, 3] = np.nan
    values[:, 5] = 1.0  # the same for all
    usual, own = fit_usual(values, place)
    assert np.isnan(own).tolist() == [row == 7 for row in range(100)]
    values[0, 5] = 9.0
    assert usual.distance(values[:1]) == pytest.approx(usual.distance(values[:1] * 1.0))
    assert np.isfinite(usual.distance(values[:1]))
