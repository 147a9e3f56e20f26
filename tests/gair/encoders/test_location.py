"""The location encoder against scalar formulas."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from formulas import equal_earth_scalar
from torch.nn import functional as F

from gair.config import preset
from gair.encoders.location import Capsule, LocationEncoder, equal_earth

PLACES = [(0.0, 0.0), (180.0, 0.0), (-180.0, 0.0), (0.0, 90.0), (139.75, 35.66), (-83.3, -42.5)]


def test_equal_earth_equals_the_scalar_formula() -> None:
    encoded = equal_earth(torch.tensor(PLACES, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(encoded, [equal_earth_scalar(*p) for p in PLACES], atol=1e-12)


def test_equal_earth_reaches_its_published_extent() -> None:
    x, _ = equal_earth(torch.tensor([180.0, 0.0], dtype=torch.float64)).tolist()
    _, y = equal_earth(torch.tensor([0.0, 90.0], dtype=torch.float64)).tolist()
    assert x == pytest.approx(1.000, abs=5e-4)
    assert y == pytest.approx(0.4867, abs=5e-5)


def test_encoder_equals_a_loop_over_capsules_and_frequencies() -> None:
    torch.manual_seed(0)
    encoder = LocationEncoder(preset("tiny")).double()
    lon, lat = 12.5, -33.0
    x, y = equal_earth_scalar(lon, lat)
    total = np.zeros(preset("tiny").dim)
    for capsule in encoder.capsules:
        assert isinstance(capsule, Capsule)
        phases = [2 * math.pi * (bx * x + by * y) for bx, by in capsule.frequencies.tolist()]
        features = [math.cos(p) for p in phases] + [math.sin(p) for p in phases]
        hidden = torch.tensor(features, dtype=torch.float64)
        for layer in capsule.layers:
            hidden = layer(hidden)
        total += capsule.head(hidden).detach().numpy()
    with torch.no_grad():
        encoded = encoder(torch.tensor([[lon, lat]], dtype=torch.float64))[0].numpy()
    np.testing.assert_allclose(encoded, total, atol=1e-9)


def test_phases_survive_half_precision() -> None:
    """In bfloat16 a phase at sigma 256 would be off by whole turns."""
    torch.manual_seed(0)
    encoder = LocationEncoder(dataclasses.replace(preset("tiny"), location_sigmas=(256.0,)))
    capsule = encoder.capsules[0]
    assert isinstance(capsule, Capsule)
    places = (torch.rand(64, 2) * 2 - 1) * torch.tensor([179.0, 80.0])
    with torch.no_grad():
        exact = encoder(places)
        with torch.autocast("cpu", torch.bfloat16):
            half = encoder(places)
            phase = 2 * math.pi * equal_earth(places) @ capsule.frequencies.T
            naive = capsule.head(capsule.layers(torch.cat([phase.cos(), phase.sin()], dim=-1)))
    assert half.dtype == torch.float32
    assert float(F.cosine_similarity(half, exact).min()) > 0.999
    assert float(F.cosine_similarity(naive.float(), exact).min()) < 0.9  # so it can fail


def test_places_of_any_float_type_are_encoded_alike() -> None:
    torch.manual_seed(0)
    encoder = LocationEncoder(preset("tiny"))
    places = torch.tensor(PLACES, dtype=torch.float64)
    assert torch.equal(encoder(places), encoder(places.float()))


def test_the_frequencies_are_frozen_and_as_wide_as_their_sigma() -> None:
    torch.manual_seed(0)
    encoder = LocationEncoder(preset("base"))
    assert not any("frequencies" in name for name, _ in encoder.named_parameters())
    for capsule, sigma in zip(encoder.capsules, (1, 16, 256), strict=True):
        assert isinstance(capsule, Capsule)
        assert float(capsule.frequencies.std()) == pytest.approx(sigma, rel=0.15)


def test_gradients() -> None:
    torch.manual_seed(0)
    encoder = LocationEncoder(preset("tiny")).double()
    place = torch.tensor([[13.4, 52.5]], dtype=torch.float64, requires_grad=True)
    for capsule in encoder.capsules[1:]:  # finite differences cannot follow sigma 16 and 256
        assert isinstance(capsule, Capsule)
        capsule.frequencies.mul_(0.01)
    assert torch.autograd.gradcheck(lambda p: encoder(p)[:, :4], (place,), eps=1e-5, atol=1e-4)
