"""Reference photos of an index: vectors s of photos whose place is known, opened beside it.

::

    indexes/london/GROUND                      {"build": ..., "manifest_sha256": ...}
    indexes/london/ground-20261123T101500Z-3f2a/   ground.faiss ground.duckdb ground.json

A set belongs to the index's folder and not to one of its builds: photos do not change when the
imagery does, so a new build of the same model goes on with them, and a build's content hash knows
nothing of them. A set never changes; adding or removing photos writes a new one, and then the
pointer changes in one step. A process that has the old set open keeps it
(:mod:`indexer.index.storage` does the same with builds).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from gair.arrays import Floats, Floats32, Ints
from gair.errors import IndexCorruptError, IndexMismatchError, IndexNotFoundError
from gair.files import read_file
from indexer.ground.lists import nearest_rows, open_reference_lists
from indexer.ground.manifest import (
    AGAIN,
    LISTS_FILE,
    PHOTO_TABLE_FILE,
    POINTER_FILE,
    SET_MANIFEST_FILE,
    VECTORS_FILE,
    ReferenceManifest,
)
from indexer.ground.photo_table import ReferencePhoto, photos_of, read_columns, read_rows
from indexer.ground.prototypes import Prototypes, open_prototypes
from indexer.index.index import read_manifest
from indexer.index.ivf import GpuLists, InvertedLists
from indexer.index.known_files import known_sha256
from indexer.index.later_checks import LaterChecks
from indexer.index.manifest import FileRecord
from indexer.index.storage import BuildLock, hold, read_current
from indexer.index.vectors import FaissStore
from indexer.regions.cell_field import unit_vectors
from indexer.regions.cells import cells_at

if TYPE_CHECKING:
    import pyarrow as pa

KEPT_PHOTOS = 100_000
"""Up to so many photos the rows of a set stay in memory, some 20 MB, once some were shown."""


@dataclass(frozen=True, eq=False)
class ReferencePhotos:
    """One set, ready to be searched; it never changes. Safe to share between threads.

    It is verified, unless its vectors were left to be checked later.
    """

    path: Path
    """Folder of the set."""
    manifest: ReferenceManifest
    lonlat_deg: Floats
    """(n, 2) where each was taken."""
    place_ids: Ints
    """(n,) photos of one sequence or street corner share one: :mod:`indexer.photos.groups`."""
    taken_on: npt.NDArray[np.datetime64]
    """(n,) days; NaT where unknown."""
    heading_deg: Floats32
    """(n,) clockwise from north; NaN where unknown."""
    store: FaissStore
    """The vectors, row by row."""
    lists: InvertedLists | GpuLists | None = None
    """What finds the rows that are scored; None where all are, or prototypes are searched."""
    prototypes: Prototypes | None = None
    """What is searched instead of the photos; None where these are."""
    held: BuildLock | None = field(default=None, repr=False)
    """Keeps the set from being pruned while it is open."""

    def __len__(self) -> int:
        return len(self.place_ids)

    @functools.cached_property
    def content_sha256(self) -> npt.NDArray[np.bytes_]:
        """(n,) sha256 of the bytes of each photo's file, as hexadecimal text of type S64."""
        query = 'SELECT content_sha256 FROM photos ORDER BY "row"'
        table = read_columns(self.path / PHOTO_TABLE_FILE, query)
        return np.array(table["content_sha256"].to_pylist(), dtype="S64")

    @functools.cached_property
    def sequence(self) -> npt.NDArray[np.str_]:
        """(n,) names of the walks or drives that they are of; empty for photos by themselves."""
        query = 'SELECT sequence FROM photos ORDER BY "row"'
        table = read_columns(self.path / PHOTO_TABLE_FILE, query)
        return np.array(table["sequence"].to_pylist(), dtype=np.str_)

    @functools.cached_property
    def places(self) -> Floats:
        """(n, 3) where each was taken, as points of the unit sphere."""
        return unit_vectors(self.lonlat_deg)

    @functools.cached_property
    def tree(self) -> KDTree:
        """The same, to look for those near a point."""
        return KDTree(self.places)

    def nearest(self, s: Floats32, count: int) -> tuple[Floats32, Ints]:
        """The reference photos that look most like some photos.

        Args:
            s: (m, D) unit vectors of photos.
            count: how many.

        Returns:
            (m, count) cosines and rows, best first; fewer columns where the set has fewer photos.
        """
        return nearest_rows(self.store, self.lists, len(self), s, count)

    def details(self, rows: npt.ArrayLike) -> list[ReferencePhoto]:
        """What is known of the photos of some rows, in their order."""
        numbers = np.asarray(rows, dtype=np.int64).reshape(-1)
        if len(self) <= KEPT_PHOTOS:
            return photos_of(self._rows.take(numbers))
        return photos_of(read_rows(self.path / PHOTO_TABLE_FILE, numbers))

    @functools.cached_property
    def _rows(self) -> pa.Table:
        """All rows: for a few of them DuckDB would have to open the file again."""
        return read_rows(self.path / PHOTO_TABLE_FILE)

    def public_rows(self) -> Ints:
        """(p,) rows of the photos that may leave the index."""
        query = 'SELECT "row" FROM photos WHERE NOT private ORDER BY "row"'
        rows = read_columns(self.path / PHOTO_TABLE_FILE, query)["row"]
        return np.asarray(rows.to_numpy(), dtype=np.int64)

    def vectors(self, rows: npt.ArrayLike) -> Floats32:
        """The vectors of some rows, (r, D)."""
        return self.store.vectors(np.asarray(rows, dtype=np.int64).reshape(-1))


