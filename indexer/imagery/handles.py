"""Open raster files, kept open between reads.

A GDAL dataset must not be used by two threads at once, and opening one costs more than reading a
small window from it. So readers borrow a set of open datasets and give it back: there are never
more sets than readers at the same moment, whatever threads they run in.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rasterio

from gair.errors import ImageryError

_MAX_OPEN = 120  # files a set keeps open, a dozen scenes of ten; well below the usual limit of 1024


class OpenFiles:
    """Datasets of one reader; the one unused the longest is closed first."""

    def __init__(self, max_open: int = _MAX_OPEN) -> None:
        self._max_open = max_open
        self._datasets: OrderedDict[Path, Any] = OrderedDict()

    def dataset(self, path: Path) -> Any:  # noqa: ANN401
        """The open :class:`rasterio.DatasetReader` of a file."""
        if path not in self._datasets:
            while len(self._datasets) >= self._max_open:
                self._datasets.popitem(last=False)[1].close()
            self._datasets[path] = rasterio.open(path)
        self._datasets.move_to_end(path)
        return self._datasets[path]

    def close(self) -> None:
        """Close them all."""
        while self._datasets:
            self._datasets.popitem()[1].close()


class FilePool:
    """Lends sets of open files, one reader each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[OpenFiles] = []
        self._closed = False

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[OpenFiles]:
        """A set nobody else uses until the ``with`` block ends.

        Raises:
            ImageryError: The pool is closed.
        """
        with self._lock:
            if self._closed:
                raise ImageryError("this imagery was closed: open it again to read from it")
            files = self._idle.pop() if self._idle else OpenFiles()
        try:
            yield files
        except BaseException:
            files.close()
            raise
        self._give_back(files)

    def close(self) -> None:
        """Close what is idle now, and what is lent as soon as it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for files in idle:
            files.close()

    def _give_back(self, files: OpenFiles) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(files)
                return
        files.close()
