"""Command line ``python -m training.synthetic``: cities that exist nowhere.

Examples:
  python -m training.synthetic world --out worlds/demo
      a data set for python -m training.pretrain: imagery of 37 training cities, whose photos are
      drawn in training, and photos of a city for validation
  python -m training.synthetic world --out worlds/fixed --drawn-ahead
      the same with training photos in the shards, the same in each epoch
  python -m training.synthetic city --out worlds/port --seed 3 --side-km 11.5 --photos 200
      GeoTIFFs, JPEGs and a manifest, as a person would hand in those of a real city
  python -m training.synthetic city --out worlds/port-night --seed 3 --condition night
      the same places by night; columns of photos.csv tell season, hour, weather, light and camera
  python -m training.synthetic city --out worlds/drives --sequences 20 --frames 10 --step-m 5
      photos of drives, a few metres apart; the column sequence tells which belong together
  python -m training.synthetic city --out worlds/gaps --seed 1 --side-km 9 --between-training-places
      photos of the seen city from places that training kept out of, in streets that it saw
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

from gair.command import Parser, run_parsed
from gair.fields import add_fields, from_namespace
from training.synthetic.options import CityOptions, WorldOptions


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    return run_parsed(build_parser(), argv, interrupted="interrupted; nothing was kept")


def build_parser() -> argparse.ArgumentParser:
    """The flags, apart from :func:`main` so that others can read them."""
    parser = Parser(
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

    from training.synthetic.album import Sequences
    from training.synthetic.areas import between_training_places, held_out
    from training.synthetic.city import City
    from training.synthetic.files import write_city

    city = City(options.seed, options.side_km * 1000)
    wanted = None
    if options.from_held_out_blocks:
        wanted = functools.partial(held_out, city.seed)
    if options.between_training_places:
        wanted = functools.partial(between_training_places, city.seed)
    drives = Sequences(options.sequences, options.frames, options.step_m)
    files = write_city(
        city,
        arguments.out,
        photos=options.photos,
        calibration_photos=options.calibration_photos,
        reference_photos=options.reference_photos,
        dates=options.dates,
        wanted=wanted,
        mix=options.condition,
        sequences=drives if options.sequences else None,
    )
    print(f"imagery: {files.imagery}\nphotos:  {files.manifest}")
    return 0