def open_reference_photos(
    index_folder: Path, *, later: LaterChecks | None = None
) -> ReferencePhotos | None:
    """The reference photos of an index; None where it has none.

    Args:
        index_folder: of the index; its serving build says which model they must be of.
        later: takes the vectors where they are large, to be checked while the set is open; without
            it all files are checked first.

    Raises:
        IndexNotFoundError: the folder has no finished build.
        IndexMismatchError: they are of another model.
        IndexCorruptError: a file is missing or differs from what was written; it is named.
    """
    index_folder = Path(index_folder)
    current = current_set(index_folder)
    if current is None:
        return None
    path = index_folder / current[0]
    held = hold(path, SET_MANIFEST_FILE)
    manifest = read_set_manifest(path, current[1])
    build, digest = read_current(index_folder)
    check_model(manifest, read_manifest(index_folder / build, digest).model.fingerprint, path)
    for name in manifest.files:
        if not _waits(path / name, manifest, later):
            check_set_file(path / name, manifest)
    return opened_set(path, manifest, held)


def opened_set(path: Path, manifest: ReferenceManifest, held: BuildLock | None) -> ReferencePhotos:
    """A set whose files were checked.

    Raises:
        IndexCorruptError: its files do not fit together.
    """
    query = 'SELECT "row", lon_deg, lat_deg, place, heading_deg, taken_on FROM photos ORDER BY 1'
    table = read_columns(path / PHOTO_TABLE_FILE, query)
    store = FaissStore(path / VECTORS_FILE)
    lonlat_deg = np.stack([table["lon_deg"].to_numpy(), table["lat_deg"].to_numpy()], axis=1)
    prototypes = lists = None
    if manifest.prototypes:
        prototypes = open_prototypes(path, manifest.search, unit_vectors(lonlat_deg))
    else:
        lists = open_reference_lists(path, manifest.search)
    counts = {
        PHOTO_TABLE_FILE: len(table),
        VECTORS_FILE: store.count,
        SET_MANIFEST_FILE: manifest.photos,
        **({} if lists is None else {LISTS_FILE: lists.count}),
    }
    if len(set(counts.values())) != 1:
        listed = ", ".join(f"{name} has {count:,}" for name, count in counts.items())
        raise IndexCorruptError(f"{path}: the rows do not match: {listed}: {AGAIN}")
    if not np.array_equal(table["row"].to_numpy(), np.arange(len(table))):
        raise IndexCorruptError(f"{path}: the rows of its photos are not 0, 1, 2, ...: {AGAIN}")
    days = table["taken_on"].cast("int32").to_numpy()  # floats with NaN where some are unknown
    dated = np.isfinite(days)
    taken_on = np.full(len(days), np.datetime64("NaT"), dtype="datetime64[D]")
    taken_on[dated] = days[dated].astype(np.int64).astype("datetime64[D]")
    return ReferencePhotos(
        path=path,
        manifest=manifest,
        lonlat_deg=lonlat_deg,
        place_ids=table["place"].to_numpy().astype(np.int64),
        taken_on=taken_on,
        heading_deg=table["heading_deg"].to_numpy().astype(np.float32),
        store=store,
        lists=lists,
        prototypes=prototypes,
        held=held,
    )


