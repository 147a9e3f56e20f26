"""Covering of GeoParquet 1.1: what each row's geometry covers, by which readers skip row groups."""

from __future__ import annotations

from typing import Any

import shapely

BBOX = "bbox"
"""The column's name."""
_EDGES = ("xmin", "ymin", "xmax", "ymax")


def covering() -> dict[str, Any]:
    """What the metadata ``geo`` says of the column."""
    return {BBOX: {edge: [BBOX, edge] for edge in _EDGES}}


def bbox_type() -> Any:  # noqa: ANN401 (pyarrow has no types)
    """The column's type, a struct of doubles."""
    import pyarrow as pa

    return pa.struct([pa.field(edge, pa.float64(), nullable=False) for edge in _EDGES])


def bbox_column(shapes: Any) -> Any:  # noqa: ANN401 (of shapely)
    """The column of (N,) geometries; one that is cut at 180 degrees covers both sides."""
    import pyarrow as pa

    edges = shapely.bounds(shapes).T
    return pa.StructArray.from_arrays([pa.array(edge) for edge in edges], fields=list(bbox_type()))
