"""The Parquet files of a data set as its reader sees them: checked, opened once, errors named."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gair.errors import DatasetError, FootprintError
from gair.files import sha256_of
from training.dataset.lru import Lru

OPEN_SHARDS = 128
"""Files that a process keeps open."""
REMEDY = "copy it again or pack anew"


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
        self._files: Lru[str, pq.ParquetFile] = Lru(OPEN_SHARDS)

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
            wanted = self._records[name].get("size_bytes")
            if size != wanted:
                raise DatasetError(f"{path} has {size} bytes instead of {wanted}: {REMEDY}")
        return names

    def verify(self, shard: str) -> None:
        """Compare a shard with its sha256."""
        with self.reading(shard):
            found = sha256_of(self.folder / shard)
        if found != self._records[shard].get("sha256"):
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
            file = pq.ParquetFile(self.folder / shard)
            self._files.put(shard, file)
        return file
