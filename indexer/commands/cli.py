"""The command line: ``python -m indexer build | search | ...``.

Parsing needs nothing heavy, so ``--help`` answers at once; torch, FAISS and rasterio are imported
by the command that needs them (:mod:`indexer.commands`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from gair.command import run_command
from indexer.commands import (
    add,
    build,
    calibrate,
    evaluate,
    export,
    heatmap,
    info,
    merge,
    prune,
    regions,
    search,
    verify,
    verify_index,
)
from indexer.commands.arguments import numbers_joined

_EPILOG = """\
examples:
  # index Greater London from a folder of Sentinel-2 files, with the released weights
  python -m indexer build --region london --imagery sentinel2/ --model PingL/GAIR

  # the same from Earth Search, cloud-free of the last twelve months; first say how much it would be
  python -m indexer build --region london --imagery stac --dry-run
  python -m indexer build --region london --imagery stac

  # index everything a scene shows, with random weights, to try the machinery
  python -m indexer build --imagery scene.tif --model untrained:tiny --name trial

  # where was it?
  python -m indexer search photo.jpg --index london -k 5
  python -m indexer search *.jpg --index london --json > answers.json
"""

_COMMANDS = (
    *(build, add, merge),
    *(search, verify, heatmap),
    *(calibrate, evaluate),
    *(info, verify_index, prune, export, regions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0, 1 for a failure, 2 for wrong usage)."""
    words = sys.argv[1:] if argv is None else argv
    arguments = build_parser().parse_args(numbers_joined(words))
    return run_command(
        lambda: int(arguments.run(arguments)), interrupted="interrupted: nothing was changed"
    )


def build_parser() -> argparse.ArgumentParser:
    """The flags, apart from :func:`main` so that documentation can be made from them."""
    parser = argparse.ArgumentParser(
        prog="python -m indexer",
        description="Index a region from Sentinel-2 imagery with GAIR, and ask the index where a "
        "photo was taken.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return parser
