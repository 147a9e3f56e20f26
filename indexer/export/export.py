"""Writes an index as one GeoParquet file, and STAC beside it.

A row of the file is a cell; both vectors are fixed lists of half floats.

Columns: ``h3``, ``lon_deg``, ``lat_deg``, ``area_m2``, ``frame``, ``rs``, ``location``,
``geometry``, the cell's centre or its outline as WKB, and ``bbox``, what that covers. The metadata
is that of a unit's file (:mod:`indexer.build.unit_parquet`), ``geo`` and ``emb``; cells without
imagery are left out.

STAC beside it: :mod:`indexer.export.stac`.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import shapely

from gair.arrays import Ints
from gair.errors import UsageError
from gair.files import disk_errors, sync_folder, write_whole
from gair.progress import Progress
from indexer.build.unit_parquet import embedding_metadata, geo_metadata
from indexer.export.covering import BBOX, bbox_column, bbox_type, covering
from indexer.export.stac import STAC_VERSION, StacVersion, stac_collection, stac_item
from indexer.index.index import Index
from indexer.index.milvus import without_password
from indexer.index.table import CellRows
from indexer.search.outlines import cell_rings, dissolved, middle_longitude_deg

Geometry = Literal["point", "cell"]

ROWS_A_GROUP = 8192
"""25 MB of vectors at 768 dimensions."""


def export_geoparquet(
    index: Index,
    to: str | Path,
    *,
    geometry: Geometry = "point",
    stac: bool = False,
    stac_version: StacVersion = STAC_VERSION,
    quiet: bool = False,
) -> list[str]:
    """Write an index as a GeoParquet file.

    Args:
        index: an open index.
        to: the file, ``.parquet``.
        geometry: what a cell is, its centre or its outline.
        stac: whether to write ``item.json``, ``collection.json`` and the pictures beside it.
        stac_version: of these.
        quiet: no progress.

    Returns:
        The files, a line each.

    Raises:
        UsageError: the file has another name.
        StorageError: the disk refused.
    """
    path = Path(to)
    if path.suffix != ".parquet":
        shown = without_password(str(to))
        raise UsageError(f"`to` {shown!r}: name a .parquet file, or milvus://PATH_OR_HOST")
    write_geoparquet(index, path, geometry, quiet=quiet)
    lines = [f"{path}: {len(index.cells):,} cells, {path.stat().st_size:,} bytes"]
    if stac:
        parts = {
            "item": stac_item(index, path.name, stac_version),
            "collection": stac_collection(index, stac_version),
        }
        for name, content in parts.items():
            file = path.with_name(f"{name}.json")
            write_whole(file, json.dumps(content, indent=1).encode())
            lines.append(f"{file}: STAC {name.capitalize()}")
        for picture in index.pictures:
            file = path.with_name(picture.path.name)
            with whole_file(file) as temporary:
                shutil.copyfile(picture.path, temporary)
            lines.append(f"{file}: picture of the region, {file.stat().st_size:,} bytes")
    return lines


def write_geoparquet(
    index: Index, path: Path, geometry: Geometry = "point", *, quiet: bool = False
) -> None:
    """Write an index; the file appears whole or not at all.

    Args:
        index: an open index.
        path: of the file.
        geometry: whether a cell is its centre or its outline.
        quiet: no progress.

    Raises:
        StorageError: the disk refused.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    entries = {"geo": _geo(index, geometry), "emb": embedding_entry(index)}
    metadata = {key: json.dumps(entry, sort_keys=True) for key, entry in entries.items()}
    schema = _schema(index.rs.dim).with_metadata(metadata)
    count = len(index.cells)
    with (
        whole_file(path) as temporary,
        Progress("exporting", count, "cell", quiet=quiet) as progress,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for start in range(0, count, ROWS_A_GROUP):
            rows = np.arange(start, min(start + ROWS_A_GROUP, count))
            shapes = _shapes(index.cells.taken(rows), geometry)
            columns = {
                **_columns(index, rows),
                "geometry": pa.array(shapely.to_wkb(shapes).tolist(), pa.binary()),
                BBOX: bbox_column(shapes),
            }
            writer.write_table(pa.table(columns, schema=schema))
            progress.advance(len(rows))


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A neighbour of a file to write to, which takes its place when the block ends well."""
    temporary = path.with_name(f".{path.name}.tmp")
    with disk_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def embedding_entry(index: Index) -> dict[str, Any]:
    """What the file's metadata ``emb`` says of the vectors."""
    m = index.manifest
    entry = embedding_metadata(m.model, index.rs.dim, m.imagery, ", ".join(m.precisions))
    return {**entry, "h3_resolution": m.h3_resolution, "query_mode": m.query_mode, "build": m.build}


def _schema(dim: int) -> Any:  # noqa: ANN401
    import pyarrow as pa

    vectors = pa.list_(pa.field("element", pa.float16(), nullable=False), dim)
    kinds = {
        "h3": pa.uint64(),
        "lon_deg": pa.float64(),
        "lat_deg": pa.float64(),
        "area_m2": pa.float64(),
        "frame": pa.int32(),
        "rs": vectors,
        "location": vectors,
        "geometry": pa.binary(),
        BBOX: bbox_type(),
    }
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])


def _columns(index: Index, rows: Ints) -> dict[str, Any]:
    import pyarrow as pa

    cells = index.cells.taken(rows)
    schema = _schema(index.rs.dim)

    def lists(name: str, vectors: npt.NDArray[np.float32]) -> Any:  # noqa: ANN401
        values = pa.array(vectors.astype(np.float16).reshape(-1))  # halves were stored: exact
        return pa.FixedSizeListArray.from_arrays(values, type=schema.field(name).type)

    return {
        "h3": cells.h3,
        "lon_deg": cells.lonlat_deg[:, 0],
        "lat_deg": cells.lonlat_deg[:, 1],
        "area_m2": cells.area_m2,
        "frame": cells.frame.astype(np.int32),
        "rs": lists("rs", index.rs.vectors(rows)),
        "location": lists("location", index.location.vectors(rows)),
    }


def _shapes(cells: CellRows, geometry: Geometry) -> Any:  # noqa: ANN401
    if geometry == "point":
        return shapely.points(cells.lonlat_deg)
    rings = cell_rings(cells.h3, middle_longitude_deg(cells.lonlat_deg))
    shapes = [
        dissolved(cell[None]) if np.abs(ring[:, 0]).max() > 180 else shapely.Polygon(ring)
        for cell, ring in zip(cells.h3, rings, strict=True)
    ]
    return np.array(shapes, dtype=object)


def _geo(index: Index, geometry: Geometry) -> dict[str, Any]:
    entry = geo_metadata(index.cells.lonlat_deg)
    column = entry["columns"]["geometry"]
    column["covering"] = covering()
    if geometry == "cell":
        column["geometry_types"] = ["MultiPolygon", "Polygon"]
        del column["bbox"]  # outlines reach over the centres; readers compute it where they need it
    return entry
