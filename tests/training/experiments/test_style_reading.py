"""Reading of the style: linear maps by a slow formula, blocks that stay apart, places and back."""

from __future__ import annotations

import numpy as np
import pytest

from gair.errors import UsageError
from training.experiments.style_reading import FOLDS, RIDGE, block_of, explained
from training.synthetic.city import City


def test_places_of_a_city_lead_there_and_back() -> None:
    city = City(7, 4000.0)
    x_m, y_m = np.array([0.0, 1234.5, 4000.0]), np.array([10.0, 2500.0, 0.0])
    np.testing.assert_allclose(city.xy_m(city.lonlat_deg(x_m, y_m)), [x_m, y_m], atol=1e-3)


def test_blocks_side_by_side_are_never_of_one_fold() -> None:
    middle = block_of(np.array([3000.0]), np.array([3000.0])) % FOLDS
    for x_m, y_m in ((1800, 3000), (4200, 3000), (3000, 1800), (3000, 4200), (4200, 4200)):
        assert block_of(np.array([float(x_m)]), np.array([float(y_m)])) % FOLDS != middle
    inside = np.array([2401.0, 3599.0])
    assert len(set(block_of(inside, inside).tolist())) == 1


def test_what_is_linear_is_explained_and_noise_is_not() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((400, 6))
    linear = vectors @ rng.standard_normal(6) + 3
    half = linear + linear.std() * rng.standard_normal(400)
    numbers = np.stack([linear, half, rng.standard_normal(400)], axis=1)
    shares = explained(vectors, numbers, np.arange(400) // 8)
    assert shares[0] > 0.999
    assert shares[1] == pytest.approx(0.5, abs=0.1)
    assert shares[2] < 0.05


def test_shares_are_those_of_a_slow_ridge_regression() -> None:
    rng = np.random.default_rng(2)
    vectors, numbers = rng.standard_normal((60, 4)), rng.standard_normal((60, 1))
    numbers[:, 0] += vectors[:, 1]
    block = np.arange(60) % 7
    missed = 0.0
    for row in range(60):
        others = [n for n in range(60) if block[n] % FOLDS != block[row] % FOLDS]
        x, y = vectors[others], numbers[others, 0]
        x_mean, y_mean = x.mean(axis=0), y.mean()
        a = sum(np.outer(v - x_mean, v - x_mean) for v in x)
        a = a + np.eye(4) * RIDGE * sum(a[i, i] for i in range(4)) / 4
        b = sum((v - x_mean) * (t - y_mean) for v, t in zip(x, y, strict=True))
        read = float((vectors[row] - x_mean) @ np.linalg.inv(a) @ b + y_mean)
        missed += (read - numbers[row, 0]) ** 2
    wanted = 1 - missed / float(((numbers - numbers.mean()) ** 2).sum())
    assert explained(vectors, numbers, block)[0] == pytest.approx(wanted, abs=1e-12)


def test_one_block_is_refused() -> None:
    with pytest.raises(UsageError, match=r"one block of 1\.2 km"):
        explained(np.ones((5, 2)), np.ones((5, 1)), np.zeros(5, dtype=np.int64))
