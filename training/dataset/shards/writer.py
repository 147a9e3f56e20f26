"""Writer of data sets: rows stream into Parquet shards, ``dataset.json`` comes last.

Shards grow in a hidden folder of the data set's own and move to their places when all are complete,
so a writer that fails or dies leaves an earlier data set as it was, and never half of a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gair.bands import GAIR_BANDS
from gair.errors import DatasetError, UsageError
from gair.files import disk_errors, sha256_of, sync_folder, write_whole
from gair.geo import Footprint
from training.dataset.shards.schema import (
    DATASET_FILE,
    FORMAT_VERSION,
    FRAME_SCHEMA,
    FRAMES_FOLDER,
    PHOTO_SCHEMA,
    PHOTOS_FOLDER,
    SHARD_NAME,
    SPLITS,
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
_EDGE = 1 + 1e-6
"""Largest frame coordinate of a photo, with room for rounding."""


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
    drawn: dict[str, object]
    """How the photos of ``drawn_splits`` are drawn; goes into ``dataset.json``, too."""

    def __init__(
        self,
        folder: Path,
        *,
        footprint_mercator_m: float,
        synthetic: bool = False,
        overwrite: bool = False,
        drawn_splits: Sequence[str] = (),
    ) -> None:
        """Prepare to write.

        Args:
            folder: the data set's; made if it is not there.
            footprint_mercator_m: side of the footprints in Web-Mercator metres.
            synthetic: whether the photos are of no real place.
            overwrite: whether a data set in the folder may be replaced, once this one is complete.
            drawn_splits: those whose photos have no pictures, because training draws them.

        Raises:
            UsageError: the folder holds a data set, or other files where the shards go.
        """
        self.folder = Path(folder)
        self.left_out = Counter()
        self.facts = {}
        self.drawn = {"splits": list(drawn_splits)} if drawn_splits else {}
        self._overwrite = overwrite
        self._header = {"footprint_mercator_m": footprint_mercator_m, "synthetic": synthetic}
        self._contents = _Contents(frozenset(drawn_splits))
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
            **({"drawn": self.drawn} if self.drawn else {}),
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


@dataclass
class _Entry:
    """A footprint that was named."""

    split: str
    place: str
    shape: Footprint | None = None
    dates: list[str] = field(default_factory=list)
    photos: int = 0
    waiting: list[tuple[str, tuple[float, float]]] = field(default_factory=list)
    """Ids and places of photos that came before the first frame."""

    def check_waiting(self, footprint_id: str) -> None:
        """See that the photos are inside, once it is known where that is."""
        if self.shape is None or not self.waiting:
            return
        xy = self.shape.frame_xy([lonlat for _, lonlat in self.waiting])
        outside = (~(abs(xy) <= _EDGE)).any(axis=1)
        if outside.any():
            photo_id, lonlat = self.waiting[int(outside.argmax())]
            raise DatasetError(
                f"photo {photo_id!r} at longitude {lonlat[0]:.6f}, latitude {lonlat[1]:.6f} lies "
                f"outside its footprint {footprint_id!r}: give it another"
            )
        self.waiting.clear()


class _Contents:
    """What is in so far: places in one split, footprints in one place, photos unique and inside."""

    def __init__(self, drawn_splits: frozenset[str]) -> None:
        self._drawn_splits = drawn_splits
        self._footprints: dict[str, _Entry] = {}
        self._split_of_place: dict[str, str] = {}
        self._photo_ids: set[str] = set()
        self._last_with_photos: str | None = None
        self._licences: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._attributions: set[str] = set()

    def add_frame(self, split: str, frame: FrameRecord) -> None:
        """Count a frame in, or refuse it."""
        entry = self._entry(split, frame.place, frame.footprint_id)
        shape = Footprint(frame.crs, frame.bounds_wsen)
        if entry.shape is not None and entry.shape != shape:
            raise DatasetError(
                f"footprint {frame.footprint_id!r} has frames with different bounds: "
                "give each square an id of its own"
            )
        if frame.acquired in entry.dates:
            raise DatasetError(
                f"footprint {frame.footprint_id!r} has two frames of {frame.acquired!r}: keep one"
            )
        entry.shape = shape
        entry.dates.append(frame.acquired)
        entry.check_waiting(frame.footprint_id)
        if frame.attribution:
            self._attributions.add(frame.attribution)

    def add_photos(self, split: str, photos: Sequence[PhotoRecord]) -> None:
        """Count photos of one footprint in, or refuse them."""
        for photo in photos:
            first = photos[0]
            if photo.footprint_id != first.footprint_id:
                raise DatasetError(
                    f"photos {first.photo_id!r} and {photo.photo_id!r} are of footprints "
                    f"{first.footprint_id!r} and {photo.footprint_id!r}: add one footprint at once"
                )
            if not photo.jpeg and split not in self._drawn_splits:
                raise DatasetError(f"photo {photo.photo_id!r} has no picture: leave it out")
            entry = self._entry(split, photo.place, photo.footprint_id)
            if entry.photos and self._last_with_photos != photo.footprint_id:
                raise DatasetError(
                    f"footprint {photo.footprint_id!r} has photos already, and others came "
                    "between: add the photos of a footprint in one go"
                )
            if photo.photo_id in self._photo_ids:
                raise DatasetError(f"photo {photo.photo_id!r} comes twice: keep one")
            self._last_with_photos = photo.footprint_id
            self._photo_ids.add(photo.photo_id)
            entry.photos += 1
            entry.waiting.append((photo.photo_id, photo.lonlat_deg))
            self._licences[photo.licence] += 1
            self._sources[photo.source] += 1
        if photos:
            entry.check_waiting(photos[0].footprint_id)

    def _entry(self, split: str, place: str, footprint_id: str) -> _Entry:
        if split not in SPLITS:
            raise UsageError(f"unknown split {split!r}; there are: {', '.join(SPLITS)}")
        if self._split_of_place.setdefault(place, split) != split:
            raise DatasetError(
                f"place {place!r} is in the splits {self._split_of_place[place]!r} and {split!r}: "
                "a place belongs to one"
            )
        entry = self._footprints.setdefault(footprint_id, _Entry(split, place))
        if entry.place != place:
            raise DatasetError(
                f"footprint {footprint_id!r} is in the places {entry.place!r} and {place!r}: "
                "a footprint belongs to one"
            )
        return entry

    def summary(self) -> dict[str, Any]:
        """The part of ``dataset.json`` that follows from the contents.

        Raises:
            DatasetError: there are no photos, or a footprint has no frame.
        """
        if not self._photo_ids:
            raise DatasetError("there are no photos to make a data set of: see what was left out")
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for footprint_id, entry in self._footprints.items():
            if entry.shape is None:
                raise DatasetError(
                    f"footprint {footprint_id!r} has {entry.photos} photos and no frame: "
                    "add one, or leave the photos out"
                )
            here = counts[entry.split]
            here.update(photos=entry.photos, footprints=1, frames=len(entry.dates))
        for split in self._split_of_place.values():
            counts[split]["places"] += 1
        return {
            "splits": {split: dict(counts[split]) for split in SPLITS if split in counts},
            "licences": dict(sorted(self._licences.items())),
            "sources": dict(sorted(self._sources.items())),
            "attributions": sorted(self._attributions),
        }


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
