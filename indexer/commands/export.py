"""``python -m indexer export``: an index for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gair.command import add_command
from gair.errors import UsageError
from gair.fields import option
from indexer.commands.arguments import IndexChoice, add_positional_index

_EPILOG = """\
examples:
  python -m indexer export london --to london.parquet --stac
  python -m indexer export london --to milvus://london.db
  python -m indexer export london --to milvus://milvus.example.org:19530
  # a server that wants to know who asks, over TLS
  MILVUS_TOKEN=USER:PASSWORD python -m indexer export london --to milvus+tls://milvus.example.org
"""


@dataclass(frozen=True, kw_only=True)
class Export(IndexChoice):
    """Flags of ``export``."""

    to: str = option(metavar="FILE")
    """A .parquet file, or milvus://PATH_OR_HOST."""
    geometry: Literal["point", "cell"] = "point"
    """What a cell is in GeoParquet, its centre or its outline."""
    stac: bool = False
    """Write item.json and collection.json beside the file."""
    stac_version: Literal["1.1.0", "1.0.0"] = "1.1.0"
    """Of these; 1.0.0 is the one that the schema of the extension embeddings takes."""
    reference_photos: bool = True
    """Leave out the reference photos, which go to a file beside; private ones always are."""
    quiet: bool = False
    """No progress."""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    parser = add_command(
        commands,
        "export",
        Export,
        run,
        help="write an index as GeoParquet and STAC, or into Milvus",
        description="Write every cell with both its vectors: as GeoParquet, beside which --stac "
        "puts an Item and a Collection and the reference photos, NAME.ground.parquet; or into a "
        "Milvus database that search --store reads. "
        "A Milvus server that wants to know who asks gets the environment's MILVUS_TOKEN, an API "
        "key or USER:PASSWORD; milvus+tls:// encrypts what travels.",
        epilog=_EPILOG,
    )
    add_positional_index(parser)


def run(options: Export) -> int:
    """Export, and say what was written."""
    from indexer.export.export import export_geoparquet
    from indexer.index.index import open_index
    from indexer.index.milvus import is_store_address

    if options.stac_version != "1.1.0" and not options.stac:
        raise UsageError("--stac-version is of what --stac writes: add --stac")
    if is_store_address(options.to):
        if options.stac:
            raise UsageError("--stac goes with a .parquet file, not with --to milvus://...")
        from indexer.index.milvus import push_index

        written = push_index(open_index(options.folder), options.to, quiet=options.quiet)
    else:
        written = export_geoparquet(
            open_index(options.folder),
            options.to,
            geometry=options.geometry,
            stac=options.stac,
            stac_version=options.stac_version,
            quiet=options.quiet,
        )
    print("\n".join(written + _reference_photos(options)))
    return 0


def _reference_photos(options: Export) -> list[str]:
    """Export the reference photos, where there are any; returns what is to be said."""
    from indexer.export.reference_photos import export_reference_photos, references_beside
    from indexer.ground.reference_photos import open_reference_photos
    from indexer.index.milvus import is_store_address

    references = open_reference_photos(options.folder) if options.reference_photos else None
    if references is None:
        return []
    if options.stac_version != "1.1.0" and not options.stac:
        raise UsageError("--stac-version is of what --stac writes: add --stac")
    if is_store_address(options.to):
        return [f"{len(references):,} reference photos were left out: they go to .parquet files"]
    path = references_beside(Path(options.to))
    return export_reference_photos(references, path, quiet=options.quiet)
