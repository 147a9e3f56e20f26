"""Vectors of listed photos, kept by the hash of their bytes: a photo is encoded once a model.

The store is an SQLite file with a row a photo: sha256 of the file's bytes, its vector, and the
conditions it was taken under (:mod:`gair.photos.conditions`). It holds no photo, no name and no
place. The model's fingerprint and the version of the preprocessing are in
the file's name, so that a vector is never taken for another model's.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Bools, Floats, Ints, Vectors
from gair.errors import PhotoError, StorageError
from gair.files import make_folder, sha256_of
from gair.photos.conditions import COMPARED, NAMES, Conditions, day_and_hour
from gair.photos.photo import conditions_of, open_photo
from gair.photos.texture import TEXTURE
from gair.progress import Progress
from indexer.photos.groups import places_of
from indexer.photos.listing import ListedPhoto, read_photos

if TYPE_CHECKING:
    from gair.photos.photo import Photo
    from indexer.photos.encoder import Encoder


NO_PLACE = "no coordinates"
IMPOSSIBLE_PLACE = "impossible coordinates"
UNREADABLE = "photo cannot be read"

_AT_ONCE = 64
_PREPROCESSING = 1
"""Raised when the same photo and model give other vectors than before."""
_MEASURED = "conditions_4"
"""The table of conditions; renamed when the same photo gives others than before."""
_CLOCK = ("date", "hour")


@dataclass(frozen=True, eq=False)
class PhotoVectors:
    """Listed photos, their vectors and their places, row by row."""

    photos: list[ListedPhoto]
    """All that were listed, P."""
    s: Vectors
    """(P, D) unit vectors; NaN where the photo cannot be read."""
    lonlat_deg: Floats
    """(P, 2) where they were taken; NaN where that is unknown or impossible."""
    failures: dict[int, str]
    """Why the photo of a row has no vector."""
    conditions: dict[int, Conditions] = field(default_factory=dict)
    """What the photo of a row was taken under, where that was measured."""

    def __len__(self) -> int:
        return len(self.photos)

    def taken(self, rows: Ints) -> PhotoVectors:
        """Some of them, in this order."""
        picked = rows.tolist()
        return PhotoVectors(
            [self.photos[row] for row in picked],
            self.s[rows],
            self.lonlat_deg[rows],
            {n: self.failures[row] for n, row in enumerate(picked) if row in self.failures},
            {n: self.conditions[row] for n, row in enumerate(picked) if row in self.conditions},
        )

    @property
    def usable(self) -> Bools:
        """(P,) which have a vector and a place."""
        return np.asarray(
            np.isfinite(self.s).all(axis=1) & np.isfinite(self.lonlat_deg).all(axis=1)
        )

    @functools.cached_property
    def condition_values(self) -> Floats:
        """(P, C) conditions of the photos, :attr:`gair.photos.conditions.Conditions.values`.

        A date that the photo does not carry is the list's; so is an hour, unless the list tells it
        in UTC. NaN is what neither says.
        """
        values = np.full((len(self), COMPARED + TEXTURE), np.nan)
        for row, conditions in self.conditions.items():
            values[row] = conditions.values
            day_of_year, hour = day_and_hour(listed_at := self.photos[row].captured_at)
            in_utc = (listed_at or "").endswith(("Z", "+00:00"))
            listed = (day_of_year, np.nan if in_utc else hour)
            for name, value in zip(_CLOCK, listed, strict=True):
                column = NAMES.index(name)
                if np.isnan(values[row, column]):
                    values[row, column] = value
        return values

    @property
    def shows_something(self) -> Bools:
        """(P,) False where there is nothing to see in the photo, as far as that was looked at."""
        shown = np.ones(len(self), dtype=np.bool_)
        shown[[row for row, conditions in self.conditions.items() if conditions.nothing]] = False
        return shown

    @functools.cached_property
    def place_of_photo(self) -> Ints:
        """(P,) which photos are of one place: :func:`indexer.photos.groups.places_of`."""
        return places_of(self.photos, self.lonlat_deg)

    def left_out(self) -> dict[str, int]:
        """How many are not usable, by reason; each counts once."""
        counts: dict[str, int] = {}
        for row, photo in enumerate(self.photos):
            if row in self.failures:
                reason = UNREADABLE
            elif np.isfinite(self.lonlat_deg[row]).all():
                continue
            else:
                reason = NO_PLACE if photo.lonlat_deg is None else IMPOSSIBLE_PLACE
            counts[reason] = counts.get(reason, 0) + 1
        return counts


def photo_vectors(
    geolocator: Encoder,
    photos: Path | str | Sequence[ListedPhoto],
    *,
    cache: Path | None,
    extra: Sequence[str] = (),
    quiet: bool = False,
) -> PhotoVectors:
    """Encode photos, but for those that were before.

    Args:
        geolocator: whose model encodes them.
        photos: a folder, a manifest, or what was read of one.
        cache: folder of the stores; None keeps nothing.
        extra: further columns of the manifest to keep.
        quiet: no progress bar.

    Raises:
        DatasetError: the list cannot be read.
        StorageError: the disk refused.
    """
    if isinstance(photos, str | Path):
        photos = read_photos(photos, extra=extra)
    listed = list(photos)
    dim = geolocator.model.config.dim
    s = np.full((len(listed), dim), np.nan, dtype=np.float32)
    failures: dict[int, str] = {}
    conditions: dict[int, Conditions] = {}
    with (
        vector_cache(cache, geolocator.index.manifest.model.fingerprint) as store,
        Progress("photos", len(listed), "photo", quiet=quiet) as progress,
    ):
        for start in range(0, len(listed), _AT_ONCE):
            rows = range(start, min(start + _AT_ONCE, len(listed)))
            digests = {row: file_digest(listed[row].path) for row in rows}
            _fill(geolocator, listed, digests, store, s, failures, conditions)
            progress.advance(len(rows))
    return PhotoVectors(listed, s, listed_places(listed), failures, conditions)


def _fill(
    geolocator: Encoder,
    listed: Sequence[ListedPhoto],
    digests: dict[int, str],
    store: VectorCache,
    s: Vectors,
    failures: dict[int, str],
    conditions: dict[int, Conditions],
) -> None:
    """Vectors and conditions of some rows, from the store or from the photos."""
    named = [digest for digest in digests.values() if digest]
    kept, kept_conditions = store.read(named), store.read_conditions(named)
    unknown: dict[int, Photo] = {}
    measured: dict[str, Conditions] = {}
    for row, digest in digests.items():
        if digest in kept and digest in kept_conditions:
            s[row], conditions[row] = kept[digest], kept_conditions[digest]
            continue
        try:
            photo = open_photo(listed[row].path)
        except PhotoError as error:
            failures[row] = str(error)
            continue
        conditions[row] = measured[digest] = conditions_of(photo)
        if digest in kept:  # from before conditions were measured
            s[row] = kept[digest]
        else:
            unknown[row] = photo
    store.write_conditions({digest: value for digest, value in measured.items() if digest})
    if unknown:
        s[list(unknown)] = geolocator.embed(list(unknown.values()))
        store.write({digests[row]: s[row] for row in unknown if digests[row]})


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes; empty if it cannot be read, which opening it will explain."""
    try:
        return sha256_of(path) if path.is_file() else ""
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return ""


