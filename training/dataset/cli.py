"""The command line: ``python -m training.dataset pack | streetscapes | info``.

Flags, defaults and help texts are those of the options' fields. Parsing needs nothing heavy; what
reads photos and rasters is imported by the command that does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gair.command import HelpFormatter, Parser, add_command, run_parsed
from gair.fields import add_fields, from_namespace
from training.dataset.pack.options import IMAGERY, RESULT, CatalogueOptions, PackOptions
from training.dataset.streetscapes.options import CHOICE, FETCHING, LISTS, StreetscapesOptions
from training.dataset.streetscapes.web import PATIENCE

_DESCRIPTION = """\
Choose street photos from public lists, fetch them from Mapillary and KartaView, and pack them with
Sentinel-2 imagery of several dates. A build that is stopped, or killed, goes on when the same
command is run again, and ends with the same bytes. Mapillary wants a token in the environment
variable MAPILLARY_ACCESS_TOKEN.
"""
_STREETSCAPES_EPILOG = """\
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


_UNCHANGED = "interrupted: nothing was changed"
_EPILOG = """\
examples:
  # a folder of photos with GPS tags, and a folder of Sentinel-2 files
  python -m training.dataset pack --photos photos/ --imagery sentinel2/ --out dataset \\
      --licence "CC BY-SA 4.0" --source "my own"

  # a manifest (file, lat, lon; optional: heading, captured_at, licence, source, city),
  # two dates of imagery, whole cities held out
  python -m training.dataset pack --photos photos.csv --imagery may.tif august.tif --out dataset

  # one city: hold out blocks of it, with half a kilometre between training and test
  python -m training.dataset pack --photos photos.csv --imagery city.tif --out dataset \\
      --split-by block --block-m 4000 --buffer-m 500 --shares 0.7,0.15,0.15

  # public photos of two cities: what will it take? then, without --dry-run, make it
  python -m training.dataset streetscapes --tables global-streetscapes/data --imagery sentinel2/ \\
      --city "Singapore, SG" --city "Stuttgart, DE" --out dataset --dry-run

  # what is in it, and is it undamaged?
  python -m training.dataset info dataset --verify
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0, 1 for a failure, 2 for wrong usage)."""
    return run_parsed(_parser(), argv, interrupted=_UNCHANGED)


def _pack(options: PackOptions) -> int:
    from training.dataset.pack.pack import pack

    report = pack(options)
    print("\n".join([f"data set {options.out}", *report.lines]))
    return 0


def _info(arguments: argparse.Namespace) -> int:
    from training.dataset.info import info_lines

    print("\n".join(info_lines(Path(arguments.dataset), verify=arguments.verify)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m training.dataset",
        description="Make a data set for pretraining from street photos and Sentinel-2 imagery, "
        "and look into one.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_command(
        commands,
        "pack",
        PackOptions,
        _pack,
        help="make a data set",
        description="Pack photos and the imagery around them. Says how many photos were left out "
        "and why. GPS and all other tags are taken out of the photos; what is larger than --max-px "
        "is shrunk.",
    )
    _add_streetscapes(commands)
    info = commands.add_parser("info", help="show what a data set holds")
    info.set_defaults(run=_info)
    info.add_argument("dataset", metavar="DATASET", help="folder of the data set")
    info.add_argument(
        "--verify", action="store_true", help="read every file and compare it with what was written"
    )
    return parser


def _add_streetscapes(commands: Any) -> None:  # noqa: ANN401
    """Add the command to a parser's."""
    parser = commands.add_parser(
        "streetscapes",
        help="make a data set of public street photos",
        description=_DESCRIPTION,
        epilog=_STREETSCAPES_EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(
        run=_streetscapes, interrupted="interrupted: run the same command again to go on from here"
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


def _streetscapes(arguments: argparse.Namespace) -> int:
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
