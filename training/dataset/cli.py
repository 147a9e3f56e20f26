"""The command line: ``python -m training.dataset pack | streetscapes | info``.

Flags, defaults and help texts are those of the options' fields. Parsing needs nothing heavy; what
reads photos and rasters is imported by the command that does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gair.command import HelpFormatter, add_command, run_parsed
from training.dataset.pack.options import PackOptions
from training.dataset.streetscapes.command import add_streetscapes

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
    parser = argparse.ArgumentParser(
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
    add_streetscapes(commands)
    info = commands.add_parser("info", help="show what a data set holds")
    info.set_defaults(run=_info)
    info.add_argument("dataset", metavar="DATASET", help="folder of the data set")
    info.add_argument(
        "--verify", action="store_true", help="read every file and compare it with what was written"
    )
    return parser