def stored_rows(references: ReferencePhotos, h3_resolution: int) -> pa.Table:
    """All rows of a set, with cells of a resolution: an index may have been built at another."""
    rows = read_rows(references.path / PHOTO_TABLE_FILE)
    if references.manifest.h3_resolution == h3_resolution:
        return rows
    at = rows.schema.get_field_index("h3")
    return rows.set_column(
        at, rows.schema.field(at), [cells_at(references.lonlat_deg, h3_resolution)]
    )


def current_set(index_folder: Path) -> tuple[str, str] | None:
    """Name and manifest hash of the set that serves; None where there is none.

    Raises:
        IndexCorruptError: the pointer is damaged.
    """
    try:
        return read_current(index_folder, POINTER_FILE, remedy=f"delete it and {AGAIN}")
    except IndexNotFoundError:
        return None


def read_set_manifest(path: Path, manifest_sha256: str) -> ReferenceManifest:
    """The manifest of a set, checked against the pointer's hash.

    Raises:
        IndexCorruptError: it is missing, damaged, or of a newer kind.
    """
    file = path / SET_MANIFEST_FILE
    pointer = path.parent / POINTER_FILE
    try:
        text = read_file(file)
    except OSError as error:
        raise IndexCorruptError(
            f"cannot read {file}, which {pointer} names ({error.strerror}): delete {pointer.name} "
            f"and {AGAIN}"
        ) from error
    if hashlib.sha256(text).hexdigest() != manifest_sha256:
        raise IndexCorruptError(
            f"{file} and {pointer} do not fit together: delete {pointer.name} and {AGAIN}"
        )
    return ReferenceManifest.from_json(text, file)


def _waits(file: Path, manifest: ReferenceManifest, later: LaterChecks | None) -> bool:
    """Whether a file is left to be checked later: as those of an index are."""
    if later is None or file.name != VECTORS_FILE:
        return False
    record = manifest.files.get(file.name)
    return later.take(file, record, lambda go_on: check_set_file(file, manifest, between=go_on))


def check_set_file(
    file: Path,
    manifest: ReferenceManifest,
    *,
    anew: bool = False,
    between: Callable[[], None] | None = None,
) -> None:
    """Compare a file with its record; FAISS must not see a byte that nobody vouches for.

    It is read as :func:`indexer.index.index.check_file` reads.

    Raises:
        IndexCorruptError: it is another, or cannot be read.
    """
    pointer = file.parent.parent / POINTER_FILE
    try:
        measured = FileRecord(known_sha256(file, anew=anew, between=between), file.stat().st_size)
    except OSError as error:
        raise IndexCorruptError(
            f"cannot read {file}: {error.strerror}: make it readable, or delete {pointer} and "
            f"{AGAIN}"
        ) from error
    if measured != manifest.files.get(file.name):
        raise IndexCorruptError(
            f"{file} differs from what was written: delete {pointer} and {AGAIN}"
        )


def check_model(manifest: ReferenceManifest, fingerprint: str, path: Path) -> None:
    """Refuse a set of another model than the index's.

    Raises:
        IndexMismatchError: it is.
    """
    model = manifest.model
    if model.fingerprint != fingerprint:
        raise IndexMismatchError(
            f"the reference photos in {path} are of model {model.name} ({model.fingerprint[:12]}), "
            f"the index is of {fingerprint[:12]}: remove them with python -m indexer "
            "remove-photos --all, and add them again"
        )
