"""``python -m indexer merge``: several indexes as one."""

from __future__ import annotations

import argparse
from typing import Any

from indexer.commands.arguments import add_index_type

_EPILOG = """\
examples:
  python -m indexer merge north south --into city
  # the same cells, searched another way
  python -m indexer merge country --into country --index-type ivf-sq8
"""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    merge = commands.add_parser(
        "merge",
        help="put indexes together",
        description="Make a new build of --into from indexes of the same model, H3 resolution and "
        "way to read frames; their --precision may differ, and is told. Cells that several have "
        "are taken from the first. A calibration is not carried over.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    merge.set_defaults(run=run)
    merge.add_argument("part", nargs="+", metavar="INDEX", help="name or folder of an index")
    merge.add_argument("--into", required=True, metavar="NAME", help="name of the merged index")
    merge.add_argument("--indexes", default="indexes", metavar="DIR", help="folder of all indexes")
    add_index_type(merge)
    merge.add_argument("--quiet", action="store_true", help="no progress")


def run(arguments: argparse.Namespace) -> int:
    """Merge, and say what was made."""
    from indexer.index.index import find_index
    from indexer.merge.merge import merge_indexes

    report = merge_indexes(
        [find_index(part, arguments.indexes) for part in arguments.part],
        arguments.into,
        arguments.indexes,
        index_type=arguments.index_type,
        quiet=arguments.quiet,
    )
    print("\n".join(report.summary))
    return 0
