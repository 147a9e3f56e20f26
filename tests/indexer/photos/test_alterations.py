"""Alterations: each changes what it says, and leaves the photo that it was given alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageStat
from toy_city import photo

from gair.photos.conditions import measure
from indexer.photos.alterations import ALTERATIONS, Alteration

BY_KEY = {one.key: one.alter for one in ALTERATIONS}


@pytest.mark.parametrize("alteration", ALTERATIONS, ids=lambda one: one.key)
def test_every_alteration_gives_another_picture_and_keeps_the_first(
    alteration: Alteration,
) -> None:
    first, same = photo(1), photo(1)
    altered = alteration.alter(first)
    assert altered.mode == "RGB"
    assert altered.tobytes() != first.tobytes()
    assert first.tobytes() == same.tobytes()
    assert alteration.alter(first).tobytes() == altered.tobytes()
    one = alteration.alter(Image.new("RGB", (1, 1), "white"))
    assert min(one.size) >= 1


def test_light_and_season_change_as_they_say() -> None:
    day = measure(photo(1))
    assert measure(BY_KEY["night"](photo(1))).brightness < day.brightness / 4
    assert measure(BY_KEY["fog"](photo(1))).contrast < day.contrast / 1.5
    assert measure(BY_KEY["winter"](photo(1))).greenness < day.greenness / 5
    green = Image.new("RGB", (8, 8), (60, 160, 40))
    red, grass, blue = ImageStat.Stat(BY_KEY["winter"](green)).mean
    assert red >= grass >= blue
    grey = Image.new("RGB", (8, 8), (90, 90, 90))
    assert BY_KEY["winter"](grey).tobytes() == grey.tobytes()
    snow = np.asarray(BY_KEY["snow"](photo(1)), dtype=float)
    before = np.asarray(photo(1), dtype=float)
    np.testing.assert_array_equal(snow[:90], before[:90])
    assert snow[150:].mean() > 200 > before[150:].mean()


def test_lenses_and_frames_are_what_they_say() -> None:
    first = np.asarray(photo(1))
    np.testing.assert_array_equal(np.asarray(BY_KEY["tele"](photo(1))), first[50:150, 80:240])
    np.testing.assert_array_equal(np.asarray(BY_KEY["crop"](photo(1))), first[:140, :224])
    np.testing.assert_array_equal(np.asarray(BY_KEY["mirror"](photo(1))), first[:, ::-1])
    bars = np.asarray(BY_KEY["black bars"](photo(1)))
    np.testing.assert_array_equal(bars[33:-33], first)
    assert not bars[:33].any()
    assert not bars[-33:].any()
    off = np.abs(np.asarray(BY_KEY["jpeg 20"](photo(1)), dtype=int) - first)
    assert 0.5 < off.mean() < 10
