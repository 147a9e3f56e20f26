"""Precision: one rule for builds and answers, and a tower whose weights are rounded once."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch

from gair import Gair
from gair.encoders.precision import PhotoTower, choose_precision, photo_tower
from gair.errors import UsageError


@pytest.fixture(scope="module")
def model() -> Gair:
    return Gair.untrained("tiny")


def photos(count: int, model: Gair) -> torch.Tensor:
    side = model.config.sv_image_px
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(3))


def test_auto_is_half_precision_where_a_wide_model_gains(
    monkeypatch: pytest.MonkeyPatch, model: Gair
) -> None:
    assert choose_precision("bfloat16", model) == "bfloat16"
    monkeypatch.setattr("gair.encoders.precision.has_bfloat16", lambda: True)
    assert choose_precision("auto", model) == "float32"
    monkeypatch.setattr("gair.encoders.precision._WIDE", 100)
    assert choose_precision("auto", model) == "bfloat16"
    monkeypatch.setattr("gair.encoders.precision.has_bfloat16", lambda: False)
    assert choose_precision("auto", model) == "float32"
    with pytest.raises(UsageError, match="`precision` 'int8' is none of auto, float32, bfloat16"):
        choose_precision("int8", model)  # type: ignore[arg-type]


@pytest.mark.parametrize("preset", ["tiny", "demo"])
def test_half_precision_points_where_float32_does(preset: str) -> None:
    towers = Gair.untrained(preset)
    pixels = photos(3, towers)
    with torch.inference_mode():
        whole, half = towers.encode_street_view(pixels), photo_tower(towers)(pixels)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.norm(dim=1), torch.ones(3))
    cosine = (whole * half).sum(dim=1)
    assert cosine.min() > 0.9999
    assert (whole - half).abs().max() > 1e-5, "float32 ran, not bfloat16"


def test_a_photo_has_one_vector_alone_and_in_company(model: Gair) -> None:
    pixels, tower = photos(5, model), photo_tower(model)
    with torch.inference_mode():
        alone, among = tower(pixels[2:3]), tower(pixels)[2:3]
    assert (alone - among).abs().max() < 2e-3


def test_rounding_leaves_the_model_as_it_is(model: Gair) -> None:
    before = model.fingerprint()
    photo_tower(model)
    assert model.fingerprint() == before
    assert all(weight.dtype == torch.float32 for weight in model.parameters())


def test_the_tower_is_made_once_and_anew_for_other_weights(model: Gair) -> None:
    changed = copy.deepcopy(model)
    first = photo_tower(changed)
    assert photo_tower(changed) is first
    assert isinstance(first, PhotoTower)
    with torch.no_grad():
        changed.street_view.projection.weight.mul_(2)
    assert photo_tower(changed) is not first


def test_the_tower_goes_with_its_model(model: Gair) -> None:
    gone = copy.deepcopy(model)
    tower = weakref.ref(photo_tower(gone))
    del gone
    gc.collect()
    assert tower() is None
