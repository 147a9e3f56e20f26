"""Means over mirrored photos and blurred token maps: against slow loops, and by convert."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from micro_training import CONV_STEM, micro_model
from torch import Tensor

from gair.cli import main
from gair.encoders.remote_sensing import blurred
from gair.errors import ModelError
from gair.model import Gair

STEMS = pytest.mark.parametrize("stem", [{}, CONV_STEM], ids=["patch", "conv"])


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def slow_blur(tokens: Tensor, sd: float, row: int, column: int) -> Tensor:
    """The mean around one token of (h, w, D), token by token."""
    total, weights = torch.zeros(tokens.shape[2], dtype=torch.float64), 0.0
    for i in range(tokens.shape[0]):
        for j in range(tokens.shape[1]):
            weight = math.exp(-((i - row) ** 2 + (j - column) ** 2) / (2 * sd**2))
            total += weight * tokens[i, j].double()
            weights += weight
    return total / weights


@pytest.mark.parametrize("sd", [0.3, 0.75, 4.0])
def test_blurred_tokens_are_those_of_a_slow_loop(sd: float) -> None:
    tokens = noise(2, 4, 5, 3)
    read = blurred(tokens, sd)
    assert read.shape == tokens.shape
    for frame, row, column in ((0, 0, 0), (0, 3, 4), (1, 1, 2), (1, 2, 0)):
        slow = slow_blur(tokens[frame], sd, row, column)
        torch.testing.assert_close(read[frame, row, column], slow.float())


@STEMS
@torch.no_grad()
def test_a_model_blurs_the_tokens_that_it_had(stem: dict[str, object]) -> None:
    plain, model = micro_model(0, **stem), micro_model(0, **stem, rs_blur=0.75)
    frames = noise(2, 10, 32, 32)
    tokens = plain.encode_remote_sensing(frames)
    seen = model.encode_remote_sensing(frames)
    torch.testing.assert_close(seen, blurred(tokens, 0.75))
    assert (seen - tokens).abs().max() > 0.01
    with torch.autocast("cpu", torch.bfloat16):
        assert model.encode_remote_sensing(frames).dtype == torch.float32


@STEMS
@torch.no_grad()
def test_a_mirrored_model_says_the_mean_and_the_same_of_a_mirror_image(
    stem: dict[str, object],
) -> None:
    plain, model = micro_model(0, **stem), micro_model(0, **stem, sv_mirrored=True)
    photos = noise(3, 3, 32, 32)
    of_each = [plain.encode_street_view(p, normalize=False) for p in (photos, photos.flip(3))]
    said = model.encode_street_view(photos, normalize=False)
    torch.testing.assert_close(said, (of_each[0] + of_each[1]) / 2)
    torch.testing.assert_close(model.encode_street_view(photos.flip(3), normalize=False), said)
    assert (said - of_each[0]).abs().max() > 0.01
    for pooled in (
        model.street_view.pooled(photos),
        model.street_view.pooled_and_embedding(photos)[0],
    ):
        torch.testing.assert_close(pooled, plain.street_view.pooled(photos))


def test_convert_lets_convolutions_see_photos_of_another_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = micro_model(0, **{**CONV_STEM, "sv_depth": 0}).save_pretrained(tmp_path / "small")
    large = tmp_path / "large"
    assert main(["convert", str(folder), str(large), "--sv-image-px", "64"]) == 0
    model, before = Gair.from_pretrained(str(large)), Gair.from_pretrained(str(folder))
    assert model.config == dataclasses.replace(before.config, sv_image_px=64)
    assert model.encode_street_view(noise(2, 3, 64, 64)).shape == (2, model.config.dim)
    for name, weight in before.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=0, atol=0)
    fixed = micro_model(0).save_pretrained(tmp_path / "fixed")
    assert main(["convert", str(fixed), str(tmp_path / "no"), "--sv-image-px", "64"]) == 2
    assert "--sv-image-px 64" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_convert_gives_a_model_both_and_leaves_what_is_not_asked_for(tmp_path: Path) -> None:
    plain = micro_model(0, **CONV_STEM)
    folder = plain.save_pretrained(tmp_path / "plain", about="## Training\n\nR@10 is 84.2 %.")
    assert "rs_blur" not in json.loads((folder / "config.json").read_text())["gair"]
    steady, again, sharp = (tmp_path / name for name in ("steady", "again", "sharp"))
    assert main(["convert", str(folder), str(steady), "--rs-blur", "0.75", "--sv-mirrored"]) == 0
    assert main(["convert", str(steady), str(again)]) == 0
    assert main(["convert", str(steady), str(sharp), "--rs-blur", "0"]) == 0
    model = Gair.from_pretrained(str(again))
    wanted = dataclasses.replace(plain.config, rs_blur=0.75, sv_mirrored=True)
    assert model.config == wanted
    assert Gair.from_pretrained(str(sharp)).config == dataclasses.replace(wanted, rs_blur=0.0)
    for name, weight in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=0, atol=0)
    assert model.fingerprint() != plain.fingerprint()
    card = (again / "README.md").read_text()
    assert "averaged by a Gaussian of 0.75 tokens" in card
    assert "averaged over a photo and its mirror image" in card
    assert "R@10 is 84.2 %." in card
    assert card.count("is of the model without them") == 1
    assert "without them" not in (folder / "README.md").read_text()


@pytest.mark.parametrize("sd", [-0.1, 8.5, math.nan])
def test_a_blur_that_makes_no_sense_is_refused(sd: float) -> None:
    with pytest.raises(ModelError, match="rs_blur"):
        micro_model(0, rs_blur=sd)
