"""Files that are opened if they are files, written whole or not at all, and hashed.

What a person names may be a pipe that nobody writes to, a device without an end or a socket. Every
reader opens by :func:`open_file`, or asks :func:`check_is_file` before a library that opens by
itself: both raise an :class:`OSError` as a file that cannot be read does.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from gair.errors import StorageError
from gair.progress import say

_BLOCK = 1 << 20
_HELD_ELSEWHERE = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
"""What a lock that another holds is refused with; a file system without locks has other reasons."""


_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotAFileError(OSError):
    """A path leads to something that must not be read as a file; ``strerror`` says to what."""


def check_is_file(path: str | os.PathLike[str]) -> None:
    """Refuse what is no regular file, nor a link to one, before anything opens it.

    Raises:
        NotAFileError: it is a pipe, a socket or a device.
        OSError: it is a folder, or cannot be looked at.
    """
    _check_kind(os.stat(path), path)


def open_file(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a regular file, or a link to one, to read its bytes; nothing else is waited for.

    Raises:
        NotAFileError: it is a pipe, a socket or a device.
        OSError: it is a folder, or cannot be opened.
    """
    check_is_file(path)  # opening some devices is enough to set them going
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    file = os.fdopen(os.open(path, os.O_RDONLY | flags), "rb")
    try:
        _check_kind(os.fstat(file.fileno()), path)  # another may lie there by now
    except OSError:
        file.close()
        raise
    return file


def open_text(path: str | os.PathLike[str], *, encoding: str = "utf-8") -> TextIO:
    """Open a regular file to read its text, line ends as they are; as :func:`open_file`."""
    return io.TextIOWrapper(open_file(path), encoding=encoding, newline="")


def read_file(path: str | os.PathLike[str], *, most_bytes: int | None = None) -> bytes:
    """The bytes of a regular file.

    Raises:
        NotAFileError: it is a pipe, a socket or a device.
        OSError: it is a folder, cannot be read, or has more than ``most_bytes``.
    """
    with open_file(path) as file:
        content = file.read() if most_bytes is None else file.read(most_bytes + 1)
    if most_bytes is not None and len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes:,} bytes", os.fspath(path))
    return content


def _check_kind(facts: os.stat_result, path: str | os.PathLike[str]) -> None:
    kind = stat.S_IFMT(facts.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "something else")
        raise NotAFileError(errno.EINVAL, f"it is {what}, not a file", os.fspath(path))


def sha256_of(path: Path, between: Callable[[], None] | None = None) -> str:
    """The sha256 of a file's bytes, as hexadecimal text.

    Args:
        path: of the file.
        between: called after each block of a megabyte; what it raises ends the reading.
    """
    digest = hashlib.sha256()
    with open_file(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if between is not None:
                between()
    return digest.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write to a temporary neighbour, fsync, rename: readers see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with disk_errors(path):
        try:
            with temporary.open("wb") as file:
                try_lock(file.fileno(), shared=True)  # as long as it lives: dead_temporaries()
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def dead_temporaries(folder: Path, name: str) -> list[Path]:
    """What :func:`write_whole` left in a folder where it was killed, and nobody writes to now.

    Args:
        folder: where.
        name: of the files that were to be written, as a pattern.
    """
    dead = []
    for temporary in sorted(folder.glob(f".{name}.*.tmp")):
        with contextlib.suppress(OSError), open_file(temporary) as file:
            if try_lock(file.fileno(), shared=False):
                dead.append(temporary)
    return dead


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

    Where the file system has no locks, that is said, and the work goes on without.

    Args:
        lock: the file, in a folder that exists.
        refusal: the error's text where another holds it.

    Raises:
        StorageError: another process or thread holds it, or the disk refused.
    """
    from filelock import FileLock, Timeout

    if os.name != "nt" and not can_lock(lock.parent):
        say(
            f"note: the file system of {lock.parent} has no locks, so nothing keeps two programs "
            "from changing it at once: start only one"
        )
        yield
        return
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


def can_lock(where: Path) -> bool:
    """Whether files of this file system can be locked in a way that readers share.

    Args:
        where: a file or folder that exists.
    """
    try:
        handle = os.open(where, os.O_RDONLY)
    except OSError:  # whoever needs it next says so
        return True
    try:
        return _locked(handle, shared=True) is not None
    finally:
        os.close(handle)


def try_lock(file: int, *, shared: bool) -> bool:
    """Lock an open file without waiting; False where others have it, or there are no locks."""
    return _locked(file, shared=shared) is True


def _locked(file: int, *, shared: bool) -> bool | None:
    """The same, but None where there are no locks."""
    try:
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except ImportError:
        return None
    except OSError as error:
        return False if error.errno in _HELD_ELSEWHERE else None
    return True
