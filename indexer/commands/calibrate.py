"""``python -m indexer calibrate``: measure how far an index's answers can be believed."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.command import add_command
from gair.errors import IndexCorruptError, IndexMismatchError, UsageError
from gair.fields import option
from indexer.commands.arguments import PhotosOfIndex, add_positional_index
from indexer.ground.options import APART_M
from indexer.search.wording import square_km

if TYPE_CHECKING:
    from indexer.probability.calibration import Calibration
    from indexer.probability.likelihood_ratios import PairRatio

_EPILOG = """\
examples:
  # photos of the indexed region with their places: a folder with GPS tags, or a CSV manifest
  python -m indexer calibrate london --photos london-photos.csv

  # and measure how many photos from elsewhere are noticed
  python -m indexer calibrate london --photos london-photos.csv --out-of-index rome/
"""

_HARDLY_NATS = 0.05
_COSTS = ("cllr", "least_cllr")


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions(PhotosOfIndex):
    """Flags of ``calibrate``."""

    level: float = 0.05
    """Share of the index's own photos that may be refused as not from the index."""
    ground_apart_m: float = option(APART_M, metavar="M")
    """Reference photos as near as this to a photo are no evidence of it, like its copies and its
    sequence, which never are; 0 where they are of another campaign, metres."""
    seed: int = 0
    """Of the split of the photos."""
    json: bool = False
    """Print JSON."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed}: it must be 0 or more")


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    parser = add_command(
        commands,
        "calibrate",
        CalibrateOptions,
        run,
        help="measure how far an index's answers can be believed",
        description="From photos whose place is known, learn what turns scores into "
        "probabilities, regions and verdicts that hold as often as they say. The photos should be "
        "drawn like those that will be asked about: same cameras, same kind of streets. At least "
        "50 taken in the index are needed, and 100 places or sequences for a promise: photos of "
        "one street count as one; a few hundred places make the numbers firm. The result is kept "
        "beside the build and used by every later search.",
        epilog=_EPILOG,
    )
    add_positional_index(parser)


def run(options: CalibrateOptions) -> int:
    """Calibrate, keep the result beside the build, print what was measured."""
    import numpy as np

    from indexer.calibrate.calibrate import calibrate
    from indexer.photos.altered import altered_photos
    from indexer.probability.basis import FEWEST_PLACES
    from indexer.probability.calibration import calibration_path
    from indexer.probability.out_of_index import check_level

    check_level(options.level)
    photos, photos_elsewhere = options.listed()
    _drop_unusable(options.folder)
    geolocator = options.geolocator()
    vectors = options.vectors(geolocator, photos)
    outside = None if photos_elsewhere is None else options.vectors(geolocator, photos_elsewhere)
    altered = None
    if len(np.unique(vectors.place_of_photo)) >= FEWEST_PLACES:  # else nothing is promised anyway
        altered = altered_photos(vectors, seed=options.seed, quiet=options.quiet)
    calibration = calibrate(
        geolocator.space,
        vectors,
        level=options.level,
        out_of_index=outside,
        altered=altered,
        ground_apart_m=options.ground_apart_m,
        seed=options.seed,
        quiet=options.quiet,
    )
    path = calibration_path(geolocator.index.path.parent, calibration.build)
    calibration.save(path)
    if options.json:
        print(json.dumps(summary(calibration, path)))
    else:
        lines = [f"index {geolocator.index.name}, {path}", *calibration_lines(calibration)]
        print("\n".join(lines))
    return 0


def _drop_unusable(folder: Path) -> None:
    """Remove a calibration that could not be read: making it again is the remedy it asks for."""
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


def summary(calibration: Calibration, path: Path) -> dict[str, Any]:
    """A calibration as plain JSON types, without its arrays."""
    test = calibration.out_of_index
    masses = {f"{level:g}": calibration.region_mass(level) for level in (0.5, 0.9)}
    return {
        "file": str(path),
        "build": calibration.build,
        "created_utc": calibration.created_utc,
        "photos": calibration.photos,
        "places": calibration.places,
        "promises": not calibration.doubt,
        "left_out": calibration.left_out,
        "temperature": calibration.weights.temperature,
        "rs_weight": calibration.weights.rs_weight,
        "location_weight": calibration.weights.location_weight,
        "spread_m": calibration.weights.spread_m,
        "ground": None if calibration.ground is None else _ground_summary(calibration),
        "region_mass": {
            level: mass if math.isfinite(mass) else None for level, mass in masses.items()
        },
        "familiarity": {
            "level": test.level,
            "miss_rate": test.miss_rate,
            "auroc": test.auroc,
            "photos_from_elsewhere": test.elsewhere,
        },
        "pairs": None if calibration.pairs is None else _pairs_summary(calibration.pairs),
        "looks": list(calibration.looks),
        "measured": calibration.measured,
    }


def _pairs_summary(pairs: PairRatio) -> dict[str, Any]:
    names = ("radius_m", "pairs", "places", "other_pairs", "other_places", "auroc")
    return {name: getattr(pairs, name) for name in names}


def pair_lines(pairs: PairRatio | None) -> list[str]:
    """What pairs of calibration photos say of whether two photos are of one place."""
    if pairs is None:
        return []
    counted = (
        f"  two photos  {pairs.pairs:,} pairs within {pairs.radius_m:g} m of each other, of "
        f"{pairs.places:,} places"
    )
    if pairs.auroc is None:
        return [f"{counted}: too few places to say whether two photos are of one"]
    return [f"{counted}: more alike than pairs of different places {pairs.auroc:.1%} of the times"]


def _ground_summary(calibration: Calibration) -> dict[str, Any]:
    weights = calibration.weights
    assert calibration.ground is not None
    return {
        "weight": weights.ground_weight,
        "kernel_m": weights.ground_kernel_m or None,
        "sharpness": weights.ground_sharpness or None,
        "expected_photos": weights.ground_expected_photos or None,
        **dataclasses.asdict(calibration.ground),
    }


def ground_lines(calibration: Calibration) -> list[str]:
    """What was made of reference photos; nothing where there were none."""
    ground, weights = calibration.ground, calibration.weights
    if ground is None:
        return []
    heading = f"  references  {ground.photos:,} photos of known places: "
    if weights.ground_weight:
        heading += (
            f"weight {weights.ground_weight:.2g} a nat, each speaks for "
            f"{weights.ground_kernel_m:,.0f} m around it, "
        )
        heading += (
            "compared with what imagery and they let expect of a place"
            if weights.ground_expected_photos
            else f"compared one by one, sharpness {weights.ground_sharpness:g}"
        )
    else:
        heading += "no weight, for they did not help"
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in ground.left_out.items())
    return [
        heading,
        f"              left out as a photo's own evidence: {reasons} (nearer than "
        f"{ground.apart_m:g} m), for {ground.of_photos:,} photos",
    ]


def calibration_lines(calibration: Calibration) -> list[str]:
    """A calibration as lines for a terminal."""
    from indexer.probability.conditions import in_words

    m, sharpness = calibration.measured, calibration.weights
    rs_share, location_share = sharpness.shares
    lines = [
        f"  photos      {calibration.basis.said}: {m['photos_fitted']:,.0f} to fit, "
        f"{m['photos_held_back']:,.0f} of {m['places_held_back']:,.0f} places held back for "
        "everything below",
        *[
            f"              {n:,} left out: {reason}"
            for reason, n in sorted(calibration.left_out.items())
        ],
        f"  sharpness   temperature {sharpness.temperature:.4g}, weights {rs_share:.0%} "
        f"imagery and {location_share:.0%} location, spread {sharpness.spread_m:,.0f} m",
        *ground_lines(calibration),
        f"  true cell   {m['nll']:.3f} nats a photo; by chance {m['nll_chance']:.3f}",
    ]
    if m["nll_chance"] - m["nll"] < _HARDLY_NATS:
        lines.append("  note: the scores tell hardly more than chance where a photo was taken")
    for level in (0.5, 0.9):
        name = f"{100 * level:g}"
        mass = calibration.region_mass(level)
        size = f"mass {mass:.3f}" if math.isfinite(mass) else "too few photos: the whole index"
        lines.append(
            f"  region {name} %  {size}, median {square_km(m[f'region_km2_{name}'])} "
            f"({m[f'region_share_{name}']:.1%} of the index), held {m[f'coverage_{name}']:.1%} of "
            "photos held back"
        )
    within = [(r, m[f"within_{r:g}m"], m[f"ece_{r:g}m"]) for r in sorted(calibration.confidence)]
    lines += ["  best guess  " + "; ".join(f"within {r:,.0f} m {x:.1%}" for r, x, _ in within)]
    lines += ["  confidence  off by " + "; ".join(f"{e:.1%} at {r:,.0f} m" for r, _, e in within)]
    if (off := m.get("ece_places")) is not None:
        lines.append(f"  places      chances off by {off:.1%}, over the first places of answers")
    lines += pair_lines(calibration.pairs)
    if calibration.looks:
        lines.append(f"  looks       told by altered photos: {in_words(calibration.looks)}")
    if calibration.doubt:
        lines.append(f"  note: {calibration.doubt}")
    return [*lines, *_claim_lines(calibration), *_familiarity_lines(calibration)]


def _claim_lines(calibration: Calibration) -> list[str]:
    from indexer.probability.verdicts import RATES, rate_name

    lines = [
        "  verdicts    true claims called unlikely, consistent; false ones consistent, unlikely"
    ]
    for radius_m in sorted(calibration.claims):
        rates = [calibration.measured[rate_name(rate, radius_m)] for rate in RATES]
        shown = "  ".join(f"{rate:6.1%}" for rate in rates)
        lines.append(f"    {radius_m:6,.0f} m    {shown}")
    for alternative, of_radius in calibration.likelihood_ratios.items():
        costs = []
        for radius_m in sorted(of_radius):
            name = f"{alternative}_{radius_m:g}m"
            if f"cllr_{name}" in calibration.measured:
                cost, least = (calibration.measured[f"{kind}_{name}"] for kind in _COSTS)
                costs.append(f"{cost:.3f} ({least:.3f}) at {radius_m:,.0f} m")
        if costs:
            lines.append(f"  evidence    Cllr (least) against {alternative}: {'; '.join(costs)}")
    return lines


def _familiarity_lines(calibration: Calibration) -> list[str]:
    test = calibration.out_of_index
    first = f"  not in this index: said of at most {test.level:.0%} of the index's own photos; "
    if test.miss_rate is None:
        return [first + "how many others are missed was not measured (--out-of-index)"]
    return [
        first + f"{test.miss_rate:.1%} of {test.elsewhere:,} photos from elsewhere are missed "
        f"(AUROC {test.auroc:.2f})"
    ]
