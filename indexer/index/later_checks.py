"""Checks files of an open index in the background, so that a server answers at once.

::

    verifying  ->  verified      every file is what its record says
               ->  damaged       one is not: no more answers

Hashing an index of gigabytes takes many seconds, in which a server could answer. Only files of
plain rows wait, large ones whose size and head are right: what is wrong inside them is a wrong
score and nothing worse. A table, a picture or inverted lists are followed by the libraries that
read them, and are hashed before one opens them. A program that asks once hashes all first, too: its
answer could not be taken back.

One thread reads, a megabyte at a time and without the interpreter's lock, at a low priority. It
ends with the process, when it is told to, or at the first damage. What it found is remembered as
ever (:mod:`indexer.index.known_files`); of a file that it left half read, nothing is.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from gair.errors import IndexCorruptError
from gair.processes.forks import renew_in_child
from gair.progress import say
from indexer.index.known_files import file_state, is_known
from indexer.index.manifest import FileRecord
from indexer.index.vectors import begins_as_written

LARGE_BYTES = 32 << 20
"""Size from which on a file may wait: smaller ones are hashed in less than a tenth of a second."""
_KINDNESS = 10
"""How much lower the priority of the thread is, as :manpage:`nice(1)` counts: where every core is
busy it gets about a tenth of one."""

Verification = Literal["verifying", "verified", "damaged"]
Check = Callable[[Callable[[], None]], None]
"""Compares a file with its record and raises what is wrong; it calls its argument now and then."""


class _StoppedError(Exception):
    """The thread is to end."""


class LaterChecks:
    """Files of one open index that wait to be hashed; safe to share between threads."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Path, int, Check]] = []
        self._read = 0
        self._damaged: Path | None = None
        self._state: list[int] = []
        self.problem = ""
        """What is damaged and what to do about it, in one line; empty while nothing is known."""
        self.after_fork()
        renew_in_child(self)

    def after_fork(self) -> None:
        """The thread is not in the child: the next question there begins another."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._worker: threading.Thread | None = None

    @property
    def verification(self) -> Verification:
        """What is known of the files now."""
        if self.problem:
            return "damaged"
        return "verified" if self._read == len(self._waiting) else "verifying"

    @property
    def left_bytes(self) -> int:
        """What the files take that were not compared yet."""
        return sum(size for _, size, _ in self._waiting[self._read :])

    def take(self, file: Path, record: FileRecord | None, check: Check) -> bool:
        """Take a file of plain rows that may be opened before it is hashed; before :meth:`begin`.

        It must be large, of the size that its record has, and not known by a hash already; one of
        FAISS must begin as it was written, where NumPy looks at the head of its files with care.

        Args:
            file: to be opened.
            record: what is known of it.
            check: compares it with its record and raises an IndexCorruptError.

        Returns:
            Whether it was taken; else it has to be checked now.
        """
        if record is None or record.size_bytes < LARGE_BYTES:
            return False
        try:
            if file.stat().st_size != record.size_bytes or is_known(file):
                return False
        except OSError:  # whoever opens it says so
            return False
        if file.suffix == ".faiss" and not begins_as_written(file):
            return False
        self._waiting.append((file, record.size_bytes, check))
        return True

    def begin(self) -> None:
        """Let the thread run if there is something to read; returns at once."""
        if self.verification != "verifying" or self._worker is not None:
            return
        with self._lock:
            if self._worker is None and not self._stopping.is_set():
                self._worker = threading.Thread(
                    target=self._compare, name="verify-index", daemon=True
                )
                self._worker.start()

    def wait(self, timeout_s: float | None = None) -> Verification:
        """Begin, and wait until the files are compared or time is up."""
        self.begin()
        worker = self._worker
        if worker is not None:
            worker.join(timeout_s)
        return self.verification

    def require(self) -> None:
        """Refuse to go on where a file was found to be damaged.

        Raises:
            IndexCorruptError: one was; it is named.
        """
        if self.problem:
            raise IndexCorruptError(self.problem)

    def mended(self) -> list[int]:
        """The state of the damaged file where it is another by now, so that it is worth a look."""
        if self._damaged is None:
            return []
        with contextlib.suppress(OSError):
            now = file_state(self._damaged)
            return [] if now == self._state else now
        return []

    def stop(self) -> None:
        """End the thread, within a block of what it reads; it is not begun again."""
        with self._lock:
            self._stopping.set()
            worker = self._worker
        if worker is not None and worker is not threading.current_thread():
            worker.join()

    def _compare(self) -> None:
        # A thread that is cut off where it is, as daemons are, could leave half a note behind.
        atexit.register(self.stop)
        try:
            _be_kind()
            while self._read < len(self._waiting):
                file, _, check = self._waiting[self._read]
                try:
                    check(self._go_on)
                except _StoppedError:
                    return
                except Exception as error:  # whatever it is, nobody vouches for the file
                    self._found(file, error)
                    return
                self._read += 1
        finally:
            atexit.unregister(self.stop)

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise _StoppedError

    def _found(self, file: Path, error: Exception) -> None:
        with contextlib.suppress(OSError):
            self._state = file_state(file)
        self._damaged = file
        self.problem = f"no more answers: {error}, or copy the file here again"
        say(f"error: {self.problem}")


def _be_kind() -> None:
    """Lower the priority of this thread, where the system has one for each."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(
                os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _KINDNESS
            )
