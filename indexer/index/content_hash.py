"""Hash of what an index holds: equal for equal builds, whenever and however they were made.

Files are hashed as they are, but for the cell table: DuckDB leaves bytes that mean nothing in its
pages, so its rows count instead. The lists of a large index do not count: they hold nothing that
its vectors do not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from indexer.index.manifest import MANIFEST_FILE, FileRecord
from indexer.index.storage import LOCATION_LISTS, RS_LISTS, TABLE_FILE
from indexer.index.table import query_rows

_TABLES = {
    "cells": '"row", h3, lon_deg, lat_deg, area_m2, frame',
    "frames": "frame, west_m, south_m, east_m, north_m, valid_fraction",
    "missing": "h3, lon_deg, lat_deg, reason",
}


def content_sha256(folder: Path, files: Mapping[str, FileRecord]) -> str:
    """The hash of a build's content, its manifest and its dates aside.

    Args:
        folder: of the build.
        files: the hashes of its files.
    """
    aside = (MANIFEST_FILE, RS_LISTS, LOCATION_LISTS)
    digests = {name: record.sha256 for name, record in files.items() if name not in aside}
    digests[TABLE_FILE] = table_sha256(folder / TABLE_FILE)
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def table_sha256(path: Path) -> str:
    """The hash of the rows of a cell table: of each column's values, little-endian.

    Raises:
        IndexCorruptError: it is no cell table.
    """
    digest = hashlib.sha256()
    queries = [f"SELECT {columns} FROM {table} ORDER BY 1" for table, columns in _TABLES.items()]
    for table, rows in zip(_TABLES, query_rows(path, *queries), strict=True):
        for name, values in rows.items():
            digest.update(f"{table}.{name} {len(values)}\n".encode())
            if values.dtype == object:
                digest.update("\n".join(map(str, values)).encode())
            else:
                little = np.asarray(values).astype(values.dtype.newbyteorder("<"))
                digest.update(little.tobytes())
    return digest.hexdigest()
