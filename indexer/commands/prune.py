"""``python -m indexer prune``: remove old builds, or imagery that was not used for long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gair.command import add_command, in_flags
from gair.errors import UsageError
from gair.fields import option
from indexer.commands.arguments import IndexChoice, add_positional_index

_EPILOG = """\
examples:
  python -m indexer prune london --keep 2
  # how large is the cache of fetched imagery?
  python -m indexer prune --imagery
  # at most 50 GB of it, and nothing that no build used for 90 days
  python -m indexer prune --imagery --max-size 50GB --max-age 90 --dry-run
"""
_IMAGERY = "the cache of fetched imagery"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def parsed_size(text: str) -> int:
    """Bytes of a size such as ``50GB``; units are decimal, as in what is printed.

    Raises:
        UsageError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", text.strip().upper())
    if match is None or match[2] not in _UNITS:
        raise UsageError(f"--max-size {text!r} is no size: write 500MB, 50GB, 1TB or bytes")
    return int(float(match[1]) * _UNITS[match[2]])


@dataclass(frozen=True, kw_only=True)
class Prune(IndexChoice):
    """Flags of ``prune``."""

    keep: int = 1
    """Builds that stay, with the serving one."""
    units: bool = False
    """Remove the finished units of unfinished builds, too, which the same build would go on
    from."""
    dry_run: bool = False
    """Only say what would go."""
    imagery: bool = option(False, group=_IMAGERY)
    """Prune it, and no index."""
    imagery_cache: Path | None = option(None, metavar="DIR", group=_IMAGERY)
    """Where it is (default: $GAIR_IMAGERY_CACHE, else ~/.cache/gair/imagery)."""
    max_size: int | None = option(None, metavar="SIZE", parse=parsed_size, group=_IMAGERY)
    """How much may stay: 500MB, 50GB, or bytes."""
    max_age: float | None = option(None, metavar="DAYS", group=_IMAGERY)
    """How long ago the last use may be."""

    def __post_init__(self) -> None:
        limits = (self.imagery_cache, self.max_size, self.max_age)
        if not self.imagery and any(limit is not None for limit in limits):
            raise UsageError(
                "--imagery-cache, --max-size and --max-age are of prune --imagery: add it"
            )
        if self.imagery and (self.index is not None or self.units or self.keep != 1):
            raise UsageError(
                "--imagery prunes no index: leave out INDEX, --index, --keep and --units"
            )


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    parser = add_command(
        commands,
        "prune",
        Prune,
        run,
        help="remove old builds, or imagery that was not used for long",
        description="Remove builds that no longer serve, with their calibrations, and what builds "
        "left that did not end; of reference photos the same. The build that serves stays, and any "
        "that a process has open. "
        "With --imagery it is the cache of imagery that builds fetched from catalogues: its size "
        "is told, and what exceeds --max-size or --max-age goes, the longest unused first; scenes "
        "that a running build uses stay. What went is fetched again when a build needs it.",
        epilog=_EPILOG,
    )
    add_positional_index(parser)


def run(options: Prune) -> int:
    """Prune, and say what went."""
    if options.imagery:
        return _prune_imagery(options)
    from gair.files import can_lock
    from indexer.ground.prune import prune_reference_photos
    from indexer.index.prune import prune_index

    leftovers = prune_index(
        options.folder, options.keep, units=options.units, dry_run=options.dry_run
    )
    leftovers += prune_reference_photos(
        options.folder, units=options.units, dry_run=options.dry_run
    )
    went = "would go" if options.dry_run else "removed"
    for leftover in leftovers:
        why = in_flags(leftover.kept_because, {"units": "--units"})
        fate = f"stays: {why}" if why else went
        print(f"{fate}: {leftover.what} {leftover.paths[0]}, {leftover.size_bytes:,} bytes")
    freed = sum(leftover.size_bytes for leftover in leftovers if not leftover.kept_because)
    print(f"{freed:,} bytes {'would be freed' if options.dry_run else 'freed'}")
    if not can_lock(options.folder):
        print("note: this file system has no locks: nobody can tell which builds are open")
    return 0


def _prune_imagery(options: Prune) -> int:
    from gair.files import can_lock
    from indexer.imagery.stac.cache import default_cache
    from indexer.imagery.stac.prune_cache import prune_imagery

    report = prune_imagery(
        options.imagery_cache or default_cache(),
        most_bytes=options.max_size,
        most_days=options.max_age,
        dry_run=options.dry_run,
    )
    print(f"{report.folder}: {report.size_bytes:,} bytes in {report.windows:,} windows")
    if report.held_bytes:
        print(f"stays: a running build uses it: {report.held_bytes:,} bytes")
    verb = "would go" if options.dry_run else "removed"
    print(f"{verb}: {report.removed_bytes:,} bytes in {report.removed:,} windows")
    print(f"{report.left_bytes:,} bytes {'would be ' if options.dry_run else ''}left")
    if not can_lock(report.folder):
        print("note: this file system has no locks: builds that died look as if they ran")
    return 0
