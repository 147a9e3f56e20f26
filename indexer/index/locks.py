"""Which builds are in use: an open index holds a shared lock on its build's manifest.

Locks are advisory (flock), vanish with the process that holds them, and change nothing on disk.
Where there are none (Windows, some network file systems) a build in use cannot be told from others.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from indexer.index.manifest import MANIFEST_FILE


class BuildLock:
    """A lock on a build; released when it is collected, or with the process."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._close = weakref.finalize(self, os.close, file)

    def release(self) -> None:
        """Let go now."""
        self._close()


def hold(build: Path) -> BuildLock | None:
    """Share a build with its other readers; None where that is not possible."""
    return _locked(build, shared=True)


def seize(build: Path) -> BuildLock | None:
    """Take a build for oneself; None while anybody has it open."""
    return _locked(build, shared=False)


def can_lock() -> bool:
    """Whether this system has such locks."""
    try:
        import fcntl  # noqa: F401
    except ImportError:
        return False
    return True


def try_lock(file: int, *, shared: bool) -> bool:
    """Lock an open file without waiting; False where others have it, or there are no locks."""
    try:
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _locked(build: Path, *, shared: bool) -> BuildLock | None:
    try:
        file = os.open(build / MANIFEST_FILE, os.O_RDONLY)
    except OSError:  # whoever reads it next says so
        return None
    if not try_lock(file, shared=shared):
        os.close(file)
        return None
    return BuildLock(file)
