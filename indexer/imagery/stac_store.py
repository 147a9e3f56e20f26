"""What was composed is kept in memory, up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar


class Sized(Protocol):
    """Something that knows how much memory it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes."""
        ...


Kept = TypeVar("Kept", bound=Sized)


class Store:
    """Holds what was made under a key; what is unused the longest goes first."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._held: OrderedDict[Hashable, Sized] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get_or_make(
        self, key: Hashable, kind: type[Kept], making: threading.RLock, make: Callable[[], Kept]
    ) -> Kept:
        """What is held, or what ``make`` gives.

        Args:
            key: names it.
            kind: its class.
            making: taken while it is made, so that it is made once.
            make: makes it; may ask this store for other things under the same lock.
        """
        if (held := self._get(key)) is None:
            with making:
                if (held := self._get(key)) is None:
                    held = self._put(key, make())
        assert isinstance(held, kind)
        return held

    def _get(self, key: Hashable) -> Sized | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def _put(self, key: Hashable, made: Kept) -> Kept:
        with self._lock:
            self._held[key] = made
            self._bytes += made.nbytes
            while self._bytes > self._budget and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1].nbytes
        return made
