"""An index for other programs: GeoParquet, and STAC beside it."""

from __future__ import annotations

import json
from pathlib import Path

from gair.errors import UsageError
from gair.files import write_whole
from indexer.export.geoparquet import Geometry, write_geoparquet
from indexer.export.stac_item import stac_collection, stac_item
from indexer.index.external import without_password
from indexer.index.index import Index


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
        raise UsageError(f"--to {shown!r}: name a .parquet file, or milvus://PATH_OR_HOST")
    write_geoparquet(index, path, geometry, quiet=quiet)
    found = [f"{path}: {len(index.cells):,} cells, {path.stat().st_size:,} bytes"]
    if stac:
        parts = {"item": stac_item(index, path.name), "collection": stac_collection(index)}
        for name, content in parts.items():
            file = path.with_name(f"{name}.json")
            write_whole(file, json.dumps(content, indent=1).encode())
            found.append(f"{file}: STAC {name.capitalize()}")
    return found
