"""Command line: ``python -m indexer build | search | ...``.

Parsing needs nothing heavy, so ``--help`` answers at once; torch, FAISS and rasterio are imported
by the command that needs them (:mod:`indexer.commands`).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from gair.command import HelpFormatter, Parser, run_parsed
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

  # photos of known places as further evidence
  python -m indexer add-photos london --photos photos.csv

  # where was it?
  python -m indexer search photo.jpg --index london -k 5
  python -m indexer search *.jpg --index london --json > answers.json
"""

_MODULES = {
    "build": ("build", "add", "merge"),
    "search": ("search",),
    "verify": ("verify",),
    "heatmap": ("heatmap",),
    "explore": ("explore",),
    "calibrate": ("calibrate",),
    "evaluate": ("evaluate",),
    "info": ("info", "verify-index", "regions"),
    "prune": ("prune",),
    "photos": ("add-photos", "remove-photos"),
    "export": ("export",),
    "sharing": ("index",),
}
"""Modules of this package, and the commands in each."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0, 1 for a failure, 2 for wrong usage)."""
    words = numbers_joined(sys.argv[1:] if argv is None else argv)
    return run_parsed(
        build_parser(words[:1]), words, interrupted="interrupted: nothing was changed"
    )


def build_parser(commands: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The flags, apart from :func:`main` so that documentation can be made from them.

    Args:
        commands: those that are needed, so that the others' modules need not be imported; all
            where none of them is a command.
    """
    parser = Parser(
        prog="python -m indexer",
        description="Index a region from Sentinel-2 imagery with GAIR, and ask the index where a "
        "photo was taken.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    places = parser.add_subparsers(required=True, metavar="COMMAND")
    needed = [module for module, names in _MODULES.items() if set(names) & set(commands)]
    for module in needed or _MODULES:
        importlib.import_module(f"indexer.commands.{module}").add(places)
    return parser
