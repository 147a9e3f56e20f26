"""``python -m indexer verify``: was a photo taken where somebody says?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gair.command import add_command
from gair.coordinates.text import parse_coordinates
from gair.errors import UsageError
from gair.fields import option
from indexer.commands.arguments import IndexAndModel, PhotoReading

if TYPE_CHECKING:
    from indexer.probability.verdicts import Verdict

_EPILOG = """\
examples:
  python -m indexer verify photo.jpg --at 51.5033,-0.1196 --index london
  python -m indexer verify photo.jpg --at -33.8568,151.2153 --radius-m 1000 --index sydney --json

  # as it was written down: minutes, MGRS, UTM, a plus code, the address of a map
  python -m indexer verify photo.jpg --at "51°30'12\"N 0°7'11\"W" --index london
  python -m indexer verify photo.jpg --at 9C3XGV3J+85 --index london

  # odds of 1 to 99 for the claim before the photo is looked at; two claims on one photo
  python -m indexer verify photo.jpg --at 51.5033,-0.1196 --prior-probability 0.01
  python -m indexer verify photo.jpg --at 51.5033,-0.1196 --at 51.5080,-0.0760
"""


@dataclass(frozen=True, kw_only=True)
class Verify(IndexAndModel, PhotoReading):
    """Flags of ``verify``."""

    photo: str = option(positional=True, metavar="PHOTO")
    """A street-level photo, or - for one that is piped in."""
    at: tuple[tuple[float, float], ...] = option(
        flags=("--at", "--claim"), parse=parse_coordinates, metavar="LAT,LON"
    )
    """The claimed place: latitude, longitude, also in minutes, in MGRS or UTM, as a plus code or
    the address of a map; several times for several claims on the photo."""
    radius_m: float = 500.0
    """How far from it the photo may have been taken."""
    prior_odds: float | None = option(None, one_of="prior")
    """Odds of the claim before the photo is looked at, for its odds afterwards."""
    prior_probability: float | None = option(None, one_of="prior")
    """The same as a probability."""
    json: bool = False
    """Print JSON."""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    add_command(
        commands,
        "verify",
        Verify,
        run,
        help="ask whether a photo was taken at a place",
        description="Test a claim about a photo: consistent, unlikely, cannot tell, or not in this "
        "index, with the rates at which that is wrong. 'Unlikely' needs a calibrated index.",
        epilog=_EPILOG,
    )


def run(options: Verify) -> int:
    """Test the claim and print the verdict; every verdict is a success."""
    from indexer.probability.evidence import prior_odds_of
    from indexer.probability.verdicts import check_claim

    for lonlat_deg in options.at:
        check_claim(lonlat_deg, options.radius_m)
    odds = prior_odds_of(options.prior_odds, options.prior_probability)
    photos = options.unread([options.photo])
    if len(photos) > 1:
        raise UsageError(f"{options.photo} names {len(photos)} photos: a claim is about one")
    geolocator = options.geolocator(precision=options.precision, runtime=options.runtime)
    (photo,) = geolocator.seen(photos)
    verdicts = [
        geolocator.verify(
            photo, lon_deg, lat_deg, options.radius_m, prior_odds=odds, claim_number=number
        )
        for number, (lon_deg, lat_deg) in enumerate(options.at, 1)
    ]
    name = photos[0].name
    if options.json:
        about = {"photo": name, "index": geolocator.index.name}
        told = [{**about, **verdict.to_dict()} for verdict in verdicts]
        print(json.dumps(told[0] if len(told) == 1 else told))
    else:
        print("\n".join(line for verdict in verdicts for line in verdict_lines(name, verdict)))
    return 0


def verdict_lines(photo: str, verdict: Verdict) -> list[str]:
    """A verdict as lines for a terminal."""
    lines = [f"{photo}: {verdict.verdict}", f"  {verdict.sentence}"]
    if verdict.rank is not None:
        within = f"within {verdict.radius_m:,.0f} m"
        lines.append(
            f"  posterior mass {within}: {verdict.mass:.2%}, a score and no calibrated chance"
        )
    if verdict.evidence_sentence:
        lines.append(f"  {verdict.evidence_sentence}")
    if verdict.calibration is not None:
        lines.append(f"  rests on {verdict.calibration.said}")
    lines += [f"  SHA-256 {sha256}" for sha256 in verdict.photo_sha256 if sha256]
    return [*lines, *(f"  note: {warning}" for warning in verdict.warnings)]
