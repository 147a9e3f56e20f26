"""``python -m indexer calibrate``: measure how far an index's answers can be believed."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.commands.arguments import add_index_choice, add_model_choice

if TYPE_CHECKING:
    from indexer.probability.calibration import Calibration

_EPILOG = """\
examples:
  # photos of the indexed region with their places: a folder with GPS tags, or a CSV manifest
  python -m indexer calibrate london --photos london-photos.csv

  # and measure how many photos from elsewhere are noticed
  python -m indexer calibrate london --photos london-photos.csv --out-of-index rome/
"""

_HARDLY_NATS = 0.05


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    calibrate = commands.add_parser(
        "calibrate",
        help="measure how far an index's answers can be believed",
        description="From photos whose place is known, learn what turns scores into "
        "probabilities, regions and verdicts that hold as often as they say. The photos should be "
        "drawn like those that will be asked about: same cameras, same kind of streets. At least "
        "50 taken in the index are needed; a few hundred make the numbers firm. The result is kept "
        "beside the build and used by every later search.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    calibrate.set_defaults(run=run)
    add_index_choice(calibrate, positional=True)
    calibrate.add_argument(
        "--photos",
        required=True,
        metavar="MANIFEST",
        help="photos with places: a folder with GPS tags, or a .csv or .parquet manifest with "
        "columns file, lat, lon",
    )
    calibrate.add_argument(
        "--out-of-index",
        metavar="MANIFEST",
        help="photos taken elsewhere, to measure how many of those are noticed",
    )
    calibrate.add_argument(
        "--level",
        type=float,
        default=0.05,
        metavar="X",
        help="share of the index's own photos that may be refused as not from the index (default: "
        "%(default)s)",
    )
    calibrate.add_argument(
        "--seed", type=int, default=0, help="of the split of the photos (default: %(default)s)"
    )
    calibrate.add_argument(
        "--cache", metavar="DIR", help="keep the photos' vectors here, so that a second run is fast"
    )
    add_model_choice(calibrate)
    calibrate.add_argument("--quiet", action="store_true", help="no progress")
    calibrate.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Calibrate, keep the result beside the build, print what was found."""
    from gair.errors import UsageError
    from indexer.calibrate.calibrate import calibrate
    from indexer.index.index import find_index
    from indexer.photos.listing import read_photos
    from indexer.photos.vectors import photo_vectors
    from indexer.probability.calibration import calibration_path
    from indexer.probability.out_of_index import check_level
    from indexer.search.geolocator import Geolocator

    check_level(arguments.level)
    if arguments.seed < 0:
        raise UsageError(f"--seed {arguments.seed}: it must be 0 or more")
    lists = [
        None if path is None else read_photos(path)
        for path in (arguments.photos, arguments.out_of_index)
    ]
    folder = find_index(arguments.index, arguments.indexes)
    _drop_unusable(folder)
    geolocator = Geolocator.open(
        arguments.index, indexes_dir=arguments.indexes, model=arguments.model
    )
    cache = None if arguments.cache is None else Path(arguments.cache)
    vectors, elsewhere = (
        None
        if photos is None
        else photo_vectors(geolocator, photos, cache=cache, quiet=arguments.quiet)
        for photos in lists
    )
    assert vectors is not None
    found = calibrate(
        geolocator,
        vectors,
        level=arguments.level,
        out_of_index=elsewhere,
        seed=arguments.seed,
        quiet=arguments.quiet,
    )
    path = calibration_path(geolocator.index.path.parent, found.build)
    found.save(path)
    if arguments.json:
        print(json.dumps(summary(found, path)))
    else:
        print("\n".join([f"index {geolocator.index.name}, {path}", *calibration_lines(found)]))
    return 0


def _drop_unusable(folder: Path) -> None:
    """Remove a calibration that could not be read: making it again is the remedy it asks for."""
    from gair.errors import IndexCorruptError, IndexMismatchError
    from indexer.index.index import read_manifest
    from indexer.index.storage import read_current
    from indexer.probability.calibration import calibration_path, load_calibration

    build, digest = read_current(folder)
    fingerprint = read_manifest(folder / build, digest).model.fingerprint
    try:
        load_calibration(folder, build, fingerprint)
    except (IndexCorruptError, IndexMismatchError) as error:
        print(f"note: the old calibration is replaced: {error}", file=sys.stderr)
        calibration_path(folder, build).unlink(missing_ok=True)


