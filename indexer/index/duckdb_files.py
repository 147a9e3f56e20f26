"""DuckDB files: written anew, opened to be read, and what stops either.

DuckDB locks a file that it writes. On a file system without locks it refuses, so there it writes
through :class:`_Unlocked`, plain files that nobody locks: a build is alone with what it writes.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gair.errors import IndexCorruptError, IndexInUseError
from gair.interrupts import interruptible_sql
from indexer.index.storage import library_writes

if TYPE_CHECKING:
    import duckdb

_VERSION = "STORAGE_VERSION 'v1.0.0'"
"""What readers of 1.0 and later can open."""
_NO_LOCKS = "locks are not supported"
_IN_USE = re.compile(r"Conflicting lock is held|with a different configuration")
_PROCESS = re.compile(r"PID (\d+)")


@contextlib.contextmanager
def new_database(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with a new file as ``out``, which is whole when the block ends.

    Raises:
        StorageError: the disk refused.
    """
    import duckdb

    with (
        interruptible_sql(),
        library_writes(path, duckdb.Error),
        duckdb.connect() as connection,
    ):
        try:
            connection.execute(f"ATTACH {_quoted(str(path))} AS out ({_VERSION})")
        except duckdb.IOException as error:
            if _NO_LOCKS not in str(error):
                raise
            if path.exists() and not path.stat().st_size:
                path.unlink()  # it was made before it could not be locked
            connection.register_filesystem(_unlocked_files())
            address = _quoted(f"unlocked://{path.absolute()}")
            connection.execute(f"ATTACH {address} AS out ({_VERSION})")
        yield connection
        connection.execute("DETACH out")


@contextlib.contextmanager
def open_database(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads a file.

    Raises:
        IndexInUseError: a program has it open to write.
        IndexCorruptError: it cannot be read, or a query fails.
    """
    import duckdb

    try:
        with interruptible_sql(), duckdb.connect(str(path), read_only=True) as connection:
            yield connection
    except duckdb.Error as error:
        text = str(error).strip()
        if _IN_USE.search(text):
            process = _PROCESS.search(text)
            who = f"process {process[1]}" if process else "this process"
            raise IndexInUseError(
                f"{path} is in use: {who} has it open to write; close it there, or open it there "
                "with read_only=True"
            ) from error
        reason = (text or type(error).__name__).splitlines()[0]
        raise IndexCorruptError(f"cannot read {path}: {reason}") from error


def _unlocked_files() -> Any:  # noqa: ANN401 (fsspec has no types)
    """A file system for DuckDB over plain files."""
    from fsspec.implementations.local import LocalFileSystem

    class _Unlocked(LocalFileSystem):  # type: ignore[misc]
        protocol = "unlocked"
        cachable = False

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return str(path).removeprefix("unlocked://")

        def open(self, path: str, mode: str = "rb", **_options: Any) -> IO[bytes]:  # noqa: ANN401
            file = Path(self._strip_protocol(path))
            if "+" in mode:
                file.touch()
            return file.open(mode, buffering=0)

        def exists(self, path: str, **_options: Any) -> bool:  # noqa: ANN401
            return os.path.exists(self._strip_protocol(path))

    return _Unlocked()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
