"""Preprocessing against the formula, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gair.bands import MEAN_DN, SD_DN
from gair.errors import ImageryError, PhotoError
from gair.preprocess import SV_MEAN, SV_SD, remote_sensing_pixels, street_view_pixels


def test_remote_sensing_equals_the_formula_at_native_size() -> None:
    """At 96 px the bicubic resize is the identity, so the eight-bit step shows as it is."""
    dn = np.random.default_rng(0).integers(0, 6000, (1, 10, 96, 96)).astype(np.uint16)
    normed = remote_sensing_pixels(dn)
    for band, row, column in [(0, 0, 0), (3, 50, 7), (9, 95, 95), (6, 1, 80)]:
        mean, sd = MEAN_DN[band], SD_DN[band]
        scaled = (float(dn[0, band, row, column]) - (mean - 2 * sd)) / (4 * sd) * 255
        wanted = int(min(max(scaled, 0), 255)) / 255
        assert float(normed[0, band, row, column]) == pytest.approx(wanted, abs=1e-6)


def test_a_constant_photo_becomes_its_normalised_colour() -> None:
    photo = np.full((30, 70, 3), (10, 128, 250), dtype=np.uint8)
    normed = street_view_pixels([photo, photo[:, :20]])
    assert normed.shape == (2, 3, 224, 224)
    for channel, value in enumerate((10, 128, 250)):
        wanted = (value - SV_MEAN[channel]) / SV_SD[channel]
        torch.testing.assert_close(normed[:, channel], torch.full((2, 224, 224), wanted))


def test_the_photo_is_squeezed_not_cropped() -> None:
    photo = np.zeros((100, 400, 3), dtype=np.uint8)
    photo[:, 200:] = 255
    normed = street_view_pixels([photo])[0, 0]
    assert normed[:, :110].max() < 0 < normed[:, 114:].min()


@pytest.mark.parametrize("shape", [(1400, 1800), (3000, 4000), (250, 9000), (4001, 449)])
def test_a_large_photo_is_resized_as_torch_does(shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    raw = torch.from_numpy(photo).permute(2, 0, 1)[None].float()
    whole = F.interpolate(raw, size=(224, 224), mode="bicubic", align_corners=False)[0]
    wanted = (whole - torch.tensor(SV_MEAN)[:, None, None]) / torch.tensor(SV_SD)[:, None, None]
    torch.testing.assert_close(street_view_pixels([photo])[0], wanted, atol=1e-5, rtol=0)


def test_what_is_not_a_photo_or_frame_is_refused() -> None:
    with pytest.raises(PhotoError, match=r"shape \(5, 5\)"):
        street_view_pixels([np.zeros((5, 5), dtype=np.uint8)])
    with pytest.raises(ImageryError, match=r"shape \(1, 12, 8, 8\); expected \(batch, 10"):
        remote_sensing_pixels(np.zeros((1, 12, 8, 8), dtype=np.uint16))
    with pytest.raises(ImageryError, match="float32; expected uint16"):
        remote_sensing_pixels(np.zeros((1, 10, 8, 8), dtype=np.float32))  # type: ignore[arg-type]


def test_a_mirrored_or_turned_view_of_an_array_is_taken_as_it_looks() -> None:
    photo = np.random.default_rng(1).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    for view in (photo[:, ::-1], photo[::-1], np.rot90(photo), photo[..., ::-1]):
        torch.testing.assert_close(street_view_pixels([view]), street_view_pixels([view.copy()]))
    dn = np.random.default_rng(2).integers(0, 6000, (1, 10, 32, 32)).astype(np.uint16)
    for view in (dn[..., ::-1], dn[:, :, ::-1]):
        torch.testing.assert_close(remote_sensing_pixels(view), remote_sensing_pixels(view.copy()))
