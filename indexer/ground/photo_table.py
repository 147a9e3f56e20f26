"""Photo table of a set of reference photos: everything about a photo but its vector, in DuckDB.

Table ``photos`` of ``ground.duckdb``, a row a photo; ``row`` is the row in the vector store. There
are no pixels and no names of people but those that a licence asks to be credited. Empty text stands
for what nothing says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Ints
from indexer.index.duckdb_files import new_database, open_database
from indexer.regions.cells import cell_from_hex, cell_hex

if TYPE_CHECKING:
    import pyarrow as pa

_FEW = 32
"""Rows up to which each is looked for by itself."""
_COLUMNS = {
    "content_sha256": "VARCHAR",
    "lon_deg": "DOUBLE",
    "lat_deg": "DOUBLE",
    "h3": "UBIGINT",
    "heading_deg": "FLOAT",
    "taken_on": "DATE",
    "captured_at": "VARCHAR",
    "sequence": "VARCHAR",
    "source": "VARCHAR",
    "link": "VARCHAR",
    "licence": "VARCHAR",
    "attribution": "VARCHAR",
    "private": "BOOLEAN",
}
"""What is known of a photo; beside these a table has ``row`` and ``place``."""


@dataclass(frozen=True, slots=True)
class ReferencePhoto:
    """A photo whose place is known, as it is listed beside an answer."""

    content_sha256: str
    """Of the bytes of its file, which is not kept."""
    lonlat_deg: tuple[float, float]
    cell: str
    """H3 address of its cell, hexadecimal."""
    heading_deg: float | None = None
    """Clockwise from north."""
    captured_at: str = ""
    """ISO 8601: a moment, a day, a month or a year."""
    sequence: str = ""
    """Names the walk or drive that it is a part of."""
    source: str = ""
    link: str = ""
    """Where a person can look at it."""
    licence: str = ""
    attribution: str = ""
    """Credit that the licence asks for."""
    private: bool = False
    """Whether exports and merges into other indexes leave it out."""

    @property
    def taken_on(self) -> str | None:
        """Its day, ISO 8601; the first one where only the month or the year is known."""
        return None if not self.captured_at else str(_day(self.captured_at))

    @property
    def shown(self) -> dict[str, Any]:
        """What is told of it wherever it is listed, by the names that lists have for it."""
        names = ("heading_deg", "taken_on", "source", "link", "licence", "attribution")
        return {name: getattr(self, name) for name in names}


def _day(captured_at: str) -> np.datetime64:
    return np.datetime64(captured_at[:10], "D")


def rows_of(photos: Sequence[ReferencePhoto]) -> pa.Table:
    """Photos as rows of :func:`row_schema`."""
    import pyarrow as pa

    columns = {
        "content_sha256": [photo.content_sha256 for photo in photos],
        "lon_deg": [photo.lonlat_deg[0] for photo in photos],
        "lat_deg": [photo.lonlat_deg[1] for photo in photos],
        "h3": [cell_from_hex(photo.cell) for photo in photos],
        "heading_deg": [
            np.float32("nan") if photo.heading_deg is None else np.float32(photo.heading_deg)
            for photo in photos
        ],
        "taken_on": [_day(p.captured_at).item() if p.captured_at else None for p in photos],
        **{name: [getattr(p, name) for p in photos] for name in ("captured_at", "sequence")},
        **{name: [getattr(p, name) for p in photos] for name in ("source", "link")},
        **{name: [getattr(p, name) for p in photos] for name in ("licence", "attribution")},
        "private": [photo.private for photo in photos],
    }
    return pa.table(columns, schema=row_schema())


def photos_of(rows: pa.Table) -> list[ReferencePhoto]:
    """The inverse of :func:`rows_of`."""
    return [
        ReferencePhoto(
            content_sha256=row["content_sha256"],
            lonlat_deg=(row["lon_deg"], row["lat_deg"]),
            cell=cell_hex(row["h3"]),
            heading_deg=None if np.isnan(row["heading_deg"]) else row["heading_deg"],
            **{name: row[name] for name in ("captured_at", "sequence", "source", "link")},
            **{name: row[name] for name in ("licence", "attribution", "private")},
        )
        for row in rows.to_pylist()
    ]


def row_schema() -> pa.Schema:
    """Columns and types of rows in memory."""
    import pyarrow as pa

    kinds = {
        "VARCHAR": pa.string(),
        "DOUBLE": pa.float64(),
        "UBIGINT": pa.uint64(),
        "FLOAT": pa.float32(),
        "DATE": pa.date32(),
        "BOOLEAN": pa.bool_(),
    }
    return pa.schema([pa.field(name, kinds[kind]) for name, kind in _COLUMNS.items()])


def write_photo_table(path: Path, rows: pa.Table, places: Ints) -> None:
    """Write a new DuckDB file; readers of 1.0 and later can open it.

    Args:
        path: of the file.
        rows: in the order of the vectors.
        places: (n,) the place of each.

    Raises:
        StorageError: the disk refused.
    """
    import pyarrow as pa

    numbered = rows.add_column(0, "row", pa.array(np.arange(len(rows))))
    numbered = numbered.append_column("place", pa.array(places))
    kinds = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    with new_database(path) as connection:
        connection.execute(f'CREATE TABLE out.photos ("row" BIGINT, {kinds}, place BIGINT)')
        connection.register("batch", numbered)
        connection.execute("INSERT INTO out.photos SELECT * FROM batch")
        connection.unregister("batch")


def read_rows(path: Path, rows: Ints | None = None) -> pa.Table:
    """Rows of a photo table, in the order of the vectors, or those of some numbers in their order.

    Raises:
        IndexCorruptError: it is no photo table.
    """
    columns = ", ".join(_COLUMNS)
    if rows is None:
        return read_columns(path, f'SELECT {columns} FROM photos ORDER BY "row"')
    wanted, position = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
    numbers = list(map(str, wanted.tolist())) or ["-1"]
    source = f'SELECT * FROM photos WHERE "row" IN ({",".join(numbers)})'
    if len(numbers) <= _FEW:  # DuckDB skips all other blocks of rows for a number, not for a list
        source = " UNION ALL ".join(f'SELECT * FROM photos WHERE "row" = {n}' for n in numbers)
    table = read_columns(path, f'SELECT {columns} FROM ({source}) ORDER BY "row"')
    return table.take(position.reshape(-1))


def read_columns(path: Path, query: str) -> pa.Table:
    """What a query of a photo table gives.

    Raises:
        IndexCorruptError: it is no photo table.
    """
    with open_database(path) as connection:
        connection.execute("SET enable_progress_bar = false")
        return connection.sql(query).to_arrow_table()


def rows_sha256(rows: pa.Table) -> str:
    """The hash of rows: of each column's values, little-endian; texts with their lengths before."""
    digest = hashlib.sha256()
    for name in _COLUMNS:
        column = rows[name]
        digest.update(f"{name} {len(column)}\n".encode())
        if _COLUMNS[name] == "VARCHAR":
            texts = [text.encode() for text in column.to_pylist()]
            lengths = np.array([len(text) for text in texts], dtype="<i8")
            digest.update(lengths.tobytes())
            digest.update(b"".join(texts))
        elif _COLUMNS[name] == "DATE":
            days = column.cast("int32").fill_null(np.iinfo(np.int32).min).to_numpy()
            digest.update(days.astype("<i4").tobytes())
        else:
            values = column.to_numpy()
            digest.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
