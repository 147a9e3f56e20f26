"""``python -m indexer heatmap``: every cell coloured by what a photo says about it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gair.command import add_command
from gair.errors import UsageError
from gair.fields import option
from indexer.commands.arguments import IndexAndModel, PhotoReading
from indexer.probability.open_world import EVEN
from indexer.search.wording import square_km

_EPILOG = """\
examples:
  # where the photo was probably taken, with its 90 % region (calibrate the index first)
  python -m indexer heatmap photo.jpg --index london --out where.png

  # how well the imagery fits, for a GIS program; a pixel of 25 m
  python -m indexer heatmap photo.jpg --index london --of imagery --out fit.tif --spacing-m 25

  # several photos of one place, as GeoJSON
  python -m indexer heatmap front.jpg side.jpg --index london --out where.geojson
"""


@dataclass(frozen=True, kw_only=True)
class HeatmapOptions(IndexAndModel, PhotoReading):
    """Flags of ``heatmap``."""

    photos: tuple[str, ...] = option(positional=True, metavar="PHOTO")
    """A street-level photo, a folder of them, a glob in quotes, or - for one that is piped in."""
    of: Literal["imagery", "location", "ground", "posterior"] = "posterior"
    """Cosine with the imagery or with the location embedding, what the reference photos around say,
    or the posterior of a calibrated index."""
    out: Path = option(metavar="FILE")
    """What to write: .png a picture, .tif a GeoTIFF (EPSG:3857), .geojson a feature a cell; a file
    that is there is replaced."""
    level: float = option(0.9, metavar="P")
    """How often the region drawn holds the truth."""
    elsewhere_prior: float = option(EVEN, metavar="P")
    """How likely it is, before the photos are looked at, that they were not taken in the index."""
    spacing_m: float | None = None
    """Side of a GeoTIFF's pixel on the ground (default: a third of a cell's distance)."""
    json: bool = False
    """Print what was written as JSON."""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    add_command(
        commands,
        "heatmap",
        HeatmapOptions,
        run,
        help="map what a photo says about every cell",
        description="Colour every cell of an index by its cosine with a photo, or by the "
        "probability that the photo was taken there. Several photos count as photos of one place. "
        "GPS tags are never used.",
        epilog=_EPILOG,
    )


def run(options: HeatmapOptions) -> int:
    """Write the map and say what is on it."""
    from indexer.regions.cells import cell_hex
    from indexer.search.maps.heatmap import UNITS, check_suffix

    out = options.out
    check_suffix(out)
    if options.spacing_m is not None and out.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError(f"--spacing-m is for a GeoTIFF, and {str(out)!r} is none: leave it out")
    photos = options.unread(options.photos)
    heat = options.geolocator(precision=options.precision, runtime=options.runtime).heatmap(
        photos,
        of=options.of,
        level=options.level,
        elsewhere_prior=options.elsewhere_prior,
    )
    heat.write(out, spacing_m=options.spacing_m)
    region = None if heat.region is None else heat.region.summary()
    lon_deg, lat_deg = (float(v) for v in heat.cells.lonlat_deg[heat.best_row])
    best = {
        "lon_deg": lon_deg,
        "lat_deg": lat_deg,
        "h3_cell": cell_hex(heat.cells.h3[heat.best_row]),
    }
    if options.json:
        written = {"file": str(out), "what": heat.what, "units": heat.units, "note": heat.note}
        print(json.dumps({**written, "best": best, "region": region}))
        return 0
    print(f"{out}: {UNITS[heat.what]} of {len(heat.cells):,} cells; {heat.title}")
    print(f"  best cell: {lat_deg:.5f}, {lon_deg:.5f}")
    if region is not None:
        print(
            f"  {region['level']:.0%} region: {square_km(region['km2'])}, {region['cells']:,} cells"
        )
    if heat.note:
        print(f"note: {heat.note}", file=sys.stderr)
    return 0
