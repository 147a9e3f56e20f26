"""Decisions: against a slow loop, and the error rate that was asked for in draws of a city."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from gair.arrays import Floats
from gair.errors import UsageError
from indexer.probability.decisions import (
    LARGER,
    MASS_GRID,
    NONE,
    REGION,
    REGION_GRID,
    WITHIN,
    Rule,
    Trials,
    binomial_p,
    check_wanted,
    learn_rule,
    mass_at,
    widest,
)

RADII_M = (200.0, 500.0, 1000.0, 2000.0, 5000.0)


def drawn(count: int, rng: np.random.Generator, *, boast: float = 0.0) -> Trials:
    """Photos that err by a Gaussian of their own width; masses say too much by ``boast``."""
    width_m = np.exp(rng.normal(6.3, 1.1, count))
    miss_m = width_m * np.sqrt(-2 * np.log(rng.uniform(size=count)))
    told_m = width_m * np.exp(rng.normal(-boast, 0.3, count))
    mass = 1 - np.exp(-0.5 * (np.array(RADII_M) / told_m[:, None]) ** 2)
    return Trials(RADII_M, mass, miss_m, rng.uniform(size=count) ** 0.7)


def slow_p(wrong: int, answered: int, rate: float) -> float:
    bad, of = Fraction(rate).limit_denominator(1000).as_integer_ratio()
    ways = (
        math.comb(answered, k) * bad**k * (of - bad) ** (answered - k) for k in range(wrong + 1)
    )
    return float(Fraction(sum(ways), of**answered)) if answered else 1.0


def slow_threshold(
    grid: tuple[float, ...], judge: Callable[[float], list[bool]], rate: float, level: float
) -> tuple[float, int, int] | None:
    """The last threshold whose wrong answers are too few; ``judge`` says which are wrong."""
    best, level_now = None, 0.0
    for threshold in grid:
        level_now += level / len(grid)
        wrong = judge(threshold)
        if slow_p(sum(wrong), len(wrong), rate) <= level_now:
            best = (threshold, len(wrong), sum(wrong))
        else:
            level_now = 0.0
    return best


def slow_rule(trials: Trials, rate: float, within_m: float) -> list[tuple[float, int, int] | None]:
    """Photo by photo; ``within_m`` is one of the radii."""
    column = RADII_M.index(within_m)
    photos = list(zip(trials.disc_mass, trials.miss_m, trials.region_mass, strict=True))

    first = slow_threshold(
        MASS_GRID,
        lambda t: [miss > within_m for mass, miss, _ in photos if mass[column] >= t],
        rate,
        0.05 * 0.6,
    )
    left = [p for p in photos if first is None or p[0][column] < first[0]]

    def larger(mass: Floats, threshold: float) -> float | None:
        radii = zip(RADII_M[column + 1 :], mass[column + 1 :], strict=True)
        return next((radius_m for radius_m, m in radii if m >= threshold), None)

    second = slow_threshold(
        MASS_GRID,
        lambda t: [miss > r for mass, miss, _ in left if (r := larger(mass, t)) is not None],
        rate,
        0.05 * 0.2 / 17,
    )
    left = [p for p in left if second is None or larger(p[0], second[0]) is None]
    third = slow_threshold(
        REGION_GRID, lambda t: [need > t for *_, need in left], rate, 0.05 * 0.2 / 17**2
    )
    return [first, second, third]


@pytest.mark.parametrize(("rate", "within_m"), [(0.1, 500.0), (0.3, 200.0), (0.02, 1000.0)])
def test_the_rule_is_that_of_a_slow_loop(rate: float, within_m: float) -> None:
    trials = drawn(700, np.random.default_rng(3))
    rule = learn_rule(trials, rate, within_m)
    wanted = slow_rule(trials, rate, within_m)
    got = [
        None if one is None else (one.threshold, one.answered, one.wrong)
        for one in (rule.within, rule.larger, rule.region)
    ]
    assert got == wanted
    assert got != [None, None, None]


def test_the_binomial_tail_is_exact() -> None:
    for wrong, answered, rate in ((0, 28, 0.1), (0, 29, 0.1), (7, 120, 0.05), (3, 3, 0.5)):
        assert binomial_p(wrong, answered, rate) == pytest.approx(slow_p(wrong, answered, rate))
    assert binomial_p(0, 0, 0.1) == 1.0


def test_a_threshold_that_fails_keeps_none_after_it_from_trying() -> None:
    # Level 0.1 of two: 0.05 each. 29 without an error do for it, 22 for both together.
    assert widest([29, 60], [0, 60], 0.1, 0.1) == 0
    assert widest([28, 29], [0, 0], 0.1, 0.1) == 1
    assert widest([28, 28], [0, 0], 0.1, 0.1) == -1
    assert widest([29, 22], [0, 0], 0.1, 0.1) == 1


def wrong_answers(rule: Rule, photos: Trials) -> dict[str, tuple[int, int]]:
    """Wrong answers and all answers of each kind."""
    counts = dict.fromkeys((WITHIN, LARGER, REGION, NONE), (0, 0))
    rows = zip(photos.disc_mass, photos.miss_m, photos.region_mass, strict=True)
    for mass, miss_m, need in rows:
        decision = rule.decide(mass)
        if decision.radius_m is not None:
            bad = bool(miss_m > decision.radius_m)
        else:
            bad = decision.mass is not None and bool(need > decision.mass)
        wrong, of = counts[decision.kind]
        counts[decision.kind] = wrong + bad, of + 1
    return counts


def test_in_95_of_100_draws_no_more_are_wrong_than_was_asked_for() -> None:
    rng = np.random.default_rng(11)
    draws, broken, answered = 100, 0, 0
    for _ in range(draws):
        rule = learn_rule(drawn(400, rng, boast=0.3), 0.2, 500.0)
        counts = wrong_answers(rule, drawn(600, rng, boast=0.3))
        # What luck adds to a rate that is kept: two standard deviations.
        broken += any(
            wrong > 0.2 * of + 2 * math.sqrt(0.16 * of)
            for kind, (wrong, of) in counts.items()
            if kind != NONE
        )
        answered += counts[WITHIN][1] + counts[LARGER][1] + counts[REGION][1]
    assert broken <= 5
    assert answered > 0.3 * 600 * draws  # it does answer


@pytest.mark.parametrize("within_m", [200.0, 700.0, 5000.0])
def test_many_photos_are_decided_as_one_by_one(within_m: float) -> None:
    rng = np.random.default_rng(8)
    rule, photos = learn_rule(drawn(800, rng), 0.2, within_m), drawn(300, rng)
    within, larger_m = rule.answers(photos.disc_mass)
    for mass, near, radius_m in zip(photos.disc_mass, within, larger_m, strict=True):
        decision = rule.decide(mass)
        assert near == (decision.kind == WITHIN)
        assert decision.kind == LARGER if np.isfinite(radius_m) else decision.kind != LARGER
        assert decision.kind != LARGER or radius_m == decision.radius_m
    assert within.any() or np.isfinite(larger_m).any()


def test_a_rule_that_tests_nothing_would_be_caught() -> None:
    rng = np.random.default_rng(11)
    fresh = drawn(600, rng)
    always = learn_rule(drawn(400, rng), 0.5, 5000.0)
    assert always.within is not None
    careless = Rule(0.1, 200.0, RADII_M, 400, always.within, None, None)
    wrong, of = wrong_answers(careless, fresh)[WITHIN]
    assert wrong > 0.1 * of + 2 * math.sqrt(0.09 * of)


def test_few_places_give_no_answer_and_say_so() -> None:
    rule = learn_rule(drawn(25, np.random.default_rng(0)), 0.05, 500.0)
    decision = rule.decide(np.ones(5))
    assert decision.kind == NONE
    assert decision.radius_m is decision.mass is None
    assert "the 25 held-out places do not show it" in decision.reason


def test_mass_between_radii_goes_by_the_logarithm() -> None:
    masses = np.array([[0.1, 0.3, 0.5, 0.6, 0.9]])
    assert mass_at(masses, RADII_M, 500.0) == pytest.approx([0.3])
    assert mass_at(masses, RADII_M, math.sqrt(200 * 500)) == pytest.approx([0.2])
    assert mass_at(masses, RADII_M, 20.0) == pytest.approx([0.1])
    assert mass_at(masses, RADII_M, 9000.0) == pytest.approx([0.9])


@pytest.mark.parametrize(
    ("rate", "within_m", "said"),
    [(0.0, 500.0, "max_error_rate"), (0.6, 500.0, "0.001 to 0.5"), (math.nan, 1.0, "max_error")]
    + [(0.1, 0.0, "within_m"), (0.1, math.inf, "metres, above 0")],
)
def test_what_makes_no_sense_is_refused(rate: float, within_m: float, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_wanted(rate, within_m)
