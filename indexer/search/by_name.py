"""Search and verify by the name of an index, which stays open between calls."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from cachetools import LRUCache

from indexer.index.index import find_index
from indexer.index.storage import read_current
from indexer.probability.calibration import calibration_path
from indexer.search.geolocator import Geolocator
from indexer.search.live import stamp_of
from indexer.search.query import QueryFields

if TYPE_CHECKING:
    from indexer.probability.verdicts import Verdict
    from indexer.search.answer import Answer
    from indexer.search.geolocator import PhotoSource

_OPEN: LRUCache[Path, tuple[Any, Geolocator]] = LRUCache(2)
"""Folders of indexes to what they looked like when they were opened, and the open index."""
_LOCK = threading.Lock()


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
    prior_odds: float | None = None,
    prior_probability: float | None = None,
    claim_number: int = 1,
) -> Verdict:
    """Whether a photo may have been taken there: :meth:`Geolocator.verify` on an index by name."""
    return opened(index, indexes_dir).verify(
        image,
        lon_deg,
        lat_deg,
        radius_m,
        prior_odds=prior_odds,
        prior_probability=prior_probability,
        claim_number=claim_number,
    )


def opened(index: str | Path | None, indexes_dir: str | Path = "indexes") -> Geolocator:
    """The index of that name as it serves now."""
    folder = find_index(index, indexes_dir).resolve()
    build, manifest_sha256 = read_current(folder)
    # A build never changes; what is new looks different from outside.
    now = (build, manifest_sha256, stamp_of(calibration_path(folder, build)))
    with _LOCK:
        looks, geolocator = _OPEN.get(folder, (None, None))
    if geolocator is None or looks != now:
        geolocator = Geolocator.open(folder)
        with _LOCK:
            _OPEN[folder] = (now, geolocator)  # and the replaced build is let go of
    return geolocator
