"""Writer of data sets: rows stream into Parquet shards, ``dataset.json`` comes last.

Shards grow in a hidden folder of the data set's own and move to their places when all are complete,
so a writer that fails or dies leaves an earlier data set as it was, and never half of a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gair.bands import GAIR_BANDS
from gair.errors import UsageError
from gair.files import disk_errors, sha256_of, sync_folder, write_whole
from training.dataset.shards.contents import Contents
from training.dataset.shards.schema import (
    DATASET_FILE,
    FORMAT_VERSION,
    FRAME_SCHEMA,
    FRAMES_FOLDER,
    PHOTO_SCHEMA,
    PHOTOS_FOLDER,
    SHARD_NAME,
    FrameRecord,
    PhotoRecord,
    shard_path,
)

GROUP_PHOTOS = 64
"""Most photos in a row group."""
GROUP_BYTES = 2 << 20
"""A row group of photos is cut at this size: it is the least that a random read costs."""
SHARD_BYTES = 256 << 20
"""A shard is cut at about this size."""

_HIDDEN = ".writing-"


class ParquetOut:
    """A shard of photos or of frames; a refusal of the disk is a ``StorageError``."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self.written_bytes = 0
        photos = kind == PHOTOS_FOLDER
        self._schema = PHOTO_SCHEMA if photos else FRAME_SCHEMA
        compression = dict.fromkeys(self._schema.names, "snappy")
        compression |= {"jpeg": "none"} if photos else {"dn": "zstd"}
        with disk_errors(path):
            self._writer = pq.ParquetWriter(
                path,
                self._schema,
                compression=compression,
                use_dictionary=False,
                write_statistics=False,
            )

    def append(self, rows: list[dict[str, Any]]) -> None:
        """Write one row group."""
        table = pa.Table.from_pylist(rows, schema=self._schema)
        with disk_errors(self.path):
            self._writer.write_table(table, row_group_size=len(rows))
        self.written_bytes += table.nbytes

    def close(self) -> None:
        """Finish the file and make it survive a power cut."""
        with disk_errors(self.path):
            self._writer.close()
            with self.path.open("r+b") as file:
                os.fsync(file.fileno())

    def abandon(self) -> None:
        """Let go of a file that will be removed."""
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()


