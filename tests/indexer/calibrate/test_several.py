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
from indexer.calibrate.held_out import HeldOut
from indexer.calibrate.several import FEWEST_PLACES, MOST_PHOTOS, fit_shared, several_of_each
from indexer.probability.posterior import (
    LEAST_SHARED,
    ScoreWeights,
    SharedErrors,
    log_likelihood,
    posterior,
    same_place,
)
from indexer.search.geolocator import Geolocator
from indexer.search.scored import scores_for

WEIGHTS = ScoreWeights(14.0, 0.0, 95.0)
EACH = 3


@functools.cache
def city() -> ModelCity:
    return ModelCity(WEIGHTS, seed=3)


def of_places(count: int, rho: float) -> tuple[HeldOut, Ints]:
    """Places drawn from what three unlike photos say together if they share ``rho``."""
    space, rng = city(), np.random.default_rng(1)
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
    shared = fit_shared(city(), WEIGHTS, *of_places(120, rho), 0)
    assert shared is not None
    assert rho - 0.05 <= shared.least <= rho + 0.2
    assert (shared.places, shared.photos) == (120, 120 * EACH)


def test_too_few_places_with_several_photos_measure_nothing() -> None:
    photos, place = of_places(FEWEST_PLACES - 1, 0.4)
    assert fit_shared(city(), WEIGHTS, photos, place, 0) is None
    alone = np.arange(len(place))
    assert fit_shared(city(), WEIGHTS, photos, alone, 0) is None


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
