"""Writes and reads a unit's cells and vectors as GeoParquet.

Columns: ``h3``, ``lon_deg``, ``lat_deg``, ``area_m2``, ``frame`` (row of the build's table of
frames), ``missing`` (why a cell is not indexed; null where it is), ``rs`` and ``location`` (fixed
lists of half floats; null where a cell is not indexed) and ``geometry`` (its centre as WKB).

The file's metadata has ``geo`` as GeoParquet 1.1 defines it, and ``emb``, which says what the
vectors are: model, licence, dates, data, dimensions, type. The same content gives the same bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import shapely

from gair.arrays import Bools, Floats, Halves
from indexer.build.units import INDEXED, REASONS

if TYPE_CHECKING:
    import pyarrow as pa

    from indexer.build.embed import UnitVectors
    from indexer.build.units import BuildPlan
    from indexer.index.manifest import ModelRecord

Kind = Literal["rs", "location"]
"""The columns of vectors."""

EMB_VERSION = "0.1.0"
GEO_VERSION = "1.1.0"
_CODE = {text: code for code, text in REASONS.items()}


def embedding_metadata(
    model: ModelRecord, dim: int, imagery: Mapping[str, Any], precision: str
) -> dict[str, Any]:
    """What an ``emb`` entry says of the vectors of a build.

    Args:
        model: what made them.
        dim: their number of dimensions.
        imagery: what the source of imagery says about itself.
        precision: the type that the imagery encoder computed in.
    """
    scenes = [scene for scene in imagery.get("scenes", ()) if isinstance(scene, dict)]
    dates = sorted(date for scene in scenes for date in scene.get("dates", ()))
    return {
        "version": EMB_VERSION,
        "model": {
            "id": model.name,
            "version": model.fingerprint,
            "source": model.source,
            "licence": model.licence,
            "trained": model.trained,
            "precision": precision,
        },
        "licence": imagery.get("licence", ""),
        "attribution": imagery.get("attribution", ""),
        "date_range": [dates[0], dates[-1]] if dates else None,
        "datasets": [scene["name"] for scene in scenes if "name" in scene],
        "dimensions": dim,
        "data_type": "float16",
        "quantization": "none",
        "normalized": True,
        "columns": {
            "rs": "remote-sensing embedding at the cell's centre",
            "location": "location embedding of the cell's centre",
        },
    }


def geo_metadata(lonlat_deg: Floats) -> dict[str, Any]:
    """The ``geo`` entry of a file of (N, 2) points in longitude and latitude."""
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": ["Point"]}
    if len(lonlat_deg):
        column["bbox"] = [*lonlat_deg.min(axis=0).tolist(), *lonlat_deg.max(axis=0).tolist()]
    return {"version": GEO_VERSION, "primary_column": "geometry", "columns": {"geometry": column}}


def unit_parquet(plan: BuildPlan, vectors: UnitVectors, emb: Mapping[str, Any]) -> bytes:
    """The file of a unit."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells, rows = plan.cells, vectors.unit.cells
    lonlat_deg, indexed = cells.lonlat_deg[rows], vectors.status == INDEXED
    reasons = [None if code == INDEXED else REASONS[int(code)] for code in vectors.status]
    table = pa.table(
        {
            "h3": cells.ids[rows],
            "lon_deg": lonlat_deg[:, 0],
            "lat_deg": lonlat_deg[:, 1],
            "area_m2": cells.area_m2[rows],
            "frame": plan.frames.frame_of_cell[rows].astype(np.int32),
            "missing": pa.array(reasons, pa.string()),
            "rs": _vectors(vectors.remote, indexed),
            "location": _vectors(vectors.location, indexed),
            "geometry": pa.array(shapely.to_wkb(shapely.points(lonlat_deg)), pa.binary()),
        }
    )
    entries = {"geo": geo_metadata(lonlat_deg), "emb": dict(emb)}
    table = table.replace_schema_metadata(
        {key: json.dumps(entry, sort_keys=True) for key, entry in entries.items()}
    )
    out = io.BytesIO()
    pq.write_table(
        table, out, compression="none", use_dictionary=["missing"], write_statistics=["h3"]
    )
    return out.getvalue()


def read_status(content: bytes) -> npt.NDArray[np.uint8]:
    """(N,) what became of the cells of a unit's file."""
    missing = _column(content, "missing").to_pylist()
    return np.array([INDEXED if text is None else _CODE[text] for text in missing], dtype=np.uint8)


def read_vectors(content: bytes, kind: Kind) -> Halves:
    """(n, D) the vectors of the indexed cells of a unit's file."""
    column = _column(content, kind)
    values = column.flatten().to_numpy(zero_copy_only=False)  # (n * D,); what is null is left out
    return np.asarray(values, dtype=np.float16).reshape(-1, column.type.list_size)


def _column(content: bytes, name: str) -> pa.Array:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content), columns=[name])
    return table.column(0).combine_chunks()


def _vectors(vectors: Halves, indexed: Bools) -> pa.Array:
    import pyarrow as pa

    element = pa.field("element", pa.float16(), nullable=False)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.reshape(-1), pa.float16()),
        type=pa.list_(element, vectors.shape[1]),
        mask=pa.array(~indexed),
    )
