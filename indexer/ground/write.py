"""Writes sets of reference photos, whole or not at all.

Rows are sorted by cell and content hash, so the same photos make the same vectors and the same
rows, in whatever order they came. Files are written into a hidden folder; when the manifest is on
disk it is renamed, and only then does the pointer change. What dies on the way leaves a hidden
folder that the next change removes.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Ints
from gair.errors import UsageError
from gair.files import disk_errors, exclusive, sync_folder
from gair.progress import Progress
from indexer.ground.lists import make_reference_lists
from indexer.ground.manifest import (
    FORMAT_VERSION,
    OF_PHOTO_FILE,
    PHOTO_TABLE_FILE,
    POINTER_FILE,
    PROTOTYPES_FILE,
    SET_MANIFEST_FILE,
    UNKNOWN,
    VECTORS_FILE,
    ReferenceManifest,
)
from indexer.ground.photo_table import rows_sha256, write_photo_table
from indexer.ground.prototypes import check_prototypes, make_prototypes
from indexer.index.manifest import FileRecord, ModelRecord, utc_now
from indexer.index.storage import file_records, new_build_id, orphans, publish, require_space
from indexer.index.vectors import FaissStore, FlatWriter
from indexer.photos.groups import place_numbers

if TYPE_CHECKING:
    import pyarrow as pa

HIDDEN = ".ground-building-"
"""Begins the name of a set that is not finished."""
_ROWS_AT_ONCE = 16_384
_BYTES_A_ROW = 400
"""Of the table, about."""

VectorsOf = Callable[[Ints], npt.NDArray[np.floating]]
"""Takes (r,) rows, gives (r, D) unit vectors."""


@contextlib.contextmanager
def changing(index_folder: Path, *, dead: bool = True) -> Iterator[None]:
    """Keep others from changing the reference photos of an index.

    Args:
        index_folder: of the index.
        dead: whether to remove what dead changes left.

    Raises:
        StorageError: somebody does already.
    """
    refusal = f"the reference photos of {index_folder.name!r} are being changed: wait for that"
    with exclusive(index_folder / ".ground.lock", refusal):
        unfinished = [*index_folder.glob(f"{HIDDEN}*"), *orphans(index_folder, POINTER_FILE)]
        for leftover in unfinished if dead else ():
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def write_reference_photos(
    index_folder: Path,
    rows: pa.Table,
    vectors_of: VectorsOf,
    *,
    dim: int,
    model: ModelRecord,
    h3_resolution: int,
    index_type: str = "auto",
    prototypes: int = 0,
    quiet: bool = False,
) -> ReferenceManifest:
    """Write a set and make it the one that serves; the caller is :func:`changing` the index.

    Args:
        index_folder: of the index.
        rows: of :func:`indexer.ground.photo_table.row_schema`, in any order, each photo once.
        vectors_of: their vectors.
        dim: of the vectors.
        model: that made them.
        h3_resolution: of their cells.
        index_type: one of :data:`indexer.index.ivf.WANTED`.
        prototypes: how many a cell has at most (:mod:`indexer.ground.prototypes`); 0 for none.
        quiet: no progress.

    Raises:
        UsageError: there is no photo, or the number of prototypes makes no sense.
        StorageError: the disk refused; the set that served goes on serving.
    """
    if not len(rows):
        raise UsageError("a set of reference photos needs one photo or more")
    check_prototypes(prototypes)
    require_space(index_folder, len(rows) * (2 * dim + _BYTES_A_ROW))
    order = rows.append_column("at", [np.arange(len(rows))]).sort_by(
        [("h3", "ascending"), ("content_sha256", "ascending")]
    )
    at, rows = order["at"].to_numpy(), order.drop_columns(["at"])
    name = f"ground-{new_build_id()}"
    hidden = index_folder / f"{HIDDEN}{name}"
    try:
        with disk_errors(hidden):
            hidden.mkdir()
        with (
            FlatWriter(hidden / VECTORS_FILE, dim) as writer,
            Progress("writing", len(rows), "photo", quiet=quiet) as progress,
        ):
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                block = at[start : start + _ROWS_AT_ONCE]
                writer.append(vectors_of(block))
                progress.advance(len(block))
        search = _made_searchable(hidden, rows, prototypes, index_type, quiet=quiet)
        places = place_numbers(
            rows["sequence"].to_pylist(), rows["captured_at"].to_pylist(), _lonlat_deg(rows)
        )
        write_photo_table(hidden / PHOTO_TABLE_FILE, rows, places)
        files = file_records(hidden)
        manifest = ReferenceManifest(
            format_version=FORMAT_VERSION,
            name=name,
            created_utc=utc_now(),
            model=model,
            h3_resolution=h3_resolution,
            dim=dim,
            photos=len(rows),
            places=int(places.max()) + 1,
            **_facts(rows),
            search=search,
            content_sha256=content_of_set(files, rows),
            files=files,
        )
        publish(
            hidden,
            name,
            manifest.to_json(),
            manifest_file=SET_MANIFEST_FILE,
            pointer_file=POINTER_FILE,
        )
    finally:
        shutil.rmtree(hidden, ignore_errors=True)  # after publish() there is none
    return manifest


def remove_pointer(index_folder: Path) -> None:
    """Let an index have no reference photos.

    Raises:
        StorageError: the disk refused.
    """
    with disk_errors(index_folder / POINTER_FILE):
        (index_folder / POINTER_FILE).unlink(missing_ok=True)
        sync_folder(index_folder)


def _made_searchable(
    folder: Path, rows: pa.Table, prototypes: int, index_type: str, *, quiet: bool
) -> dict[str, Any]:
    """Write what a set is searched by, beside its vectors; the manifest's field ``search``."""
    if not prototypes:
        return make_reference_lists(folder, index_type, quiet=quiet)
    store, cells = FaissStore(folder / VECTORS_FILE), rows["h3"].to_numpy()
    return make_prototypes(folder, store, cells, prototypes, index_type, quiet=quiet)


