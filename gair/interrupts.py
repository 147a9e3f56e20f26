"""Interrupts: a polite kill acts like Ctrl-C, and Ctrl-C reaches the caller of DuckDB."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells report it."""

_DUCKDB_TEXT = "Query interrupted"


@contextlib.contextmanager
def kills_as_ctrl_c() -> Iterator[None]:
    """Let a polite kill end the work as Ctrl-C does, so that nothing half-done is left.

    So does the end of the terminal (SIGHUP), unless the program was told to outlive it, as `nohup`
    does. Only the main thread may handle signals; in any other this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, signal.default_int_handler) for number in polite_kills()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def polite_kills() -> list[signal.Signals]:
    """The signals that ask a process to end: SIGTERM, and SIGHUP where that is not ignored."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is None or signal.getsignal(hangup) == signal.SIG_IGN:
        return [signal.SIGTERM]
    return [signal.SIGTERM, hangup]


@contextlib.contextmanager
def interruptible_sql() -> Iterator[None]:
    """Let Ctrl-C, or a signal that acts like it, arrive as such.

    DuckDB looks for signals while it works; it drops what their handler raised and raises a bare
    `RuntimeError` of its own, which would end a program as a bug.
    """
    try:
        yield
    except RuntimeError as error:
        if str(error) != _DUCKDB_TEXT:
            raise
        raise KeyboardInterrupt from error
