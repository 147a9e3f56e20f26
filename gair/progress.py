"""Progress of long work: a bar with rate and ETA on a terminal, lines elsewhere; its timings."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Self

_LINE_EVERY_S = 15.0
BESIDE = " (beside)"
"""Ends the name of a part that ran beside the others, in threads of its own."""


def say(text: str, *, quiet: bool = False) -> None:
    """One line for people about what is going on."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds for people: 42 s, 12 min, 3 h 20 min, 5.4 days."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    return (
        f"{minutes // 60} h {minutes % 60} min" if minutes < 2880 else f"{minutes / 1440:,.1f} days"
    )


def peak_memory_gb() -> float | None:
    """The most memory this process has used so far; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


class Progress:
    """Counts units of work. On a terminal it draws a bar; in a log it prints a line now and then.

    >>> with Progress("cells", total=1000, unit="cell") as progress:
    ...     progress.advance(10)
    """

    def __init__(self, what: str, total: int, unit: str, *, quiet: bool = False) -> None:
        self.what = what
        self.total = total
        self.unit = unit
        self.done = 0
        self.note = ""
        self._skipped = 0
        self.started = time.monotonic()
        self._last_line = self.started
        self._bar = None
        self._quiet = quiet
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=total, desc=what, unit=f" {unit}s", unit_scale=True, dynamic_ncols=True
            )

    def skip(self, count: int) -> None:
        """Record units that an earlier run finished: they say nothing about the rate."""
        self.done += count
        self._skipped += count
        if self._bar is not None:
            self._bar.initial = self._skipped
            self._bar.n = self.done
            self._bar.refresh()

    def advance(self, count: int, note: str = "") -> None:
        """Record finished units; a note is shown beside them, such as the bytes so far."""
        self.done += count
        self.note = note or self.note
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
        elif not self._quiet and time.monotonic() - self._last_line >= _LINE_EVERY_S:
            self._last_line = time.monotonic()
            print(self._line(), file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Clear the bar while the block prints, and draw it again."""
        if self._bar is None:
            yield
            return
        with self._bar.external_write_mode():
            yield

    @property
    def rate(self) -> float:
        """Units a second since the start."""
        return (self.done - self._skipped) / max(time.monotonic() - self.started, 1e-9)

    def _line(self) -> str:
        left_s = (self.total - self.done) / max(self.rate, 1e-9)
        return (
            f"{self.what}: {self.done:,} of {self.total:,} {self.unit}s, "
            f"{f'{self.note}, ' if self.note else ''}"
            f"{self.rate:,.0f} {self.unit}s/s, {left_s:,.0f} s left"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.close()


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
