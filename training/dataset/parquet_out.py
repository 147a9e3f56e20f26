"""One shard in the making: a Parquet file that grows by row groups."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gair.files import disk_errors
from training.dataset.schema import FRAME_SCHEMA, PHOTO_SCHEMA, PHOTOS_FOLDER


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
