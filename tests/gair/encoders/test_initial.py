"""Initial weights: drawn as the table says, and equal however they are computed."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys

import pytest
import torch

from gair.config import preset
from gair.encoders.initial import initial_state
from gair.model import Gair

TINY = preset("tiny")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return Gair.untrained("tiny").state_dict()


@pytest.mark.parametrize(
    ("name", "sd"),
    [
        ("street_view.vit.pos_embed", 0.02),
        ("street_view.vit.patch_embed.proj.weight", 1 / math.sqrt(3 * 16 * 16)),
        ("street_view.vit.blocks.2.attn.qkv.weight", 1 / math.sqrt(192)),
        ("remote_sensing.blocks.0.fc2.weight", 1 / math.sqrt(4 * 192)),
        ("inr.decoder.weight", 1 / math.sqrt(9 * 192 + 2)),
        ("location.capsules.1.layers.2.weight", math.sqrt(2 / 256)),
        ("location.capsules.1.head.weight", 1 / math.sqrt(256)),
        ("location.capsules.2.frequencies", 256.0),
    ],
)
def test_each_kind_of_tensor_has_its_spread(
    state: dict[str, torch.Tensor], name: str, sd: float
) -> None:
    assert float(state[name].std()) == pytest.approx(sd, rel=0.1)
    assert abs(float(state[name].mean())) < sd / 5


def test_norms_start_as_the_identity_and_biases_at_zero(state: dict[str, torch.Tensor]) -> None:
    assert (state["remote_sensing.blocks.1.norm2.weight"] == 1).all()
    assert (state["street_view.vit.norm.weight"] == 1).all()
    for name, tensor in state.items():
        if name.endswith("bias"):
            assert (tensor == 0).all(), name


def test_a_deeper_model_keeps_the_values_of_the_others(state: dict[str, torch.Tensor]) -> None:
    deeper = dataclasses.replace(TINY, sv_depth=7)
    model = Gair.without_weights(deeper, Gair.untrained("tiny").info)
    grown = initial_state(model.state_dict(), deeper, seed=0)
    assert len(grown) > len(state)
    assert all(torch.equal(grown[name], tensor) for name, tensor in state.items())


@pytest.mark.process
def test_threads_and_processes_draw_the_same() -> None:
    code = "from gair.model import Gair; print(Gair.untrained('tiny', seed=4).fingerprint())"
    here = Gair.untrained("tiny", seed=4).fingerprint()
    threads = 2 if torch.get_num_threads() == 1 else 1
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        check=True,
    )
    assert run.stdout.strip() == here
