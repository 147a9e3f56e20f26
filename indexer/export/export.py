"""Writes an index as one GeoParquet file, and STAC beside it.

A row of the file is a cell; both vectors are fixed lists of half floats.

Columns: ``h3``, ``lon_deg``, ``lat_deg``, ``area_m2``, ``frame``, ``rs``, ``location`` and
``geometry``, the cell's centre or its outline as WKB. The metadata is that of a unit's file
(:mod:`indexer.build.unit_parquet`), ``geo`` and ``emb``; cells without imagery are left out.

STAC is an Item and its Collection, with the embedding extension v0.0.1. It keeps what all
embeddings of a kind have in common in the Collection (``emb:type``, ``emb:dimensions``,
``data_type``) and what one run did in the Item.
https://github.com/geo-embeddings/embeddings-stac-specification
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import shape

from gair.arrays import Ints
from gair.errors import UsageError
from gair.files import disk_errors, sync_folder, write_whole
from gair.progress import Progress
from indexer.build.unit_parquet import embedding_metadata, geo_metadata
from indexer.index.index import Index
from indexer.index.manifest import Manifest
from indexer.index.milvus import without_password
from indexer.index.table import CellRows
from indexer.regions.cell_field import spacing_m
from indexer.search.outlines import cell_rings, dissolved, middle_longitude_deg

Geometry = Literal["point", "cell"]

ROWS_A_GROUP = 8192
"""25 MB of vectors at 768 dimensions."""
EXTENSION = "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json"
STAC_VERSION = "1.0.0"
"""The one that the extension's schema is written for."""
PAPER = "https://arxiv.org/abs/2503.16683"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def export_geoparquet(
    index: Index,
    to: str | Path,
    *,
    geometry: Geometry = "point",
    stac: bool = False,
    quiet: bool = False,
) -> list[str]:
    """Write an index as a GeoParquet file.

    Args:
        index: an open index.
        to: the file, ``.parquet``.
        geometry: what a cell is, its centre or its outline.
        stac: whether to write ``item.json`` and ``collection.json`` beside it.
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
        parts = {"item": stac_item(index, path.name), "collection": stac_collection(index)}
        for name, content in parts.items():
            file = path.with_name(f"{name}.json")
            write_whole(file, json.dumps(content, indent=1).encode())
            lines.append(f"{file}: STAC {name.capitalize()}")
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
            columns = {**_columns(index, rows), "geometry": _wkb(index.cells.taken(rows), geometry)}
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


def _wkb(cells: CellRows, geometry: Geometry) -> Any:  # noqa: ANN401
    import pyarrow as pa

    if geometry == "point":
        shapes: Any = shapely.points(cells.lonlat_deg)
    else:
        rings = cell_rings(cells.h3, middle_longitude_deg(cells.lonlat_deg))
        shapes = [
            dissolved(cell[None]) if np.abs(ring[:, 0]).max() > 180 else shapely.Polygon(ring)
            for cell, ring in zip(cells.h3, rings, strict=True)
        ]
    return pa.array(shapely.to_wkb(shapes).tolist(), pa.binary())


def _geo(index: Index, geometry: Geometry) -> dict[str, Any]:
    entry = geo_metadata(index.cells.lonlat_deg)
    if geometry == "cell":
        column = entry["columns"]["geometry"]
        column["geometry_types"] = ["MultiPolygon", "Polygon"]
        del column["bbox"]  # outlines reach over the centres; readers compute it where they need it
    return entry


def stac_item(index: Index, parquet: str) -> dict[str, Any]:
    """The Item of a build.

    Args:
        index: an open index.
        parquet: where its embeddings are, beside the Item.
    """
    m = index.manifest
    geometry = index.outline["geometry"]
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [EXTENSION],
        "id": f"{m.name}-{m.build}",
        "collection": collection_id(m),
        "geometry": geometry,
        "bbox": [float(v) for v in shapely.bounds(shape(geometry))],
        "properties": {
            **_dates(m),
            "created": _utc(m.created_utc),
            "title": f"GAIR embeddings of {m.region['name']}",
            "description": "; ".join([m.imagery["attribution"], *m.warnings]),
            "processing:datetime": _utc(m.created_utc),
            "emb:runtime_parameters": {
                "h3_resolution": m.h3_resolution,
                "query_mode": m.query_mode,
                "frames": m.frames,
                "computed": m.computed,
                "model_fingerprint": m.model.fingerprint,
                "cells": m.cells_indexed,
            },
            "emb:quantization": {
                "method": "rounding to half precision",
                "original_dtype": "float32",
                "quantized_dtype": "float16",
            },
        },
        "links": [
            {"rel": "collection", "href": "./collection.json", "type": "application/json"},
            *_sources(m),
        ],
        "assets": {
            "embeddings": {
                "href": f"./{parquet}",
                "type": "application/vnd.apache.parquet",
                "roles": ["data"],
                "title": "A row a cell: h3, centre, area, two vectors, geometry",
            }
        },
    }


def stac_collection(index: Index) -> dict[str, Any]:
    """The Collection that the Item belongs to."""
    m = index.manifest
    dates = _dates(m)
    interval = [dates.get("start_datetime", dates["datetime"])] + [
        dates.get("end_datetime", dates["datetime"])
    ]
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": [EXTENSION],
        "id": collection_id(m),
        "title": f"Embeddings of {m.model.name}",
        "description": f"Sentinel-2 imagery and location as vectors of the model {m.model.name}, "
        f"one of each at the centre of every H3 cell of resolution {m.h3_resolution}, of unit "
        "length.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[float(v) for v in m.region["bbox_wsen_deg"]]]},
            "temporal": {"interval": [interval]},
        },
        "emb:type": "chip",
        "emb:dimensions": index.rs.dim,
        "data_type": "float16",
        "gsd": round(spacing_m(index.cells.area_m2), 1),
        "emb:chip_layout": {"layout_type": "named_grid", "grid_id": f"h3-{m.h3_resolution}"},
        "emb:fit_for_use": ["geolocation of street photos", "retrieval"],
        "links": [_model_link(m), *_sources(m)],
    }


def collection_id(manifest: Manifest) -> str:
    """Of a model's embeddings at one resolution."""
    model = re.sub(r"[^A-Za-z0-9]+", "-", manifest.model.name).strip("-").lower()
    return f"{model}-h3-{manifest.h3_resolution}"


