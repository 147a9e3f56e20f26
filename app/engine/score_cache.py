"""Photos that were asked about last are not encoded again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.engine.limits import KEPT_SECONDS

if TYPE_CHECKING:
    from indexer.search.ranking import Seen


class ScoreCache:
    """Scores of the photos that were asked about last, without their pixels."""

    def __init__(
        self,
        most_bytes: float,
        kept_s: float = KEPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_bytes = most_bytes
        self._kept_s = kept_s
        self._clock = clock
        self._lock = threading.Lock()
        self._bytes = 0
        self._found: OrderedDict[tuple[Path, str], tuple[float, Seen]] = OrderedDict()

    def get(self, build: Path, sha256: str) -> Seen | None:
        """The scores of the photo of that content in that build."""
        with self._lock:
            until, scored = self._found.get((build, sha256), (0.0, None))
            if scored is None or until <= self._clock():
                return None
            self._found.move_to_end((build, sha256))
            return scored

    def put(self, build: Path, sha256: str, scored: Seen) -> None:
        """Remember a photo's scores, at the cost of the ones asked for longest ago."""
        with self._lock:
            self._drop((build, sha256))
            self._found[build, sha256] = (self._clock() + self._kept_s, scored)
            self._bytes += _size(scored)
            while self._bytes > self._most_bytes and self._found:
                self._drop(next(iter(self._found)))

    def sweep(self) -> None:
        """Forget what was kept long enough."""
        now = self._clock()
        with self._lock:
            for key in [key for key, (until, _) in self._found.items() if until <= now]:
                self._drop(key)

    def _drop(self, key: tuple[Path, str]) -> None:
        if found := self._found.pop(key, None):
            self._bytes -= _size(found[1])


def _size(seen: Seen) -> int:
    from indexer.search.ranking import Scored

    cells = seen.rs.nbytes + seen.location.nbytes if isinstance(seen, Scored) else 0
    return seen.s.nbytes + cells


def without_pixels(seen: Seen) -> Seen:
    """The same without pixels: nothing after the encoder needs them, and they are most of it.

    The scores are copied: those of a batch share one array, which would be kept for one of them.
    """
    import PIL.Image

    from indexer.search.ranking import Scored

    empty = PIL.Image.new("RGB", (1, 1))
    photos = tuple(replace(photo, rgb=empty) for photo in seen.photos)
    if isinstance(seen, Scored):
        return Scored(photos, seen.s.copy(), seen.rs.copy(), seen.location.copy())
    return replace(seen, photos=photos, s=seen.s.copy())
