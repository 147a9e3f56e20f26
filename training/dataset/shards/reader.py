"""Reader of data sets: light columns in memory, photos and frames on demand.

A data set may be pickled or forked into worker processes. Each process has caches of its own,
bounded in bytes; a row group of photos is the most that is read at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from cachetools import LRUCache

from gair.bands import GAIR_BANDS
from gair.errors import DatasetError, FootprintError
from gair.files import sha256_of
from gair.geo import Footprint
from training.dataset.shards.schema import FRAMES_FOLDER, PHOTOS_FOLDER, read_manifest

OPEN_SHARDS = 128
"""Files that a process keeps open."""
PHOTO_CACHE_BYTES = 64 << 20
"""Row groups of photos that a process keeps."""
FRAME_CACHE_BYTES = 128 << 20
"""Frames that a process keeps."""

REMEDY = "copy it again or pack anew"

_PHOTO_COLUMNS = ["lon_deg", "lat_deg", "footprint_id", "heading_deg"]
_FRAME_COLUMNS = [
    "footprint_id", "place", "acquired", "crs", "west", "south", "east", "north", "height", "width"
]  # fmt: skip


class ByteCache(LRUCache[Any, Any]):
    """Arrays of at most ``maxsize`` bytes together, least recently used first out.

    Pickled, it is empty: worker processes fill their own.
    """

    @staticmethod
    def getsizeof(value: Any) -> int:  # noqa: ANN401
        """Bytes of an array of NumPy or Arrow."""
        return int(value.nbytes)

    def keep(self, key: Hashable, value: Any) -> None:  # noqa: ANN401
        """Keep a value, unless it alone is too large."""
        with contextlib.suppress(ValueError):
            self[key] = value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.maxsize,)


class ParquetIn:
    """The shards of a folder.

    Pickled, it has no open files. Forked, it shares them, which is safe: Arrow reads at positions.
    """

    def __init__(self, folder: Path, records: dict[str, Any]) -> None:
        """Take note of a folder.

        Args:
            folder: the data set's.
            records: sha256 and size of each shard, from ``dataset.json``.
        """
        self.folder = folder
        self._records = records
        self._files: LRUCache[str, pq.ParquetFile] = LRUCache(OPEN_SHARDS)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.folder, self._records)

    def shards(self, kind: str, split: str) -> list[str]:
        """The shards of a kind and split, checked to be there in full.

        Raises:
            DatasetError: one is missing or has another size.
        """
        names = sorted(name for name in self._records if name.startswith(f"{kind}/{split}-"))
        for name in names:
            path = self.folder / name
            try:
                size = path.stat().st_size
            except OSError:
                raise DatasetError(f"{path} is missing: {REMEDY}") from None
            size_written = self._records[name].get("size_bytes")
            if size != size_written:
                raise DatasetError(f"{path} has {size} bytes instead of {size_written}: {REMEDY}")
        return names

    def verify(self, shard: str) -> None:
        """Compare a shard with its sha256."""
        with self.reading(shard):
            digest = sha256_of(self.folder / shard)
        if digest != self._records[shard].get("sha256"):
            raise DatasetError(f"{self.folder / shard} differs from what was written: {REMEDY}")

    def columns(self, shard: str, names: list[str]) -> pa.Table:
        """Whole columns of a shard; inside :meth:`reading`."""
        return self._file(shard).read(names, use_threads=False)

    def group_sizes(self, shard: str) -> list[int]:
        """Rows of each row group; inside :meth:`reading`."""
        metadata = self._file(shard).metadata
        return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]

    def group_column(self, shard: str, group: int, name: str) -> pa.ChunkedArray:
        """One column of one row group; inside :meth:`reading`."""
        return self._file(shard).read_row_group(group, columns=[name], use_threads=False).column(0)

    @contextlib.contextmanager
    def reading(self, shard: str) -> Iterator[None]:
        """Turn what Parquet says of a damaged file into one line that names it."""
        try:
            yield
        except (OSError, pa.ArrowException, FootprintError, LookupError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DatasetError(f"cannot read {self.folder / shard} ({reason}): {REMEDY}") from error

    def _file(self, shard: str) -> pq.ParquetFile:
        file = self._files.get(shard)
        if file is None:
            file = self._files[shard] = pq.ParquetFile(self.folder / shard)
        return file


class ShardedDataset:
    """One split of a data set. Photos and footprints are known by their number, from 0."""

    folder: Path
    split: str
    manifest: dict[str, Any]
    """The content of ``dataset.json``."""
    lonlat_deg: npt.NDArray[np.float64]
    """(N, 2) longitude, latitude of the photos."""
    heading_deg: npt.NDArray[np.float64]
    """(N,) headings of the photos, NaN where unknown."""
    footprint_of_photo: npt.NDArray[np.int64]
    """(N,) number of the footprint."""
    row_group_of_photo: npt.NDArray[np.int64]
    """(N,) number of the row group, over all shards; photos of one are read together."""
    footprint_ids: list[str]
    footprints: list[Footprint]
    places: list[str]
    """Of the footprints."""
    dates: list[list[str]]
    """Acquisition dates of each footprint's frames, "" where unknown."""

    def __init__(self, folder: Path, split: str) -> None:
        """Read the light columns; :meth:`open` is the public way."""
        self.folder = folder
        self.split = split
        self.manifest, self._fingerprint = read_manifest(folder)
        if split not in self.manifest["splits"]:
            splits = ", ".join(self.manifest["splits"]) or "none"
            raise DatasetError(f"{folder} has no split {split!r}; there are: {splits}")
        self._files = ParquetIn(folder, self.manifest["shards"])
        self._photo_shards = self._files.shards(PHOTOS_FOLDER, split)
        self._frame_shards = self._files.shards(FRAMES_FOLDER, split)
        self._photos = ByteCache(PHOTO_CACHE_BYTES)
        self._frames = ByteCache(FRAME_CACHE_BYTES)
        self._read_frame_columns()
        self._read_photo_columns()

    @classmethod
    def open(
        cls, folder: Path | str, split: str = "train", *, verify: bool = False
    ) -> ShardedDataset:
        """Open a split.

        Args:
            folder: what :class:`training.dataset.shards.ShardWriter` wrote.
            split: ``train``, ``val`` or ``test``.
            verify: whether to compare the sha256 of its shards; sizes always are.

        Raises:
            DatasetError: there is no such data set or split, or a file is missing or damaged.
        """
        dataset = cls(Path(folder), split)
        if verify:
            for shard in [*dataset._photo_shards, *dataset._frame_shards]:
                dataset._files.verify(shard)
        return dataset

    def __len__(self) -> int:
        return len(self.lonlat_deg)

    def fingerprint(self) -> str:
        """The sha256 of ``dataset.json``, which names the sha256 of everything else."""
        return self._fingerprint

    @property
    def is_drawn(self) -> bool:
        """Whether the photos of the split have no pictures, but are drawn in training."""
        return self.split in self.manifest.get("drawn", {}).get("splits", ())

    def photo_jpeg(self, photo: int) -> bytes:
        """The JPEG file of a photo.

        Raises:
            DatasetError: the photos of the split are drawn, or its file is damaged.
        """
        if self.is_drawn:
            raise DatasetError(
                f"{self.folder} has no pictures in its split {self.split!r}, which training draws: "
                "make it with --drawn-ahead to read them"
            )
        group = int(self.row_group_of_photo[photo])
        column = self._photos.get(group)
        if column is None:
            column = self._group_column(group, "jpeg")
            self._photos.keep(group, column)
        return cast(bytes, column[photo - int(self._first_of_group[group])].as_py())

    def photo_id(self, photo: int) -> str:
        """The id of a photo, read from its shard."""
        group = int(self.row_group_of_photo[photo])
        column = self._group_column(group, "photo_id")
        return cast(str, column[photo - int(self._first_of_group[group])].as_py())

    def describe_photo(self, photo: int) -> str:
        """A photo by id and shard, for messages."""
        shard, _ = self._where_is[self.row_group_of_photo[photo]]
        return f"photo {self.photo_id(photo)!r} of {self.folder / shard}"

    def frame_dn(self, footprint: int, date: int) -> npt.NDArray[np.uint16]:
        """(10, H, W) digital numbers of a footprint at one of its :attr:`dates`; read-only."""
        frame: npt.NDArray[np.uint16] | None = self._frames.get((footprint, date))
        if frame is None:
            shard, group, height, width = self._frame_rows[footprint][date]
            with self._files.reading(shard):
                column = self._files.group_column(shard, group, "dn")
                # A view of Arrow's buffer: nothing is copied.
                values = np.frombuffer(column[0].as_buffer(), dtype="<u2")
                frame = values.reshape(len(GAIR_BANDS), height, width)
            self._frames.keep((footprint, date), frame)
        return frame

    def _group_column(self, group: int, name: str) -> pa.ChunkedArray:
        shard, local = self._where_is[group]
        with self._files.reading(shard):
            return self._files.group_column(shard, local, name)

    def _read_frame_columns(self) -> None:
        self.footprint_ids, self.footprints, self.places, self.dates = [], [], [], []
        self._frame_rows: list[list[tuple[str, int, int, int]]] = []
        numbers: dict[str, int] = {}
        for shard in self._frame_shards:
            with self._files.reading(shard):
                rows = self._files.columns(shard, _FRAME_COLUMNS).to_pylist()
                # A frame is a row group of its own, so its row's number is its group's.
                for group, row in enumerate(rows):
                    number = numbers.setdefault(row["footprint_id"], len(numbers))
                    if number == len(self.footprint_ids):
                        bounds = (row["west"], row["south"], row["east"], row["north"])
                        self.footprints.append(Footprint(row["crs"], bounds))
                        self.footprint_ids.append(row["footprint_id"])
                        self.places.append(row["place"])
                        self.dates.append([])
                        self._frame_rows.append([])
                    self.dates[number].append(row["acquired"])
                    self._frame_rows[number].append((shard, group, row["height"], row["width"]))

    def _read_photo_columns(self) -> None:
        numbers = {footprint_id: n for n, footprint_id in enumerate(self.footprint_ids)}
        # Begun with empty arrays: a split without photos can be concatenated, too.
        lonlat, heading, footprint = [np.zeros((0, 2))], [np.zeros(0)], [np.zeros(0, np.int64)]
        sizes: list[int] = []
        self._where_is: list[tuple[str, int]] = []  # of each row group: shard, number in it
        for shard in self._photo_shards:
            with self._files.reading(shard):
                group_sizes = self._files.group_sizes(shard)
                table = self._files.columns(shard, _PHOTO_COLUMNS).combine_chunks()
                heading.append(table["heading_deg"].to_numpy().astype(np.float64))
                lonlat.append(np.stack([table[c].to_numpy() for c in _PHOTO_COLUMNS[:2]], axis=1))
                names = table["footprint_id"].combine_chunks().dictionary_encode()
            unknown = set(names.dictionary.to_pylist()) - set(numbers)
            if unknown:
                raise DatasetError(
                    f"{self.folder / shard} has photos of footprint {min(unknown)!r}, which has no "
                    f"frame: {REMEDY}"
                )
            of_name = np.asarray([numbers[name] for name in names.dictionary.to_pylist()])
            footprint.append(of_name[names.indices.to_numpy()].astype(np.int64))
            self._where_is += [(shard, local) for local in range(len(group_sizes))]
            sizes += group_sizes
        self.lonlat_deg = np.concatenate(lonlat)
        self.heading_deg = np.concatenate(heading)
        self.footprint_of_photo = np.concatenate(footprint)
        # Row groups are numbered over all shards; group g holds photos first[g] to first[g + 1].
        self.row_group_of_photo = np.repeat(np.arange(len(sizes)), sizes)
        self._first_of_group = np.cumsum([0, *sizes])
