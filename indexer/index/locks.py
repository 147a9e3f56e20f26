"""Which builds are in use: an open index holds a shared lock on its build's manifest.

Locks are advisory (flock), vanish with the process that holds them, and change nothing on disk.
Where there are none (Windows, some network file systems) a build in use cannot be told from others.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from gair.files import try_lock
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


def _locked(build: Path, *, shared: bool) -> BuildLock | None:
    try:
        file = os.open(build / MANIFEST_FILE, os.O_RDONLY)
    except OSError:  # whoever reads it next says so
        return None
    if not try_lock(file, shared=shared):
        os.close(file)
        return None
    return BuildLock(file)
