"""Folder of uploads: locked by the server whose it is, and swept away once that is dead.

A server that is killed cannot delete the photos that nobody asked about yet. Its lock goes with it,
so the next server of the same user finds the folder and deletes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gair.files import try_lock

_PREFIX = "gair-uploads-"
_NEW = "gair-new-uploads-"
"""Begins the name of a folder that is not locked yet."""


@contextlib.contextmanager
def upload_folder() -> Iterator[Path]:
    """A new folder that only this user may enter; deleted when the block ends, with all in it.

    Those of servers that were killed are deleted first.
    """
    sweep_dead()
    folder = Path(tempfile.mkdtemp(prefix=_NEW))
    locked = _locked(folder)
    with contextlib.suppress(OSError):
        # Only locked folders have the name that is looked for.
        folder = folder.rename(folder.with_name(folder.name.replace(_NEW, _PREFIX, 1)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if locked is not None:
            os.close(locked)


def sweep_dead() -> list[Path]:
    """Delete the folders of this user's servers that are dead; returns which."""
    dead: list[Path] = []
    if os.name == "nt":  # it has no locks of folders
        return dead
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            if (locked := _locked(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(locked)
                dead.append(folder)
    return dead


def _locked(folder: Path) -> int | None:
    """An open handle that holds a folder's lock; None where another has it, or there are none."""
    if os.name == "nt":
        return None
    handle = os.open(folder, os.O_RDONLY)
    if try_lock(handle, shared=False):
        return handle
    os.close(handle)
    return None
