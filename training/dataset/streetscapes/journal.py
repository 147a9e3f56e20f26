"""Journal of a build: what came of each photo; it survives a kill at any moment.

::

    WORK/journal.sqlite                 a row a photo that is settled
    WORK/photos/3f/mapillary-123.jpg    its file as the data set will keep it

A photo's file is complete before its row is written, and a row whose file is missing or of another
length counts as none. Only one build works in a folder at a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gair.errors import DatasetError, StorageError
from gair.files import make_folder, write_whole
from gair.inputs.documents import json_of

_TABLES = """
CREATE TABLE IF NOT EXISTS outcomes (key TEXT PRIMARY KEY, outcome TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS effort (
    one INTEGER PRIMARY KEY CHECK (one = 1), photos INTEGER, requests INTEGER, bytes_in INTEGER,
    seconds REAL
);
INSERT OR IGNORE INTO effort VALUES (1, 0, 0, 0, 0);
"""


@dataclass(frozen=True)
class Outcome:
    """What came of a photo."""

    reason: str
    """Why it is left out; empty for one that is there."""
    size_bytes: int = 0
    """Of the file that is kept."""
    heading_deg: float | None = None
    captured_at: str | None = None
    licence: str = ""
    source: str = ""
    attribution: str = ""
    look: int = 0
    """Its difference hash."""
    sequence: str = ""
    """Of the walk or drive that it is a part of; empty where its source names none."""
    complaint: str = ""
    """What exactly is wrong with it, for people."""


@dataclass(frozen=True)
class Effort:
    """What fetching has taken so far, all runs together."""

    photos: int
    requests: int
    bytes_in: int
    seconds: float


class _BusyError(DatasetError):
    """Another build has the journal."""


class Journal:
    """The outcomes in a folder; a context manager, for one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        make_folder(self._folder)
        path = self._folder / "journal.sqlite"
        with self._refusals():
            self._database = sqlite3.connect(path, timeout=0.2, isolation_level=None)
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_TABLES)
            self._database.execute("UPDATE effort SET one = 1")  # takes the lock
        return self

    def __exit__(self, *_error: object) -> None:
        self._database.close()

    def outcomes(self) -> dict[str, Outcome]:
        """All photos that are settled, by key; those whose file is gone are not."""
        outcomes = {}
        with self._refusals():
            for key, text in self._database.execute("SELECT key, outcome FROM outcomes"):
                outcome = self._outcome(key, text)
                if outcome.reason or self._is_there(key, outcome):
                    outcomes[str(key)] = outcome
        return outcomes

    def is_empty(self) -> bool:
        """Whether no photo is settled yet."""
        with self._refusals():
            return self._database.execute("SELECT 1 FROM outcomes").fetchone() is None

    def settle(self, key: str, outcome: Outcome) -> None:
        """Note what came of a photo; its file, if it has one, must be there."""
        text = json.dumps(dataclasses.asdict(outcome))
        with self._refusals():
            self._database.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?)", (key, text))

    def add_effort(self, effort: Effort) -> None:
        """Add to what fetching has taken."""
        with self._refusals():
            self._database.execute(
                "UPDATE effort SET photos = photos + ?, requests = requests + ?, "
                "bytes_in = bytes_in + ?, seconds = seconds + ?",
                dataclasses.astuple(effort),
            )

    def effort(self) -> Effort:
        """What fetching has taken so far."""
        with self._refusals():
            query = "SELECT photos, requests, bytes_in, seconds FROM effort"
            return Effort(*self._database.execute(query).fetchone())

    def path_of(self, key: str) -> Path:
        """Where a photo's file lies."""
        return photo_path(self._folder, key)

    def _outcome(self, key: str, text: str) -> Outcome:
        try:
            return Outcome(**json_of(text))
        except (ValueError, TypeError) as error:
            raise DatasetError(
                f"{self._folder / 'journal.sqlite'} says of {key} what is not understood "
                f"({error}): remove {self._folder} and begin again"
            ) from error

    def _is_there(self, key: str, outcome: Outcome) -> bool:
        try:
            return self.path_of(key).stat().st_size == outcome.size_bytes
        except OSError:
            return False

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        path = self._folder / "journal.sqlite"
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise _BusyError(
                    f"another build works in {self._folder}: wait for it, or name another `out`"
                ) from error
            raise StorageError(
                f"cannot write {path}: {error}; free some space, or choose another folder"
            ) from error
        except sqlite3.DatabaseError as error:
            raise DatasetError(
                f"{path} is damaged ({error}): remove {self._folder} and begin again"
            ) from error


def photo_path(folder: Path, key: str) -> Path:
    """Where a photo's file lies; 256 folders share them."""
    return folder / "photos" / hashlib.sha256(key.encode()).hexdigest()[:2] / f"{key}.jpg"


def keep_photo(folder: Path, key: str, jpeg: bytes) -> None:
    """Write a photo's file, whole or not at all; from any thread."""
    path = photo_path(folder, key)
    make_folder(path.parent)
    write_whole(path, jpeg)


def measured_effort(folder: Path) -> Effort | None:
    """What fetching took in a folder, or None where nothing was fetched or a build is at work."""
    if not (folder / "journal.sqlite").is_file():
        return None
    try:
        with Journal(folder) as journal:
            effort = journal.effort()
    except _BusyError:
        return None
    return effort if effort.photos and effort.seconds > 0 else None
