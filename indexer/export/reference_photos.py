"""Writes the reference photos of an index as a GeoParquet file: a row a photo, with its credit.

Columns: ``content_sha256``, ``h3``, ``lon_deg``, ``lat_deg``, ``heading_deg``, ``captured_at``,
``sequence``, ``place``, ``source``, ``link``, ``licence``, ``attribution``, ``s`` (a fixed list of
half floats), ``geometry``, the place as WKB, and ``bbox``, what it covers. The metadata ``geo`` is
that of GeoParquet, and ``emb`` says what model made the vectors. Private photos are left out.
"""

from __future__ import annotations

import json
from pathlib import Path

import shapely

from gair.progress import Progress
from indexer.build.unit_parquet import geo_metadata
from indexer.export.covering import BBOX, bbox_column, bbox_type, covering
from indexer.export.export import ROWS_A_GROUP, whole_file
from indexer.ground.manifest import PHOTO_TABLE_FILE
from indexer.ground.photo_table import read_rows
from indexer.ground.reference_photos import ReferencePhotos

_TEXTS = ("captured_at", "sequence", "source", "link", "licence", "attribution")


def references_beside(path: Path) -> Path:
    """The file of the reference photos beside that of the cells: ``london.ground.parquet``."""
    return path.with_name(f"{path.stem}.ground{path.suffix}")


def export_reference_photos(
    references: ReferencePhotos, path: Path, *, quiet: bool = False
) -> list[str]:
    """Write the photos that may leave the index; the file appears whole or not at all.

    Returns:
        What was written and what was left out, a line each.

    Raises:
        StorageError: the disk refused.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    public = references.public_rows()
    private = len(references) - len(public)
    left_out = [f"{private:,} private reference photos were left out"] if private else []
    if not len(public):
        return left_out
    manifest = references.manifest
    model = manifest.model
    emb = {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "dimensions": manifest.dim,
        "what": "vectors s of street photos, unit length",
        "h3_resolution": manifest.h3_resolution,
        "content_sha256": manifest.content_sha256,
    }
    geo = geo_metadata(references.lonlat_deg[public])
    geo["columns"]["geometry"]["covering"] = covering()
    entries = {"geo": geo, "emb": emb}
    vectors = pa.list_(pa.field("element", pa.float16(), nullable=False), manifest.dim)
    kinds = {
        "content_sha256": pa.string(),
        "h3": pa.uint64(),
        "lon_deg": pa.float64(),
        "lat_deg": pa.float64(),
        "heading_deg": pa.float32(),
        **dict.fromkeys(_TEXTS, pa.string()),
        "place": pa.int64(),
        "s": vectors,
        "geometry": pa.binary(),
        BBOX: bbox_type(),
    }
    schema = pa.schema(
        [pa.field(name, kind, nullable=False) for name, kind in kinds.items()],
        metadata={key: json.dumps(entry, sort_keys=True) for key, entry in entries.items()},
    )
    with (
        whole_file(path) as temporary,
        Progress("exporting", len(public), "photo", quiet=quiet) as progress,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for start in range(0, len(public), ROWS_A_GROUP):
            rows = public[start : start + ROWS_A_GROUP]
            table = read_rows(references.path / PHOTO_TABLE_FILE, rows)
            halves = pa.array(references.store.halves(rows).reshape(-1))
            points = shapely.points(references.lonlat_deg[rows])
            columns = {
                name: table[name].combine_chunks() for name in kinds if name in table.schema.names
            }
            columns |= {
                "place": references.place_ids[rows],
                "s": pa.FixedSizeListArray.from_arrays(halves, type=vectors),
                "geometry": pa.array(shapely.to_wkb(points).tolist(), pa.binary()),
                BBOX: bbox_column(points),
            }
            ordered = {name: columns[name] for name in kinds}
            writer.write_table(pa.table(ordered, schema=schema))
            progress.advance(len(rows))
    size = path.stat().st_size
    return [f"{path}: {len(public):,} reference photos, {size:,} bytes", *left_out]
