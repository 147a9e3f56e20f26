"""``python -m indexer export``: an index for other programs."""

from __future__ import annotations

import argparse
from typing import Any

from gair.errors import UsageError
from indexer.commands.arguments import add_index_choice

_EPILOG = """\
examples:
  python -m indexer export london --to london.parquet --stac
  python -m indexer export london --to milvus://london.db
  python -m indexer export london --to milvus://milvus.example.org:19530
  # a server that wants to know who asks, over TLS
  MILVUS_TOKEN=USER:PASSWORD python -m indexer export london --to milvus+tls://milvus.example.org
"""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    parser = commands.add_parser(
        "export",
        help="write an index as GeoParquet and STAC, or into Milvus",
        description="Write every cell with both its vectors: as GeoParquet, beside which --stac "
        "puts an Item and a Collection, or into a Milvus database that search --store reads. "
        "A Milvus server that wants to know who asks gets the environment's MILVUS_TOKEN, an API "
        "key or USER:PASSWORD; milvus+tls:// encrypts what travels.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    add_index_choice(parser, positional=True)
    parser.add_argument(
        "--to", required=True, metavar="FILE", help="a .parquet file, or milvus://PATH_OR_HOST"
    )
    parser.add_argument(
        "--geometry",
        choices=("point", "cell"),
        default="point",
        help="what a cell is in GeoParquet, its centre or its outline (default: %(default)s)",
    )
    parser.add_argument(
        "--stac", action="store_true", help="write item.json and collection.json beside the file"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(arguments: argparse.Namespace) -> int:
    """Export, and say what was written."""
    from indexer.export.export import export_geoparquet
    from indexer.index.external import is_store_address
    from indexer.index.index import find_index, open_index

    if is_store_address(arguments.to):
        if arguments.stac:
            raise UsageError("--stac goes with a .parquet file, not with --to milvus://...")
        from indexer.index.milvus import push_index

        index = open_index(find_index(arguments.index, arguments.indexes))
        written = push_index(index, arguments.to, quiet=arguments.quiet)
    else:
        index = open_index(find_index(arguments.index, arguments.indexes))
        written = export_geoparquet(
            index,
            arguments.to,
            geometry=arguments.geometry,
            stac=arguments.stac,
            quiet=arguments.quiet,
        )
    print("\n".join(written))
    return 0
