"""The flags that say which area: by name, by edges, by outline, or by a geocoder."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from gair.errors import UsageError

if TYPE_CHECKING:
    from indexer.regions.region import Region


def add_region_choice(parser: Any) -> None:  # noqa: ANN401
    """Add the flags."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--region", metavar="NAME", help="a region that ships with us; python -m indexer regions"
    )
    where.add_argument(
        "--bbox",
        metavar="W,S,E,N",
        help="degrees, for example -0.2,51.4,0.1,51.6; W above E goes over the antimeridian",
    )
    where.add_argument("--polygon", metavar="FILE", help="a GeoJSON file, longitude and latitude")
    where.add_argument(
        "--place", metavar="NAME", help="a place that a geocoder on the network knows"
    )
    parser.add_argument(
        "--geocoder",
        metavar="URL",
        help="for --place: a server with Nominatim's search, asked for nothing but the name "
        "(default: https://nominatim.openstreetmap.org)",
    )
    parser.add_argument(
        "--place-number", type=int, metavar="N", help="for --place: which of several matches"
    )


def chosen_region(arguments: argparse.Namespace) -> Region | None:
    """The region that was chosen, None for whatever the imagery shows.

    Raises:
        RegionError: There is none of that name, or it makes no sense.
        UsageError: Flags do not go together.
    """
    from indexer.regions.region import (
        named_region,
        parse_bbox,
        region_from_bbox,
        region_from_geojson,
    )

    if arguments.place is None and (arguments.geocoder or arguments.place_number is not None):
        raise UsageError("--geocoder and --place-number go with --place NAME: add it")
    name = arguments.name
    if arguments.region is not None:
        return named_region(arguments.region)
    if arguments.bbox is not None:
        return region_from_bbox(parse_bbox(arguments.bbox), name=name or "bbox")
    if arguments.polygon is not None:
        return region_from_geojson(arguments.polygon, name=name)
    if arguments.place is not None:
        from indexer.regions.geocoder import NOMINATIM, find_place

        return find_place(
            arguments.place, arguments.geocoder or NOMINATIM, number=arguments.place_number
        )
    return None
