"""Chips: pictures of the frames of an older index, from before there was one of its region.

``chips.zip`` holds a JPEG a frame, ``<frame>.jpg``; frame f is row f of the table ``frames``, and
row 0 of a picture its north edge. Builds keep :mod:`indexer.index.picture` instead.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from gair.errors import IndexCorruptError
from gair.processes.forks import renew_in_child

CHIPS_FILE = "chips.zip"


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


def _member(frame: int) -> str:
    return f"{frame}.jpg"
