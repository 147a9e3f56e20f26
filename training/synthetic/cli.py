"""``python -m training.synthetic``: cities that exist nowhere, as training shards or as files.

Examples:
  python -m training.synthetic world --out worlds/demo
      shards for python -m training.pretrain: 27 training cities and one for validation
  python -m training.synthetic city --out worlds/port --seed 3 --side-km 11.5 --photos 200
      GeoTIFFs, JPEGs and a manifest, as a person would hand in those of a real city
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path

from gair.command import run_command
from gair.errors import UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    arguments = _parser().parse_args(argv)
    return run_command(
        lambda: int(arguments.run(arguments)), interrupted="interrupted; nothing was kept"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.synthetic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    world = commands.add_parser("world", help="training shards of many cities")
    world.add_argument("--out", required=True, type=Path, metavar="DATASET", help="folder to write")
    world.add_argument("--cities", type=int, default=26, help="training cities (default 26)")
    world.add_argument("--photos", type=int, default=1900, help="photos of each (default 1900)")
    world.add_argument("--side-km", type=float, default=6.08, help="side of each (default 6.08)")
    world.add_argument(
        "--processes", type=int, default=2, help="cities drawn at a time (default 2)"
    )
    world.add_argument("--overwrite", action="store_true", help="replace a data set that is there")
    world.set_defaults(run=_world)
    city = commands.add_parser("city", help="one city as GeoTIFFs, photos and a manifest")
    city.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder to write")
    city.add_argument("--seed", type=int, default=3, help="which city (default 3)")
    city.add_argument("--side-km", type=float, default=11.5, help="its side (default 11.5)")
    city.add_argument("--photos", type=int, default=200, help="how many photos (default 200)")
    city.add_argument(
        "--calibration-photos",
        type=int,
        default=0,
        metavar="N",
        help="as many more, in calibration.csv, for python -m indexer calibrate (default 0)",
    )
    city.add_argument("--dates", type=int, default=2, help="Sentinel-2 dates (default 2)")
    city.add_argument(
        "--from-held-out-blocks",
        action="store_true",
        help="take photos only in the fifth of the city's blocks that a training city of this seed "
        "keeps out of its training photos: a fair test of a model that was trained on it",
    )
    city.set_defaults(run=_city)
    return parser


def _world(arguments: argparse.Namespace) -> int:
    from training.synthetic.dataset import WorldOptions, write_world

    _positive(arguments, "cities", "photos", "side_km", "processes")
    options = WorldOptions(
        cities=arguments.cities,
        side_m=_side_m(arguments),
        photos=arguments.photos,
        validation_photos=max(50, min(1000, arguments.photos)),
        processes=arguments.processes,
    )
    write_world(arguments.out, options, overwrite=arguments.overwrite)
    print(f"{arguments.out}: look at it with python -m training.dataset info {arguments.out}")
    return 0


def _city(arguments: argparse.Namespace) -> int:
    from training.synthetic.city import City, held_out
    from training.synthetic.files import write_city

    _positive(arguments, "side_km", "photos", "dates")
    if arguments.calibration_photos < 0:
        raise UsageError(f"--calibration-photos {arguments.calibration_photos} is negative")
    if arguments.seed < 0:
        raise UsageError(f"--seed {arguments.seed} is negative: give 0 or more")
    city = City(arguments.seed, _side_m(arguments))
    files = write_city(
        city,
        arguments.out,
        photos=arguments.photos,
        calibration_photos=arguments.calibration_photos,
        dates=arguments.dates,
        wanted=functools.partial(held_out, city.seed) if arguments.from_held_out_blocks else None,
    )
    print(f"imagery: {files.imagery}\nphotos:  {files.manifest}")
    return 0


def _side_m(arguments: argparse.Namespace) -> float:
    if not 1.5 <= arguments.side_km <= 40:
        raise UsageError(f"--side-km {arguments.side_km} must be from 1.5 to 40")
    return float(arguments.side_km) * 1000


def _positive(arguments: argparse.Namespace, *names: str) -> None:
    for name in names:
        value = getattr(arguments, name)
        if not value > 0:
            raise UsageError(f"--{name.replace('_', '-')} is {value}: it must be above 0")
