"""Hashes of index files that were read before, remembered while the files stay as they are.

::

    ~/.cache/gair/hashes/3f2a81c0.json     {"version": 1, "file": ..., "state": ..., "sha256": ...}

Reading 700 MB to open an index takes seconds. A file is read once, and again when its size, its
times, its inode or its path are others. What is remembered lies with the user and never in an
index, a file each, so that programs that run at once never change each other's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from gair.errors import StorageError
from gair.files import make_folder, read_file, sha256_of, write_whole

HASHES = "GAIR_HASHES"
"""Environment variable that names the folder; where it is set and empty, nothing is remembered."""

_VERSION = 1
_SETTLED_NS = 2_000_000_000
"""Age of a file that is remembered: a change within one tick of its clock would not be seen."""
_MOST_BYTES = 64 << 10
_MOST_FILES = 2000
"""How many are kept, those remembered last: more than any open index has, and a few hundred kB."""


def hashes_folder() -> Path | None:
    """Where hashes are remembered: $GAIR_HASHES, or ``gair/hashes`` in the user's cache."""
    named = os.environ.get(HASHES)
    if named is not None:
        return Path(named) if named else None
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(cache) if cache else Path.home() / ".cache") / "gair" / "hashes"
    except RuntimeError:  # a user without a home
        return None


def known_sha256(
    file: Path, *, anew: bool = False, between: Callable[[], None] | None = None
) -> str:
    """The sha256 of a file's bytes, as hexadecimal text; read only if it is not remembered.

    Args:
        file: of an index.
        anew: read it whatever is remembered.
        between: called after each block that is read; what it raises ends the reading.

    Raises:
        OSError: it cannot be read.
    """
    folder = hashes_folder()
    if folder is None:
        return sha256_of(file, between)
    path = file.resolve()
    before = file_state(path)
    note = _note_of(folder, path)
    if not anew and (digest := _remembered(note, path, before)):
        return digest
    digest = sha256_of(path, between)
    settled = time.time_ns() - max(before[1:3]) > _SETTLED_NS
    # Whatever is wrong with the user's cache: the index opens without it.
    with contextlib.suppress(OSError, StorageError):
        if settled and file_state(path) == before:
            _remember(note, path, before, digest)
        else:
            note.unlink(missing_ok=True)
    return digest


def is_known(file: Path) -> bool:
    """Whether :func:`known_sha256` would answer without reading the file.

    Raises:
        OSError: it cannot be looked at.
    """
    folder, path = hashes_folder(), file.resolve()
    return folder is not None and bool(_remembered(_note_of(folder, path), path, file_state(path)))


def file_state(path: Path) -> list[int]:
    """What changes when a file does: size, times, device and inode.

    Raises:
        OSError: it cannot be looked at.
    """
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_dev, facts.st_ino]


def _note_of(folder: Path, path: Path) -> Path:
    return folder / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"


def _remembered(note: Path, path: Path, state: list[int]) -> str:
    """The hash of a file in a state; empty where it is not known."""
    try:
        if os.name != "nt" and note.stat().st_uid != os.getuid():
            return ""
        values = json.loads(read_file(note, most_bytes=_MOST_BYTES))
        told = (values["version"], values["file"], values["state"])
        digest = values["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return digest if told == (_VERSION, str(path), state) and isinstance(digest, str) else ""


def _remember(note: Path, path: Path, state: list[int], digest: str) -> None:
    make_folder(note.parent)
    values = {"version": _VERSION, "file": str(path), "state": state, "sha256": digest}
    write_whole(note, json.dumps(values).encode())
    notes = list(note.parent.glob("*.json"))
    if len(notes) > _MOST_FILES:
        for old in sorted(notes, key=lambda n: n.stat().st_mtime_ns)[:-_MOST_FILES]:
            old.unlink(missing_ok=True)
