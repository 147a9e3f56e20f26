"""Convolutional towers: their grid, their start, and what depends on what."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from micro_training import CONV_STEM, MICRO, micro_model
from safetensors.torch import load_file
from torch import Tensor

from gair.checkpoints.card import model_card
from gair.checkpoints.checkpoint import open_checkpoint
from gair.checkpoints.release import convert_release
from gair.config import GairConfig, preset
from gair.encoders.convolutions import strips_and_maximum
from gair.errors import CheckpointError, ModelError
from gair.model import Gair


def woken(seed: int = 0, **changes: object) -> Gair:
    """A micro model whose residual blocks are no longer the identity."""
    model: Gair = micro_model(seed, **{**CONV_STEM, **changes})
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1 and not parameter.any():
                parameter.normal_(0, 0.2, generator=generator)
    return model


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_shapes_are_those_of_the_other_stem_at_every_frame_size() -> None:
    model = woken()
    for height, width in ((32, 32), (64, 24), (8, 40)):
        tokens = model.encode_remote_sensing(noise(2, 10, height, width))
        assert tokens.shape == (2, height // 8, width // 8, MICRO.dim)
    photos = noise(3, 3, 32, 32)
    assert model.street_view.pooled(photos).shape == (3, MICRO.sv_width)
    assert model.encode_street_view(photos).shape == (3, MICRO.dim)
    with pytest.raises(ModelError, match="sides must be multiples of 8"):
        model.encode_remote_sensing(noise(1, 10, 36, 32))


@torch.no_grad()
def test_a_frame_moved_by_a_token_moves_the_token_map() -> None:
    model = woken(rs_depth=0)
    wide = noise(1, 10, 160, 168)
    left, right = (model.encode_remote_sensing(wide[..., x : x + 160]) for x in (0, 8))
    # The field of view of two residual blocks and the stages reaches 6 tokens to either side.
    torch.testing.assert_close(left[:, 6:-6, 7:-6], right[:, 6:-6, 6:-7])
    assert not torch.allclose(left[:, 6:-6, 6:-7], right[:, 6:-6, 6:-7])


@torch.no_grad()
def test_a_token_lies_in_the_middle_of_its_pixels() -> None:
    model = woken(rs_depth=0)
    for parameter in model.remote_sensing.trunk.parameters():
        if parameter.dim() == 4:  # kernels that are their own mirror images
            parameter.copy_((parameter + parameter.flip(3)) / 2)
    frame = noise(1, 10, 96, 96)
    mirrored = model.encode_remote_sensing(frame.flip(3))
    torch.testing.assert_close(mirrored.flip(2), model.encode_remote_sensing(frame))


@torch.no_grad()
def test_residual_blocks_start_as_the_identity() -> None:
    model = micro_model(**CONV_STEM)
    tower, pixels = model.remote_sensing, noise(1, 10, 32, 32)
    assert tower.depth == 4
    embedded, convolved, last = tower.after_blocks(pixels, (0, 2, 4))
    assert torch.equal(embedded, convolved)
    assert torch.equal(embedded, last)
    deep, shallow = (micro_model(**{**CONV_STEM, "sv_depth": depth}) for depth in (2, 1))
    photos = noise(2, 3, 32, 32)
    assert torch.equal(deep.street_view(photos), shallow.street_view(photos))


@torch.no_grad()
def test_depths_are_the_forward_pass_cut_short() -> None:
    tower, pixels = woken().remote_sensing, noise(1, 10, 32, 32)
    maps = tower.after_blocks(pixels, (0, 1, 2, 3, 4))
    torch.testing.assert_close(maps[-1], tower.before_norm(pixels))
    assert all(not torch.allclose(a, b) for a, b in zip(maps, maps[1:], strict=False))
    for count, tokens in enumerate(maps):
        torch.testing.assert_close(tower.after_blocks(pixels, (count,))[0], tokens)
    block = tower.blocks[0](maps[2].flatten(1, 2), tower.bias)
    torch.testing.assert_close(block.view_as(maps[3]), maps[3])


@torch.no_grad()
def test_photos_in_a_batch_do_not_see_one_another() -> None:
    model, photos, frames = woken(), noise(4, 3, 32, 32), noise(4, 10, 32, 32)
    for encode, inputs in (
        (model.street_view.pooled, photos),
        (model.encode_remote_sensing, frames),
    ):
        torch.testing.assert_close(encode(inputs)[2:3], encode(inputs[2:3]))


def test_strips_are_means_of_rows_from_top_to_bottom() -> None:
    x = torch.arange(12.0)[None, None, :, None].expand(1, 1, 12, 5)
    wanted = [0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 11.0]
    assert strips_and_maximum(x).tolist() == [wanted]
    assert strips_and_maximum(noise(2, 3, 8, 8)).shape == (2, 21)


def test_every_weight_learns_after_a_step_and_initial_weights_repeat() -> None:
    a, b, other = (micro_model(seed, **CONV_STEM) for seed in (3, 3, 4))
    assert a.fingerprint() == b.fingerprint() != other.fingerprint()
    model = woken()
    tokens, s = model.encode_remote_sensing(noise(2, 10, 32, 32)), None
    s = model.street_view(noise(2, 3, 32, 32))
    (tokens.square().sum() + s.square().sum()).backward()
    for name, parameter in model.named_parameters():
        if name.startswith(("street_view", "remote_sensing")):
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_model_comes_back(tmp_path: Path, half: bool) -> None:
    model = woken()
    model.remote_sensing.trunk.input_mean.copy_(noise(10) / 3)
    model.remote_sensing.trunk.input_sd.copy_(noise(10).abs() + 0.01)
    model.save_pretrained(tmp_path, half=half)
    again = Gair.from_pretrained(tmp_path)
    assert again.config == model.config
    kinds = load_file(tmp_path / "model.safetensors")
    assert kinds["street_view.pooler.weight"].dtype == (torch.float16 if half else torch.float32)
    for name, tensor in model.state_dict().items():
        exact = not half or name.endswith(("frequencies", "input_mean", "input_sd"))
        wanted = tensor if exact else tensor.half().float()
        assert torch.equal(again.state_dict()[name], wanted), name
    if not half:
        assert again.fingerprint() == model.fingerprint()


def test_configurations_without_a_stem_read_as_before() -> None:
    for name in ("base", "tiny"):
        values = preset(name).to_dict()
        assert not {"stem", "sv_channels", "rs_channels", "inr_hidden"} & values.keys()
        assert GairConfig.from_dict(values) == preset(name)
    demo = preset("demo")
    assert GairConfig.from_dict(demo.to_dict()) == demo
    # taken before there was a stem
    wanted = "6c8966a655bcebbfa35ab6e668ff6f9f00adf83fb7fffdc89369e987164d8fa4"
    assert Gair.untrained("tiny", seed=4).fingerprint() == wanted


def test_stages_that_do_not_fit_are_refused() -> None:
    for changes, told in (
        ({"stem": "convs"}, "stem is 'convs': it must be one of patch, conv"),
        ({"stem": "patch"}, "leave them empty with stem patch"),
        ({"sv_channels": (8, 12)}, r"sv_channels is \(8, 12\): .* sv_patch_px, 16"),
        ({"rs_channels": ()}, r"rs_channels is \(\): .* rs_patch_px, 8"),
        ({"rs_residuals": (1, 1)}, r"rs_residuals is \(1, 1\): give one count for each"),
        ({"sv_residuals": (1, -1, 0)}, r"sv_residuals is \(1, -1, 0\)"),
        ({"sv_heads": 5, "sv_width": 25}, "street view 12/5"),
    ):
        with pytest.raises(ModelError, match=told):
            dataclasses.replace(MICRO, **{**CONV_STEM, **changes})


def test_the_release_is_not_read_into_convolutions() -> None:
    model = micro_model(**CONV_STEM)
    with pytest.raises(CheckpointError, match="convert to a configuration with stem 'patch'"):
        convert_release({}, model.state_dict())


def test_the_card_tells_of_convolutions() -> None:
    card = " ".join(model_card(micro_model(**CONV_STEM).config, micro_model().info).split())
    blocks = "with 1, 0, 1 residual blocks and 1 transformer blocks;"
    assert f"street-view convolutions of widths 6, 8, 12, {blocks}" in card
    blocks = "with 1, 0, 2 residual blocks and 2 transformer blocks with"
    assert f"remote-sensing convolutions of widths 6, 8, 10, {blocks}" in card
    readers = {"sv_hidden": 5, "rs_windows": (1, 3), "rs_hidden": 7}
    model = micro_model(**CONV_STEM, **readers)
    told = " ".join(model_card(model.config, model.info).split())
    assert "blocks, strips read once more by 5 units;" in told
    assert "2D-ALiBi and, by 7 units, windows of 1, 3 tokens, bands" in told
    assert "ViT" not in card


def test_the_demo_preset_is_as_small_as_it_says() -> None:
    model = Gair.untrained("demo")
    count = sum(tensor.numel() for tensor in model.state_dict().values())
    assert round(count / 1e6, 1) == 3.7
    assert model.config.rs_grid == 12


def test_the_shipped_model_opens_whatever_its_stem() -> None:
    checkpoint = open_checkpoint("shipped:demo")
    model = Gair.from_pretrained("shipped:demo")
    assert model.config == checkpoint.config
    assert model.encode_street_view(
        torch.zeros(1, 3, model.config.sv_image_px, model.config.sv_image_px)
    ).shape == (1, model.config.dim)
