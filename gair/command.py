"""What every command line here has in common: how it fails and how it is stopped."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells report it."""


def complain(error: object) -> None:
    """One line on standard error, whatever the message holds."""
    print("error:", " ".join(str(error).splitlines()), file=sys.stderr)


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
