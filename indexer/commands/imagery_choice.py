"""The flags that say where pixels come from: files on disk, or a STAC catalogue."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.errors import UsageError

if TYPE_CHECKING:
    from indexer.imagery.source import ImagerySource
    from indexer.regions.region import Region

STAC = "stac"


def add_imagery_choice(parser: Any) -> None:  # noqa: ANN401
    """Add the flags."""
    parser.add_argument(
        "--imagery",
        required=True,
        metavar="PATH|stac[:URL]",
        help="a Sentinel-2 file or a folder of them: GeoTIFF, COG or JP2, any CRS, ten bands "
        "(B2 B3 B4 B5 B6 B7 B8 B8A B11 B12) found by name; or stac: cloud-free composites from a "
        "STAC catalogue, by default Earth Search",
    )
    _add_files(parser)
    _add_catalogue(parser)


Opened = tuple["ImagerySource", Callable[[], "ImagerySource"]]
"""Imagery, and what opens it anew in another process."""


@contextmanager
def opened_imagery(arguments: argparse.Namespace, region: Region | None) -> Iterator[Opened]:
    """The imagery that was chosen; with a catalogue, of this region."""
    if _catalogue_url(arguments) is not None:
        with _opened_catalogue(arguments, region) as opened:
            yield opened
        return
    from gair.bands import parse_bands
    from indexer.imagery import open_imagery

    reopen = partial(
        open_imagery,
        Path(arguments.imagery).resolve(),
        bands=None if arguments.bands is None else parse_bands(arguments.bands),
        dn_offset=arguments.dn_offset,
        dn_scale=arguments.dn_scale,
    )
    with reopen() as imagery:
        yield imagery, reopen


def _add_files(parser: Any) -> None:  # noqa: ANN401
    files = parser.add_argument_group("imagery from files")
    files.add_argument(
        "--bands",
        metavar="LIST",
        help="names of the bands in files that do not name them: gair-10, l2a-12, l1c-13, or "
        "B2,B3,...",
    )
    files.add_argument(
        "--dn-scale",
        type=float,
        default=1.0,
        metavar="X",
        help="multiply pixels by this to get reflectance x 10000 (10000 for reflectance in 0..1)",
    )
    files.add_argument(
        "--dn-offset",
        type=float,
        default=0.0,
        metavar="X",
        help="then add this (-1000 for ESA products of baseline 04.00 and later)",
    )


def _add_catalogue(parser: Any) -> None:  # noqa: ANN401
    catalogue = parser.add_argument_group("imagery from a STAC catalogue")
    catalogue.add_argument(
        "--stac-collection",
        default="sentinel-2-c1-l2a",
        metavar="ID",
        help="of Sentinel-2 Level-2A (default: %(default)s)",
    )
    catalogue.add_argument(
        "--dates",
        metavar="FROM/TO",
        help="days as YYYY-MM-DD, both included (default: the last twelve calendar months)",
    )
    catalogue.add_argument(
        "--max-cloud",
        type=float,
        default=20.0,
        metavar="PERCENT",
        help="leave out scenes with more clouds (default: %(default)g)",
    )
    catalogue.add_argument(
        "--composite",
        choices=("median", "best"),
        default="median",
        help="of the dates of a place: their median, or for each pixel the best one "
        "(default: %(default)s)",
    )
    catalogue.add_argument(
        "--dates-per-place",
        type=int,
        default=4,
        metavar="N",
        help="least cloudy dates that every place is made from; where clouds hide the ground on "
        "all of them, up to twice as many more are looked at (default: %(default)s)",
    )
    catalogue.add_argument(
        "--imagery-cache",
        metavar="DIR",
        help="where fetched pixels are kept; prune --imagery limits it (default: "
        "$GAIR_IMAGERY_CACHE, else ~/.cache/gair/imagery)",
    )


def _catalogue_url(arguments: argparse.Namespace) -> str | None:
    """The catalogue's URL, empty for the default one; None where files were named."""
    word, _, url = arguments.imagery.partition(":")
    return url if word == STAC and not Path(arguments.imagery).exists() else None


@contextmanager
def _opened_catalogue(arguments: argparse.Namespace, region: Region | None) -> Iterator[Opened]:
    from datetime import UTC, datetime

    from indexer.imagery.stac.query import require_packages

    if region is None:
        raise UsageError(
            "--imagery stac needs to know which area: pass --region, --bbox, --polygon or --place"
        )
    if (arguments.bands, arguments.dn_scale, arguments.dn_offset) != (None, 1.0, 0.0):
        raise UsageError(
            "--bands, --dn-scale and --dn-offset are for files; a catalogue says these itself: "
            "leave them out"
        )
    require_packages()
    from indexer.imagery.stac.imagery import open_stac
    from indexer.imagery.stac.query import EARTH_SEARCH, StacQuery, last_twelve_months

    query = StacQuery(
        dates=arguments.dates or last_twelve_months(datetime.now(UTC).date()),
        url=_catalogue_url(arguments) or EARTH_SEARCH,
        collection=arguments.stac_collection,
        max_cloud=arguments.max_cloud,
        composite=arguments.composite,
        dates_a_place=arguments.dates_per_place,
        spare_dates=2 * arguments.dates_per_place,
    )
    cache = Path(arguments.imagery_cache) if arguments.imagery_cache else None
    with open_stac(region, query, cache=cache) as imagery:
        yield imagery, imagery.opener()
        if not (arguments.quiet or arguments.dry_run):
            kept = imagery.windows.cache
            print(
                f"imagery: {imagery.windows.fetched_bytes / 1e6:,.1f} MB fetched and kept; "
                f"{kept.size_bytes() / 1e6:,.1f} MB in {kept.folder}",
                file=sys.stderr,
                flush=True,
            )
