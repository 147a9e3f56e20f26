"""The command line: ``python -m training.dataset pack | streetscapes | info``.

Parsing needs nothing heavy; what reads photos and rasters is imported by the command that does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.command import run_command
from training.dataset.flags import (
    add_footprint,
    add_reading,
    add_result,
    add_split,
    footprint_side_m,
    reading_options,
)
from training.dataset.streetscapes.flags import add_streetscapes

if TYPE_CHECKING:
    from training.dataset.pack.options import PackOptions

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
    arguments = _parser().parse_args(argv)
    return run_command(lambda: int(arguments.run(arguments)), interrupted=arguments.interrupted)


def _pack(arguments: argparse.Namespace) -> int:
    from training.dataset.pack.pack import pack

    options = pack_options(arguments)
    report = pack(options)
    print("\n".join([f"data set {options.out}", *report.lines]))
    return 0


def pack_options(arguments: argparse.Namespace) -> PackOptions:
    """The options of ``pack`` from its parsed command line.

    Raises:
        UsageError: A value cannot work.
    """
    from training.dataset.pack.options import PackOptions, SplitOptions, parse_shares

    return PackOptions(
        photos=Path(arguments.photos),
        imagery=tuple(Path(path) for path in arguments.imagery),
        out=Path(arguments.out),
        reading=reading_options(arguments),
        footprints=arguments.footprints,
        footprint_m=footprint_side_m(arguments),
        min_valid=arguments.min_valid,
        split=SplitOptions(
            by=arguments.split_by,
            shares=parse_shares(arguments.shares),
            buffer_m=arguments.buffer_m,
            block_m=arguments.block_m,
            join_km=arguments.join_km,
            seed=arguments.seed,
        ),
        max_px=arguments.max_px,
        licence=arguments.licence,
        source=arguments.source,
        synthetic=arguments.synthetic,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )


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
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    pack = commands.add_parser(
        "pack",
        help="make a data set",
        description="Pack photos and the imagery around them. Says how many photos were left out "
        "and why. GPS and all other tags are taken out of the photos; what is larger than --max-px "
        "is shrunk.",
    )
    pack.set_defaults(run=_pack, interrupted=_UNCHANGED)
    _add_sources(pack)
    _add_footprints(pack)
    _add_split(pack)
    add_streetscapes(commands)
    info = commands.add_parser("info", help="show what a data set holds")
    info.set_defaults(run=_info, interrupted=_UNCHANGED)
    info.add_argument("dataset", metavar="DATASET", help="folder of the data set")
    info.add_argument(
        "--verify", action="store_true", help="read every file and compare it with what was written"
    )
    return parser


def _add_sources(pack: Any) -> None:  # noqa: ANN401
    add = pack.add_argument
    add(
        "--photos",
        required=True,
        metavar="PATH",
        help="a folder of photos with GPS tags, or a .csv, .tsv or .parquet manifest with the "
        "columns file, lat, lon and, where known, id, heading, captured_at, licence, source, city",
    )
    add(
        "--imagery",
        required=True,
        nargs="+",
        metavar="PATH",
        help="Sentinel-2 files and folders: GeoTIFF, COG or JP2, any CRS, ten bands found by name; "
        "each day of acquisition becomes a frame of its own",
    )
    add("--out", required=True, metavar="DIR", help="folder of the data set")
    add("--licence", default="", metavar="TEXT", help="of photos whose manifest names none")
    add("--source", default="", metavar="TEXT", help="of photos whose manifest names none")
    add_result(add)
    add_reading(add)


def _add_footprints(pack: Any) -> None:  # noqa: ANN401
    add = pack.add_argument
    add(
        "--footprints",
        choices=("tiles", "centred"),
        default="tiles",
        help="squares of imagery: the web map tile a photo lies in, or a square around it, moved "
        "at random and into the imagery, for few photos or small images (default: %(default)s)",
    )
    add_footprint(add)


def _add_split(pack: Any) -> None:  # noqa: ANN401
    add = pack.add_argument
    add(
        "--split-by",
        choices=("city", "block"),
        default="city",
        help="hold out whole cities (the manifest's column city or place; groups of near photos "
        "where it names none) or blocks of a grid (default: %(default)s)",
    )
    add_split(add)
    add(
        "--block-m",
        type=float,
        default=2000.0,
        metavar="M",
        help="side of a block, metres on the ground (default: %(default)g)",
    )
    add(
        "--join-km",
        type=float,
        default=5.0,
        metavar="KM",
        help="photos without a city belong together if they are nearer than this "
        "(default: %(default)g)",
    )
    add("--seed", type=int, default=0, metavar="N", help="of the split and of centred footprints")
