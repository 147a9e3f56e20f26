"""Search and verify by the name of an index, which stays open between calls."""

from __future__ import annotations

import dataclasses
import functools
import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from cachetools import LRUCache

from gair.errors import UsageError
from gair.photos.photo import UnreadPhoto
from gair.processes.forks import fork_safe_lock, renew_in_child
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

MOST_OPEN = 32
"""Indexes that stay open, those asked last. What an open one holds is its table and what searches
made of it; its vectors are mapped, and its weights are those of every index of the model."""


def search(
    image: PhotoSource | list[Any] | tuple[Any, ...],
    *,
    index: str | Path | None | Sequence[str | Path] = None,
    indexes_dir: str | Path | None = None,
    same_place: bool = False,
    on_error: OnError = "raise",
    **query: Unpack[QueryFields],
) -> Answer | Sequence[Answer | PhotoError] | list[Answer | Sequence[Answer | PhotoError]]:
    """Where a photo may have been taken: :meth:`Geolocator.search` on an index by name.

    The index and its model stay loaded between calls, until a newer build or another calibration
    takes over.

    Args:
        image: as :meth:`Geolocator.search` takes it.
        index: name or folder; the only one there is unless given. Of a list of them each is asked,
            and there is a result for each, in their order. Nothing is joined: an answer names its
            ``index``, and its chances hold if the photo was taken in that one.
        indexes_dir: folder of all indexes; $GAIR_INDEXES or ``indexes`` if not given.
        same_place: as :meth:`Geolocator.search` takes it.
        on_error: as :meth:`Geolocator.search` takes it.
        **query: as :meth:`Geolocator.search` takes them.
    """
    if isinstance(index, list | tuple):
        if not index:
            raise UsageError("`index` is an empty list: name one index or more")
        image = (
            [_readable_again(one) for one in image]
            if isinstance(image, list | tuple)
            else (_readable_again(image))
        )
        asked: Any = functools.partial(
            search, image, indexes_dir=indexes_dir, same_place=same_place
        )
        return [asked(index=one, on_error=on_error, **query) for one in index]
    assert index is None or isinstance(index, str | Path)
    ask: Any = opened(index, indexes_dir).search  # its overloads know no image of any kind
    answers: Answer | Sequence[Answer | PhotoError]
    answers = ask(image, same_place=same_place, on_error=on_error, **query)
    return answers


def _readable_again(image: Any) -> Any:  # noqa: ANN401 (any source of a photo)
    """A photo that each of several indexes can read: an open file gives its bytes only once."""
    if isinstance(image, UnreadPhoto):
        return dataclasses.replace(image, source=_readable_again(image.source))
    return image.read() if isinstance(image, io.IOBase) else image


def verify(
    image: PhotoSource | list[Any] | tuple[Any, ...],
    lon_deg: float,
    lat_deg: float,
    radius_m: float = 500.0,
    *,
    index: str | Path | None = None,
    indexes_dir: str | Path | None = None,
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


def opened(index: str | Path | None, indexes_dir: str | Path | None = None) -> Geolocator:
    """The index of that name as it serves now."""
    return _OPEN.get(find_index(index, indexes_dir).resolve())


class _OpenIndexes:
    """Open indexes by their folders; safe to share between threads."""

    def __init__(self) -> None:
        self._kept: LRUCache[Path, tuple[Any, Geolocator]] = LRUCache(MOST_OPEN)
        self._looking = fork_safe_lock()
        self._opening = threading.Lock()  # held while an index is read
        renew_in_child(self)

    def get(self, folder: Path) -> Geolocator:
        """The index of a folder: what is open, unless something newer serves."""
        build, manifest_sha256 = read_current(folder)
        # A build never changes; what is new looks different from outside.
        now = (build, manifest_sha256, stamp_of(calibration_path(folder, build)))
        geolocator = self._look(folder, now)
        if geolocator is not None:
            return geolocator
        with self._opening:  # who comes meanwhile waits, and need not open it again
            geolocator = self._look(folder, now)
            if geolocator is None:
                geolocator = Geolocator.open(folder)
                with self._looking:
                    self._kept[folder] = (now, geolocator)  # and the replaced build is let go of
        return geolocator

    def _look(self, folder: Path, now: object) -> Geolocator | None:
        with self._looking:
            looks, geolocator = self._kept.get(folder, (None, None))
        return geolocator if looks == now else None

    def after_fork(self) -> None:
        """The thread that was opening an index is not in the child."""
        self._opening = threading.Lock()


_OPEN = _OpenIndexes()
