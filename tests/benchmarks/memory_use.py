"""What a piece of work takes of memory, processor and disk, as Linux counts it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any, Self

from measuring import memory_bytes

_EVERY_S = 0.05


class Usage:
    """Seconds, processor seconds and the most memory of a block, without what files lend.

    The kernel keeps the most of all memory only, mapped files' pages among it, which it takes back
    as it likes; so memory of the process's own is looked at twenty times a second.
    """

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._peak = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        self._since, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._since
        self.cpu_s = time.process_time() - self._cpu
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self._peak = max(self._peak, memory_bytes("RssAnon"))
            if self._over.wait(_EVERY_S):
                return

    def facts(self) -> dict[str, Any]:
        """For a table."""
        return {"build_s": self.seconds, "cpu_s": self.cpu_s, "peak_gb": self._peak / 1e9}


def resident(files: list[Path]) -> int:
    """Bytes of mapped files that are in this process's memory."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if " " in line and "-" in line.split()[0] and not line.split()[0].endswith(":"):
            ours = any(line.endswith(str(file)) for file in files)
        elif ours and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


def read_bytes() -> int:
    """Bytes that the disk has read for this process."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["read_bytes"])


def forget(path: Path) -> None:
    """Take a file that nobody maps out of the page cache."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)  # only what is on the disk can be dropped
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)
