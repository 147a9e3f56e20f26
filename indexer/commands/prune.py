"""``python -m indexer prune``: remove old builds."""

from __future__ import annotations

import argparse
from typing import Any

from indexer.arguments import add_index_choice


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    parser = commands.add_parser(
        "prune",
        help="remove old builds",
        description="Remove builds that no longer serve, with their calibrations, and what builds "
        "left that did not end. The build that serves stays, and any that a process has open.",
    )
    parser.set_defaults(run=run)
    add_index_choice(parser, positional=True)
    parser.add_argument(
        "--keep",
        type=int,
        default=1,
        metavar="N",
        help="builds that stay, with the serving one (default: %(default)s)",
    )
    parser.add_argument(
        "--units",
        action="store_true",
        help="remove the finished units of unfinished builds, too, which the same build would go "
        "on from",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")


def run(arguments: argparse.Namespace) -> int:
    """Prune, and say what went."""
    from indexer.index import find_index
    from indexer.locks import can_lock
    from indexer.pruning import prune_index

    folder = find_index(arguments.index, arguments.indexes)
    found = prune_index(folder, arguments.keep, units=arguments.units, dry_run=arguments.dry_run)
    went = "would go" if arguments.dry_run else "removed"
    for leftover in found:
        fate = f"stays: {leftover.kept_because}" if leftover.kept_because else went
        print(f"{fate}: {leftover.what} {leftover.paths[0]}, {leftover.size_bytes:,} bytes")
    freed = sum(leftover.size_bytes for leftover in found if not leftover.kept_because)
    print(f"{freed:,} bytes {'would be freed' if arguments.dry_run else 'freed'}")
    if not can_lock():
        print("note: this system cannot tell which builds are open")
    return 0
