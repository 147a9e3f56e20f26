"""``python -m indexer regions``: which regions ship with us."""

from __future__ import annotations

import argparse
from typing import Any

_RESOLUTIONS = (9, 10)


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    regions = commands.add_parser(
        "regions",
        help="list the regions that ship with us",
        description="List the regions that build --region knows: their area, their cells at H3 "
        "resolutions 9 and 10, and whom to credit for the outline.",
    )
    regions.set_defaults(run=run)
    regions.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print them."""
    import json

    from indexer.regions.cells import cells_of
    from indexer.regions.region import named_region, region_names

    rows = []
    for name in region_names():
        region = named_region(name)
        cells = {f"r{r}": len(cells_of(region.geometry, r)) for r in _RESOLUTIONS}
        rows.append(
            {
                "name": name,
                "area_km2": round(region.area_km2, 1),
                "cells": cells,
                "attribution": region.attribution,
            }
        )
    if arguments.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    print(f"{'name':<12} {'km2':>9} {'cells r9':>9} {'cells r10':>10}  attribution")
    for row in rows:
        r9, r10 = row["cells"].values()  # type: ignore[attr-defined]
        print(
            f"{row['name']:<12} {row['area_km2']:>9,.1f} {r9:>9,} {r10:>10,}  {row['attribution']}"
        )
    print("any other: --bbox W,S,E,N, --polygon FILE.geojson, or --place NAME (asks a geocoder)")
    return 0
