"""Which scenes pixels overrule: what a doubled offset makes of ground, and what water has."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from stac_items import stac_item

from gair.arrays import DigitalNumbers
from indexer.imagery.stac.offsets import Look, fault_alone, fault_beside
from indexer.imagery.stac.scenes import StacScene, scene_of

DARK = np.array([900, 1100, 1200, 1300, 900, 500])
"""B5, B6, B7, B8A, B11, B12 of a northern city with parks, reflectance x 10000."""
BRIGHT = np.array([3100, 3300, 3450, 3600, 4300, 3900])
"""Dry ground."""
SIDE_PX = 60


def stored(ground: np.ndarray, higher: int, seed: int = 0) -> DigitalNumbers:
    """(7, H, W) of a coarse window: six bands of some ground, and its classification."""
    texture = 1 + 0.15 * np.random.default_rng(9).standard_normal((SIDE_PX, SIDE_PX))
    noise = np.random.default_rng(seed).normal(0, 20, (6, SIDE_PX, SIDE_PX))
    bands = np.clip(ground[:, None, None] * texture + noise + higher, 1, 65535)
    return np.concatenate([bands, np.full((1, SIDE_PX, SIDE_PX), 4)]).astype(np.uint16)


def with_water(window: DigitalNumbers, reflectance: float, share: float) -> DigitalNumbers:
    """Water in a part of a window that is stored 1,000 too high."""
    water = np.random.default_rng(1).normal(1000 + 1e4 * reflectance, 12, window[:6].shape)
    columns = round(share * SIDE_PX)
    window[:6, :, :columns] = np.clip(water, 1, None)[:, :, :columns].astype(np.uint16)
    window[6, :, :columns] = 6
    return window


def scene(name: str = "S2", offset: float = -0.1, flag: bool | None = None) -> StacScene:
    flags = {} if flag is None else {"earthsearch:boa_offset_applied": flag}
    return scene_of(stac_item(name=name, offset=offset, **flags))


@pytest.mark.parametrize("share", [0.2, 0.34, 0.9, 1.0])
@pytest.mark.parametrize("reflectance", [0.01, 0.0, -0.006, -0.02])
def test_slightly_negative_water_is_right(reflectance: float, share: float) -> None:
    window = with_water(stored(DARK, higher=1000), reflectance, share)
    assert fault_alone(Look.at(scene(), window)) is None


@pytest.mark.parametrize("seed", range(3))
def test_a_doubled_offset_on_dark_ground_shows_by_itself(seed: int) -> None:
    fault = fault_alone(Look.at(scene(), stored(DARK, higher=0, seed=seed)))
    assert fault is not None
    assert "was taken off before" in fault


@pytest.mark.parametrize("water", [0.03, 0.01, 0.0])
def test_a_doubled_offset_on_water_beside_bright_ground_shows_by_itself(water: float) -> None:
    window = with_water(stored(BRIGHT, higher=0), water - 0.1, share=0.15)
    fault = fault_alone(Look.at(scene(), window))
    assert fault is not None
    assert "was taken off before" in fault


def test_the_margin_of_what_is_too_negative() -> None:
    """The mark lies between what water has and what a doubled offset makes of dark ground."""
    lowest_right = with_water(stored(DARK, higher=1000), -0.02, share=1.0)
    right = Look.at(scene(), lowest_right).reflectance
    doubled = Look.at(scene(), with_water(stored(DARK, higher=0), 0.0 - 0.1, 1.0)).reflectance
    assert np.percentile(right, 2) > -0.03 + 0.005
    assert np.percentile(doubled, 98) < -0.03 - 0.05


def test_a_doubled_offset_on_bright_ground_shows_beside_other_dates() -> None:
    wrong = Look.at(scene("wrong"), stored(BRIGHT, higher=0))
    others = [Look.at(scene(f"S2_{n}"), stored(BRIGHT, higher=1000, seed=n)) for n in (1, 2)]
    assert fault_alone(wrong) is None
    fault = fault_beside(wrong, others)
    assert fault is not None
    assert "0.10 of reflectance darker than S2_1 in all bands alike" in fault
    assert fault_beside(others[0], [wrong, others[1]]) is None


def test_what_a_catalogue_calls_corrected_outweighs_any_number_of_others() -> None:
    corrected = Look.at(scene("right", flag=True), stored(BRIGHT, higher=0, seed=5))
    assert corrected.scene.corrected
    assert float(np.median(corrected.reflectance)) > 0.3
    wrong = [
        Look.at(scene(f"S2_{n}", flag=False), stored(BRIGHT, higher=0, seed=n)) for n in (1, 2, 3)
    ]
    for look in wrong:
        fault = fault_beside(look, [corrected, *(each for each in wrong if each is not look)])
        assert fault is not None
        assert "darker than right" in fault
    honest = Look.at(scene("S2_9", flag=False), stored(BRIGHT, higher=1000, seed=9))
    assert fault_beside(honest, [corrected, *wrong[:2]]) is None


def test_a_scale_that_makes_everything_nothing_is_noticed() -> None:
    item = scene()
    tiny = dataclasses.replace(item.scale, scale=1e-9, offset=0.0)
    bands = {name: dataclasses.replace(band, reflectance=tiny) for name, band in item.bands.items()}
    dim = dataclasses.replace(item, bands=bands)
    assert "scale cannot be right" in str(fault_alone(Look.at(dim, stored(DARK, higher=1000))))
    full = dataclasses.replace(item.scale, scale=1.0, offset=0.0)
    bands = {name: dataclasses.replace(band, reflectance=full) for name, band in item.bands.items()}
    glaring = dataclasses.replace(item, bands=bands)
    assert "scale cannot be right" in str(fault_alone(Look.at(glaring, stored(DARK, higher=0))))
