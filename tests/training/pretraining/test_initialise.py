"""Weights from elsewhere: made up in their layouts; GeoCLIP's real file where there is one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from croma_weights import State, croma_state
from micro_training import MICRO, micro_model
from safetensors.torch import save_file
from torch import Tensor

from gair.bands import LAYOUTS
from gair.errors import CheckpointError, ModelError
from gair.model import Gair
from training.pretraining.initialise import initialise_towers


def timm_state(head: bool = True, pre_logits: bool = False) -> State:
    """A ViT as timm saves it, from another seed."""
    vit = micro_model(seed=7).street_view.vit
    state: State = {name: t + 0.01 for name, t in vit.state_dict().items()}
    if pre_logits:
        width = MICRO.sv_width
        state |= {"pre_logits.fc.weight": torch.randn(width, width)}
        state |= {"pre_logits.fc.bias": torch.randn(width)}
    if head:
        state |= {"head.weight": torch.randn(10, MICRO.sv_width), "head.bias": torch.zeros(10)}
    return state


def geoclip_state(head: int = 512, sigmas: tuple[float, ...] = (16.0, 1.0)) -> State:
    """``location_encoder_weights.pth``, small, and with the capsules in another order."""
    torch.manual_seed(0)
    f, hidden = MICRO.location_frequencies, MICRO.location_hidden
    state: State = {}
    for i, sigma in enumerate(sigmas):
        capsule = f"LocEnc{i}"
        b = torch.randn(f, 2)
        state[f"{capsule}.capsule.0.b"] = b / b.std() * sigma * 0.98
        for number, inputs in ((1, 2 * f), (3, hidden), (5, hidden)):
            state[f"{capsule}.capsule.{number}.weight"] = torch.randn(hidden, inputs)
            state[f"{capsule}.capsule.{number}.bias"] = torch.randn(hidden)
        state[f"{capsule}.head.0.weight"] = torch.randn(head, hidden)
        state[f"{capsule}.head.0.bias"] = torch.randn(head)
    return state


def saved(folder: Path, state: State, name: str = "weights.pth") -> str:
    path = folder / name
    if path.suffix == ".safetensors":
        save_file({n: t.contiguous() for n, t in state.items()}, path)
    else:
        torch.save(state, path)
    return str(path)


def changed(model: Gair, before: Gair) -> set[str]:
    old = before.state_dict()
    return {n for n, tensor in model.state_dict().items() if not torch.equal(tensor, old[n])}


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_timm_vit_fills_the_trunk_alone(tmp_path: Path, name: str) -> None:
    state = timm_state()
    model = micro_model()
    (line,) = initialise_towers(model, street_view=saved(tmp_path, state, name))
    pixels = torch.randn(2, 3, 32, 32)
    reference = micro_model(seed=7).street_view.vit
    reference.load_state_dict({n: t for n, t in state.items() if not n.startswith("head.")})
    with torch.no_grad():
        torch.testing.assert_close(model.street_view.vit(pixels), reference(pixels))
    assert all(n.startswith("street_view.vit.") for n in changed(model, micro_model()))
    assert line.startswith(f"street view: {len(state) - 2} tensors from ")
    assert "classifier is left aside; the pooler and the projection as before" in line


def test_the_representation_layer_of_older_files_is_the_pooler(tmp_path: Path) -> None:
    state = timm_state(head=False, pre_logits=True)
    model = micro_model()
    (line,) = initialise_towers(model, street_view=saved(tmp_path, state))
    assert torch.equal(model.street_view.pooler.weight, state["pre_logits.fc.weight"])
    assert line.endswith("weights.pth; the projection as before")


def test_croma_without_the_two_bands_that_gair_lacks(tmp_path: Path) -> None:
    """An image that is dark in B1 and B9 gives the same tokens through twelve bands and ten."""
    state = croma_state()
    model = micro_model(rs_final_norm=True)
    (line,) = initialise_towers(model, remote_sensing=saved(tmp_path, state))
    bands = LAYOUTS["l2a-12"]
    pixels = torch.rand(1, 12, 32, 32, dtype=torch.float64)
    pixels[:, [bands.index("B1"), bands.index("B9")]] = 0
    patches = pixels.view(1, 12, 4, 8, 4, 8).permute(0, 2, 4, 1, 3, 5).reshape(1, 16, 12 * 64)
    encoder = state["s2_encoder"]
    weight, bias = encoder["linear_input.weight"], encoder["linear_input.bias"]
    wanted = patches @ weight.double().T + bias.double()
    ours = [i for i, band in enumerate(bands) if band not in ("B1", "B9")]
    ten = pixels[:, ours].view(1, 10, 4, 8, 4, 8).permute(0, 2, 4, 1, 3, 5).reshape(1, 16, 640)
    with torch.no_grad():
        tokens = model.remote_sensing.patch_embed.double()(ten)
    torch.testing.assert_close(tokens, wanted)
    block = cast(Any, model.remote_sensing.blocks[1])
    assert torch.equal(block.fc2.weight, encoder["transformer.layers.1.1.net.3.weight"])
    assert torch.equal(block.qkv.weight, encoder["transformer.layers.1.0.to_qkv.weight"])
    assert torch.equal(
        cast(Any, model.remote_sensing.norm).bias, encoder["transformer.norm_out.bias"]
    )
    assert changed(model, micro_model(rs_final_norm=True)) == {
        n for n in model.state_dict() if n.startswith("remote_sensing.")
    }
    assert line.endswith("left aside: the input weights of B1 and B9")


def test_cromas_closing_norm_is_left_aside_by_name(tmp_path: Path) -> None:
    (line,) = initialise_towers(micro_model(), remote_sensing=saved(tmp_path, croma_state()))
    assert "left aside: its closing norm, which the model does without" in line


def test_geoclip_capsules_find_their_sigma_and_heads_are_kept(tmp_path: Path) -> None:
    state = geoclip_state()
    model = micro_model(location_sigmas=(1.0, 16.0, 4096.0))
    before = micro_model(location_sigmas=(1.0, 16.0, 4096.0))
    (line,) = initialise_towers(model, location=saved(tmp_path, state))
    for theirs, place in (("LocEnc0", 1), ("LocEnc1", 0)):
        capsule = cast(Any, model.location.capsules[place])
        assert torch.equal(capsule.frequencies, state[f"{theirs}.capsule.0.b"])
        for number, layer in ((1, 0), (3, 2), (5, 4)):
            assert torch.equal(
                capsule.layers[layer].weight, state[f"{theirs}.capsule.{number}.weight"]
            )
    assert not any(
        n.startswith("location.capsules.2") or ".head." in n for n in changed(model, before)
    )
    assert "heads of width 512 are left aside, ours as before" in line
    assert line.endswith("the capsules of sigma 4096 as before")


def test_geoclip_heads_of_our_width_are_used(tmp_path: Path) -> None:
    state = geoclip_state(head=MICRO.dim)
    model = micro_model()
    (line,) = initialise_towers(model, location=saved(tmp_path, state))
    head = cast(Any, model.location.capsules[0]).head
    assert torch.equal(head.weight, state["LocEnc1.head.0.weight"])
    assert "left aside" not in line


def without(state: State, name: str) -> State:
    del state[name]
    return state


def in_s2(change: Callable[[State], State]) -> State:
    state = croma_state()
    return {**state, "s2_encoder": change(state["s2_encoder"])}


BROKEN: dict[str, tuple[str, Callable[[], State], str]] = {
    "timm, unknown": (
        "street_view",
        lambda: timm_state() | {"dist_token": torch.ones(1)},
        "has tensors that are not known here: dist_token",
    ),
    "timm, missing": (
        "street_view",
        lambda: without(timm_state(), "blocks.1.norm1.bias"),
        r"has no tensors for street_view\.vit\.blocks\.1\.norm1\.bias",
    ),
    "timm, other size": (
        "street_view",
        lambda: timm_state() | {"pos_embed": torch.ones(1, 197, 24)},
        r"pos_embed of .*weights.pth has shape \(1, 197, 24\); expected \(1, 5, 24\)",
    ),
    "timm, not finite": (
        "street_view",
        lambda: timm_state() | {"norm.bias": torch.full((24,), torch.nan)},
        "tensor norm.bias of .* holds NaN or infinite values",
    ),
    "croma, another file": ("remote_sensing", timm_state, "is not a CROMA checkpoint: it has"),
    "croma, unknown": (
        "remote_sensing",
        lambda: in_s2(lambda s: s | {"transformer.gate.weight": torch.ones(1)}),
        r"not known here: s2_encoder\.transformer\.gate\.weight",
    ),
    "croma, missing": (
        "remote_sensing",
        lambda: in_s2(lambda s: without(s, "transformer.layers.0.0.to_out.bias")),
        r"has no tensors for remote_sensing\.blocks\.0\.proj\.bias",
    ),
    "croma, other bands": (
        "remote_sensing",
        lambda: in_s2(lambda s: s | {"linear_input.weight": torch.ones(16, 640)}),
        r"linear_input\.weight .* has shape \(16, 640\); expected 12 bands of 64 pixels",
    ),
    "geoclip, other sigma": (
        "location",
        lambda: geoclip_state(sigmas=(1.0, 256.0)),
        r"LocEnc1\.capsule\.0\.b of .* frequencies of sigma 251; the model's are 1, 16",
    ),
    "geoclip, missing": (
        "location",
        lambda: without(geoclip_state(), "LocEnc0.capsule.3.bias"),
        r"has no tensors for location\.capsules\.1\.layers\.2\.bias",
    ),
    "geoclip, unknown": (
        "location",
        lambda: geoclip_state() | {"logit_scale": torch.ones(())},
        "not known here: logit_scale",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_fit_is_refused_by_name_and_nothing_is_changed(
    tmp_path: Path, case: str
) -> None:
    tower, state, message = BROKEN[case]
    model = micro_model()
    with pytest.raises(CheckpointError, match=message):
        initialise_towers(model, **{tower: saved(tmp_path, state())})
    assert not changed(model, micro_model())


def test_files_that_are_not_there_and_names_that_nobody_knows() -> None:
    model = micro_model()
    assert initialise_towers(model, street_view="", location=None) == []
    with pytest.raises(ModelError, match="'timm:vit_nothing' is neither a file nor the name of"):
        initialise_towers(model, street_view="timm:vit_nothing")
    with pytest.raises(ModelError, match="no weights at '/no/croma.pt': give the path"):
        initialise_towers(model, remote_sensing="/no/croma.pt")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"not safe")
    with pytest.raises(CheckpointError, match="cannot read .*weights.safetensors"):
        initialise_towers(micro_model(), street_view=str(path))


def test_geoclips_own_file() -> None:
    spec = importlib.util.find_spec("geoclip")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("geoclip is not installed: pip install --no-deps geoclip")
    folder = Path(spec.submodule_search_locations[0]) / "model" / "weights"
    model = micro_model(
        location_sigmas=(1.0, 16.0, 256.0), location_frequencies=256, location_hidden=1024
    )
    source = folder / "location_encoder_weights.pth"
    (line,) = initialise_towers(model, location=str(source))
    theirs: dict[str, Tensor] = torch.load(source, weights_only=True)
    for i in range(3):
        capsule = cast(Any, model.location.capsules[i])
        assert torch.equal(capsule.layers[4].bias, theirs[f"LocEnc{i}.capsule.5.bias"])
    assert line.startswith("location: 21 tensors from ")


def test_a_timm_model_out_of_reach_is_said_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="cannot get timm's 'vit_tiny_patch16_224' .*or download"):
        initialise_towers(micro_model(), street_view="timm:vit_tiny_patch16_224")
