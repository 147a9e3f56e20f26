"""Fetching of listed files: resumed, retried, hashed, and what is here already not moved again."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gair.errors import SharingError
from gair.files import disk_errors, make_folder, open_file, sha256_of
from gair.http import Patience
from gair.progress import Progress
from indexer.index.manifest import FileRecord
from indexer.sharing.sources import BLOCK_BYTES, LostSourceError, NoSuchFileError, Source

PART = ".part"
"""Ends the name of a file that is not whole."""
PATIENCE = Patience()


def fetch_files(
    source: Source,
    prefix: str,
    files: Mapping[str, FileRecord],
    folder: Path,
    *,
    here: Mapping[str, Path],
    quiet: bool = False,
    patience: Patience = PATIENCE,
) -> int:
    """Bring files into a folder; those that are whole there stay.

    Args:
        source: has them.
        prefix: what their paths begin with there, such as ``london/``.
        files: by path below ``folder``; each has been checked to stay below it.
        folder: where they go. A run that was ended goes on with what it left there.
        here: files of this machine by their sha256, which need not be moved.
        quiet: no progress.
        patience: with the source.

    Returns:
        The bytes that came from the source.

    Raises:
        SharingError: the source does not answer, or what it sends is not what its listing says.
        StorageError: the disk refused.
    """
    moved = 0
    total = sum(record.size_bytes for record in files.values())
    with Progress("fetching", total, "byte", quiet=quiet) as progress:
        for path, record in files.items():
            target = folder / path
            make_folder(target.parent)
            if is_whole(target, record) or _taken_from_here(target, record, here):
                progress.skip(record.size_bytes)
                continue
            moved += fetch(source, f"{prefix}{path}", record, target, progress, patience)
    return moved


def is_whole(file: Path, record: FileRecord) -> bool:
    """Whether a file is there with all its bytes."""
    return (
        file.is_file()
        and file.stat().st_size == record.size_bytes
        and sha256_of(file) == record.sha256
    )


def _taken_from_here(target: Path, record: FileRecord, here: Mapping[str, Path]) -> bool:
    """Link or copy a file of this machine that has the same bytes."""
    own = here.get(record.sha256)
    if own is None or not is_whole(own, record):
        return False
    target.unlink(missing_ok=True)
    with disk_errors(target):
        try:
            os.link(own, target)  # files of an index never change
        except OSError:
            part = target.with_name(target.name + PART)
            shutil.copyfile(own, part)
            os.replace(part, target)
    return True


def fetch(
    source: Source,
    path: str,
    record: FileRecord,
    target: Path,
    progress: Progress,
    patience: Patience = PATIENCE,
) -> int:
    """Bring one file; returns the bytes that were moved now.

    Raises:
        SharingError: as :func:`fetch_files`.
        StorageError: the disk refused.
    """
    part = target.with_name(target.name + PART)
    digest, size = _hashed_so_far(part, record)
    progress.skip(size)
    moved, pauses = 0, patience.pauses_s()
    while size < record.size_bytes or not part.exists():
        try:
            for block in source.blocks(path, size):
                if size + len(block) > record.size_bytes:
                    part.unlink(missing_ok=True)
                    raise SharingError(
                        f"{path} of {source.where} has more than the {record.size_bytes:,} bytes "
                        "that are listed: do not trust it, or pull again if it was just pushed"
                    )
                with disk_errors(part), part.open("ab") as file:
                    file.write(block)
                digest.update(block)
                size += len(block)
                moved += len(block)
                progress.advance(len(block))
            if size < record.size_bytes:
                raise LostSourceError(f"{path} of {source.where} ended at byte {size:,}")
            if not part.exists():  # a file of no bytes
                part.touch()
        except NoSuchFileError as error:
            raise SharingError(
                f"{error}, though it is listed: it was pushed anew meanwhile; pull again"
            ) from error
        except LostSourceError as error:
            pause_s = next(pauses, None)
            if pause_s is None:
                raise SharingError(
                    f"{error}: the same command goes on from there when it is back"
                ) from error
            time.sleep(pause_s)
    if digest.hexdigest() != record.sha256:
        part.unlink(missing_ok=True)
        raise SharingError(
            f"{path} of {source.where} is not what its listing says (sha256): pull again, and if "
            "it stays so, do not trust the source"
        )
    with disk_errors(target):
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    return moved


def _hashed_so_far(part: Path, record: FileRecord) -> tuple[Any, int]:
    """The hash and size of what an earlier run left of a file; too much of it goes."""
    digest, size = hashlib.sha256(), 0
    if part.exists():
        if part.stat().st_size > record.size_bytes:
            part.unlink()
        else:
            with open_file(part) as file:
                while block := file.read(BLOCK_BYTES):
                    digest.update(block)
                    size += len(block)
    return digest, size
