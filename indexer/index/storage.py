"""Index folders: builds side by side, and a pointer that changes in one step.

::

    indexes/london/CURRENT                    {"build": ..., "manifest_sha256": ...}
    indexes/london/20261123T101500Z-3f2a/     rs.faiss location.faiss tokens.npy
                                              picture.tif cells.duckdb region.geojson manifest.json
    indexes/london/.work-3f2a81c09d5e/        finished units of a build that is not

A build grows in a hidden folder and is renamed when its manifest is on disk; only then does
CURRENT change. A process that has the old build open keeps it. A build that dies leaves a hidden
folder, or one that CURRENT does not name yet, which the next build of the same index removes, and
its finished units, which the same build goes on from (:mod:`indexer.build.unit_files`).

Two kinds of locks, both gone with the process that holds them. A running build holds ``.lock``
alone. An open index shares the manifest of its build with other readers (:func:`hold`), and
``prune`` takes a build only if it gets that manifest for itself (:func:`seize`); where a file
system has no such locks, a build in use cannot be told from others.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import weakref
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gair.errors import (
    IndexCorruptError,
    IndexNotFoundError,
    SearchIndexError,
    StorageError,
    UsageError,
)
from gair.files import (
    dead_temporaries,
    disk_errors,
    exclusive,
    make_folder,
    read_file,
    sha256_of,
    sync_folder,
    try_lock,
    write_whole,
)
from gair.inputs.documents import json_of
from indexer.index.manifest import MANIFEST_FILE, FileRecord

CURRENT_FILE = "CURRENT"
RS_FILE = "rs.faiss"
LOCATION_FILE = "location.faiss"
RS_LISTS = "rs.ann.faiss"
LOCATION_LISTS = "location.ann.faiss"
TOKENS_FILE = "tokens.npy"
TABLE_FILE = "cells.duckdb"
REGION_FILE = "region.geojson"

HIDDEN = ".building-"
"""Begins the name of the folder of a build that is not finished."""
WORK = ".work-"
"""Begins the names of folders with the finished units of a build."""
PULLED = ".pulled-"
"""Begins the names of folders with what was moved here of a shared index that is not whole yet."""
UNPUBLISHED = ".unpublished"
"""Lies in a build, and holds the pointer's name, until that names the build."""
_FULL_BYTES = 64 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str) -> str:
    """An index name that is safe as a folder name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"index name {name!r} must be 1 to 64 letters, digits, '.', '_' or '-', "
            "and start with a letter or digit: choose another"
        )
    return name


def new_build_id() -> str:
    """A name for a build: when it began, and four random digits."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


@contextlib.contextmanager
def library_writes(path: Path, refused: type[Exception]) -> Iterator[None]:
    """Like :func:`gair.files.disk_errors`, around a library that writes ``path`` by itself.

    FAISS and DuckDB report a full disk as an error of their own kind.
    """
    with disk_errors(path):
        try:
            yield
        except refused as error:
            full = shutil.disk_usage(path.parent).free < _FULL_BYTES
            reason = " ".join(str(error).split())
            raise OSError(errno.ENOSPC if full else errno.EIO, reason) from error


