"""Regions with a promise: the smallest set by trying them all, and the promise on made-up truth."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from gair.arrays import Floats, Ints
from gair.errors import UsageError
from indexer.probability.conformal import (
    FEWEST_IN_GROUP,
    GroupedMasses,
    conformal_mass,
    mass_to_reach,
    nested_regions,
    one_a_place,
    region_rows,
)
from indexer.regions.highest import highest_rows

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


def sorted_cells(p: Floats, area_m2: Floats) -> Ints:
    """Cells from the densest down, ties by row."""
    return np.argsort(-(p / area_m2), kind="stable")


def test_by_hand() -> None:
    p, area_m2 = np.array([0.2, 0.3, 0.5]), np.array([1.0, 1.0, 10.0])  # the last is the thinnest
    assert sorted_cells(p, area_m2).tolist() == [1, 0, 2]
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
    order = sorted_cells(p, area_m2)
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


def grouped(count: int, seed: int, each: int = 1) -> GroupedMasses:
    """Masses that are larger where answers are less sure, and at night."""
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(count), each)
    sureness, night = rng.random(count * each), rng.random(count * each) < 0.3
    mass = (rng.random(count * each) * (1.2 - sureness) + 0.3 * night) / 1.5
    return GroupedMasses(mass, sureness, place, night.astype(int), night.astype(int), ("day", "x"))


def test_groups_are_fifths_of_the_answers_by_how_sure_they_are() -> None:
    masses = grouped(320, 0)
    order = np.argsort(masses.sureness)
    for fifth in range(5):
        rows = order[64 * fifth : 64 * (fifth + 1)]
        for row in rows[[0, 30, -1]]:
            np.testing.assert_array_equal(
                masses.of(float(masses.sureness[row])), np.sort(masses.mass[rows])
            )
    np.testing.assert_array_equal(masses.of(2.0), masses.of(float(masses.sureness.max())))
    np.testing.assert_array_equal(masses.of(-1.0), masses.of(float(masses.sureness.min())))


def test_groups_have_places_enough_or_there_are_fewer() -> None:
    for count, groups in ((FEWEST_IN_GROUP - 1, 1), (2 * FEWEST_IN_GROUP, 2), (1000, 5)):
        masses = grouped(count, 1)
        sizes = [len(masses.of(s)) for s in np.linspace(0, 1, 200)]
        assert len({tuple(masses.of(s)) for s in np.linspace(0, 1, 200)}) == groups
        assert min(sizes) >= min(count, FEWEST_IN_GROUP)
    alike = dataclasses.replace(grouped(400, 1), sureness=np.full(400, 0.5))
    assert [len(alike.of(sureness)) for sureness in (0.1, 0.5, 0.9)] == [400] * 3
    frames = grouped(100, 1, each=12)  # a hundred drives are a hundred places
    assert len({tuple(frames.of(s)) for s in np.linspace(0, 1, 200)}) == 1
    assert len(frames.of(0.5)) == 100


def test_a_condition_has_masses_of_its_own_where_places_are_enough() -> None:
    masses = grouped(320, 2)
    night = np.flatnonzero(masses.named == 1)
    assert FEWEST_IN_GROUP < len(night) < 2 * FEWEST_IN_GROUP
    np.testing.assert_array_equal(masses.of(0.5, named="x"), np.sort(masses.mass[night]))
    np.testing.assert_array_equal(masses.of(0.5, guessed="x"), masses.of(0.5, named="x"))
    np.testing.assert_array_equal(
        masses.of(0.5, named="day", guessed="x"), masses.of(0.5, named="day")
    )
    np.testing.assert_array_equal(masses.of(0.5, guessed="snow"), masses.of(0.5))
    few = masses.taken(np.flatnonzero((masses.named == 0) | (np.arange(320) < 100)))
    assert masses.knows("x")
    assert not few.knows("x")
    assert not masses.knows("snow")
    np.testing.assert_array_equal(few.of(0.5, named="x"), few.of(0.5))


def test_sure_and_unsure_answers_hold_as_often_as_they_say() -> None:
    level, held, pooled, count = 0.9, np.zeros(2), np.zeros(2), np.zeros(2)
    for seed in range(12):
        measured, asked = grouped(400, seed), grouped(300, 100 + seed)
        one = conformal_mass(measured.mass, level)
        for sureness, mass in zip(asked.sureness, asked.mass, strict=True):
            if 0.2 < sureness < 0.8:
                continue
            end = int(sureness > 0.5)
            held[end] += mass <= conformal_mass(measured.of(float(sureness)), level)
            pooled[end] += mass <= one
            count[end] += 1
    assert held / count == pytest.approx(level, abs=0.03)
    assert pooled[0] / count[0] < 0.85
    assert pooled[1] / count[1] > 0.95


@pytest.mark.parametrize("sharp", [0.0, 1.0, 5.0])
def test_regions_are_those_of_all_cells_sorted(sharp: float) -> None:
    # Of sharp posteriors, a few of the cells are sorted; of flat ones, more and more, at last all.
    rng = np.random.default_rng(1)
    p = np.exp(sharp * np.round(rng.normal(size=10_000), 2))  # many are equal
    p /= p.sum()
    area_m2 = rng.integers(9, 11, 10_000).astype(float)
    order = sorted_cells(p, area_m2)
    reached = np.cumsum(p[order])
    masses = [0.01, 0.1, 0.5, 0.9, 0.999, 1.0, float(reached[1023]), float(reached[1024])]
    for some in [masses, *([mass] for mass in [*masses, math.inf])]:
        for mass, rows in zip(some, nested_regions(p, area_m2, some), strict=True):
            enough = np.flatnonzero(reached >= mass * (1 - 1e-10))
            first = enough[0] + 1 if len(enough) else len(p)
            same = np.count_nonzero(reached <= mass * (1 + 1e-10))
            assert rows.tolist() == order[: max(first, same)].tolist()
        for known in (1100, 10_000):  # the densest cells, where somebody sorted them before
            densest = highest_rows(p / area_m2, known)
            again = nested_regions(p, area_m2, some, densest)
            assert list(map(list, again)) == list(map(list, nested_regions(p, area_m2, some)))
