"""Command ``streetscapes``: its flags, and what it does with them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gair.command import HelpFormatter
from gair.fields import add_fields, from_namespace
from training.dataset.pack.options import IMAGERY, RESULT, CatalogueOptions
from training.dataset.streetscapes.options import (
    CHOICE,
    FETCHING,
    LISTS,
    StreetscapesOptions,
)
from training.dataset.streetscapes.web import PATIENCE

_DESCRIPTION = """\
Choose street photos from public lists, fetch them from Mapillary and KartaView, and pack them with
Sentinel-2 imagery of several dates. A build that is stopped, or killed, goes on when the same
command is run again, and ends with the same bytes. Mapillary wants a token in the environment
variable MAPILLARY_ACCESS_TOKEN.
"""
EPILOG = """\
examples:
  # what will 20 cities of Global Streetscapes take? nobody is asked, no token is needed
  python -m training.dataset streetscapes --tables global-streetscapes/data --most-cities 20 \\
      --out dataset --dry-run

  # make it, with Sentinel-2 files of these cities
  export MAPILLARY_ACCESS_TOKEN=...
  python -m training.dataset streetscapes --tables global-streetscapes/data --most-cities 20 \\
      --imagery sentinel2/ --out dataset

  # a place of one's own, with imagery of a catalogue; KartaView needs no token
  python -m training.dataset streetscapes --kartaview-area "Camden=-0.17,51.52,-0.12,51.56" \\
      --imagery stac --dates 2023-01-01/2025-12-31 --out camden
"""
_OF_PACK = ("by", "block_m", "join_km")  # here whole cities are held out
_CATALOGUE = (Path("stac"),)
"""What stands for a catalogue in the place of files."""


def add_streetscapes(commands: Any) -> None:  # noqa: ANN401
    """Add the command to a parser's."""
    parser = commands.add_parser(
        "streetscapes",
        help="make a data set of public street photos",
        description=_DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(
        run=run, interrupted="interrupted: run the same command again to go on from here"
    )
    titles = (LISTS, CHOICE, FETCHING, IMAGERY, RESULT)  # in the order of the help
    groups = {title: parser.add_argument_group(title) for title in titles}
    # First what tells this command from pack: of a flag that both have, the first help counts.
    add_fields(parser, StreetscapesOptions, only=("lists", "selection", "imagery", "out"))
    add_fields(parser, StreetscapesOptions, leave_out=_OF_PACK)
    add_fields(groups[IMAGERY], CatalogueOptions)
    groups[FETCHING].add_argument(
        "--pause-s",
        dest="first_pause_s",
        type=float,
        default=argparse.SUPPRESS,
        metavar="S",
        help=f"pause before the second try; it doubles (default: {PATIENCE.first_pause_s:g})",
    )
    groups[RESULT].add_argument(
        "--dry-run",
        action="store_true",
        help="say what it will take (photos, requests, bytes, time), and ask nobody",
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the data set, or say what it will take."""
    options = streetscapes_options(arguments)
    if arguments.dry_run:
        from training.dataset.streetscapes.estimate import estimate

        print("\n".join(estimate(options).lines))
        return 0
    from training.dataset.streetscapes.build import build

    print("\n".join(build(options).lines))
    return 0


def streetscapes_options(arguments: argparse.Namespace) -> StreetscapesOptions:
    """The options from a parsed command line.

    Raises:
        UsageError: a value cannot work.
    """
    if tuple(getattr(arguments, "imagery", ())) != _CATALOGUE:
        return from_namespace(StreetscapesOptions, arguments)
    catalogue = from_namespace(CatalogueOptions, arguments)
    return from_namespace(StreetscapesOptions, arguments, imagery=(), catalogue=catalogue)