def listed_places(listed: Sequence[ListedPhoto]) -> Floats:
    """(P, 2) where photos were taken; NaN where that is unknown or impossible."""
    places = np.array([photo.lonlat_deg or (np.nan, np.nan) for photo in listed], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        possible = (np.abs(places) <= (180.0, 90.0)).all(axis=1) & (places != 0).any(axis=1)
    places[~possible] = np.nan
    return places


class VectorCache:
    """Vectors and conditions by sha256; without a file it knows nothing and keeps nothing."""

    def __init__(self, connection: sqlite3.Connection | None) -> None:
        self._connection = connection

    def read(self, digests: Sequence[str]) -> dict[str, Vectors]:
        """Those of some photos that are known."""
        if self._connection is None:
            return {}
        marks = ",".join("?" * len(digests))
        rows = self._connection.execute(
            f"SELECT sha256, vector FROM vectors WHERE sha256 IN ({marks})", digests
        )
        return {digest: np.frombuffer(blob, dtype="<f4") for digest, blob in rows}

    def write(self, vectors: dict[str, Vectors]) -> None:
        """Keep some; they are on the disk when this returns."""
        if self._connection is None:
            return
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
                [(digest, vector.astype("<f4").tobytes()) for digest, vector in vectors.items()],
            )

    def read_conditions(self, digests: Sequence[str]) -> dict[str, Conditions]:
        """Conditions of some photos that are known."""
        if self._connection is None:
            return {}
        marks = ",".join("?" * len(digests))
        rows = self._connection.execute(
            f"SELECT sha256, numbers, reason FROM {_MEASURED} WHERE sha256 IN ({marks})", digests
        )
        return {
            digest: Conditions.of_values(np.frombuffer(blob, dtype="<f8"), nothing)
            for digest, blob, nothing in rows
        }

    def write_conditions(self, measured: dict[str, Conditions]) -> None:
        """Keep some; they are on the disk when this returns."""
        if self._connection is None or not measured:
            return
        with self._connection:
            self._connection.executemany(
                f"INSERT OR REPLACE INTO {_MEASURED} VALUES (?, ?, ?)",
                [
                    (digest, of_photo.values.astype("<f8").tobytes(), of_photo.nothing)
                    for digest, of_photo in measured.items()
                ],
            )


@contextlib.contextmanager
def vector_cache(folder: Path | None, fingerprint: str) -> Iterator[VectorCache]:
    """The vectors that a folder keeps of a model; without a folder none.

    Raises:
        StorageError: the disk refused.
    """
    if folder is None:
        yield VectorCache(None)
        return
    path = folder / f"{fingerprint[:32]}-{_PREPROCESSING}.sqlite"
    make_folder(folder)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as connection:
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors (sha256 TEXT PRIMARY KEY, vector BLOB NOT NULL)"
                " WITHOUT ROWID"
            )
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_MEASURED} (sha256 TEXT PRIMARY KEY,"
                " numbers BLOB NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID"
            )
            yield VectorCache(connection)
    except sqlite3.Error as error:
        raise StorageError(
            f"cannot keep photo vectors in {path} ({error}): delete it, or choose another cache"
        ) from error
