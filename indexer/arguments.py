"""What the command line accepts; it needs nothing heavy, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

Command = Callable[[argparse.Namespace], int]

_EPILOG = """\
examples:
  # index Greater London from a folder of Sentinel-2 files, with the released weights
  python -m indexer build --region london --imagery sentinel2/ --model PingL/GAIR

  # index everything a scene shows, with random weights, to try the machinery
  python -m indexer build --imagery scene.tif --model untrained:tiny --name trial

  # where was it?
  python -m indexer search photo.jpg --index london -k 5
  python -m indexer search *.jpg --index london --json > answers.json
"""


def parse(
    argv: Sequence[str] | None, *, build: Command, search: Command, info: Command
) -> argparse.Namespace:
    """Parse a command line; ``run`` of the result is the command to call with it.

    Args:
        argv: words after the program's name; those of this process if None.
        build: runs ``build``.
        search: runs ``search``.
        info: runs ``info``.

    Raises:
        SystemExit: help was asked for (0), or a flag is wrong (2); it has been printed.
    """
    words = sys.argv[1:] if argv is None else argv
    return _parser(build, search, info).parse_args(_bbox_joined(words))


def _bbox_joined(argv: Sequence[str]) -> list[str]:
    """``--bbox -1,2,3,4`` as ``--bbox=-1,2,3,4``: argparse takes the former for a flag."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] == "--bbox":
            joined[-1] = f"--bbox={word}"
        else:
            joined.append(word)
    return joined


def _parser(build: Command, search: Command, info: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m indexer",
        description="Index a region from Sentinel-2 imagery with GAIR, and ask the index where a "
        "photo was taken.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_build(commands, build)
    _add_search(commands, search)
    _add_info(commands, info)
    return parser


def _add_build(commands: Any, run: Command) -> None:  # noqa: ANN401
    build = commands.add_parser(
        "build",
        help="index a region",
        description="Index a region: cells, one vector of imagery and one of location for each. "
        "Without --region, --bbox or --polygon everything the imagery shows is indexed.",
    )
    build.set_defaults(run=run)
    where = build.add_mutually_exclusive_group()
    where.add_argument("--region", metavar="NAME", help="a region that ships with us: london")
    where.add_argument("--bbox", metavar="W,S,E,N", help="degrees, for example -0.2,51.4,0.1,51.6")
    where.add_argument("--polygon", metavar="FILE", help="a GeoJSON file, longitude and latitude")
    build.add_argument(
        "--imagery",
        required=True,
        metavar="PATH",
        help="a Sentinel-2 file or a folder of them: GeoTIFF, COG or JP2, any CRS, ten bands "
        "(B2 B3 B4 B5 B6 B7 B8 B8A B11 B12) found by name",
    )
    build.add_argument(
        "--bands",
        metavar="LIST",
        help="names of the bands in files that do not name them: gair-10, l2a-12, l1c-13, or "
        "B2,B3,...",
    )
    build.add_argument(
        "--dn-scale",
        type=float,
        default=1.0,
        metavar="X",
        help="multiply pixels by this to get reflectance x 10000 (10000 for reflectance in 0..1)",
    )
    build.add_argument(
        "--dn-offset",
        type=float,
        default=0.0,
        metavar="X",
        help="then add this (-1000 for ESA products of baseline 04.00 and later)",
    )
    build.add_argument(
        "--model",
        default="PingL/GAIR",
        metavar="MODEL",
        help="a folder, a release checkpoint file, a Hugging Face id, shipped:demo, or "
        "untrained:base|tiny (default: %(default)s)",
    )
    build.add_argument(
        "--resolution",
        type=int,
        default=10,
        metavar="R",
        help="H3 resolution: 9 is cells of about 350 m, 10 of 130 m, 11 of 50 m "
        "(default: %(default)s)",
    )
    build.add_argument(
        "--rs-query",
        choices=("nili", "bilinear", "bicubic", "mean"),
        default="nili",
        help="how a frame is read at a cell; all but nili are baselines (default: %(default)s)",
    )
    build.add_argument("--name", metavar="NAME", help="name of the index (default: the region's)")
    build.add_argument(
        "--out", default="indexes", metavar="DIR", help="folder of all indexes (default: indexes)"
    )
    build.add_argument("--device", default="auto", help="cpu, cuda, ... (default: the best)")
    build.add_argument("--quiet", action="store_true", help="no progress")


def _add_search(commands: Any, run: Command) -> None:  # noqa: ANN401
    search = commands.add_parser(
        "search",
        help="ask where photos were taken",
        description="Rank the places of an index for each photo. GPS tags are never used.",
    )
    search.set_defaults(run=run)
    search.add_argument("photo", nargs="+", metavar="PHOTO", help="a street-level photo")
    _add_index_choice(search)
    search.add_argument("-k", type=int, default=5, help="places a photo (default: %(default)s)")
    search.add_argument(
        "--rs-weight", type=float, default=0.5, metavar="W", help="weight of the imagery"
    )
    search.add_argument(
        "--location-weight", type=float, default=0.5, metavar="W", help="weight of the location"
    )
    search.add_argument("--model", metavar="MODEL", help="where the index's model is now")
    search.add_argument("--json", action="store_true", help="print JSON, one object a photo")


def _add_info(commands: Any, run: Command) -> None:  # noqa: ANN401
    info = commands.add_parser(
        "info",
        help="show what an index is made of",
        description="Show an index's model, imagery, cells and warnings; without --index, list "
        "the indexes.",
    )
    info.set_defaults(run=run)
    _add_index_choice(info)
    info.add_argument("--json", action="store_true", help="print the whole manifest")


def _add_index_choice(parser: Any) -> None:  # noqa: ANN401
    parser.add_argument(
        "--index", metavar="NAME", help="name or folder (default: the only one there is)"
    )
    parser.add_argument("--indexes", default="indexes", metavar="DIR", help="folder of all indexes")
