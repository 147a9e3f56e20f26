"""Ctrl-C and SIGTERM during training: finish the step, write a checkpoint, then go."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Remembers the first signal; a second one ends the process at once."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        if os.environ.get("RANK", "0") == "0":  # print() must not be called in a handler
            os.write(2, b"\nfinishing this step and writing a checkpoint; once more: end at once\n")


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn signals into a request, until the block is left.

    Only the main thread may handle signals; in any other the request never comes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_status(stopped_by: signal.Signals) -> int:
    """What shells report of a process that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + stopped_by