def content_of_set(files: Mapping[str, FileRecord], rows: pa.Table) -> str:
    """The hash of what a set says: of its vectors, rows and prototypes, not of when it was written.

    Args:
        files: of the set.
        rows: of its table.
    """
    text = (
        f"{files[VECTORS_FILE].sha256}  {VECTORS_FILE}\n{rows_sha256(rows)}  {PHOTO_TABLE_FILE}\n"
    )
    for name in (PROTOTYPES_FILE, OF_PHOTO_FILE):
        if name in files:
            text += f"{files[name].sha256}  {name}\n"
    return hashlib.sha256(text.encode()).hexdigest()


def _lonlat_deg(rows: pa.Table) -> npt.NDArray[np.float64]:
    return np.stack([rows["lon_deg"].to_numpy(), rows["lat_deg"].to_numpy()], axis=1)


def _facts(rows: pa.Table) -> dict[str, Any]:
    """What the manifest says of all photos together."""
    import pyarrow.compute as pc

    lonlat_deg = _lonlat_deg(rows)
    days = pc.min_max(rows["taken_on"]).as_py()
    return {
        "private": int(pc.sum(rows["private"]).as_py() or 0),
        "licences": counted(rows, "licence"),
        "sources": counted(rows, "source"),
        "dates": {
            "first": str(days["min"] or ""),
            "last": str(days["max"] or ""),
            "unknown": rows["taken_on"].null_count,
        },
        "with_heading": int(np.isfinite(rows["heading_deg"].to_numpy()).sum()),
        "bbox_wsen_deg": [*lonlat_deg.min(axis=0).tolist(), *lonlat_deg.max(axis=0).tolist()],
    }


def counted(rows: pa.Table, column: str) -> dict[str, int]:
    """How many rows have each text; unknown for none."""
    pairs = rows[column].value_counts().to_pylist()
    return {pair["values"] or UNKNOWN: pair["counts"] for pair in pairs}
