"""What the command ``streetscapes`` does with its parsed command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from training.dataset.flags import footprint_side_m, reading_options

if TYPE_CHECKING:
    from training.dataset.pack.options import CatalogueOptions
    from training.dataset.streetscapes.options import StreetscapesOptions


def run(arguments: argparse.Namespace) -> int:
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
    from gair.http import Patience
    from training.dataset.pack.options import SplitOptions, parse_shares
    from training.dataset.streetscapes.options import (
        SOURCES,
        Endpoints,
        FetchOptions,
        Lists,
        SelectionOptions,
        StreetscapesOptions,
    )

    a = arguments
    standard = Endpoints()
    return StreetscapesOptions(
        lists=Lists(
            tables=_paths(a.tables),
            osv5m=_paths(a.osv5m),
            mapillary_areas=tuple(a.mapillary_area),
            kartaview_areas=tuple(a.kartaview_area),
        ),
        out=Path(a.out),
        imagery=() if a.imagery == ["stac"] else _paths(a.imagery),
        catalogue=_catalogue(a) if a.imagery == ["stac"] else None,
        reading=reading_options(a),
        dates=a.dates_per_footprint,
        selection=SelectionOptions(
            sources=tuple(a.sources) or SOURCES,
            cities=tuple(a.city),
            most_cities=a.most_cities,
            per_city=a.per_city,
            per_cell=a.per_cell,
            cell_resolution=a.cell_resolution,
            photos=a.photos,
            panoramas=a.panoramas,
            min_px=a.min_px,
            seed=a.seed,
        ),
        fetch=FetchOptions(
            concurrency=a.concurrency,
            max_px=a.max_px,
            min_px=a.min_px,
            least_sharpness=a.least_sharpness,
            panoramas=a.panoramas,
        ),
        endpoints=Endpoints(
            mapillary_graph=a.mapillary_url or standard.mapillary_graph,
            mapillary_tiles=a.mapillary_tiles_url or standard.mapillary_tiles,
            kartaview=a.kartaview_url or standard.kartaview,
        ),
        patience=Patience(tries=a.tries, first_pause_s=a.pause_s, silence_s=a.silence_s),
        split=SplitOptions(shares=parse_shares(a.shares), buffer_m=a.buffer_m, seed=a.seed),
        footprint_m=footprint_side_m(a),
        min_valid=a.min_valid,
        synthetic=a.synthetic,
        overwrite=a.overwrite,
        accept_missing=a.accept_missing,
        keep_photos=a.keep_photos,
        quiet=a.quiet,
    )


def _catalogue(arguments: argparse.Namespace) -> CatalogueOptions:
    from gair.errors import UsageError
    from training.dataset.pack.options import CatalogueOptions

    a = arguments
    if not a.dates:
        raise UsageError(
            "--imagery stac needs to know which dates: pass, for example, "
            "--dates 2023-01-01/2025-12-31"
        )
    cache = Path(a.imagery_cache) if a.imagery_cache else None
    return CatalogueOptions(a.dates, a.stac_url, a.stac_collection, a.max_cloud, cache)


def _paths(names: list[str]) -> tuple[Path, ...]:
    return tuple(Path(name) for name in names)
