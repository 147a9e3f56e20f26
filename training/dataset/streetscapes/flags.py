"""The command line of ``streetscapes``; parsing needs nothing heavy."""

from __future__ import annotations

import argparse
from typing import Any

from training.dataset.flags import add_footprint, add_reading, add_result, add_split
from training.dataset.streetscapes.command import run

DESCRIPTION = """\
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


def add_streetscapes(commands: Any) -> None:  # noqa: ANN401
    """Add the command to a parser's."""
    parser = commands.add_parser(
        "streetscapes",
        help="make a data set of public street photos",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(
        run=run, interrupted="interrupted: run the same command again to go on from here"
    )
    _add_lists(parser)
    _add_choice(parser)
    _add_fetching(parser)
    _add_imagery(parser)
    add = parser.add_argument_group("the data set").add_argument
    add("--out", required=True, metavar="DIR", help="its folder; work goes on in DIR.unfinished")
    add_result(add)
    add_split(add)
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the choice and of the split, which is by city",
    )
    add("--keep-photos", action="store_true", help="keep the fetched files when all is done")
    add(
        "--dry-run",
        action="store_true",
        help="say what it will take (photos, requests, bytes, time), and ask nobody",
    )


def _add_lists(parser: Any) -> None:  # noqa: ANN401
    add = parser.add_argument_group("which photos there are").add_argument
    add(
        "--tables",
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders with the tables of Global Streetscapes, CSV or Parquet: "
        "metadata_common_attributes and, if there, simplemaps (cities), places365 (indoor), "
        "contextual (quality)",
    )
    add("--osv5m", nargs="+", default=[], metavar="FILE", help="train.csv or test.csv of OSV-5M")
    area = "NAME=W,S,E,N, NAME=FILE.geojson or a region that ships; may be given again"
    add(
        "--mapillary-area",
        action="append",
        default=[],
        metavar="AREA",
        help=f"ask Mapillary what it has in an area: {area}",
    )
    add(
        "--kartaview-area",
        action="append",
        default=[],
        metavar="AREA",
        help="ask KartaView what it has in an area",
    )


def _add_choice(parser: Any) -> None:  # noqa: ANN401
    add = parser.add_argument_group("which photos to have").add_argument
    add("--sources", nargs="+", default=[], metavar="NAME", help="mapillary, kartaview, or both")
    add(
        "--city",
        action="append",
        default=[],
        metavar="NAME",
        help="only this city (Paris, or Paris, FR); may be given again",
    )
    add("--most-cities", type=int, metavar="N", help="draw so many cities")
    add(
        "--per-city",
        type=int,
        default=5000,
        metavar="N",
        help="most photos of a city (default: %(default)s)",
    )
    add(
        "--per-cell",
        type=int,
        default=4,
        metavar="N",
        help="most photos of an H3 cell, months taking turns (default: %(default)s)",
    )
    add(
        "--cell-resolution",
        type=int,
        default=9,
        metavar="R",
        help="H3 resolution of such a cell (default: %(default)s, 0.1 km2)",
    )
    add("--photos", type=int, metavar="N", help="most photos of all")
    add("--panoramas", action="store_true", help="take panoramas, too")
    add(
        "--min-px",
        type=int,
        default=480,
        metavar="PX",
        help="least length of a photo's longer side (default: %(default)s)",
    )
    add(
        "--least-sharpness",
        type=float,
        default=30.0,
        metavar="V",
        help="least variance of the Laplacian at 512 pixels; 0 keeps all (default: %(default)g)",
    )


def _add_fetching(parser: Any) -> None:  # noqa: ANN401
    add = parser.add_argument_group("fetching").add_argument
    add(
        "--concurrency",
        type=int,
        default=16,
        metavar="N",
        help="photos on their way at a time (default: %(default)s)",
    )
    add(
        "--tries",
        type=int,
        default=5,
        metavar="N",
        help="times a thing is asked for before it counts as not to be had (default: %(default)s)",
    )
    add(
        "--pause-s",
        type=float,
        default=1.0,
        metavar="S",
        help="pause before the second try; it doubles (default: %(default)g)",
    )
    add(
        "--silence-s",
        type=float,
        default=20.0,
        metavar="S",
        help="a server that sends nothing for so long has not answered (default: %(default)g)",
    )
    add("--accept-missing", action="store_true", help="go on without photos that cannot be had now")
    add("--mapillary-url", metavar="URL", help="a mirror of graph.mapillary.com")
    add("--mapillary-tiles-url", metavar="URL", help="a mirror of Mapillary's coverage tiles")
    add("--kartaview-url", metavar="URL", help="a mirror of api.openstreetcam.org")


def _add_imagery(parser: Any) -> None:  # noqa: ANN401
    add = parser.add_argument_group("imagery").add_argument
    add(
        "--imagery",
        nargs="+",
        default=[],
        metavar="PATH",
        help="Sentinel-2 files and folders, as for pack; or stac: ask a catalogue",
    )
    add("--dates", metavar="FROM/TO", help="of the catalogue's scenes, 2023-01-01/2025-12-31")
    add(
        "--max-cloud",
        type=float,
        default=20.0,
        metavar="P",
        help="leave out the catalogue's scenes with more clouds, per cent (default: %(default)g)",
    )
    add("--stac-url", default="", metavar="URL", help="another catalogue than Earth Search")
    add("--stac-collection", default="", metavar="NAME", help="another collection of it")
    add("--imagery-cache", metavar="DIR", help="where fetched pixels of a catalogue are kept")
    add(
        "--dates-per-footprint",
        type=int,
        default=4,
        metavar="N",
        help="most dates of a footprint, far apart (default: %(default)s)",
    )
    add_footprint(add)
    add_reading(add)
