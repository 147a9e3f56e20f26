"""Ctrl-C while DuckDB works."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_SAID = "Query interrupted"


@contextlib.contextmanager
def interruptible_sql() -> Iterator[None]:
    """Let Ctrl-C, or a signal that acts like it, arrive as such.

    DuckDB looks for signals while it works; it drops what their handler raised and raises a bare
    `RuntimeError` of its own, which would end a program as a bug.
    """
    try:
        yield
    except RuntimeError as error:
        if str(error) != _SAID:
            raise
        raise KeyboardInterrupt from error
