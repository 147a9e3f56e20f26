"""``python -m indexer verify``: was a photo taken where somebody says?"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from indexer.commands.arguments import add_index_choice, add_model_choice

if TYPE_CHECKING:
    from indexer.probability.verdicts import Verdict

_EPILOG = """\
examples:
  python -m indexer verify photo.jpg --at 51.5033,-0.1196 --index london
  python -m indexer verify photo.jpg --at -33.8568,151.2153 --radius-m 1000 --index sydney --json
"""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    verify = commands.add_parser(
        "verify",
        help="ask whether a photo was taken at a place",
        description="Test a claim about a photo: consistent, unlikely, cannot tell, or not in this "
        "index, with the rates at which that is wrong. 'Unlikely' needs a calibrated index.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verify.set_defaults(run=run)
    verify.add_argument("photo", metavar="PHOTO", help="a street-level photo")
    verify.add_argument(
        "--at", required=True, metavar="LAT,LON", help="the claimed place: latitude, longitude"
    )
    verify.add_argument(
        "--radius-m",
        type=float,
        default=500.0,
        metavar="X",
        help="how far from it the photo may have been taken (default: %(default)s)",
    )
    add_index_choice(verify)
    add_model_choice(verify)
    verify.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Test the claim and print the verdict; every verdict is a success."""
    from pathlib import Path

    from indexer.probability.verdicts import check_claim
    from indexer.search.geolocator import Geolocator

    lat_deg, lon_deg = parse_place(arguments.at)
    check_claim((lon_deg, lat_deg), arguments.radius_m)
    geolocator = Geolocator.open(
        arguments.index, indexes_dir=arguments.indexes, model=arguments.model
    )
    verdict = geolocator.verify(arguments.photo, lon_deg, lat_deg, radius_m=arguments.radius_m)
    name = Path(arguments.photo).name
    if arguments.json:
        print(json.dumps({"photo": name, "index": geolocator.index.name, **verdict.to_dict()}))
    else:
        print("\n".join(verdict_lines(name, verdict)))
    return 0


def parse_place(text: str) -> tuple[float, float]:
    """Latitude and longitude, degrees, from ``LAT,LON``.

    Raises:
        UsageError: it is not two numbers.
    """
    from gair.errors import UsageError

    try:
        lat_deg, lon_deg = (float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(
            f"--at {text!r}: give latitude and longitude in degrees, for example 51.5033,-0.1196"
        ) from None
    return lat_deg, lon_deg


def verdict_lines(photo: str, verdict: Verdict) -> list[str]:
    """A verdict as lines for a terminal."""
    lines = [f"{photo}: {verdict.verdict}", f"  {verdict.sentence}"]
    if verdict.rank is not None:
        lines.append(
            f"  probability within {verdict.radius_m:,.0f} m: {verdict.mass:.2%}; rank "
            f"{verdict.rank:,} among {verdict.compared:,} other places"
        )
    if verdict.note:
        lines.append(f"  note: {verdict.note}")
    return lines
