"""Strict conversion of the release: reproduced outputs, and every damage refused by name."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from release_names import final_norm_shapes, made_up_state, release_shapes
from torch import Tensor

from gair.bands import LAYOUTS, band_indices
from gair.checkpoints.release import convert_release, release_config
from gair.config import preset
from gair.errors import CheckpointError
from gair.geo import Footprint
from gair.model import Gair
from gair.preprocess import remote_sensing_pixels, street_view_pixels

TINY = preset("tiny")
SV0 = "sv_encoder.encoder.layer.0"
RS0 = "rs_encoder.s2_encoder.transformer.layers.0"


@pytest.fixture
def state() -> dict[str, Tensor]:
    return made_up_state(release_shapes(TINY))


@pytest.fixture(scope="module")
def wanted() -> dict[str, Tensor]:
    return Gair.untrained("tiny").state_dict()


def test_a_release_like_checkpoint_fills_every_tensor(
    state: dict[str, Tensor], wanted: dict[str, Tensor]
) -> None:
    converted = convert_release(state, wanted)
    assert set(converted) == set(wanted)
    model = Gair.untrained("tiny")
    model.load_state_dict(converted)
    assert torch.equal(model.inr.decoder.weight, state["imnet.weight"])
    qkv = model.state_dict()["street_view.vit.blocks.0.attn.qkv.weight"]
    assert torch.equal(qkv[192:384], state[f"{SV0}.attention.attention.key.weight"])
    assert torch.equal(
        model.state_dict()["remote_sensing.blocks.3.fc2.bias"],
        state["rs_encoder.s2_encoder.transformer.layers.3.1.net.3.bias"],
    )


def test_module_prefixes_are_taken_off(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    plain = convert_release(state, wanted)
    prefixed = convert_release({f"module.{k}": v for k, v in state.items()}, wanted)
    assert all(torch.equal(plain[name], prefixed[name]) for name in plain)


@pytest.mark.parametrize(
    "name",
    [
        f"{SV0}.attention.attention.query.weight",
        f"{RS0}.0.to_qkv.weight",
        "imnet.weight",
        "location_encoder.LocEnc1.capsule.0.b",
        "optical_proj.bias",
    ],
)
def test_a_renamed_or_dropped_tensor_is_refused_by_name(
    state: dict[str, Tensor], wanted: dict[str, Tensor], name: str
) -> None:
    renamed = {(f"{k}_new" if k == name else k): v for k, v in state.items()}
    with pytest.raises(CheckpointError, match=f"1 unknown tensor: {name}_new"):
        convert_release(renamed, wanted)
    with pytest.raises(CheckpointError, match=f"lacks 1 tensor: {name}$"):
        convert_release(renamed, wanted, allow_unknown=True)  # unknown may pass, missing never
    dropped = {k: v for k, v in state.items() if k != name}
    with pytest.raises(CheckpointError, match=f"lacks 1 tensor: {name}$"):
        convert_release(dropped, wanted)


@pytest.mark.parametrize(
    "name", ["imnet.weight", f"{SV0}.intermediate.dense.weight", f"{RS0}.1.net.0.weight"]
)
def test_a_transposed_tensor_is_refused_by_name(
    state: dict[str, Tensor], wanted: dict[str, Tensor], name: str
) -> None:
    state[name] = state[name].T
    with pytest.raises(CheckpointError, match=f"{name} has shape .*expected"):
        convert_release(state, wanted)


def test_values_that_are_no_weights_are_refused_by_name(
    state: dict[str, Tensor], wanted: dict[str, Tensor]
) -> None:
    state["imnet.bias"][3] = float("nan")
    with pytest.raises(CheckpointError, match="imnet.bias holds NaN"):
        convert_release(state, wanted)
    state["imnet.bias"] = torch.zeros(192, dtype=torch.int64)
    with pytest.raises(CheckpointError, match="imnet.bias is torch.int64"):
        convert_release(state, wanted)


def test_parts_nobody_uses_are_known_and_others_are_not(
    state: dict[str, Tensor], wanted: dict[str, Tensor]
) -> None:
    for name in (
        "rs_encoder_teacher.a",
        "sv_encoder_teacher.b",
        "ContrastLoss.c",
        "rs_student_projector.d",
        "sv_student_projector.e",
        "queue_for_rs_encoding",
        "queue_ptr_rs",
    ):
        state[name] = torch.zeros(1)
    convert_release(state, wanted)
    for name in ("logit_scale_2", "rs_encoder.s2_encoder.extra", "radar_projection.weight"):
        with pytest.raises(CheckpointError, match="1 unknown tensor"):
            convert_release({**state, name: torch.zeros(1)}, wanted)
    assert convert_release({**state, "extra": torch.zeros(1)}, wanted, allow_unknown=True)


def test_a_deeper_checkpoint_is_refused(wanted: dict[str, Tensor]) -> None:
    deeper = dataclasses.replace(TINY, sv_depth=7)
    with pytest.raises(CheckpointError, match="unknown tensor.*layer.6"):
        convert_release(made_up_state(release_shapes(deeper)), wanted)


def test_the_final_norm_is_used_where_it_is(state: dict[str, Tensor]) -> None:
    assert not release_config(state, TINY).rs_final_norm
    state |= made_up_state(final_norm_shapes(TINY))
    config = release_config(state, TINY)
    assert config.rs_final_norm
    model = Gair(config, Gair.untrained("tiny").info)
    model.load_state_dict(convert_release(state, model.state_dict()))
    tokens = model.encode_remote_sensing(torch.rand(1, 10, 96, 96))
    norm = model.remote_sensing.norm
    before = (tokens - norm.bias) / norm.weight  # type: ignore[operator]
    torch.testing.assert_close(before.mean(-1), torch.zeros(1, 12, 12), atol=1e-5, rtol=0)
    torch.testing.assert_close(before.std(-1), torch.ones(1, 12, 12), atol=1e-2, rtol=0)


@pytest.mark.shared
def test_our_list_of_tensors_is_the_released_one(shared_dir: Path) -> None:
    listed = json.loads((shared_dir / "reference" / "release_tensors.json").read_text())
    ours = release_shapes(preset("base"))
    assert {name: tuple(shape) for name, (shape, _) in listed.items()} == ours


@pytest.fixture(scope="module")
def outputs(shared_dir: Path) -> dict[str, npt.NDArray[np.float32]]:
    return dict(np.load(shared_dir / "reference" / "release_outputs.npz"))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Gair:
    """The full-size model through the real door: a checkpoint file with its usual company."""
    path = tmp_path_factory.mktemp("release") / "checkpoint.pth"
    state = made_up_state(release_shapes(preset("base")))
    torch.save({"model": state, "epoch": 7, "args": argparse.Namespace(lr=1e-4)}, path)
    model = Gair.from_pretrained(path)
    path.unlink()
    return model


@pytest.mark.shared
def test_the_released_models_outputs_are_reproduced(
    outputs: dict[str, npt.NDArray[np.float32]], released: Gair
) -> None:
    """Each to 1e-4 of its largest value; the numbers come from the authors' inference code."""
    bands = band_indices(LAYOUTS["l2a-12"])
    rs = remote_sensing_pixels(outputs["rs_raw"][:, bands].astype(np.uint16))
    sv = street_view_pixels(list(outputs["sv_raw"].astype(np.uint8)))
    points = outputs["points_lonlat_deg"]
    xy = np.stack(
        [
            Footprint("OGC:CRS84", (west, south, east, north)).frame_xy(p)
            for (west, north, east, south), p in zip(
                outputs["bbox_wnes_deg"].tolist(), points, strict=True
            )
        ]
    )
    with torch.inference_mode():
        token_maps = released.encode_remote_sensing(rs)
        query = torch.from_numpy(xy)
        places = torch.from_numpy(points.reshape(-1, 2))
        tensors = {
            "rs_input": rs[:1],
            "sv_input": sv[:1],
            "rs_tokens": token_maps[:1].flatten(1, 2),
            "rs_global": token_maps.mean(dim=(1, 2)),
            "sv_pooled": released.street_view.pooled(sv),
            "sv_projected": released.encode_street_view(sv, normalize=False),
            "location": released.encode_location(places, normalize=False).view(3, 6, 768),
            "nili": released.localize(token_maps, query, form="general", normalize=False),
        }
        dense = released.localize(token_maps, query, form="dense", normalize=False)
    for name, tensor in tensors.items():
        difference = np.abs(tensor.numpy() - outputs[name]).max() / np.abs(outputs[name]).max()
        assert difference < 1e-4, f"{name}: {difference}"
    assert np.abs(dense.numpy() - outputs["nili"]).max() < 1e-4 * np.abs(outputs["nili"]).max()


@pytest.mark.shared
def test_the_licence_travels_with_the_released_weights(released: Gair, tmp_path: Path) -> None:
    assert released.info.licence == "CC BY-NC 4.0"
    assert released.info.trained
    released.save_pretrained(tmp_path)
    assert "CC BY-NC 4.0" in (tmp_path / "README.md").read_text()
    again = Gair.from_pretrained(tmp_path)
    assert again.info == released.info
    assert again.fingerprint() == released.fingerprint()
