"""Where the time of a build goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

BESIDE = " (beside)"
"""Ends the name of a part that ran beside the others, in threads of its own."""


class Timings:
    """Seconds spent in each part of the work; threads may add to it at the same time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, part: str, since: float) -> float:
        """Add the time since ``since`` to a part of the main thread; returns now."""
        now = time.perf_counter()
        self._count(part, now - since)
        return now

    def add_beside(self, part: str, since: float) -> float:
        """The same for a part that runs beside the main thread."""
        return self.add(part + BESIDE, since)

    def merge(self, seconds: Mapping[str, float], *, beside: bool = False) -> None:
        """Add what another process measured."""
        for part, value in seconds.items():
            runs_beside = part.endswith(BESIDE) or not beside
            self._count(part if runs_beside else part + BESIDE, value)

    def _count(self, part: str, seconds: float) -> None:
        with self._lock:
            self.seconds[part] = self.seconds.get(part, 0.0) + seconds
