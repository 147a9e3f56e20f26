"""Calibration by condition: regions hold as often as they say by day and by night."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from model_city import ModelCity, unit

from gair.photos.conditions import COLOURS, NAMES, Conditions
from gair.photos.texture import TEXTURE
from indexer.calibrate.calibrate import calibrate
from indexer.commands.calibrate import calibration_lines
from indexer.photos.altered import AlteredPhotos
from indexer.photos.vectors import PhotoVectors
from indexer.probability.calibration import load_calibration
from indexer.probability.conformal import mass_to_reach, region_mass
from indexer.probability.posterior import ScoreWeights
from indexer.search.scored import posteriors

LEVEL = 0.9
WORDS = ("day", "night")


def by_day_and_night(city: ModelCity, count: int, seed: int) -> PhotoVectors:
    """Photos of which every second is dark, and looks like nothing that was there."""
    photos = city.photos(count, seed)
    rng = np.random.default_rng(seed)
    night = np.arange(count) % 2 == 1
    photos.s[night] = unit(rng, int(night.sum()))
    listed = [
        dataclasses.replace(photo, condition=WORDS[int(dark)])
        for photo, dark in zip(photos.photos, night, strict=True)
    ]
    light = np.where(night, 0.08, 0.45) + 0.02 * rng.normal(size=count)
    conditions = {n: Conditions(float(light[n]), 0.2, 0.05, 0.04) for n in range(count)}
    return PhotoVectors(listed, photos.s, photos.lonlat_deg, {}, conditions)


@functools.cache
def city() -> ModelCity:
    made = ModelCity(ScoreWeights(14.0, 0.0, 95.0), seed=3)
    made.calibration = calibrate(made, by_day_and_night(made, 700, 0), quiet=True)
    return made


def in_light(count: int, brightness: float, seed: int) -> np.ndarray:
    """(count, C) conditions whose pixels all vary, around a brightness."""
    rng = np.random.default_rng(seed)
    light = brightness + 0.02 * rng.normal(size=count)
    numbers = rng.normal(size=(count, COLOURS + TEXTURE)) + 4 * (light[:, None] - 0.45)
    each = [
        Conditions(
            float(b), 0.2, 0.05, 0.04, colours=tuple(n[:COLOURS]), texture=tuple(n[COLOURS:])
        )
        for b, n in zip(light, numbers, strict=True)
    ]
    return np.stack([conditions.values for conditions in each])


def test_looks_are_taught_kept_and_told(tmp_path: Path) -> None:
    made = ModelCity(ScoreWeights(14.0, 0.0, 95.0), seed=3)
    photos = made.photos(500, 0)
    day = in_light(500, 0.45, 1)
    photos.conditions.update({n: Conditions.of_values(row) for n, row in enumerate(day)})
    altered = AlteredPhotos(np.arange(0, 500, 2), {"fog": in_light(250, 0.56, 2)})
    calibration = calibrate(made, photos, altered=altered, quiet=True)
    assert calibration.looks == ("fog",)
    assert "told by altered photos: fog" in "\n".join(calibration_lines(calibration))
    path = tmp_path / f"calibration-{calibration.build}.npz"
    calibration.save(path)
    again = load_calibration(tmp_path, calibration.build, calibration.model_fingerprint)
    assert again is not None
    assert again.conditions is not None
    likeness = np.array([1 - again.conditions.middle[len(NAMES) + 1]])
    told = [
        ["fog" in again.conditions.unlike(row[None], likeness) for row in in_light(60, light, 3)]
        for light in (0.56, 0.45)
    ]
    assert np.mean(told[0]) > 0.9 > 0.1 > np.mean(told[1])
    assert calibrate(made, photos, quiet=True).looks == ()


def share_held(named: bool) -> dict[str, float]:
    """How often regions of fresh photos hold the truth, by the true condition."""
    here, photos = city(), by_day_and_night(city(), 500, 5)
    calibration = here.calibration
    assert calibration is not None
    assert calibration.conditions is not None
    p = posteriors(here, *here.scores(photos.s), calibration.weights)
    reach = mass_to_reach(p, here.field.area_m2, here.cell_row(photos.lonlat_deg))
    sureness = here.place_mass(p).max(axis=1)
    held: dict[str, list[bool]] = {word: [] for word in WORDS}
    for row, photo in enumerate(photos.photos):
        guessed = calibration.conditions.looks_like(photos.condition_values[[row]])
        assert guessed == photo.condition
        masses = calibration.masses_of(
            float(sureness[row]), named=photo.condition if named else "", guessed=guessed
        )
        held[photo.condition].append(bool(reach[row] <= region_mass(masses, LEVEL)))
    return {word: float(np.mean(of_word)) for word, of_word in held.items()}


@pytest.mark.parametrize("named", [True, False])
def test_regions_hold_by_day_and_by_night(named: bool) -> None:
    held = share_held(named)
    slack = 3 * np.sqrt(LEVEL * (1 - LEVEL) * (1 / 250 + 1 / 200))
    assert held["day"] == pytest.approx(LEVEL, abs=slack)
    assert held["night"] == pytest.approx(LEVEL, abs=slack)


def test_one_threshold_for_all_would_not() -> None:
    calibration = city().calibration
    assert calibration is not None
    grouped = calibration.grouped_masses
    assert grouped is not None
    assert grouped.names == WORDS
    pooled = region_mass(calibration.masses, LEVEL)
    by_night = grouped.mass[grouped.named == 1] <= pooled
    by_day = grouped.mass[grouped.named == 0] <= pooled
    assert by_night.mean() < LEVEL - 0.04 < LEVEL + 0.03 < by_day.mean()
    assert calibration.measured["coverage_90"] == pytest.approx(LEVEL, abs=0.06)


def test_a_photo_looks_like_its_condition_among_photos_of_other_places() -> None:
    calibration = city().calibration
    assert calibration is not None
    assert calibration.grouped_masses is not None
    np.testing.assert_array_equal(
        calibration.grouped_masses.guessed, calibration.grouped_masses.named
    )
