"""Photos on their way through the encoder: together where several wait, and not twice."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.door import STOPPING
from app.limits import KEPT_SECONDS
from gair.errors import UnavailableError

if TYPE_CHECKING:
    from gair.photos import Photo
    from indexer.answering import Scored
    from indexer.geolocate import Geolocator


@dataclass(frozen=True)
class _Waiting:
    geo: Geolocator
    photos: Sequence[Photo]
    answer: Future[list[Scored]]


class Batcher:
    """One thread that scores whatever photos wait, as many of one index together as allowed.

    Nobody is made to wait for company: while one batch is computed the next one gathers.
    """

    def __init__(self, most_photos: int) -> None:
        self._most = most_photos
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self.batches = 0
        """Encoder passes so far."""
        self.photos = 0
        """Photos that passed the encoder so far."""
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    def scored(self, geo: Geolocator, photos: Sequence[Photo], timeout_s: float) -> list[Scored]:
        """Each photo, scored against every cell.

        Raises:
            TimeoutError: it took too long; if it was not begun by then, it never will be.
            UnavailableError: the server is stopping.
        """
        mine = _Waiting(geo, photos, Future())
        with self._changed:
            if self._stopping:
                raise UnavailableError(STOPPING)
            self._waiting.append(mine)
            self._changed.notify()
        try:
            return mine.answer.result(timeout_s)
        except TimeoutError:
            mine.answer.cancel()
            raise

    def close(self) -> None:
        """Finish the batch that is computed; what waits is told that the server stops."""
        with self._changed:
            self._stopping = True
            left, self._waiting = list(self._waiting), deque()
            self._changed.notify()
        for one in left:
            one.answer.set_exception(UnavailableError(STOPPING))
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            geo, photos = batch[0].geo, [photo for one in batch for photo in one.photos]
            try:
                found = geo.scored(photos)
            except BaseException as error:  # belongs to those who asked
                for one in batch:
                    one.answer.set_exception(error)
                continue
            self.batches, self.photos = self.batches + 1, self.photos + len(photos)
            start = 0
            for one in batch:
                one.answer.set_result(found[start : start + len(one.photos)])
                start += len(one.photos)
            del batch, photos, found, one  # not kept until the next photo comes

    def _next(self) -> list[_Waiting]:
        """What is scored next, all of one index; empty when the server stops."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return []
                if batch := self._gathered():
                    return batch

    def _gathered(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        others: deque[_Waiting] = deque()
        room = self._most
        while self._waiting:
            one = self._waiting.popleft()
            fits = not batch or (one.geo is batch[0].geo and len(one.photos) <= room)
            if not fits:
                others.append(one)
            elif one.answer.set_running_or_notify_cancel():
                batch.append(one)
                room -= len(one.photos)
        self._waiting = others
        return batch


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
        self._found: OrderedDict[tuple[Path, str], tuple[float, Scored]] = OrderedDict()

    def get(self, build: Path, sha256: str) -> Scored | None:
        """The scores of the photo of that content in that build."""
        with self._lock:
            until, scored = self._found.get((build, sha256), (0.0, None))
            if scored is None or until <= self._clock():
                return None
            self._found.move_to_end((build, sha256))
            return scored

    def put(self, build: Path, sha256: str, scored: Scored) -> None:
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


def _size(scored: Scored) -> int:
    return scored.s.nbytes + scored.rs.nbytes + scored.location.nbytes


def without_pixels(scored: Scored) -> Scored:
    """The same scores; nothing after the encoder looks at pixels, and they are most of the memory.

    The scores are copied: those of a batch share one array, which would be kept for one of them.
    """
    import PIL.Image

    empty = PIL.Image.new("RGB", (1, 1))
    photos = tuple(replace(photo, rgb=empty) for photo in scored.photos)
    return replace(
        scored,
        photos=photos,
        s=scored.s.copy(),
        rs=scored.rs.copy(),
        location=scored.location.copy(),
    )
