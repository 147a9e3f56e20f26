"""Which scenes of the imagery cache are in use, so that pruning leaves them alone.

::

    <cache>/.in-use/<process>-<random>    a line for each scene's folder; its writer holds a lock
    <cache>/.in-use/lock                  shared while a scene is added, exclusive while pruning

Locks are flock's and vanish with the process that holds them: a lease that nobody locks is of a
dead process. Where there are no such locks (Windows), every lease counts until its file is gone.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from indexer.locks import try_lock

IN_USE = ".in-use"
_LOCK = "lock"


class Lease:
    """The scenes that a process uses of a cache. Nothing is written before the first."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / IN_USE
        self._known: set[str] = set()
        self._adding = threading.Lock()
        self._file: IO[str] | None = None

    def add(self, scene: Path) -> None:
        """Use a scene's folder; waits for a prune to end.

        Where a lease cannot be written nothing else can, and nobody prunes there.
        """
        name = "/".join(scene.parts[-2:])
        with self._adding:
            if name in self._known:
                return
            with contextlib.suppress(OSError), _locked(self._folder, shared=True):
                if self._file is None:
                    self._file = self._opened()
                self._file.write(f"{name}\n")
                self._file.flush()
            self._known.add(name)

    def _opened(self) -> IO[str]:
        path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}"
        file = path.open("x", encoding="utf-8")
        try_lock(file.fileno(), shared=False)
        weakref.finalize(self, _ended, file, path, os.getpid())
        return file


@contextlib.contextmanager
def pruning(cache: Path) -> Iterator[frozenset[str]]:
    """Let no scene be added meanwhile; gives those in use, as ``collection/scene``.

    Leases of dead processes are removed.
    """
    folder = cache / IN_USE
    with _locked(folder, shared=False):
        used: set[str] = set()
        for path in sorted(folder.iterdir()):
            if path.name == _LOCK:
                continue
            with path.open("r+", encoding="utf-8") as file:
                if try_lock(file.fileno(), shared=False):
                    path.unlink()
                else:
                    used.update(line.rstrip("\n") for line in file)
        yield frozenset(used)


def _ended(file: IO[str], path: Path, process: int) -> None:
    file.close()
    if os.getpid() == process:  # a fork closes its copy only
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path, *, shared: bool) -> Iterator[None]:
    """Wait for the lock of a cache."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a") as file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
