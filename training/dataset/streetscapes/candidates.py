"""Candidates: photos one could have, a row each, wherever they are listed."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),  # of SOURCES
        pa.field("image_id", pa.string(), nullable=False),  # the source's own
        pa.field("lon_deg", pa.float64()),  # null where there is none or it is no number
        pa.field("lat_deg", pa.float64()),
        pa.field("city", pa.string(), nullable=False),  # "" where nobody says
        pa.field("captured_at", pa.string()),  # ISO 8601, or a blank instead of the T
        pa.field("heading_deg", pa.float64()),
        pa.field("panorama", pa.bool_()),  # null where nobody says, as in the next three
        pa.field("indoor", pa.bool_()),
        pa.field("poor", pa.bool_()),  # too bad to use, says a table
        pa.field("longest_px", pa.int64()),  # longer side of the original
    ]
)
"""Columns of a table of candidates."""


def key_of(source: str, image_id: str) -> str:
    """What a photo is called here: ``mapillary-1666317524185318``."""
    return f"{source}-{image_id}"


def joined(tables: Iterable[pa.Table]) -> pa.Table:
    """All candidates in one order that does not depend on the order of the sources' rows."""
    table = pa.concat_tables([SCHEMA.empty_table(), *tables]).combine_chunks()
    keys = ["source", "image_id", "city", "captured_at", "lon_deg", "lat_deg"]
    return table.sort_by([(key, "ascending") for key in keys])
