"""Noise: even hashes, the same in loops and arrays, and fields that change slowly."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic.noise import SmoothField, hashed, uniform
from training.synthetic.scalars import START, mix, unit


def test_hashes_are_even_and_unrelated_between_streams() -> None:
    words = hashed(3, np.arange(100_000))
    first, second = uniform(words), uniform(words, 1)
    assert abs(first.mean() - 0.5) < 0.005
    assert abs(np.quantile(first, 0.1) - 0.1) < 0.005
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.02
    assert not np.array_equal(hashed(1, 2), hashed(2, 1))


def test_loops_hash_as_arrays_do() -> None:
    keys = np.random.default_rng(0).integers(-(2**31), 2**31, (50, 2))
    for first, second in keys:
        word = mix(mix(START, first), second)
        assert word == hashed(int(first), int(second))
        for stream in (0, 3):
            assert unit(word, stream) == uniform(hashed(int(first), int(second)), stream)


def test_smooth_fields_use_their_range_and_change_slowly() -> None:
    x = np.linspace(0, 20_000, 400, dtype=np.float32)
    field = SmoothField(np.random.default_rng(0), 20_000, {400.0: 1.0})
    values = field(x[None, :], x[:, None])
    assert np.allclose(np.quantile(values, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.04)
    assert np.abs(np.diff(values, axis=1)).mean() < 0.06  # 50 m apart
    far = np.abs(values[:, 20:] - values[:, :-20]).mean()  # 1 km apart: unrelated
    assert far == pytest.approx(1 / 3, abs=0.04)
    one_by_one = field(np.broadcast_to(x[None, :], values.shape)[:9], x[:9, None])
    assert np.array_equal(values[:9], one_by_one)
