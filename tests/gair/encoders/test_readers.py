"""Second readers: statistics against a slow loop, silence at first, and what they add later."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from micro_training import CONV_STEM, MICRO, micro_model
from torch import Tensor

from gair.encoders.readers import window_statistics
from gair.encoders.remote_sensing import RemoteSensingEncoder
from gair.errors import ModelError
from gair.model import Gair

READERS = {"sv_hidden": 5, "rs_windows": (1, 3), "rs_hidden": 7}


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def with_readers(**changes: object) -> Gair:
    model: Gair = micro_model(0, **{**CONV_STEM, **READERS, **changes})
    return model


def slow_statistics(band: Tensor, patch_px: int, side: int, row: int, column: int) -> list[float]:
    """Mean, spread and contrast of one band in one window, pixel by pixel."""
    rows, columns = band.shape[0] // patch_px, band.shape[1] // patch_px
    values, differences = [], []
    for r in range(max(row - side // 2, 0), min(row + side // 2 + 1, rows)):
        for c in range(max(column - side // 2, 0), min(column + side // 2 + 1, columns)):
            across, down = [], []
            for i in range(r * patch_px, (r + 1) * patch_px):
                for j in range(c * patch_px, (c + 1) * patch_px):
                    values.append(float(band[i, j]))
                    if j + 1 < (c + 1) * patch_px:
                        across.append(abs(float(band[i, j + 1] - band[i, j])))
                    if i + 1 < (r + 1) * patch_px:
                        down.append(abs(float(band[i + 1, j] - band[i, j])))
            differences.append(sum(across) / len(across) + sum(down) / len(down))
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return [mean, spread, sum(differences) / len(differences)]


def test_statistics_are_those_of_a_slow_loop() -> None:
    pixels = noise(2, 3, 12, 16).double()
    read = window_statistics(pixels, 4, (1, 3))
    assert read.shape == (2, 3 * 3 * 2, 3, 4)
    for frame, band, row, column in ((0, 0, 0, 0), (1, 2, 1, 2), (0, 1, 2, 3)):
        for number, side in enumerate((1, 3)):
            of_window = read[frame, 9 * number + band : 9 * number + 9 : 3, row, column]
            slow = slow_statistics(pixels[frame, band], 4, side, row, column)
            assert of_window.tolist() == pytest.approx(slow, abs=1e-9)


def test_statistics_move_with_a_frame_that_is_turned_or_mirrored() -> None:
    pixels = noise(1, 2, 16, 16)
    read = window_statistics(pixels, 4, (3,))
    for moved in (lambda t: t.flip(3), lambda t: t.flip(2), lambda t: t.rot90(1, (2, 3))):
        torch.testing.assert_close(window_statistics(moved(pixels), 4, (3,)), moved(read))


@torch.no_grad()
def test_readers_are_silent_at_first_and_heard_once_they_have_learnt() -> None:
    plain, model = micro_model(0, **CONV_STEM), with_readers()
    own = plain.state_dict()
    model.load_state_dict({**model.state_dict(), **own})
    frames, photos = noise(2, 10, 32, 32), noise(2, 3, 32, 32)

    def seen(of: Gair) -> tuple[Tensor, Tensor]:
        return of.encode_remote_sensing(frames), of.encode_street_view(photos)

    for silent, before in zip(seen(model), seen(plain), strict=True):
        torch.testing.assert_close(silent, before, rtol=0, atol=0)
    for name, weight in model.named_parameters():
        if name.endswith("reader.out.weight"):
            weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(2))
    for heard, before in zip(seen(model), seen(plain), strict=True):
        assert (heard - before).abs().max() > 0.01


@torch.no_grad()
def test_the_last_depth_is_read_by_windows_whatever_depths_are_asked_for() -> None:
    model = with_readers()
    tower: RemoteSensingEncoder = model.remote_sensing
    assert tower.reader is not None
    tower.reader.out.weight.normal_(0, 0.3)
    frames = noise(1, 10, 32, 32)
    several = tower.after_blocks(frames, (0, tower.depth))
    torch.testing.assert_close(several[1], tower.before_norm(frames))
    torch.testing.assert_close(several[0], tower.after_blocks(frames, (0,))[0])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rs_windows": (2,)}, "odd, and 2 is not"),
        ({"rs_windows": ()}, "give both, or neither"),
        ({"rs_hidden": 0}, "give both, or neither"),
        ({"sv_hidden": -1}, "sv_hidden"),
        ({"stem": "patch", "sv_channels": (), "rs_channels": ()}, "leave them away with stem"),
    ],
)
def test_readers_that_cannot_be_are_refused(changes: dict[str, object], told: str) -> None:
    config = {**CONV_STEM, **READERS, **changes}
    if changes.get("stem") == "patch":
        config |= {"sv_residuals": (), "rs_residuals": ()}
    with pytest.raises(ModelError, match=told):
        dataclasses.replace(MICRO, **config)  # type: ignore[arg-type]