@contextlib.contextmanager
def building(index_folder: Path, build: str) -> Iterator[Path]:
    """A hidden folder to build in; removed when anything goes wrong, Ctrl-C included.

    Only one build of an index runs at a time; leftovers of dead ones are cleared first.
    """
    make_folder(index_folder)
    with alone(index_folder):
        for leftover in index_folder.glob(f"{HIDDEN}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for leftover in dead_temporaries(index_folder, CURRENT_FILE):
            leftover.unlink(missing_ok=True)
        for orphan in orphans(index_folder):
            shutil.rmtree(orphan, ignore_errors=True)
        hidden = index_folder / f"{HIDDEN}{build}"
        with disk_errors(hidden):
            hidden.mkdir()
        try:
            yield hidden
        finally:
            shutil.rmtree(hidden, ignore_errors=True)  # after publish() there is none


def orphans(index_folder: Path, pointer_file: str = CURRENT_FILE) -> list[Path]:
    """Finished builds that were never named by the pointer: whoever made them was killed first.

    The same command makes them again from their units. Ask only while no build runs.
    """
    marks = index_folder.glob(f"*/{UNPUBLISHED}")
    unnamed = []
    for mark in sorted(marks):
        if _serves(index_folder, mark.parent.name, pointer_file):
            mark.unlink(missing_ok=True)  # killed one step later
        elif pointer_file == _pointer_of(mark):
            unnamed.append(mark.parent)
    return unnamed


def _pointer_of(mark: Path) -> str:
    with contextlib.suppress(OSError):
        return mark.read_text()
    return ""


def work_folders(index_folder: Path) -> list[Path]:
    """The folders with units of builds that are not finished, or whose units were kept."""
    return sorted(index_folder.glob(f"{WORK}*"))


def publish(
    hidden: Path,
    build: str,
    manifest: bytes,
    *,
    manifest_file: str = MANIFEST_FILE,
    pointer_file: str = CURRENT_FILE,
) -> Path:
    """Make a finished build the one that serves, or leave nothing of it; returns its folder."""
    index_folder = hidden.parent
    final = index_folder / build
    write_whole(hidden / manifest_file, manifest)
    pointer = pointer_to(build, sha256_of(hidden / manifest_file))
    with disk_errors(hidden):
        for file in hidden.iterdir():
            with file.open("r+b") as handle:  # Windows syncs only what is open for writing
                os.fsync(handle.fileno())
    mark = UNPUBLISHED
    try:
        with disk_errors(final):
            (hidden / mark).write_text(pointer_file)
            hidden.rename(final)
            sync_folder(index_folder)
        write_whole(index_folder / pointer_file, pointer)
        with contextlib.suppress(OSError):  # it serves, and the next build removes the mark
            (final / mark).unlink()
    except BaseException:
        if not _serves(index_folder, build, pointer_file):
            shutil.rmtree(final, ignore_errors=True)
        raise
    return final


def pointer_to(build: str, manifest_sha256: str) -> bytes:
    """What a pointer holds that names a build, or a set beside one."""
    return json.dumps({"build": build, "manifest_sha256": manifest_sha256}).encode()


def file_records(folder: Path) -> dict[str, FileRecord]:
    """Hash and size of every file in a folder."""
    return {
        file.name: FileRecord(sha256_of(file), file.stat().st_size)
        for file in sorted(folder.iterdir())
    }


def write_outline(folder: Path, feature: Mapping[str, Any]) -> None:
    """Write the region of a build, a GeoJSON feature, into its folder.

    Raises:
        StorageError: the disk refused.
    """
    outline = folder / REGION_FILE
    with disk_errors(outline):
        outline.write_bytes(json.dumps(feature).encode())


def read_current(
    index_folder: Path, pointer_file: str = CURRENT_FILE, *, remedy: str = "rebuild the index"
) -> tuple[str, str]:
    """The serving build and the sha256 of its manifest.

    Args:
        index_folder: of the index.
        pointer_file: which pointer.
        remedy: of a damaged one.

    Raises:
        IndexNotFoundError: no build was ever finished here.
        IndexCorruptError: the pointer is damaged.
    """
    path = index_folder / pointer_file
    try:
        pointer = json_of(read_file(path))
        build, digest = pointer["build"], pointer["manifest_sha256"]
        if not (isinstance(digest, str) and _NAME.fullmatch(build)):
            raise ValueError("no name of a build, or no hash")
    except FileNotFoundError:
        raise IndexNotFoundError(
            f"{index_folder} has no finished build: run python -m indexer build"
        ) from None
    except OSError as error:
        raise IndexCorruptError(
            f"cannot read {path}: {error.strerror}: make it readable, or {remedy}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise IndexCorruptError(f"{path} is damaged: {remedy}") from error
    return build, digest


def index_names(indexes_dir: Path) -> list[str]:
    """The indexes of a folder that have a finished build."""
    if not indexes_dir.is_dir():
        return []
    return sorted(f.parent.name for f in indexes_dir.glob(f"*/{CURRENT_FILE}"))


def require_space(folder: Path, needed_bytes: int) -> None:
    """Refuse to start work that cannot fit on the disk."""
    with disk_errors(folder):
        existing = next(f for f in [folder, *folder.resolve().parents] if f.exists())
        free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise StorageError(
            f"{existing} has {free / 1e6:,.0f} MB free and the index needs about "
            f"{needed_bytes / 1e6:,.0f} MB: free some space, or choose another folder"
        )


def alone(index_folder: Path) -> contextlib.AbstractContextManager[None]:
    """Keep builds of an index from beginning; refuses while one runs.

    Raises:
        StorageError: a build runs.
    """
    name = index_folder.name
    return exclusive(
        index_folder / ".lock",
        f"another build of {name!r} is running: wait for it, or choose another name",
    )


def _serves(index_folder: Path, build: str, pointer_file: str) -> bool:
    try:
        return read_current(index_folder, pointer_file)[0] == build
    except SearchIndexError:
        return False


class BuildLock:
    """A lock on a build; released when it is collected, or with the process."""

    def __init__(self, file: int) -> None:
        self._close = weakref.finalize(self, os.close, file)

    def release(self) -> None:
        """Let go now."""
        self._close()


def hold(build: Path, manifest_file: str = MANIFEST_FILE) -> BuildLock | None:
    """Share a build with its other readers; None where that is not possible."""
    return _locked(build / manifest_file, shared=True)


def seize(build: Path, manifest_file: str = MANIFEST_FILE) -> BuildLock | None:
    """Take a build for oneself; None while anybody has it open."""
    return _locked(build / manifest_file, shared=False)


def _locked(manifest: Path, *, shared: bool) -> BuildLock | None:
    try:
        file = os.open(manifest, os.O_RDONLY)
    except OSError:  # whoever reads it next says so
        return None
    if not try_lock(file, shared=shared):
        os.close(file)
        return None
    return BuildLock(file)
