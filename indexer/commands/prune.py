"""``python -m indexer prune``: remove old builds, or imagery that was not used for long."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from gair.errors import UsageError
from indexer.commands.arguments import add_index_choice

_EPILOG = """\
examples:
  python -m indexer prune london --keep 2
  # how large is the cache of fetched imagery?
  python -m indexer prune --imagery
  # at most 50 GB of it, and nothing that no build used for 90 days
  python -m indexer prune --imagery --max-size 50GB --max-age 90 --dry-run
"""
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    parser = commands.add_parser(
        "prune",
        help="remove old builds, or imagery that was not used for long",
        description="Remove builds that no longer serve, with their calibrations, and what builds "
        "left that did not end. The build that serves stays, and any that a process has open. "
        "With --imagery it is the cache of imagery that builds fetched from catalogues: its size "
        "is told, and what exceeds --max-size or --max-age goes, the longest unused first; scenes "
        "that a running build uses stay. What went is fetched again when a build needs it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    imagery = parser.add_argument_group("the cache of fetched imagery")
    imagery.add_argument("--imagery", action="store_true", help="prune it, and no index")
    imagery.add_argument(
        "--imagery-cache",
        metavar="DIR",
        help="where it is (default: $GAIR_IMAGERY_CACHE, else ~/.cache/gair/imagery)",
    )
    imagery.add_argument(
        "--max-size", metavar="SIZE", help="how much may stay: 500MB, 50GB, or bytes"
    )
    imagery.add_argument(
        "--max-age", type=float, metavar="DAYS", help="how long ago the last use may be"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prune, and say what went."""
    if arguments.imagery:
        return _prune_imagery(arguments)
    given = (arguments.imagery_cache, arguments.max_size, arguments.max_age)
    if any(value is not None for value in given):
        raise UsageError("--imagery-cache, --max-size and --max-age are of prune --imagery: add it")
    from gair.files import can_lock
    from indexer.index.index import find_index
    from indexer.index.prune import prune_index

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


def _prune_imagery(arguments: argparse.Namespace) -> int:
    from gair.files import can_lock
    from indexer.imagery.stac.cache import default_cache
    from indexer.imagery.stac.prune_cache import prune_imagery

    if arguments.index is not None or arguments.units or arguments.keep != 1:
        raise UsageError("--imagery prunes no index: leave out INDEX, --index, --keep and --units")
    cache = Path(arguments.imagery_cache) if arguments.imagery_cache else default_cache()
    found = prune_imagery(
        cache,
        most_bytes=None if arguments.max_size is None else parsed_size(arguments.max_size),
        most_days=arguments.max_age,
        dry_run=arguments.dry_run,
    )
    print(f"{found.folder}: {found.size_bytes:,} bytes in {found.windows:,} windows")
    if found.held_bytes:
        print(f"stays: a running build uses it: {found.held_bytes:,} bytes")
    verb = "would go" if arguments.dry_run else "removed"
    print(f"{verb}: {found.removed_bytes:,} bytes in {found.removed:,} windows")
    print(f"{found.left_bytes:,} bytes {'would be ' if arguments.dry_run else ''}left")
    if not can_lock():
        print("note: this system cannot tell builds that run from those that died")
    return 0


def parsed_size(text: str) -> int:
    """Bytes of a size such as ``50GB``; units are decimal, as in what is printed.

    Raises:
        UsageError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", text.strip().upper())
    if match is None or match[2] not in _UNITS:
        raise UsageError(f"--max-size {text!r} is no size: write 500MB, 50GB, 1TB or bytes")
    return int(float(match[1]) * _UNITS[match[2]])
