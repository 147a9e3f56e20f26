"""Files that are written whole or not at all, and hashed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from gair.errors import StorageError

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, as hexadecimal text."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write to a temporary neighbour, fsync, rename: readers see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with disk_errors(path):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        StorageError: the disk refused.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    if os.name == "nt":  # Windows neither needs nor allows it
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def size_bytes(path: Path) -> int:
    """What a file, or a folder with all in it, takes on the disk; 0 where there is none."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing ``path`` into :class:`StorageError`."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "no space left on the device: free some, or choose another folder",
            errno.EDQUOT: "the disk quota is used up: free some space, or choose another folder",
            errno.EROFS: "the file system is read-only: choose another folder",
            errno.EACCES: "permission denied: choose a folder you may write to",
        }
        reason = reasons.get(error.errno or 0, error.strerror or repr(error))
        raise StorageError(f"cannot write {path}: {reason}") from error


@contextlib.contextmanager
def exclusive(lock: Path, refusal: str) -> Iterator[None]:
    """Hold a lock file, which stays when the block ends; its lock goes with the process.

    Args:
        lock: the file, in a folder that exists.
        refusal: the error's text where another holds it.

    Raises:
        StorageError: another process or thread holds it, or the disk refused.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock)
    with disk_errors(lock):
        try:
            held.acquire(blocking=False)
        except Timeout:
            raise StorageError(refusal) from None
    try:
        yield  # what goes wrong from here on is not about the lock
    finally:
        held.release()


def can_lock() -> bool:
    """Whether this system has locks that may be shared."""
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
