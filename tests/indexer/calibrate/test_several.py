"""What photos of one place share: the fit finds what places were drawn with, on how many."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from model_city import ModelCity, unit
from small_builds import tiny_model
from toy_city import photo

from gair.arrays import Floats, Ints
from gair.geo import haversine_m
from indexer.calibrate.held_out import HeldOut
from indexer.calibrate.several import (
    FEWEST_PLACES,
    MOST_PHOTOS,
    fit_shared,
    fit_shift,
    several_of_each,
)
from indexer.probability.confidence import Curve, expit, logit
from indexer.probability.posterior import (
    LEAST_SHARED,
    ScoreWeights,
    SharedErrors,
    log_likelihood,
    posterior,
    same_place,
    shared_by,
)
from indexer.search.geolocator import Geolocator
from indexer.search.scored import scores_for

WEIGHTS = ScoreWeights(14.0, 0.0, 95.0)
EACH = 3
CURVES = {200.0: Curve(1.0, 0.0), 500.0: Curve(1.0, 0.0), 2000.0: Curve(1.0, 0.0)}
"""The chance of a single photo is the mass itself."""


@functools.cache
def city() -> ModelCity:
    return ModelCity(WEIGHTS, seed=3)


def of_places(count: int, rho: float, seed: int = 1) -> tuple[HeldOut, Ints]:
    """Places drawn from what three unlike photos say together if they share ``rho``."""
    space, rng = city(), np.random.default_rng(seed)
    s, truth = [], []
    for _ in range(count):
        own = unit(rng, EACH)
        maps = log_likelihood(
            *scores_for(space, own, WEIGHTS), WEIGHTS, space.blur(WEIGHTS.spread_m)
        )
        p = posterior(same_place(maps, 1 + (EACH - 1) * rho), space.log_prior)[0]
        s.append(own)
        truth += [rng.choice(len(p), p=p)] * EACH
    rows = np.array(truth)
    lonlat_deg = space.index.cells.lonlat_deg[rows]
    return HeldOut(np.concatenate(s), lonlat_deg, rows), np.repeat(np.arange(count), EACH)


@pytest.mark.parametrize("rho", [0.0, 0.4, 0.9])
def test_the_floor_is_what_places_were_drawn_with_and_no_less(rho: float) -> None:
    shared = fit_shared(city(), WEIGHTS, *of_places(120, rho), CURVES, 0)
    assert shared is not None
    assert rho - 0.05 <= shared.least <= rho + 0.2
    assert (shared.places, shared.photos) == (120, 120 * EACH)


def test_chances_of_several_photos_are_right_as_often_as_they_say() -> None:
    """Photos that share hardly anything, said by a floor that is too cautious, and mended."""
    shared = fit_shared(city(), WEIGHTS, *of_places(150, 0.1), CURVES, 0)
    assert shared is not None
    space, (photos, _) = city(), of_places(250, 0.1, seed=2)
    radius_m, inside, chances = 500.0, [], []
    for start in range(0, len(photos), EACH):
        group = photos.taken(np.arange(start, start + EACH))
        maps = log_likelihood(
            *scores_for(space, group.s, WEIGHTS), WEIGHTS, space.blur(WEIGHTS.spread_m)
        )
        divisor = shared_by(maps, space.log_prior, 1.0)
        p = posterior(same_place(maps, divisor), space.log_prior)
        best = space.index.cells.lonlat_deg[space.place_mass(p)[0].argmax()]
        chances.append(float(space.masses_within(p, best[None], [radius_m])[0, 0]))
        inside.append(bool(haversine_m(best, group.lonlat_deg[0]) <= radius_m))
    cautious = np.array(chances)
    assert np.mean(inside) > cautious.mean() + 0.05, "a floor of 1 says too little"
    again = fit_shift(logit(cautious[::2]), np.array(inside, dtype=float)[::2])
    mended = expit(logit(cautious[1::2]) + again)
    assert mended.mean() == pytest.approx(np.mean(inside[1::2]), abs=0.1)
    assert shared.shift_at(radius_m) != 0


def test_a_shift_is_the_best_of_a_grid() -> None:
    rng = np.random.default_rng(0)
    logits, inside = rng.normal(-1, 1, 80), rng.random(80) < 0.5

    def gain(shift: float) -> float:
        chance = expit(logits + shift)
        right = np.where(inside, chance, 1 - chance)
        return float(np.log(right).sum() - shift**2 / 2)

    grid = np.linspace(-3, 3, 6001)
    best = grid[np.argmax([gain(shift) for shift in grid])]
    assert fit_shift(logits, inside.astype(float)) == pytest.approx(best, abs=1e-3)
    assert 0 < fit_shift(np.full(3, -20.0), np.ones(3)) < 4, "few places move it little"


def test_shifts_are_those_at_their_radii_and_in_between() -> None:
    shared = SharedErrors(1.0, 40, 90, ((200.0, 0.6), (800.0, 0.2)))
    said = [shared.shift_at(radius_m) for radius_m in (50, 200, 400, 800, 9000)]
    assert said == pytest.approx([0.6, 0.6, 0.4, 0.2, 0.2])
    assert SharedErrors(1.0, 40, 90).shift_at(200.0) == 0


def test_chances_of_several_photos_are_shifted_and_of_one_are_not(
    tiny_index: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "toy"
    shutil.copytree(tiny_index / "toy", folder)
    told = {}
    for shifts in ((), ((200.0, 0.5), (1000.0, 0.3))):
        calibrate_by_hand(folder, shared=SharedErrors(1.0, 40, 90, shifts))
        geolocator = Geolocator.open(folder, model=tiny_model())
        assert geolocator.space.calibration is not None
        assert geolocator.space.calibration.shared == SharedErrors(1.0, 40, 90, shifts)
        one = geolocator.search(photo(1))
        two = geolocator.search([photo(1), photo(2)], same_place=True)
        told[bool(shifts)] = one, two
    for before, after, moved in zip(told[False], told[True], (0.0, 1.0), strict=True):
        for near, shifted in zip(before.confidence, after.confidence, strict=True):
            by = {200.0: 0.5, 1000.0: 0.3}[near.radius_m] * moved
            wanted = expit(logit(near.probability) + by)
            assert shifted.probability == pytest.approx(float(wanted), abs=1e-6)
        assert before.regions == after.regions
    assert "chances, and how much further photos add, on 90" in " ".join(told[True][1].warnings)
    low, high = told[True][1].confidence[0].interval
    narrow = told[False][1].confidence[0].interval
    assert high - low >= narrow[1] - narrow[0] - 1e-9


def test_too_few_places_with_several_photos_measure_nothing() -> None:
    photos, place = of_places(FEWEST_PLACES - 1, 0.4)
    assert fit_shared(city(), WEIGHTS, photos, place, CURVES, 0) is None
    alone = np.arange(len(place))
    assert fit_shared(city(), WEIGHTS, photos, alone, CURVES, 0) is None


def test_photos_far_from_the_first_of_their_place_are_left_out() -> None:
    metre_deg = 1 / 111_195.0
    along_m = np.array([0, 9, 18, 27, 36, 45, 5000])
    points: Floats = np.column_stack([np.zeros(7), along_m * metre_deg])
    for seed in range(5):
        (rows,) = several_of_each(points, np.array([0, 0, 0, 0, 0, 0, 1]), seed)
        assert 2 <= len(rows) <= MOST_PHOTOS
        assert np.abs(along_m[rows] - along_m[rows[0]]).max() <= 30
        assert len(set(rows.tolist())) == len(rows)
    assert several_of_each(points[[0, 6]], np.array([0, 0]), 0) == []


def test_an_answer_counts_photos_by_what_was_measured(tiny_index: Path, tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    shutil.copytree(tiny_index / "toy", folder)
    pair, p, said = [photo(1), photo(2)], {}, {}
    for shared in (None, SharedErrors(LEAST_SHARED, 40, 90), SharedErrors(1.0, 40, 90)):
        calibrate_by_hand(folder, shared=shared)
        geolocator = Geolocator.open(folder, model=tiny_model())
        assert geolocator.space.least_shared == (LEAST_SHARED if shared is None else shared.least)
        answer = geolocator.search(pair, same_place=True)
        p[shared], said[shared] = answer.posterior, " ".join(answer.warnings)
        scored = geolocator.every_cell(geolocator.seen(pair)[0].together(geolocator.seen(pair)))
    usual, same, copies = p.values()
    np.testing.assert_array_equal(usual, same)
    weights, space = geolocator.space.weights, geolocator.space
    maps = log_likelihood(scored.rs, scored.location, weights, space.blur(weights.spread_m))
    np.testing.assert_allclose(
        copies, posterior(maps.mean(axis=0, keepdims=True), space.log_prior)[0], rtol=1e-6
    )
    usual_said, _, copies_said = said.values()
    assert "on synthetic cities" in usual_said
    assert "on 90 photos of 40 places (they share 100% of their errors or more)" in copies_said