def summary(found: Calibration, path: Path) -> dict[str, Any]:
    """A calibration as plain JSON types, without its arrays."""
    known = found.out_of_index
    masses = {f"{level:g}": found.region_mass(level) for level in (0.5, 0.9)}
    return {
        "file": str(path),
        "build": found.build,
        "created_utc": found.created_utc,
        "photos": found.photos,
        "left_out": found.left_out,
        "temperature": found.weights.temperature,
        "rs_weight": found.weights.rs_weight,
        "location_weight": found.weights.location_weight,
        "spread_m": found.weights.spread_m,
        "region_mass": {
            level: mass if math.isfinite(mass) else None for level, mass in masses.items()
        },
        "familiarity": {
            "level": known.level,
            "miss_rate": known.miss_rate,
            "auroc": known.auroc,
            "photos_from_elsewhere": known.elsewhere,
        },
        "measured": found.measured,
    }


def calibration_lines(found: Calibration) -> list[str]:
    """A calibration as lines for a terminal."""
    m, sharpness = found.measured, found.weights
    rs_share, location_share = sharpness.shares
    lines = [
        f"  photos      {found.photos:,} used: {m['photos_fitted']:,.0f} to fit, "
        f"{m['photos_held_back']:,.0f} held back for everything below",
        *[
            f"              {n:,} left out: {reason}"
            for reason, n in sorted(found.left_out.items())
        ],
        f"  sharpness   temperature {sharpness.temperature:.4g}, weights {rs_share:.0%} "
        f"imagery and {location_share:.0%} location, spread {sharpness.spread_m:,.0f} m",
        f"  true cell   {m['nll']:.3f} nats a photo; by chance {m['nll_chance']:.3f}",
    ]
    if m["nll_chance"] - m["nll"] < _HARDLY_NATS:
        lines.append("  note: the scores tell hardly more than chance where a photo was taken")
    for level in (0.5, 0.9):
        name = f"{100 * level:g}"
        mass = found.region_mass(level)
        size = f"mass {mass:.3f}" if math.isfinite(mass) else "too few photos: the whole index"
        lines.append(
            f"  region {name} %  {size}, median {m[f'region_km2_{name}']:,.2f} km2 "
            f"({m[f'region_share_{name}']:.1%} of the index), held {m[f'coverage_{name}']:.1%} of "
            "photos held back"
        )
    within = [(r, m[f"within_{r:g}m"], m[f"ece_{r:g}m"]) for r in sorted(found.confidence)]
    lines += ["  best guess  " + "; ".join(f"within {r:,.0f} m {x:.1%}" for r, x, _ in within)]
    lines += ["  confidence  off by " + "; ".join(f"{e:.1%} at {r:,.0f} m" for r, _, e in within)]
    return [*lines, *_claim_lines(found), *_familiarity_lines(found)]


def _claim_lines(found: Calibration) -> list[str]:
    from indexer.probability.verdicts import RATES, rate_name

    lines = [
        "  verdicts    true claims called unlikely, consistent; false ones consistent, unlikely"
    ]
    for radius_m in sorted(found.claims):
        rates = [found.measured[rate_name(rate, radius_m)] for rate in RATES]
        shown = "  ".join(f"{rate:6.1%}" for rate in rates)
        lines.append(f"    {radius_m:6,.0f} m    {shown}")
    return lines


def _familiarity_lines(found: Calibration) -> list[str]:
    known = found.out_of_index
    first = f"  not in this index: said of at most {known.level:.0%} of the index's own photos; "
    if known.miss_rate is None:
        return [first + "how many others are missed was not measured (--out-of-index)"]
    return [
        first + f"{known.miss_rate:.1%} of {known.elsewhere:,} photos from elsewhere are missed "
        f"(AUROC {known.auroc:.2f})"
    ]
