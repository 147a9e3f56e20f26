"""``python -m indexer verify-index``: is an index as it was built?"""

from __future__ import annotations

import argparse
from typing import Any

from gair.errors import IndexCorruptError
from indexer.commands.arguments import add_index_choice


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    parser = commands.add_parser(
        "verify-index",
        help="check every file of an index",
        description="Hash every file of the serving build again, and look inside: rows, frames, "
        "vectors, calibration. Prints a line a file; exit status 1 where one is damaged.",
    )
    parser.set_defaults(run=run)
    add_index_choice(parser, positional=True)


def run(arguments: argparse.Namespace) -> int:
    """Print a line a file.

    Raises:
        IndexCorruptError: a file is damaged; the first is named.
    """
    from indexer.index.index import find_index
    from indexer.index.verify import check_index

    damaged = []
    for finding in check_index(find_index(arguments.index, arguments.indexes)):
        print(finding.line, flush=True)
        if finding.problem:
            damaged.append(finding)
    if damaged:
        raise IndexCorruptError(f"{len(damaged)} damaged: {damaged[0].file}: {damaged[0].problem}")
    return 0
