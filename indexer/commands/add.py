"""``python -m indexer add``: a further district for an index."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from indexer.commands import build
from indexer.commands.arguments import add_index_type

_DISTRICT = "district"


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    parser = commands.add_parser(
        "add",
        help="add a district to an index",
        description="Build a further region as the index was built, and merge both into a new "
        "build of the index. The index serves as it is until then. Its calibration is not carried "
        "over.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("index", metavar="INDEX", help="name of the index that grows")
    parser.add_argument("--indexes", default="indexes", metavar="DIR", help="folder of all indexes")
    build.add_flags(parser, None)
    add_index_type(parser)


def run(arguments: argparse.Namespace) -> int:
    """Build the district, merge it, and say what was made."""
    from indexer.index.index import find_index, read_manifest
    from indexer.index.storage import read_current
    from indexer.merge.merge import merge_indexes

    folder = find_index(arguments.index, arguments.indexes)
    name, digest = read_current(folder)
    manifest = read_manifest(folder / name, digest)
    work = folder.parent / f".adding-{folder.name}"  # the same again, so that a build can go on
    district = argparse.Namespace(**vars(arguments))
    district.model = arguments.model or manifest.model.source
    district.resolution = manifest.h3_resolution
    district.rs_query = manifest.query_mode
    district.no_token_maps = manifest.tokens is None
    district.index_type = "flat"
    district.name, district.out = _DISTRICT, str(work)
    status = build.run(district)
    if status or arguments.dry_run:
        return status
    report = merge_indexes(
        [folder, work / _DISTRICT],
        folder.name,
        folder.parent,
        index_type=arguments.index_type,
        quiet=arguments.quiet,
    )
    shutil.rmtree(Path(work), ignore_errors=True)
    print("\n".join(report.summary))
    return 0
