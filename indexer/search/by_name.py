"""Search and verify by the name of an index, which stays open between calls."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from indexer.index.index import find_index
from indexer.index.storage import read_current
from indexer.probability.calibration import calibration_path
from indexer.search.geolocator import Geolocator
from indexer.search.query import QueryFields

if TYPE_CHECKING:
    from indexer.probability.verdicts import Verdict
    from indexer.search.answer import Answer
    from indexer.search.geolocator import PhotoSource


def search(
    image: PhotoSource | list[Any] | tuple[Any, ...],
    *,
    index: str | Path | None = None,
    indexes_dir: str | Path = "indexes",
    same_place: bool = False,
    **query: Unpack[QueryFields],
) -> Answer | list[Answer]:
    """Where a photo may have been taken: :meth:`Geolocator.search` on an index by name.

    The index and its model stay loaded between calls, until a newer build or another calibration
    takes over.
    """
    geolocator = opened(index, indexes_dir)
    if isinstance(image, list | tuple) and same_place:
        return geolocator.search(image, same_place=True, **query)
    return geolocator.search(image, **query)


def verify(
    image: PhotoSource | list[Any] | tuple[Any, ...],
    lon_deg: float,
    lat_deg: float,
    radius_m: float = 500.0,
    *,
    index: str | Path | None = None,
    indexes_dir: str | Path = "indexes",
) -> Verdict:
    """Whether a photo may have been taken there: :meth:`Geolocator.verify` on an index by name."""
    return opened(index, indexes_dir).verify(image, lon_deg, lat_deg, radius_m)


def opened(index: str | Path | None, indexes_dir: str | Path = "indexes") -> Geolocator:
    """The index of that name as it serves now."""
    folder = find_index(index, indexes_dir).resolve()
    build, manifest_sha256 = read_current(folder)
    return _opened(folder, build, manifest_sha256, _stamp(calibration_path(folder, build)))


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written anew."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


@functools.lru_cache(maxsize=2)
def _opened(
    folder: Path, build: str, manifest_sha256: str, calibration: tuple[int, int] | None
) -> Geolocator:
    """A build never changes, so it can be kept; what is new has another key."""
    return Geolocator.open(folder)
