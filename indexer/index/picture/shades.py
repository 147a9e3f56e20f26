"""Shades: a frame's red, green and blue in 8 bits, before anybody knows how light it should be.

A picture is stretched by what the whole region holds, and a unit of a build sees a part of it. So
units keep shades: the square root of the digital number, whose steps are as fine as an eye's.
"""

from __future__ import annotations

import errno
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from gair.arrays import Bools, DigitalNumbers
from gair.bands import GAIR_BANDS
from gair.files import open_file

Shades = npt.NDArray[np.uint8]
"""(H, W, 4): red, green and blue shades, and 255 where there is imagery, else 0."""

SHADES_BYTES = 60_000
"""About what a frame takes."""
_CODEC = "zstd"
"""Of what units keep: about the bytes of a PNG, for a tenth of the time."""
_LENGTH_BYTES = 8
LEVELS = 256
_RGB = [GAIR_BANDS.index(band) for band in ("B4", "B3", "B2")]
_BRIGHTEST_DN = 6000.0
"""Digital number (reflectance x 10000) of the highest shade: only snow and clouds are brighter."""
_LOW, _HIGH = 0.01, 0.99
"""Shares of the pixels that are drawn black and white at most."""
_LEAST_RANGE_DN = 500.0
"""Of a stretch: an even sea stays even."""
_GAMMA = 1 / 1.3
"""Roofs and roads are dark: a little more light for them."""


def shaded(dn: DigitalNumbers, valid: Bools) -> Shades:
    """The shades of a frame.

    Args:
        dn: (10, H, W) digital numbers, bands in the order of :data:`gair.bands.GAIR_BANDS`.
        valid: (H, W) where there is imagery.
    """
    share = np.sqrt(np.clip(dn[_RGB].astype(np.float32) / _BRIGHTEST_DN, 0, 1))
    rgb = np.rint((LEVELS - 1) * share).astype(np.uint8).transpose(1, 2, 0)  # (H, W, 3)
    alpha = np.where(valid, np.uint8(255), np.uint8(0))[..., None]
    return np.concatenate([rgb, alpha], axis=2)


def packed(shades: Shades) -> bytes:
    """Shades as a compressed ``.npy`` of one plane after the other, which loses nothing."""
    import pyarrow as pa

    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(shades.transpose(2, 0, 1)), allow_pickle=False)
    content = buffer.getvalue()
    compressed: bytes = pa.compress(content, codec=_CODEC, asbytes=True)
    return len(content).to_bytes(_LENGTH_BYTES, "little") + compressed


def unpacked(content: bytes) -> Shades:
    """The inverse of :func:`packed`."""
    import pyarrow as pa

    length, compressed = content[:_LENGTH_BYTES], content[_LENGTH_BYTES:]
    npy = pa.decompress(compressed, int.from_bytes(length, "little"), codec=_CODEC, asbytes=True)
    planes: Shades = np.load(io.BytesIO(npy), allow_pickle=False)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def zipped(pictures: Mapping[int, bytes]) -> bytes:
    """The packed shades of frames as one file; equal ones are equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for frame in sorted(pictures):
            # A ZipInfo of its own has a fixed date.
            file.writestr(zipfile.ZipInfo(str(frame)), pictures[frame])
    return buffer.getvalue()


def unzipped(path: Path, frame: int) -> bytes | None:
    """The packed shades of one frame; None where the file has none of it.

    Raises:
        OSError: the file cannot be read, or is no such file.
    """
    try:
        with open_file(path) as content, zipfile.ZipFile(content) as file:
            return file.read(str(frame))
    except KeyError:
        return None
    except zipfile.BadZipFile as error:
        raise OSError(errno.EIO, str(error)) from error


@dataclass(frozen=True)
class Stretch:
    """Which digital numbers are drawn black and white."""

    black_dn: tuple[float, float, float]
    """Of red, green and blue: haze lightens blue the most."""
    white_dn: float
    """Of all three, so that colours stay what they are."""

    def table(self) -> npt.NDArray[np.uint8]:
        """(3, 256) what each shade of red, green and blue is drawn as."""
        dn = _BRIGHTEST_DN * (np.arange(LEVELS) / (LEVELS - 1)) ** 2
        black = np.array(self.black_dn)[:, None]
        share = np.clip((dn - black) / (self.white_dn - black), 0, 1) ** _GAMMA
        return np.asarray(np.rint(255 * share).astype(np.uint8))

    def to_json(self) -> dict[str, Any]:
        """For a manifest."""
        return {
            "black_dn": [round(dn, 1) for dn in self.black_dn],
            "white_dn": round(self.white_dn, 1),
        }


def stretch_of(frames: Iterable[Shades]) -> Stretch:
    """The stretch of a picture: the first and last percent of its pixels are black and white.

    Args:
        frames: all of the region; where they overlap, pixels count more than once.
    """
    counts = np.zeros((3, LEVELS), dtype=np.int64)
    for shades in frames:
        seen = Image.fromarray(np.ascontiguousarray(shades[..., 3]))
        histogram = Image.fromarray(shades).histogram(seen)  # of where that is not 0
        counts += np.reshape(histogram[: 3 * LEVELS], (3, LEVELS))
    if not counts.any():
        return Stretch((0.0, 0.0, 0.0), _LEAST_RANGE_DN)
    below = np.cumsum(counts, axis=1) / counts.sum(axis=1, keepdims=True)
    black, white = ((below < share).sum(axis=1) for share in (_LOW, _HIGH))
    black_dn = _BRIGHTEST_DN * (black / (LEVELS - 1)) ** 2
    white_dn = _BRIGHTEST_DN * (white.max() / (LEVELS - 1)) ** 2
    red, green, blue = (float(dn) for dn in black_dn)
    return Stretch((red, green, blue), float(max(white_dn, black_dn.max() + _LEAST_RANGE_DN)))
