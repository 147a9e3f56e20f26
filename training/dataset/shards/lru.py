"""A cache that drops what was used longest ago, bounded in size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Lru(Generic[Key, Value]):
    """Keeps values of at most ``limit`` together; a larger one is not kept. Pickled, it is empty.

    Sizes are in any unit: bytes, or 1 each.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._items: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    @property
    def size(self) -> int:
        """Of all that is held now."""
        return self._size

    def get(self, key: Key) -> Value | None:
        """The value of a key, or None."""
        if key not in self._items:
            return None
        self._items.move_to_end(key)
        return self._items[key][0]

    def put(self, key: Key, value: Value, size: int = 1) -> None:
        """Keep a value, and drop old ones to make room."""
        if key in self._items:
            self._size -= self._items.pop(key)[1]
        if size > self._limit:
            return
        self._items[key] = (value, size)
        self._size += size
        while self._size > self._limit:
            self._size -= self._items.popitem(last=False)[1][1]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._limit,)
