"""Memory of freed buffers, handed back to the system: photos come and go by tens of megabytes.

glibc keeps what is freed. Once a large buffer was freed, it takes the next ones of up to 32 MB from
heaps of its own, one set a thread, and gives those back from their ends only (mallopt(3), under
``M_MMAP_THRESHOLD``): 24 requests at once then leave gigabytes behind that nobody uses. With a
fixed threshold each large buffer is mapped for itself and gone when it is freed.
"""

from __future__ import annotations

import contextlib
import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h
_LARGE_BYTES = 1 << 20
_MOST_ARENAS = 2


def map_large_buffers() -> None:
    """Have large buffers mapped for themselves from now on; nothing where there is no glibc."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, _MOST_ARENAS)


def trim() -> None:
    """Hand back what is free inside the heaps, too; takes some milliseconds."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
