"""Command line ``python -m training.synthetic``: cities that exist nowhere, as shards or files.

Examples:
  python -m training.synthetic world --out worlds/demo
      shards for python -m training.pretrain: 27 training cities and one for validation
  python -m training.synthetic city --out worlds/port --seed 3 --side-km 11.5 --photos 200
      GeoTIFFs, JPEGs and a manifest, as a person would hand in those of a real city
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

from gair.command import run_parsed
from gair.fields import add_fields, from_namespace
from training.synthetic.options import CityOptions, WorldOptions


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    return run_parsed(_parser(), argv, interrupted="interrupted; nothing was kept")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.synthetic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    world = commands.add_parser("world", help="training shards of many cities")
    world.add_argument("--out", required=True, type=Path, metavar="DATASET", help="folder to write")
    world.add_argument("--overwrite", action="store_true", help="replace a data set that is there")
    add_fields(world, WorldOptions)
    world.set_defaults(run=_world)
    city = commands.add_parser("city", help="one city as GeoTIFFs, photos and a manifest")
    city.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder to write")
    add_fields(city, CityOptions)
    city.set_defaults(run=_city)
    return parser


def _world(arguments: argparse.Namespace) -> int:
    options = from_namespace(WorldOptions, arguments)
    validation_photos = max(50, min(options.validation_photos, options.photos))

    from training.synthetic.dataset import write_world

    write_world(
        arguments.out,
        dataclasses.replace(options, validation_photos=validation_photos),
        overwrite=arguments.overwrite,
    )
    print(f"{arguments.out}: look at it with python -m training.dataset info {arguments.out}")
    return 0


def _city(arguments: argparse.Namespace) -> int:
    options = from_namespace(CityOptions, arguments)

    from training.synthetic.city import City, held_out
    from training.synthetic.files import write_city

    city = City(options.seed, options.side_km * 1000)
    files = write_city(
        city,
        arguments.out,
        photos=options.photos,
        calibration_photos=options.calibration_photos,
        dates=options.dates,
        wanted=functools.partial(held_out, city.seed) if options.from_held_out_blocks else None,
    )
    print(f"imagery: {files.imagery}\nphotos:  {files.manifest}")
    return 0
