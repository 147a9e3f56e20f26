"""Chips: small true-colour pictures of the frames, so that a person can check an answer by eye.

``chips.zip`` holds a JPEG a frame, ``<frame>.jpg``, stored without further compression; frame f is
row f of the table ``frames``, and row 0 of a picture its north edge. Vectors are never made from
these: they are rounded to 8 bits and squeezed.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image

from gair.arrays import DigitalNumbers
from gair.bands import GAIR_BANDS
from gair.errors import IndexCorruptError
from gair.files import disk_errors
from gair.processes.forks import renew_in_child

CHIPS_FILE = "chips.zip"

CHIP_BYTES = 16_000
"""About what a picture takes."""

_RGB = [GAIR_BANDS.index(band) for band in ("B4", "B3", "B2")]

_WHITE_DN = 3600.0
"""Digital number (reflectance x 10000) that is drawn white."""

_GAMMA = 1 / 1.3
"""Roofs and roads are dark: a little more light for them."""

_QUALITY = 88


def jpeg_of(dn: DigitalNumbers) -> bytes:
    """The picture of a frame.

    Args:
        dn: (10, H, W) digital numbers, bands in the order of :data:`gair.bands.GAIR_BANDS`.
    """
    buffer = io.BytesIO()
    Image.fromarray(true_colour(dn)).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def write_chips(path: Path, parts: Iterable[Mapping[int, bytes]]) -> None:
    """Write the pictures of frames, part by part; equal pictures are equal bytes.

    Args:
        path: of a new file.
        parts: frame to JPEG; of a frame in several of them the first one counts.

    Raises:
        StorageError: the disk refused.
    """
    with disk_errors(path), path.open("wb") as file:
        _put(file, parts)


def zipped(pictures: Mapping[int, bytes]) -> bytes:
    """The same as bytes, for the pictures of a unit."""
    buffer = io.BytesIO()
    _put(buffer, [pictures])
    return buffer.getvalue()


def unzipped(content: bytes) -> dict[int, bytes]:
    """The inverse of :func:`zipped`."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {int(name.removesuffix(".jpg")): file.read(name) for name in file.namelist()}


def _put(target: IO[bytes], parts: Iterable[Mapping[int, bytes]]) -> None:
    written: set[int] = set()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as file:
        for pictures in parts:
            for frame in sorted(set(pictures) - written):
                # A ZipInfo of its own has a fixed date.
                file.writestr(zipfile.ZipInfo(_member(frame)), pictures[frame])
            written |= set(pictures)


class Chips:
    """Read access to the pictures of a build; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._zip = self._opened()
        renew_in_child(self)
        names = [name.partition(".")[0] for name in self._zip.namelist()]
        self.frames = np.array(
            sorted(int(name) for name in names if name.isdigit()), dtype=np.int64
        )
        """Which frames there are pictures of, ascending."""

    def _opened(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self._path)
        except (OSError, zipfile.BadZipFile) as error:
            raise IndexCorruptError(
                f"{self._path} is not a readable zip file: rebuild it"
            ) from error

    def after_fork(self) -> None:
        """Open the file again: the place where it is read is one for all who share it."""
        self._zip = self._opened()

    def jpeg(self, frame: int) -> bytes:
        """The file of one of :attr:`frames`, as it was written."""
        try:
            return self._zip.read(_member(frame))
        except (OSError, zipfile.BadZipFile) as error:
            raise self._damaged(frame) from error

    def frame(self, frame: int) -> Image.Image:
        """The whole picture of one of :attr:`frames`."""
        try:
            picture = Image.open(io.BytesIO(self.jpeg(frame)))
            picture.load()
        except OSError as error:
            raise self._damaged(frame) from error
        return picture

    def _damaged(self, frame: int) -> IndexCorruptError:
        return IndexCorruptError(
            f"{self._path}: the picture of frame {frame} is damaged: rebuild it"
        )


def true_colour(dn: DigitalNumbers) -> npt.NDArray[np.uint8]:
    """(10, H, W) digital numbers to an (H, W, 3) picture of 8 bits."""
    share = np.clip(dn[_RGB].astype(np.float32) / _WHITE_DN, 0, 1) ** _GAMMA
    return np.asarray((255 * share + 0.5).astype(np.uint8).transpose(1, 2, 0))


def _member(frame: int) -> str:
    return f"{frame}.jpg"
