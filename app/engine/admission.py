"""Admission of questions: so many at once, each for so long, and none once it is closed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gair.errors import BusyError, UnavailableError

STOPPING = "the server is stopping; ask again later"


class Budget:
    """An amount that many share and that must not run out, in any unit; first come, first served.

    Who wants much would otherwise wait for ever while others want little.
    """

    def __init__(self, most: float) -> None:
        self._most, self._taken = most, 0.0
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def holding(self, amount: float, timeout_s: float) -> Iterator[None]:
        """Wait until there is enough, and have it for the block.

        Raises:
            TimeoutError: there was not enough in time.
            ValueError: there never is so much.
        """
        if amount > self._most:
            raise ValueError(f"{amount:g} of {self._most:g}")
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                if not self._changed.wait_for(
                    lambda: self._waiting[0] is ticket and self._taken + amount <= self._most,
                    max(0.0, timeout_s),
                ):
                    raise TimeoutError
                self._taken += amount
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken -= amount
                self._changed.notify_all()


@dataclass(frozen=True)
class Load:
    """Load of a server."""

    inside: int
    """Questions that are being answered or wait for it."""
    most: int
    """More are refused."""
    answered: int
    refused: int
    """Questions there was no room for."""


class Admission:
    """Counts the questions inside, and refuses what is beyond."""

    def __init__(self, most: int, timeout_s: float) -> None:
        self._most, self._timeout_s = most, timeout_s
        self._changed = threading.Condition()
        self._inside = self._answered = self._refused = 0
        self.closed = False
        """Whether no question is admitted any more."""

    @contextmanager
    def question(self) -> Iterator[float]:
        """Room for one question; gives the time by which it must be answered.

        Raises:
            BusyError: there is none.
            UnavailableError: admission is closed, or the block ended in a :class:`TimeoutError`.
        """
        with self._changed:
            if self.closed:
                raise UnavailableError(STOPPING)
            if self._inside >= self._most:
                self._refused += 1
                # Refused at once: a queue would only make everybody too late.
                raise BusyError(f"{self._inside} questions wait already; ask again in a moment")
            self._inside += 1
        answered = 0
        try:
            # One deadline for the whole question, waiting included: each step gets what is left.
            yield time.monotonic() + self._timeout_s
            answered = 1
        except TimeoutError as error:
            raise UnavailableError(
                f"no answer within {self._timeout_s:g} s, too much is going on; "
                "ask again in a moment"
            ) from error
        finally:
            with self._changed:
                self._inside -= 1
                self._answered += answered
                self._changed.notify_all()

    @property
    def load(self) -> Load:
        """How busy it is now."""
        with self._changed:
            return Load(self._inside, self._most, self._answered, self._refused)

    def close(self, patience_s: float) -> None:
        """Admit nothing any more, and wait for the questions inside."""
        with self._changed:
            self.closed = True
            self._changed.wait_for(lambda: not self._inside, patience_s)
