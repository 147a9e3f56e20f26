"""Preprocessing: the only place where photos and rasters become input of the model.

Both recipes are the release's, bit for bit where it matters: the same clipping, the same truncation
to eight bits, the same bicubic resampling without anti-aliasing.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from gair.arrays import DigitalNumbers
from gair.bands import GAIR_BANDS, MEAN_DN, SD_DN
from gair.errors import ImageryError
from gair.photos.photo import Photo
from gair.photos.prepared import pixels_of
from gair.photos.squares import SV_MEAN as SV_MEAN
from gair.photos.squares import SV_SD as SV_SD
from gair.photos.squares import check_rgb, taps


def street_view_pixels(photos: Sequence[npt.NDArray[np.uint8]], image_px: int = 224) -> Tensor:
    """Photos to the input of the street-view encoder.

    The whole photo is squeezed into a square: the release does not keep the aspect ratio.

    Args:
        photos: arrays (H, W, 3), uint8, RGB, upright; sizes may differ.
        image_px: side of the square.

    Returns:
        (B, 3, image_px, image_px) float32.

    Raises:
        PhotoError: an array of another shape or type.
    """
    mean = torch.tensor(SV_MEAN)[:, None, None]
    sd = torch.tensor(SV_SD)[:, None, None]
    squares = []
    for photo in photos:
        check_rgb(photo)
        # Bicubic weights sum to 1, so normalising after the resize equals normalising before it,
        # and touches 50,000 pixels instead of millions.
        squares.append((_squeezed(photo, image_px) - mean) / sd)
    return torch.stack(squares)


def model_input(photo: Photo, image_px: int) -> Tensor:
    """(3, image_px, image_px) what the street-view encoder gets of a photo."""
    if (pixels := pixels_of(photo)) is not None:
        return torch.from_numpy(pixels)
    return street_view_pixels([np.asarray(photo.rgb)], image_px)[0]


def _squeezed(photo: npt.NDArray[np.uint8], side: int) -> Tensor:
    """(H, W, 3) to (3, side, side), bicubic without anti-aliasing, 0..255.

    Each of the side x side results looks at 4 x 4 pixels only, so of a large photo just these are
    turned into numbers that can be added: for 12 megapixels in under half of the time.
    """
    height, width, _ = photo.shape
    if height * width > 2 * (4 * side) ** 2:
        (rows, row_weight), (columns, column_weight) = taps(height, side), taps(width, side)
        seen = torch.from_numpy(photo[rows.reshape(-1)[:, None], columns.reshape(-1)]).float()
        by_tap = seen.view(side, 4, side, 4, 3)
        # i, j: row and column of the result; a, b: their four taps; c: channel.
        lines = torch.einsum("iajbc,jb->iajc", by_tap, torch.from_numpy(column_weight))
        return torch.einsum("iajc,ia->cij", lines, torch.from_numpy(row_weight))
    # torch complains of what cannot be written to, and takes no strides below 0 (a mirror image)
    writable = np.require(photo, requirements=("C", "W"))
    raw = torch.from_numpy(writable).permute(2, 0, 1)[None].float()
    return F.interpolate(raw, size=(side, side), mode="bicubic", align_corners=False)[0]


def remote_sensing_pixels(dn: DigitalNumbers, frame_px: int = 96) -> Tensor:
    """Sentinel-2 digital numbers to the input of the remote-sensing encoder.

    ``(x - (mean - 2 sd)) / (4 sd)`` to 0..255, truncated to eight bits, over 255, bicubic.

    Args:
        dn: (B, 10, H, W) reflectance x 10000, bands in the order of ``GAIR_BANDS``.
        frame_px: side of the square the frames are resized to.

    Returns:
        (B, 10, frame_px, frame_px) float32; overshoot of the bicubic kernel is kept.

    Raises:
        ImageryError: another number of bands or axes.
    """
    if dn.ndim != 4 or dn.shape[1] != len(GAIR_BANDS) or not dn.size:
        raise ImageryError(
            f"frames have shape {dn.shape}; expected (batch, {len(GAIR_BANDS)}, height, width) "
            f"with bands {', '.join(GAIR_BANDS)}"
        )
    if dn.dtype != np.uint16:
        raise ImageryError(f"frames are {dn.dtype}; expected uint16 reflectance x 10000")
    table = _eight_bit_table()
    bands = [np.take(table[band], dn[:, band]) for band in range(len(GAIR_BANDS))]
    frames = torch.from_numpy(np.stack(bands, axis=1)) / 255
    return F.interpolate(frames, size=(frame_px, frame_px), mode="bicubic", align_corners=False)


@functools.cache
def _eight_bit_table() -> npt.NDArray[np.uint8]:
    """The eight bits of every digital number of every band, (10, 65536)."""
    dn = np.arange(1 << 16, dtype=np.float64)  # a float32 quotient truncates differently
    mean = np.asarray(MEAN_DN)[:, None]
    sd = np.asarray(SD_DN)[:, None]
    scaled = (dn - (mean - 2 * sd)) / (4 * sd) * 255
    eight_bit: npt.NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return eight_bit
