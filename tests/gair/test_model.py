"""The model as a whole: no state, reproducible weights, honest names."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import pytest
import torch

import gair
from gair.config import GairConfig, QueryMode, preset
from gair.errors import ModelError
from gair.model import Gair


@pytest.fixture(scope="module")
def tiny() -> Gair:
    return Gair.untrained("tiny")


def test_the_base_preset_is_the_release() -> None:
    with torch.device("meta"):
        model = Gair(preset("base"), Gair.untrained("tiny").info)
    count = sum(t.numel() for t in model.state_dict().values())
    assert count == 188_046_336  # 203.5 M in the release, less the tensors nothing uses
    assert model.inr.decoder.weight.shape == (768, 6914)


def test_tiny_is_a_few_million_parameters(tiny: Gair) -> None:
    assert 3e6 < sum(p.numel() for p in tiny.parameters()) < 8e6


def test_untrained_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first = Gair.untrained("tiny", seed=1).fingerprint()
    assert torch.equal(torch.get_rng_state(), before)
    assert first == Gair.untrained("tiny", seed=1).fingerprint()
    assert first != Gair.untrained("tiny", seed=2).fingerprint()


def test_the_fingerprint_sees_one_changed_weight(tiny: Gair) -> None:
    other = Gair.untrained("tiny")
    with torch.no_grad():
        other.inr.decoder.bias[0] += 1e-6
    assert other.fingerprint() != tiny.fingerprint()


def test_vectors_are_unit_length_unless_raw(tiny: Gair) -> None:
    photos, places = torch.randn(2, 3, 224, 224), torch.tensor([[0.1, 51.5], [-179.9, -80.0]])
    with torch.no_grad():
        for unit in (tiny.encode_street_view(photos), tiny.encode_location(places)):
            torch.testing.assert_close(unit.norm(dim=-1), torch.ones(2))
        raw = tiny.encode_street_view(photos, normalize=False)
    assert not torch.allclose(raw.norm(dim=-1), torch.ones(2))


def test_query_modes_do_not_disturb_one_another_between_threads(tiny: Gair) -> None:
    token_maps, xy = torch.randn(1, 12, 12, 192), torch.rand(1, 64, 2) * 2 - 1

    def run(mode: QueryMode) -> torch.Tensor:
        with torch.inference_mode():
            return tiny.localize(token_maps, xy, mode=mode)

    modes: list[QueryMode] = list(get_args(QueryMode)) * 10
    alone = {mode: run(mode) for mode in set(modes)}
    with ThreadPoolExecutor(8) as pool:
        for mode, z in zip(modes, pool.map(run, modes), strict=True):
            assert torch.equal(z, alone[mode])


def test_config_round_trips_and_refuses_what_it_does_not_know() -> None:
    config = preset("tiny")
    assert GairConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ModelError, match="unknown or missing fields: 'depth'"):
        GairConfig.from_dict({**config.to_dict(), "depth": 3})
    with pytest.raises(ModelError, match="unknown model preset 'huge'; there are: base, tiny"):
        preset("huge")


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ModelError, match="multiples of the heads"):
        GairConfig(sv_width=100, sv_heads=12)
    with pytest.raises(ModelError, match="multiples of the patches"):
        GairConfig(rs_frame_px=100)


def test_the_footprint_shrinks_with_latitude() -> None:
    assert preset("base").footprint_ground_m(0) == pytest.approx(2445.98, abs=0.01)
    assert preset("base").footprint_ground_m(51.5) == pytest.approx(1522.7, abs=0.5)


@pytest.mark.process
def test_public_names_exist_and_importing_is_cheap() -> None:
    assert gair.__all__ == sorted(gair.__all__)
    for name in gair.__all__:
        assert getattr(gair, name) is not None
    code = "import sys, gair; assert 'torch' not in sys.modules; gair.GairConfig"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.process
def test_loading_the_demo_model_imports_no_compiler() -> None:
    """Drawing numbers that have no memory did: two fifths of a cold search."""
    code = (
        "import sys; from gair.model import Gair; Gair.from_pretrained('shipped:demo'); "
        "assert not {'torch._dynamo', 'sympy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
