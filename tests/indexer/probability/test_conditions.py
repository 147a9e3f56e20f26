"""Conditions: as few alike photos are flagged as is said, and unlike ones for what they are."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from model_city import at_most

from gair.arrays import Floats, Ints
from gair.photos.conditions import COLOURS, NAMES
from indexer.probability import conditions
from indexer.probability.conditions import (
    ALL_NAMES,
    LOOK,
    NEAREST,
    TOGETHER,
    CalibratedConditions,
    fit_conditions,
    in_words,
)

PLACES, EACH = 150, 3
NO_LIKENESS = np.array([0.5])
MIXED = np.random.default_rng(3).normal(size=(4, COLOURS))
"""Colours follow the light of a photo, but for a little."""


def drawn(count: int, seed: int) -> tuple[Floats, Floats, Ints]:
    """Photos of places, alike within a place: daylight, May to September, two cameras."""
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(count), EACH)
    of_place = rng.normal(size=(count, 8))[place]
    z = np.sqrt(0.7) * of_place + np.sqrt(0.3) * rng.normal(size=(len(place), 8))
    values = np.column_stack(
        [
            0.45 + 0.06 * z[:, 0],
            0.2 + 0.03 * z[:, 1],
            0.05 * np.exp(0.3 * z[:, 2]),
            0.04 * np.exp(0.4 * z[:, 3]),
            200 + 40 * z[:, 4],
            13 + 2 * z[:, 5],
            np.where(z[:, 6] > 0, 28.0, 50.0),
            np.zeros(len(place)),
        ]
    )
    values = np.column_stack([values, z[:, :4] @ MIXED + 0.3 * rng.normal(size=(len(z), COLOURS))])
    return values, 0.6 + 0.05 * z[:, 7], place


@functools.cache
def fitted() -> CalibratedConditions:
    return fit_conditions(*drawn(PLACES, 0))


def test_at_most_one_in_twenty_alike_photos_is_flagged_by_all_conditions_together() -> None:
    values, likeness, place = drawn(400, 1)
    first = np.flatnonzero(np.diff(place, prepend=-1))
    flagged = sum(bool(fitted().unlike(values[[row]], likeness[[row]])) for row in first.tolist())
    assert 1 <= flagged <= at_most(len(first), 0.05 + 0.02)  # 0.02: scatter of the calibration


def test_distances_are_those_of_a_slow_search() -> None:
    values, _, place = drawn(40, 0)
    values[::7, 4] = np.nan
    slow = np.full((len(values), len(NAMES)), np.nan)
    finest = (0.02, 0.01, 0.005, 0.005, 21, 1, 0.1, 0.02)
    for n, column in np.ndindex(*slow.shape):
        apart = []
        for other in np.flatnonzero(place != place[n]):
            a, b = values[n, column], values[other, column]
            period = {4: 365.25, 5: 24}.get(column)
            if column == 6:
                a, b = np.log(a), np.log(b)
            if np.isfinite(a + b):
                apart.append(min(abs(a - b), (period or np.inf) - abs(a - b)))
        if apart:
            slow[n, column] = max(0.0, np.mean(sorted(apart)[:NEAREST]) - finest[column])
    photos = values.astype(np.float32)
    got = conditions._distances(values, photos, place[:, None] == place)
    np.testing.assert_allclose(got, slow, atol=1e-4)
    assert (slow > 0).any(axis=0).sum() >= 5


def test_scales_are_those_of_places_and_not_of_photos() -> None:
    values, likeness, place = drawn(PLACES, 0)
    middle, high = (np.quantile(1 - likeness, share, method="lower") for share in (0.5, 0.95))
    assert fitted().middle[-1] == pytest.approx(middle, abs=1e-3)
    assert fitted().middle[-1] + fitted().scale[-1] == pytest.approx(high, abs=3e-3)
    one = np.flatnonzero(place == 0)[:1]  # a thousand photos of one spot change hardly anything
    rows = np.concatenate([np.arange(len(place)), np.repeat(one, 1000)])
    again = fit_conditions(values[rows], likeness[rows], place[rows])
    assert again.middle[-1] == pytest.approx(middle, abs=2e-3)
    assert len(again.deviations) == len(fitted().deviations) == PLACES


@pytest.mark.parametrize(
    ("changes", "unlike"),
    [
        ({}, ()),
        ({"brightness": 0.06}, ("brightness",)),
        ({"contrast": 0.03, "sharpness": 0.02}, ("contrast",)),
        ({"date": 20.0}, ("date",)),
        ({"hour": 0.3}, ("hour",)),
        ({"share of black bars": 0.33}, ("share of black bars",)),
        ({"focal length": 200.0, LOOK: 0.1}, ("focal length", LOOK)),
        ({"date": np.nan, "hour": np.nan, "focal length": np.nan}, ()),
    ],
)
def test_an_unlike_photo_is_flagged_for_what_is_unlike(
    changes: dict[str, float], unlike: tuple[str, ...]
) -> None:
    usual = dict(
        zip((*NAMES, LOOK), (0.45, 0.2, 0.05, 0.04, 200.0, 13.0, 28.0, 0, 0.6), strict=True)
    )
    *values, likeness = (usual | changes).values()
    # Colours as they go with such a light; without, it would be unlike together, too.
    light = (np.array(values[:4]) - [0.45, 0.2, 0.05, 0.04]) / [0.06, 0.03, 0.015, 0.016]
    photo = np.array([[*values, *(light @ MIXED)]])
    said = fitted().unlike(photo, np.array([likeness]))
    assert tuple(name for name in said if name != TOGETHER) == unlike
    assert (TOGETHER in said) <= bool(unlike)


def test_what_is_usual_one_by_one_is_unlike_together() -> None:
    values, likeness, _ = drawn(PLACES, 0)
    lit = np.abs(values[:, 0] - 0.45).argmax()  # by itself no photo is farther off in anything
    dull = np.abs(values[:, 0] - 0.45).argmin()
    mixed = values[[dull]]
    mixed[0, len(NAMES) :] = values[lit, len(NAMES) :]
    assert fitted().unlike(values[[lit]], likeness[[lit]]) == ()
    assert fitted().unlike(mixed, likeness[[dull]]) == (TOGETHER,)


def test_the_year_and_the_clock_go_round() -> None:
    values = np.full((100, len(NAMES) + COLOURS), np.nan)
    values[:, 4] = np.linspace(350, 365, 100)
    values[:, 5] = np.linspace(22.5, 23.9, 100)
    alike = fit_conditions(values, np.full(100, 0.5), np.arange(100))
    assert alike.stated == ("date", "hour", LOOK)
    photo = np.full((1, len(NAMES) + COLOURS), np.nan)
    photo[0, 4:6] = 10.0, 0.5
    assert alike.unlike(photo, NO_LIKENESS) == ()
    photo[0, 4:6] = 180.0, 12.0
    assert alike.unlike(photo, NO_LIKENESS) == ("date", "hour")


def test_what_few_photos_state_is_not_compared() -> None:
    values, likeness, place = drawn(PLACES, 0)
    values[49:, 4] = np.nan
    alike = fit_conditions(values, likeness, place)
    assert "date" not in alike.stated
    winter = values[:1].copy()
    winter[0, 4] = 20.0
    assert alike.unlike(winter, likeness[:1]) == ()


def test_a_few_places_flag_nothing() -> None:
    values, likeness, place = drawn(18, 0)
    values[:, 0] = 1.0
    alike = fit_conditions(values, likeness, place)
    assert alike.unlike(values[:1] / 9, NO_LIKENESS) == ()


def test_each_of_several_photos_is_allowed_less() -> None:
    values, likeness, place = drawn(PLACES, 0)
    alike, limits = fitted(), []
    for count in (1, 4):
        bright = np.repeat(values[:1], count, axis=0)
        steps = np.linspace(0.45, 1.5, 400)

        def flagged(brightness: float, photos: Floats = bright) -> bool:
            photos[0, 0] = brightness
            return "brightness" in alike.unlike(photos, np.full(len(photos), 0.6))

        limits.append(next(step for step in steps if flagged(step)))
    assert limits[1] > limits[0]


def test_conditions_of_another_program_are_not_compared() -> None:
    arrays = fitted().arrays()
    assert CalibratedConditions.from_arrays(("brightness",), arrays) is None
    again = CalibratedConditions.from_arrays(ALL_NAMES, arrays)
    assert again is not None
    assert again.stated == fitted().stated
    with pytest.raises(ValueError, match="different length"):
        CalibratedConditions.from_arrays(ALL_NAMES, arrays | {"conditions_scale": np.ones(3)})


def test_names_are_said_as_in_a_sentence() -> None:
    assert in_words(("date",)) == "date"
    assert in_words(("date", "hour", "contrast")) == "date, hour and contrast"
    assert in_words(()) == ""
