"""Cost of likelihood ratios: against slow loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gair.arrays import Floats
from indexer.probability.ratio_cost import cllr, least_cllr, pav_log_ratios, tippett


def slow_cllr(true: Floats, false: Floats) -> float:
    of_true = sum(math.log2(1 + 1 / math.exp(x)) for x in true) / len(true)
    return (of_true + sum(math.log2(1 + math.exp(x)) for x in false) / len(false)) / 2


def slow_pav(true: Floats, false: Floats) -> tuple[list[float], list[float]]:
    """Shares of true ones in blocks, which are merged as long as one is above the next."""
    blocks: list[tuple[list[float], int, int]] = [
        ([value], int((true == value).sum()), int((false == value).sum()))
        for value in sorted({*true.tolist(), *false.tolist()})
    ]
    number = 0
    while number + 1 < len(blocks):
        (a, t, f), (b, u, g) = blocks[number : number + 2]
        if t * (u + g) >= u * (t + f):
            blocks[number : number + 2] = [(a + b, t + u, f + g)]
            number = max(0, number - 1)
        else:
            number += 1

    def ratio(value: float) -> float:
        _, t, f = next(block for block in blocks if value in block[0])
        if not f:
            return math.inf
        return math.log(t * len(false) / (f * len(true))) if t else -math.inf

    return [ratio(x) for x in true], [ratio(x) for x in false]


def sample(seed: int, n: int = 60, m: int = 90) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return np.round(rng.normal(1, 1.5, n), 1), np.round(rng.normal(-1, 1.5, m), 1)


def test_the_cost_is_that_of_a_slow_loop() -> None:
    true, false = sample(0)
    assert cllr(true, false)[0] == pytest.approx(slow_cllr(true, false))
    assert cllr(np.zeros(5), np.zeros(3))[0] == pytest.approx(1)
    assert cllr(np.full(5, 900.0), np.full(3, -900.0))[0] == pytest.approx(0)
    assert np.isnan(cllr(true, np.empty(0))[0])
    rng = np.random.default_rng(1)
    times = rng.integers(0, 3, (4, 60)), rng.integers(0, 3, (4, 90))
    wanted = [
        slow_cllr(np.repeat(true, a), np.repeat(false, b)) for a, b in zip(*times, strict=True)
    ]
    assert cllr(true, false, *times) == pytest.approx(wanted)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pav_merges_blocks_as_a_slow_loop_does(seed: int) -> None:
    true, false = sample(seed)
    fitted, wanted = pav_log_ratios(true, false), slow_pav(true, false)
    assert fitted[0] == pytest.approx(wanted[0])
    assert fitted[1] == pytest.approx(wanted[1])


def test_no_rising_recalibration_costs_less_than_pav() -> None:
    true, false = sample(4)
    least = least_cllr(true, false)
    for scale in (0.2, 0.5, 1.0, 2.0):
        for shift in (-1.0, 0.0, 1.0):
            assert least <= cllr(scale * true + shift, scale * false + shift)[0]
    assert least_cllr(np.exp(true), np.exp(false)) == pytest.approx(least)
    assert least_cllr(np.array([1.0, 2]), np.array([-1.0])) == pytest.approx(0)


def test_tippett_counts_claims_one_by_one() -> None:
    true, _ = sample(5)
    at = np.array([-3.0, 0.0, 0.4, 99.0])
    assert tippett(true, at) == pytest.approx([sum(x >= a for x in true) / len(true) for a in at])
