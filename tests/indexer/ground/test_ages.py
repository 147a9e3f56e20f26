"""Old reference photos count less, by a half-life; those of unknown age as the others do."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from references import references

from gair.geo import haversine_m
from indexer.ground.exemplars import age_weights, ages_years
from indexer.ground.likelihood import GroundField, GroundKernel
from indexer.ground.likeness import Comparison

DAYS = np.array(["2020-01-01", "2010-01-01", "NaT", "2015-01-01"], dtype="datetime64[D]")


def test_a_photo_counts_half_as_much_for_each_half_life() -> None:
    assert ages_years(DAYS) == pytest.approx([0, 10, np.nan, 5], abs=0.01, nan_ok=True)
    weights = age_weights(DAYS, 5.0)
    assert weights == pytest.approx([1, 0.25, 1.75 / 3, 0.5], rel=1e-3)
    assert (age_weights(DAYS, 0.0) == 1).all()
    assert (age_weights(DAYS[[2, 2]], 5.0) == 1).all()


def test_the_formula_takes_each_term_by_its_age() -> None:
    rng = np.random.default_rng(0)
    s = rng.normal(size=(41, 8))
    s = (s / np.linalg.norm(s, axis=1, keepdims=True)).astype(np.float32)
    places = rng.uniform(0, 0.01, (40, 2)) + (10, 50)
    photos = references(s[:40], places)
    days = np.datetime64("2012-01-01") + rng.integers(0, 3650, 40)
    photos = dataclasses.replace(photos, taken_on=days.astype("datetime64[D]"))
    kernel, points = GroundKernel(120.0, 9.0, 3.0, pseudo_photos=2.0), places[:7] + 1e-4
    field = GroundField(Comparison(photos), points)
    own = np.array([1, 5, 30])
    evidence = field.evidence(s[40:], kernel, [own])
    v = age_weights(photos.taken_on, 3.0)
    there = [row for row in range(40) if row not in own]
    w = {row: math.exp(9 * float(s[40] @ s[row])) for row in there}
    base = sum(v[row] * w[row] for row in there) / sum(v[row] for row in there)
    for number, point in enumerate(points):
        kernels = {n: math.exp(-0.5 * (haversine_m(point, places[n]) / 120) ** 2) for n in there}
        kernels = {n: k if haversine_m(point, places[n]) <= 480 else 0 for n, k in kernels.items()}
        likely = 2 + sum(v[n] * w[n] / base * kernels[n] for n in there)
        around = 2 + sum(v[n] * kernels[n] for n in there)
        wanted = math.log(likely / around)
        assert evidence.log_ratios[0, number] == pytest.approx(wanted, abs=1e-4)
    np.testing.assert_allclose(evidence.at(points), evidence.log_ratios[0], atol=1e-5)
    plain = field.evidence(s[40:], GroundKernel(120.0, 9.0, pseudo_photos=2.0), [own])
    assert np.abs(plain.log_ratios - evidence.log_ratios).max() > 0.05
