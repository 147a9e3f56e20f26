"""Cache of the scores of photos that were asked about last, so that none is encoded again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

from cachetools import TTLCache

from app.engine.limits import KEPT_SECONDS

if TYPE_CHECKING:
    from indexer.search.scored import Seen


class ScoreCache:
    """Scores by build and content of the photo, without pixels; safe to share between threads.

    The ones asked for longest ago make room for new ones.
    """

    def __init__(
        self,
        most_bytes: float,
        kept_s: float = KEPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()  # TTLCache has none: reading changes its order
        self._scores: TTLCache[tuple[Hashable, str], Seen] = TTLCache(
            most_bytes, kept_s, timer=clock, getsizeof=_size
        )

    def get(self, build: Hashable, sha256: str) -> Seen | None:
        """The scores of the photo of that content in that build."""
        with self._lock:
            return self._scores.get((build, sha256))

    def put(self, build: Hashable, sha256: str, scored: Seen) -> None:
        """Remember a photo's scores; not at all where they alone are too much."""
        with self._lock, contextlib.suppress(ValueError):
            self._scores[build, sha256] = scored

    def sweep(self) -> None:
        """Forget what was kept long enough."""
        with self._lock:
            self._scores.expire()


def _size(seen: Seen) -> int:
    from indexer.search.scored import Scored

    cells = seen.rs.nbytes + seen.location.nbytes if isinstance(seen, Scored) else 0
    return seen.s.nbytes + cells


def without_pixels(seen: Seen, sha256: str) -> Seen:
    """One photo without pixels: nothing after the encoder needs them, and they are most of it.

    The hash of its content stays, to tell copies by.
    The scores are copied: those of a batch share one array, which would be kept for one of them.
    """
    import PIL.Image

    from gair.photos.photo import conditions_of
    from gair.photos.prepared import bare
    from indexer.search.scored import Scored

    empty = PIL.Image.new("RGB", (1, 1))
    photos = tuple(
        replace(bare(photo), rgb=empty, content=sha256, conditions=conditions_of(photo))
        for photo in seen.photos
    )
    if isinstance(seen, Scored):
        return Scored(photos, seen.s.copy(), seen.rs.copy(), seen.location.copy())
    return replace(seen, photos=photos, s=seen.s.copy())
