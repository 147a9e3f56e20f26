"""Taught looks: discriminants against a slow formula, few false alarms, and what is told."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from model_city import at_most

from gair.arrays import Floats, Ints
from gair.photos import taught
from gair.photos.conditions import COLOURS, COMPARED, LIGHT, NAMES
from gair.photos.taught import FEWEST, FOLDS, Altered, fit_taught
from gair.photos.texture import TEXTURE
from indexer.probability.conditions import (
    ALL_NAMES,
    CalibratedConditions,
    fit_conditions,
    pixel_values,
    supposed,
    unlike_caution,
    unlike_said,
)

LENGTH = LIGHT + COLOURS + TEXTURE
PLACES, EACH = 220, 2
LOOKS = {"fog": 0.45, "snow": -0.45}
"""How far each number of an altered photo is moved, along a direction of its own."""


def photos(places: int, seed: int, look: str = "") -> tuple[Floats, Ints]:
    """(P, C) conditions, alike within a place, and their places; altered if a look is given."""
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(places), EACH)
    mixed = np.random.default_rng(9).normal(size=(LENGTH, LENGTH)) / np.sqrt(LENGTH)
    pixels = rng.normal(size=(places, LENGTH))[place] + rng.normal(size=(len(place), LENGTH))
    pixels = pixels @ mixed
    if look:
        towards = np.random.default_rng(list(LOOKS).index(look)).normal(size=LENGTH)
        pixels = pixels + LOOKS[look] * towards
    values = np.full((len(place), COMPARED + TEXTURE), np.nan)
    values[:, :LIGHT], values[:, len(NAMES) :] = pixels[:, :LIGHT], pixels[:, LIGHT:]
    return values, place


def altered(places: int, seed: int) -> dict[str, Altered]:
    each = {look: photos(places, seed, look) for look in LOOKS}
    return {look: Altered(pixel_values(values), place) for look, (values, place) in each.items()}


@functools.cache
def fitted() -> CalibratedConditions:
    values, place = photos(PLACES, 0)
    return fit_conditions(values, np.full(len(values), 0.5), place, (), altered(PLACES, 0))


def test_a_discriminant_is_that_of_the_slow_formula() -> None:
    rng = np.random.default_rng(1)
    own, other = rng.normal(size=(60, 4)) * [1, 2, 3, 0], rng.normal(size=(70, 4)) + [1, 0, 2, 0]
    other[:, 3] = 0
    got = taught._taught(own, {"fog": other})
    deviation = own.std(axis=0)
    a = (own[:, :3] - own.mean(axis=0)[:3]) / deviation[:3]
    b = (other[:, :3] - own.mean(axis=0)[:3]) / deviation[:3]
    covariance = np.zeros((3, 3))
    for rows in (a, b):
        for i, j in np.ndindex(3, 3):
            products = [(r[i] - rows[:, i].mean()) * (r[j] - rows[:, j].mean()) for r in rows]
            covariance[i, j] += sum(products) / (len(rows) - 1) / 2
    for i, j in np.ndindex(3, 3):
        covariance[i, j] *= 1 if i == j else 1 - taught.SHRUNK
        covariance[i, j] += 1e-3 * (i == j)
    weights = np.linalg.inv(covariance) @ b.mean(axis=0)
    np.testing.assert_allclose(got.scores(own)[:, 0], a @ weights, rtol=1e-9)
    assert got.weights[3, 0] == 0  # what never varies says nothing


def test_a_photo_is_scored_by_what_other_places_teach() -> None:
    values, place = photos(60, 3)
    pixels, looks = pixel_values(values), altered(60, 3)
    _, scores = fit_taught(pixels, place, looks)
    part = np.random.default_rng(0).permutation(60) % FOLDS
    for number in range(FOLDS):
        own = part[place] == number
        others = {k: v.values[part[v.place] != number] for k, v in looks.items()}
        slow = taught._taught(pixels[~own], others).scores(pixels[own])
        np.testing.assert_allclose(scores[own], slow)


def test_at_most_one_in_twenty_alike_photos_is_flagged_and_looks_are_named() -> None:
    values, place = photos(400, 1)
    first = np.flatnonzero(np.diff(place, prepend=-1))
    likeness = np.array([0.5])
    said = [fitted().unlike(values[[row]], likeness) for row in first.tolist()]
    assert 1 <= sum(map(bool, said)) <= at_most(len(first), 0.05 + 0.02)
    assert any(set(names) & set(LOOKS) for names in said)  # looks have their part of that
    for look in LOOKS:
        strange, _ = photos(60, 7, look)
        told = [fitted().unlike(strange[[row]], likeness) for row in range(0, 120, EACH)]
        assert np.mean([look in names for names in told]) > 0.9
    assert fitted().stated[-2:] == ("fog", "snow")


def test_without_what_was_taught_they_are_not_told() -> None:
    values, place = photos(PLACES, 0)
    plain = fit_conditions(values, np.full(len(values), 0.5), place)
    strange, _ = photos(60, 7, "fog")
    told = [plain.unlike(strange[[row]], np.array([0.5])) for row in range(0, 120, EACH)]
    assert np.mean([bool(names) for names in told]) < 0.5
    few = {"fog": Altered(pixel_values(values)[: FEWEST - 1], place[: FEWEST - 1])}
    assert fit_conditions(values, np.full(len(values), 0.5), place, (), few).taught is None


def test_looks_come_back_from_the_file_and_older_files_have_none() -> None:
    arrays = fitted().arrays()
    again = CalibratedConditions.from_arrays(ALL_NAMES, arrays, (), ("fog", "snow"))
    assert again is not None
    strange, _ = photos(3, 8, "snow")
    likeness = np.full(len(strange), 0.5)
    assert again.unlike(strange, likeness) == fitted().unlike(strange, likeness)
    with pytest.raises(ValueError, match="different length"):
        CalibratedConditions.from_arrays(ALL_NAMES, arrays, (), ("fog",))
    values, place = photos(PLACES, 0)
    old = fit_conditions(values, np.full(len(values), 0.5), place)
    read = CalibratedConditions.from_arrays(ALL_NAMES, old.arrays())
    assert read is not None
    assert read.taught is None


def test_looks_are_said_apart_from_what_is_compared() -> None:
    assert "it looks like fog, and the calibration photos" in unlike_caution(("fog",))
    both = ("brightness", "hour", "snow")
    assert "it looks like snow, and its brightness and hour are unlike" in unlike_caution(both)
    assert unlike_said(both) == (
        "the photo looks like snow and is unlike the calibration photos in its brightness and hour"
    )
    assert supposed(both) == "if snow and its brightness and hour made no difference"
    assert supposed(("hour",)) == "if its hour made no difference"
