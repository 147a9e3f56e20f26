"""Search and verify by the name of an index, which stays open between calls."""

from __future__ import annotations

import threading
from collections.abc import Sequence
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
    from gair.errors import PhotoError
    from indexer.probability.verdicts import Verdict
    from indexer.search.answer import Answer
    from indexer.search.geolocator import OnError, PhotoSource

_OPEN: LRUCache[Path, tuple[Any, Geolocator]] = LRUCache(2)
"""Folders of indexes to what they looked like when they were opened, and the open index."""
_LOCK = threading.Lock()


def search(
    image: PhotoSource | list[Any] | tuple[Any, ...],
    *,
    index: str | Path | None = None,
    indexes_dir: str | Path = "indexes",
    same_place: bool = False,
    on_error: OnError = "raise",
    **query: Unpack[QueryFields],
) -> Answer | Sequence[Answer | PhotoError]:
    """Where a photo may have been taken: :meth:`Geolocator.search` on an index by name.

    The index and its model stay loaded between calls, until a newer build or another calibration
    takes over.
    """
    ask: Any = opened(index, indexes_dir).search  # its overloads know no image of any kind
    answers: Answer | Sequence[Answer | PhotoError]
    answers = ask(image, same_place=same_place, on_error=on_error, **query)
    return answers


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
