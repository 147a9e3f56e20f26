"""SQL expressions over the cells of an index, one at a time.

The cells, and tables that the user brings, are copied into a DuckDB database in memory. Then the
database is locked: an expression can read these tables and nothing else, neither files nor the
network, and write nothing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gair.errors import UsageError
from gair.interrupts import interruptible_sql
from indexer.index.index import Index

_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_READERS = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), "read_csv(?, types={'h3': 'VARCHAR'})"),
    **dict.fromkeys((".parquet", ".pq"), "read_parquet(?)"),
}
_LOCK = """
SET temp_directory='';
SET enable_external_access=false;
SET python_enable_replacements=false;
SET lock_configuration=true;
"""


@dataclass(frozen=True, eq=False)
class Values:
    """An expression's value for each cell."""

    kind: str
    """DuckDB's name of the type."""
    values: npt.NDArray[Any]
    """(N,)."""
    unknown: npt.NDArray[np.bool_]
    """(N,) where the value is NULL."""


class CellSql:
    """The cells of an index and tables beside them; a context manager.

    Columns of cells: row, h3, lon_deg, lat_deg, area_m2, frame and the frame's valid_fraction.
    Columns of a table are found as ``name.column``.
    """

    def __init__(self, index: Index, tables: Mapping[str, Path] | None = None) -> None:
        """Copy the cells and the tables.

        Args:
            index: whose cells.
            tables: CSV or Parquet files by the name that expressions use. Each has a column ``h3``
                with a cell's address as hexadecimal text or as a number, no cell twice.

        Raises:
            UsageError: a name or a table cannot be used.
        """
        import duckdb

        self._count = len(index.cells)
        self._connection = duckdb.connect(":memory:")
        self._from = "cells"
        self.without_row: dict[str, int] = {}
        """How many cells each table says nothing about."""
        try:
            self._copy_cells(index)
            self.columns = self._column_names("cells")
            for name, path in (tables or {}).items():
                self._add_table(name, Path(path), index)
            self._connection.execute(_LOCK)
        except BaseException:
            self._connection.close()
            raise

    def evaluate(self, expression: str, name: str) -> Values:
        """The value of an expression for each cell.

        Args:
            expression: one SQL expression.
            name: what to call it in errors.

        Raises:
            UsageError: it is not one expression, does not fit the columns, or fails.
        """
        import duckdb

        said = f"{name} {expression!r}"
        remedy = f"columns are {', '.join(self.columns)}"
        query = f'SELECT cells."row", (\n{expression}\n) FROM {self._from}'
        with _sql_errors(said, remedy):
            duckdb.SQLExpression(expression)  # refuses anything but one expression
            relation = self._connection.sql(query)
            kinds = [str(kind) for kind in relation.types]
            columns = list(relation.fetchnumpy().values())
        order = np.argsort(columns[0], kind="stable")
        if len(kinds) != 2 or not np.array_equal(columns[0][order], np.arange(self._count)):
            raise UsageError(f"{said} does not give each cell one value; {remedy}")
        values, unknown = np.ma.getdata(columns[1]), np.ma.getmaskarray(columns[1])
        return Values(kinds[1], values[order], unknown[order])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _copy_cells(self, index: Index) -> None:
        cells = index.cells
        self._copy(
            "cells",
            {
                "row": np.arange(len(cells)),
                "h3": cells.h3,
                "lon_deg": np.ascontiguousarray(cells.lonlat_deg[:, 0]),
                "lat_deg": np.ascontiguousarray(cells.lonlat_deg[:, 1]),
                "area_m2": cells.area_m2,
                "frame": cells.frame,
                "valid_fraction": index.frames.valid_fraction[cells.frame],
            },
        )

    def _copy(self, table: str, columns: dict[str, npt.NDArray[Any]]) -> None:
        self._connection.register("batch", columns)
        self._connection.execute(f'CREATE TABLE "{table}" AS SELECT * FROM batch')
        self._connection.unregister("batch")

    def _column_names(self, table: str) -> list[str]:
        described = self._connection.execute(f'DESCRIBE "{table}"').fetchall()
        return [str(row[0]) for row in described]

    def _add_table(self, name: str, path: Path, index: Index) -> None:
        _check_table(name, path, self.without_row)
        with _sql_errors(f"table {name}: {path}", "it needs a column h3 with addresses of cells"):
            self._connection.execute(
                f"CREATE TABLE brought AS SELECT * FROM {_READERS[path.suffix.lower()]}",
                [str(path)],
            )
            texts = self._connection.execute("SELECT CAST(h3 AS VARCHAR) FROM brought").fetchall()
        ids = _cell_ids([text for (text,) in texts], f"table {name} ({path})")
        matched = np.isin(index.cells.h3, ids)
        if not matched.any():
            raise UsageError(
                f"table {name} ({path}) has no row for any cell of the index: its h3 must be of "
                f"resolution {index.manifest.h3_resolution}"
            )
        self._copy("ids", {"id": ids})
        self._connection.execute(
            f'CREATE TABLE "{name}" AS SELECT ids.id AS h3, brought.* EXCLUDE (h3) '
            "FROM brought POSITIONAL JOIN ids; DROP TABLE brought; DROP TABLE ids"
        )
        self._from += f' LEFT JOIN "{name}" USING (h3)'
        self.columns += [f"{name}.{column}" for column in self._column_names(name)[1:]]
        self.without_row[name] = int((~matched).sum())


def _check_table(name: str, path: Path, taken: Mapping[str, int]) -> None:
    if not _TABLE_NAME.fullmatch(name) or name in {"cells", "brought", "ids", "batch", *taken}:
        raise UsageError(
            f"table name {name!r}: take another of small letters, digits and _, such as landcover"
        )
    if not path.is_file():
        raise UsageError(f"table {name}: there is no file {path}")
    if path.suffix.lower() not in _READERS:
        raise UsageError(f"table {name}: {path} is neither .csv nor .parquet")


def _cell_ids(texts: list[str | None], where: str) -> npt.NDArray[np.uint64]:
    """Addresses as hexadecimal or decimal text to ids, each once."""
    import h3.api.numpy_int as h3

    ids = np.empty(len(texts), dtype=np.uint64)
    for number, text in enumerate(texts):
        for base in (16, 10):
            with contextlib.suppress(ValueError, TypeError, OverflowError):
                value = int(text, base)  # type: ignore[arg-type]
                if h3.is_valid_cell(value):
                    ids[number] = value
                    break
        else:
            raise UsageError(f"{where}, row {number + 1}: h3 is {text!r}, which is no H3 cell")
    kept, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        twice = h3.int_to_str(kept[counts > 1][0])
        raise UsageError(f"{where} has cell {twice} more than once: give each cell one row")
    return ids


@contextlib.contextmanager
def _sql_errors(said: str, remedy: str) -> Iterator[None]:
    """DuckDB's complaints as one line."""
    import duckdb

    try:
        with interruptible_sql():
            yield
    except duckdb.Error as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(f"{said}: {reason.rstrip('.!')}; {remedy}") from error
