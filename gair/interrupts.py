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
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Let a polite kill end the work as Ctrl-C does, so that nothing half-done is left.

    Only the main thread may handle signals; in any other this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
