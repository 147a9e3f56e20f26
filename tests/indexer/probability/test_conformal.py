"""Regions with a promise: the smallest set by trying them all, and the promise on made-up truth."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from gair.arrays import Floats
from gair.errors import UsageError
from indexer.probability.conformal import (
    conformal_mass,
    density_order,
    mass_to_reach,
    one_a_place,
    region_rows,
)

ONE = np.array([1.0])


def some(seed: int, count: int, ties: bool = False, zeros: bool = False) -> tuple[Floats, Floats]:
    """A posterior and areas; ``ties`` in density, ``zeros`` in probability."""
    rng = np.random.default_rng(seed)
    area_m2 = rng.choice([1.0, 2.0, 4.0], count)
    density = rng.integers(1, 4, count).astype(float) if ties else rng.gamma(0.3, 1.0, count)
    if zeros:
        density[rng.random(count) < 0.4] = 0.0
        density[0] = 1.0
    p = density * area_m2
    return p / p.sum(), area_m2


def mass_loop(p: Floats, area_m2: Floats, truth: int) -> float:
    """Fill from the densest down, ties by row, until the truth is in."""
    total = 0.0
    for row in sorted(range(len(p)), key=lambda r: (-(p[r] / area_m2[r]), r)):
        total += p[row]
        if row == truth:
            return total if p[truth] > 0 else math.inf
    return math.inf


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("ties", "zeros"), [(False, False), (True, False), (True, True)])
def test_mass_to_reach_is_its_definition(seed: int, ties: bool, zeros: bool) -> None:
    many = [some(seed * 10 + k, 30, ties, zeros)[0] for k in range(8)]
    area_m2 = some(seed * 10, 30)[1]
    truth = np.random.default_rng(seed).integers(-1, 30, 8)
    masses = mass_to_reach(np.stack(many), area_m2, truth)
    wanted = [mass_loop(p, area_m2, int(t)) for p, t in zip(many, truth, strict=True)]
    np.testing.assert_allclose(masses, wanted, rtol=1e-12)


def test_by_hand() -> None:
    p, area_m2 = np.array([0.2, 0.3, 0.5]), np.array([1.0, 1.0, 10.0])  # the last is the thinnest
    assert density_order(p, area_m2).tolist() == [1, 0, 2]
    reach = mass_to_reach(np.tile(p, (4, 1)), area_m2, np.array([0, 1, 2, -1]))
    assert reach == pytest.approx([0.5, 0.3, 1.0, math.inf])
    assert region_rows(p, area_m2, 0.3).tolist() == [1]
    assert region_rows(p, area_m2, 0.31).tolist() == [1, 0]
    assert region_rows(p, area_m2, 0.5).tolist() == [1, 0]
    assert region_rows(p, area_m2, 1.0).tolist() == [1, 0, 2]
    assert region_rows(p, area_m2, math.inf).tolist() == [1, 0, 2]


@pytest.mark.parametrize("seed", range(12))
def test_no_set_of_cells_is_smaller_and_holds_as_much(seed: int) -> None:
    # Filling from the densest down is optimal for its own mass: the mass that it reaches.
    p, area_m2 = some(seed, 8, ties=bool(seed % 2))
    for mass in (0.2, 0.5, 0.9, 0.999):
        rows = region_rows(p, area_m2, mass)
        held, size_m2 = p[rows].sum(), area_m2[rows].sum()
        assert held >= mass * (1 - 1e-9)
        assert held - p[rows[-1]] < mass  # not one cell more than needed
        for count in range(9):
            for other in itertools.combinations(range(8), count):
                if p[list(other)].sum() >= held * (1 + 1e-9):
                    assert area_m2[list(other)].sum() > size_m2 * (1 - 1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_cells_of_one_size_make_the_fewest_cells_too(seed: int) -> None:
    p, _ = some(seed, 8)
    for mass in (0.3, 0.8, 0.95):
        rows = region_rows(p, np.ones(8), mass)
        fewest = min(
            count
            for count in range(9)
            for other in itertools.combinations(range(8), count)
            if p[list(other)].sum() >= mass
        )
        assert len(rows) == fewest


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("ties", "zeros"), [(False, False), (True, False), (True, True)])
def test_a_region_holds_the_truth_when_its_mass_is_reached(
    seed: int, ties: bool, zeros: bool
) -> None:
    p, area_m2 = some(seed, 40, ties, zeros)
    reach = mass_to_reach(np.tile(p, (40, 1)), area_m2, np.arange(40))
    masses = [*np.linspace(0.01, 1, 37), *reach]  # among them exactly what some cell needs
    for mass in masses:
        inside = np.isin(np.arange(40), region_rows(p, area_m2, mass))
        assert inside[reach <= mass].all()
        if mass < math.inf:
            assert (reach[inside] - p[inside] < mass).all()


@pytest.mark.parametrize("sharp", [1.0, 30.0, 200.0])
def test_sums_in_another_order_lose_no_truth(sharp: float) -> None:
    # 20,000 cells down to probabilities that vanish beside the sum.
    rng = np.random.default_rng(0)
    logs = sharp * rng.normal(size=20_000)
    p = np.exp(logs - logs.max())
    p /= p.sum()
    area_m2 = rng.uniform(0.9, 1.1, 20_000)
    order = density_order(p, area_m2)
    for truth in order[[0, 10, 100, 5_000, 10_000, 19_999]]:
        (mass,) = mass_to_reach(p[None], area_m2, np.array([truth]))
        if math.isfinite(mass):
            assert truth in region_rows(p, area_m2, mass)


def test_cells_without_probability_come_in_last_of_all() -> None:
    p = np.array([0.0, 0.6, 0.0, 0.4])
    reach = mass_to_reach(np.tile(p, (4, 1)), np.ones(4), np.arange(4))
    assert reach == pytest.approx([math.inf, 0.6, math.inf, 1.0])
    assert region_rows(p, np.ones(4), 1.0).tolist() == [1, 3]
    assert region_rows(p, np.ones(4), math.inf).tolist() == [1, 3, 0, 2]


def test_ties_go_by_row() -> None:
    p = np.full(4, 0.25)
    assert region_rows(p, np.ones(4), 0.5).tolist() == [0, 1]
    reach = mass_to_reach(np.tile(p, (4, 1)), np.ones(4), np.arange(4))
    assert reach == pytest.approx([0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize("level", [Fraction(k, 100) for k in (1, 5, 7, 50, 55, 57, 90, 95, 99)])
def test_the_rank_is_that_of_the_formula(level: Fraction) -> None:
    for count in range(1, 130):
        masses = np.random.default_rng(count).permutation(count) / count
        rank = math.ceil(level * (count + 1))  # exact: a fraction
        wanted = (rank - 1) / count if rank <= count else math.inf
        assert conformal_mass(masses, float(level)) == wanted


def test_too_few_photos_promise_the_whole_index_only() -> None:
    masses = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    assert conformal_mass(masses, 0.9) == math.inf
    assert conformal_mass(np.append(masses, 0.9), 0.9) == 0.9
    assert conformal_mass(masses[:0], 0.5) == math.inf
    assert conformal_mass(masses, 1.0) == math.inf
    assert conformal_mass(np.append(masses, math.inf), 0.9) == math.inf


@pytest.mark.parametrize("level", [0.0, -0.1, 1.01, 90.0, math.nan])
def test_levels_that_are_none_are_refused(level: float) -> None:
    with pytest.raises(UsageError, match="above 0 and up to 1"):
        conformal_mass(ONE, level)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("confidence", [0.5, 3.0])
def test_regions_cover_as_often_as_they_say(level: float, confidence: float) -> None:
    # The posterior is too flat or too sharp by a power; the promise holds all the same.
    rng = np.random.default_rng(7)
    cells, measured, new, repeats = 60, 40, 50, 40
    area_m2 = rng.uniform(0.5, 2.0, cells)
    covered = 0
    for _ in range(repeats):
        right = rng.dirichlet(np.full(cells, 0.2), measured + new) + 1e-12
        right /= right.sum(axis=1, keepdims=True)
        truth = np.array([rng.choice(cells, p=one) for one in right])
        said = right**confidence
        said /= said.sum(axis=1, keepdims=True)
        mass = conformal_mass(mass_to_reach(said[:measured], area_m2, truth[:measured]), level)
        covered += sum(
            t in region_rows(p, area_m2, mass)
            for p, t in zip(said[measured:], truth[measured:], strict=True)
        )
    share = covered / (new * repeats)
    assert level - 0.03 < share  # at least the level, but for chance
    assert share < level + 0.15  # one cell more than needed is the price


def weighted_share(values: np.ndarray, place: np.ndarray, below: float) -> Fraction:
    """The share of places at or below a value, each photo counting for a part of its place."""
    whole = Fraction(0)
    for number in np.unique(place):
        own = values[place == number]
        whole += Fraction(int((own <= below).sum()), len(own))
    return whole / len(np.unique(place))


@pytest.mark.parametrize("seed", range(8))
def test_one_value_a_place_counts_as_the_weights_do_and_errs_on_the_safe_side(seed: int) -> None:
    rng = np.random.default_rng(seed)
    place = rng.integers(0, 9, 70) * 3
    values = np.round(rng.random(70), 1 if seed % 2 else 6)  # many alike, or none
    values[rng.random(70) < 0.05] = math.inf
    high, low = (one_a_place(values, place, above=above) for above in (True, False))
    count = len(np.unique(place))
    assert len(high) == len(low) == count
    for value in values:
        share = weighted_share(values, place, value)
        assert (high <= value).sum() == math.floor(share * count)
        assert (low <= value).sum() == math.ceil(share * count)
    assert (high >= low).all()
    alone = np.arange(70)
    for above in (True, False):
        assert (one_a_place(values, alone, above=above) == np.sort(values)).all()
    assert len(one_a_place(values[:0], place[:0], above=True)) == 0


@pytest.mark.parametrize("alike", [0.0, 0.7, 1.0])
def test_levels_hold_at_new_places_however_alike_the_photos_of_one_are(alike: float) -> None:
    """And a count of photos does not: where a few places have most of them, it holds too few."""
    rng = np.random.default_rng(5)
    held, by_photo, stranger, repeats, places = 0.0, 0.0, 0.0, 300, 60

    def scores(place: np.ndarray) -> np.ndarray:
        shared = rng.normal(size=place.max() + 1)[place]
        return np.asarray(alike * shared + np.sqrt(1 - alike**2) * rng.normal(size=len(place)))

    for _ in range(repeats):
        place = np.repeat(np.arange(places), np.where(rng.random(places) < 0.1, 80, 2))
        measured, new = scores(place), scores(np.arange(100))
        high, low = (one_a_place(measured, place, above=above) for above in (True, False))
        held += (new <= conformal_mass(high, 0.9)).mean() / repeats
        by_photo += (new <= conformal_mass(measured, 0.9)).mean() / repeats
        ranks = (1 + np.searchsorted(low, new, side="right")) / (1 + places)
        stranger += (ranks <= 0.05).mean() / repeats
    scatter = 3 * np.sqrt(0.09 / (places * repeats))
    assert 0.9 - scatter < held < 0.9 + 1 / places + scatter
    assert 0.05 - 1.5 / places - scatter < stranger < 0.05 + scatter
    if alike == 1:
        assert by_photo < 0.87
