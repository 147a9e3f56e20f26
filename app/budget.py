"""Something that many threads share and that must not run out: here, decoded pixels."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """Something that many share and that must not run out, in any unit."""

    def __init__(self, most: float) -> None:
        self._most, self._taken = most, 0.0
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, amount: float, timeout_s: float) -> Iterator[None]:
        """Wait until there is enough, and have it for the block; too much waits to be alone.

        Raises:
            TimeoutError: there was not enough in time.
        """
        amount = min(amount, self._most)
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._taken + amount <= self._most, max(0.0, timeout_s)
            ):
                raise TimeoutError
            self._taken += amount
        try:
            yield
        finally:
            with self._changed:
                self._taken -= amount
                self._changed.notify_all()
