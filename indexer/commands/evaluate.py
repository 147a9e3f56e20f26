"""``python -m indexer evaluate``: measure an index on photos whose place is known."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.commands.arguments import add_index_choice, add_model_choice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.evaluate.options import EvaluateOptions

_EPILOG = """\
examples:
  # photos of the indexed region with their places, other ones than were used to calibrate
  python -m indexer evaluate london --photos test.csv --out report/

  # by weather and city, columns of the manifest; and are photos from elsewhere noticed?
  python -m indexer evaluate london --photos test.csv --out report/ \\
      --slice-by weather --slice-by city --out-of-index rome.csv
"""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    evaluate = commands.add_parser(
        "evaluate",
        help="measure how good an index's answers are",
        description="Search for photos whose place is known and report how far off the answers "
        "are, how much must be searched, whether probabilities mean what they say, and how simpler "
        "ways to answer compare: report.html for people, report.json for machines. A photo that "
        "fails counts as infinitely far off.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    evaluate.set_defaults(run=run)
    add_index_choice(evaluate, positional=True)
    add_model_choice(evaluate)
    evaluate.add_argument(
        "--photos",
        required=True,
        metavar="MANIFEST",
        help="photos with places: a folder with GPS tags, or a .csv or .parquet manifest with "
        "columns file, lat, lon",
    )
    evaluate.add_argument(
        "--out", required=True, metavar="DIR", help="folder that the report is written to"
    )
    evaluate.add_argument(
        "--out-of-index", metavar="MANIFEST", help="photos taken elsewhere: are they noticed?"
    )
    evaluate.add_argument(
        "--slice-by",
        action="append",
        default=[],
        metavar="COLUMN",
        help="numbers for each value of a column of the manifest; may be given again",
    )
    evaluate.add_argument(
        "--thorough",
        action="store_true",
        help="measure also what takes minutes: places refined between cells, and whether photos "
        "match their own place better than those around it",
    )
    evaluate.add_argument(
        "--allow-calibration-photos",
        action="store_true",
        help="do not refuse photos that the index was calibrated on; the report says how many",
    )
    evaluate.add_argument(
        "--seed", type=int, default=0, help="of the intervals (default: %(default)s)"
    )
    evaluate.add_argument(
        "--cache", metavar="DIR", help="keep the photos' vectors here, so that a second run is fast"
    )
    evaluate.add_argument("--quiet", action="store_true", help="no progress")
    evaluate.add_argument("--json", action="store_true", help="print report.json, too")
    weights = evaluate.add_argument_group(
        "weights of your own", "instead of the calibrated ones; places then have no probabilities"
    )
    weights.add_argument("--rs-weight", type=float, metavar="W", help="of the imagery")
    weights.add_argument("--location-weight", type=float, metavar="W", help="of the location")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, write the report, print its headlines."""
    from gair.errors import UsageError
    from indexer.evaluate.evaluate import evaluate
    from indexer.evaluate.report.report import check_folder, write_report
    from indexer.photos.listing import read_photos
    from indexer.photos.vectors import photo_vectors
    from indexer.search.geolocator import Geolocator

    if arguments.seed < 0:
        raise UsageError(f"--seed {arguments.seed}: it must be 0 or more")
    options = _options(arguments)
    options.query.check()
    out = check_folder(Path(arguments.out))
    listed = read_photos(arguments.photos, extra=tuple(arguments.slice_by))
    elsewhere = None if arguments.out_of_index is None else read_photos(arguments.out_of_index)
    geolocator = Geolocator.open(
        arguments.index, indexes_dir=arguments.indexes, model=arguments.model
    )
    cache = None if arguments.cache is None else Path(arguments.cache)
    vectors, outside = (
        None
        if photos is None
        else photo_vectors(geolocator, photos, cache=cache, quiet=arguments.quiet)
        for photos in (listed, elsewhere)
    )
    assert vectors is not None
    report = evaluate(geolocator, vectors, options, outside=outside)
    page, numbers = write_report(report, out)
    if arguments.json:
        print(json.dumps(report, allow_nan=False))
    else:
        print("\n".join([*headlines(report), f"  report      {page}", f"  numbers     {numbers}"]))
    return 0


def _options(arguments: argparse.Namespace) -> EvaluateOptions:
    from indexer.evaluate.options import EvaluateOptions

    return EvaluateOptions(
        rs_weight=arguments.rs_weight,
        location_weight=arguments.location_weight,
        slice_by=tuple(dict.fromkeys(arguments.slice_by)),
        seed=arguments.seed,
        allow_calibration_photos=arguments.allow_calibration_photos,
        thorough=arguments.thorough,
        command=_command(arguments),
        manifest=str(arguments.photos),
        quiet=arguments.quiet,
    )


def _command(arguments: argparse.Namespace) -> str:
    """What makes the same report again."""
    words = ["python", "-m", "indexer", "evaluate"]
    for name in ("index", "indexes", "model", "photos", "out", "out_of_index", "cache", "seed"):
        value = getattr(arguments, name)
        if value not in (None, 0):
            words += [f"--{name.replace('_', '-')}", str(value)]
    for column in arguments.slice_by:
        words += ["--slice-by", column]
    for name in ("rs_weight", "location_weight"):
        if getattr(arguments, name) is not None:
            words += [f"--{name.replace('_', '-')}", f"{getattr(arguments, name):g}"]
    for name in ("thorough", "allow_calibration_photos"):
        if getattr(arguments, name):
            words.append(f"--{name.replace('_', '-')}")
    return shlex.join(words)


def headlines(report: Mapping[str, Any]) -> list[str]:
    """The first numbers of a report as lines for a terminal."""
    from indexer.evaluate.report.markup import metres, percent, radius, shown, span, square_km
    from indexer.evaluate.report.sections import headline_radius, numbers_of

    own, blind = numbers_of(report, "answer"), numbers_of(report, "blind")
    near, photos = headline_radius(report), report["photos"]
    lines = [
        f"index {report['index']['name']}: {photos['listed']:,} photos, "
        f"{photos['judged']:,} judged, "
        f"{photos['outside_the_index']:,} of these taken outside the index",
        *[f"              {n:,} failed: {why}" for why, n in sorted(photos["failures"].items())],
        f"  median      {shown(own['median_m']['value'], metres)} "
        f"({span(own['median_m'], metres)}); a random cell "
        f"{shown(blind['median_m']['value'], metres)}",
    ]
    for name, a, b in (
        ("best guess", own["accuracy"], blind["accuracy"]),
        ("one of ten", own["recall_places"]["10"], blind["recall_places"]["10"]),
    ):
        lines.append(
            f"  {name}  within {radius(float(near))} for {shown(a[near]['value'], percent)} "
            f"({span(a[near], percent)}); by chance {shown(b[near]['value'], percent)}"
        )
    lines.append(f"  half found  in {shown(own['half_found_km2']['value'], square_km)}")
    if report["calibration"]["measured"]:
        for region in report["calibration"]["regions"]:
            lines.append(
                f"  region {100 * region['level']:g} %  held "
                f"{shown(region['covered']['value'], percent)} "
                f"({span(region['covered'], percent)}), median "
                f"{shown(region['median_km2'], square_km)}"
            )
    else:
        lines.append(f"  probabilities: {report['calibration']['why']}")
    for note in report["notes"]:
        print(f"note: {note}", file=sys.stderr)
    return lines