class ShardWriter:
    """A data set in the making; a context manager.

    Leaving the block normally checks that every footprint has a frame and publishes the data set;
    after an exception nothing of it stays.
    """

    left_out: Counter[str]
    """What the caller could not use, by reason; goes into ``dataset.json``."""
    facts: dict[str, object]
    """Anything else the caller wants in ``dataset.json``, plain JSON types."""

    def __init__(
        self,
        folder: Path,
        *,
        footprint_mercator_m: float,
        synthetic: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Prepare to write.

        Args:
            folder: the data set's; made if it is not there.
            footprint_mercator_m: side of the footprints in Web-Mercator metres.
            synthetic: whether the photos are of no real place.
            overwrite: whether a data set in the folder may be replaced, once this one is complete.

        Raises:
            UsageError: the folder holds a data set, or other files where the shards go.
        """
        self.folder = Path(folder)
        self.left_out = Counter()
        self.facts = {}
        self._overwrite = overwrite
        self._header = {"footprint_mercator_m": footprint_mercator_m, "synthetic": synthetic}
        self._contents = Contents()
        self._open: dict[tuple[str, str], ParquetOut] = {}
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._hidden = self.folder / f"{_HIDDEN}{os.getpid()}"
        self._refuse_occupied()

    def __enter__(self) -> Self:
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            _clear_dead_writers(self.folder)
            try:
                for kind in (PHOTOS_FOLDER, FRAMES_FOLDER):
                    (self._hidden / kind).mkdir(parents=True)
            except BaseException:  # a signal, too: the block is not entered, so nobody else cleans
                shutil.rmtree(self._hidden, ignore_errors=True)
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        try:
            if kind is None:
                self._publish()
        finally:
            for shard in self._open.values():
                shard.abandon()
            shutil.rmtree(self._hidden, ignore_errors=True)

    def add_frame(self, split: str, frame: FrameRecord) -> None:
        """Add the imagery of a footprint at one date.

        Raises:
            DatasetError: it contradicts an earlier frame, or its place is in another split.
            StorageError: the disk refused.
        """
        self._contents.add_frame(split, frame)
        row = {name: getattr(frame, name, None) for name in FRAME_SCHEMA.names}
        row["west"], row["south"], row["east"], row["north"] = frame.bounds_wsen
        _, row["height"], row["width"] = frame.dn.shape
        row["dn"] = np.ascontiguousarray(frame.dn, dtype="<u2").tobytes()
        self._write(FRAMES_FOLDER, split, [row])

    def add_photos(self, split: str, photos: Sequence[PhotoRecord]) -> None:
        """Add all photos of one footprint, or the next ones of the footprint before.

        Raises:
            DatasetError: they are of several footprints, or of one that was left before; a photo
                is there already; a place is in another split.
            StorageError: the disk refused.
        """
        self._contents.add_photos(split, photos)
        group: list[dict[str, Any]] = []
        size = 0
        # A row group never spans two footprints, and is cut by count and by bytes: one photo of it
        # costs a read of all, so its size bounds what an epoch in random order reads.
        for photo in photos:
            if group and (len(group) == GROUP_PHOTOS or size + len(photo.jpeg) > GROUP_BYTES):
                self._write(PHOTOS_FOLDER, split, group)
                group, size = [], 0
            row = {name: getattr(photo, name, None) for name in PHOTO_SCHEMA.names}
            row["lon_deg"], row["lat_deg"] = photo.lonlat_deg
            group.append(row)
            size += len(photo.jpeg)
        if group:
            self._write(PHOTOS_FOLDER, split, group)

    def _write(self, kind: str, split: str, rows: list[dict[str, Any]]) -> None:
        """Append one row group."""
        key = (kind, split)
        if key not in self._open:
            path = self._hidden / shard_path(kind, split, self._numbers[key])
            self._open[key] = ParquetOut(path, kind)
            self._numbers[key] += 1
        self._open[key].append(rows)
        if self._open[key].written_bytes >= SHARD_BYTES:
            self._open.pop(key).close()

    def _publish(self) -> None:
        manifest = {
            "format_version": FORMAT_VERSION,
            "bands": list(GAIR_BANDS),
            **self._header,
            **self._contents.summary(),
            "left_out": dict(sorted(self.left_out.items())),
            "facts": self.facts,
        }
        while self._open:
            self._open.popitem()[1].close()
        shards = sorted(self._hidden.glob("*/*.parquet"))
        manifest["shards"] = {
            path.relative_to(self._hidden).as_posix(): {
                "sha256": sha256_of(path),
                "size_bytes": path.stat().st_size,
            }
            for path in shards
        }
        # All that needs space comes before the earlier data set is touched.
        write_whole(self._hidden / DATASET_FILE, json.dumps(manifest, indent=1).encode())
        self._refuse_occupied()
        # From here to the last rename the folder has no dataset.json, so a kill in between leaves
        # no data set rather than one of old and new shards.
        with disk_errors(self.folder):
            (self.folder / DATASET_FILE).unlink(missing_ok=True)
            for kind in (PHOTOS_FOLDER, FRAMES_FOLDER):
                shutil.rmtree(self.folder / kind, ignore_errors=True)
                (self._hidden / kind).rename(self.folder / kind)
            (self._hidden / DATASET_FILE).rename(self.folder / DATASET_FILE)
            sync_folder(self.folder)

    def _refuse_occupied(self) -> None:
        """Refuse to replace a data set without leave, and other people's files always."""
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file: name a folder for the data set")
        if (self.folder / DATASET_FILE).exists() and not self._overwrite:
            raise UsageError(
                f"{self.folder} holds a data set: pass `overwrite`, or name another folder"
            )
        for kind in (PHOTOS_FOLDER, FRAMES_FOLDER):
            place = self.folder / kind
            files = place.iterdir() if place.is_dir() else [place] if place.exists() else []
            if odd := next((file for file in files if not SHARD_NAME.fullmatch(file.name)), None):
                raise UsageError(f"{odd} is in the way of a data set's shards: name another folder")


def _clear_dead_writers(folder: Path) -> None:
    """Remove what killed writers left."""
    for leftover in folder.glob(f"{_HIDDEN}*"):
        process = leftover.name.removeprefix(_HIDDEN)
        if process.isdigit() and not _runs(int(process)):
            shutil.rmtree(leftover, ignore_errors=True)


def _runs(process: int) -> bool:
    if process == os.getpid() or os.name == "nt":  # on Windows signal 0 would kill
        return process != os.getpid()
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