def _dates(manifest: Manifest) -> dict[str, Any]:
    """When the imagery was taken; where nothing says, when the embeddings were made."""
    scenes = manifest.imagery["scenes"]
    days = sorted(str(day) for scene in scenes for day in scene.get("dates", ()))
    if not days:
        return {"datetime": _utc(manifest.created_utc)}
    first, last = _utc(days[0]), _utc(days[-1])
    if first == last:
        return {"datetime": first}
    return {"datetime": None, "start_datetime": first, "end_datetime": last}


def _utc(text: str) -> str:
    """A date or time of ours as STAC writes it."""
    if len(text) == 10:
        return f"{text}T00:00:00Z"
    return text.replace("+00:00", "Z") if text.endswith(("+00:00", "Z")) else f"{text}Z"


def _model_link(manifest: Manifest) -> dict[str, str]:
    source = manifest.model.source
    href = f"https://huggingface.co/{source}" if _HUB_ID.fullmatch(source) else PAPER
    return {"rel": "emb:model", "href": href, "title": f"{manifest.model.name} ({source})"}


def _sources(manifest: Manifest) -> list[dict[str, str]]:
    """A link a scene; by its name where it has no address."""
    return [
        {
            "rel": "emb:source-data",
            "href": str(scene.get("href") or scene.get("name", f"scene-{number}")),
            "title": str(scene.get("name", f"scene {number}")),
        }
        for number, scene in enumerate(manifest.imagery["scenes"])
    ]
