"""``python -m indexer evaluate``: measure an index on photos whose place is known."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gair.command import add_command
from gair.fields import option
from indexer.commands.arguments import PhotosOfIndex, add_positional_index
from indexer.evaluate.options import EvaluateOptions

_EPILOG = """\
examples:
  # photos of the indexed region with their places, other ones than were used to calibrate
  python -m indexer evaluate london --photos test.csv --out report/

  # by weather and city, columns of the manifest; and are photos from elsewhere noticed?
  python -m indexer evaluate london --photos test.csv --out report/ \\
      --slice-by weather --slice-by city --out-of-index rome.csv

  # what if photos were taken in winter, in fog, at night, with another lens?
  python -m indexer evaluate london --photos test.csv --out report/ --stress
"""


@dataclass(frozen=True, kw_only=True)
class Evaluate(PhotosOfIndex):
    """Flags of ``evaluate``."""

    out: Path = option(metavar="DIR")
    """Folder that the report is written to."""
    evaluation: EvaluateOptions = EvaluateOptions()
    json: bool = False
    """Print report.json, too."""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    parser = add_command(
        commands,
        "evaluate",
        Evaluate,
        run,
        help="measure how good an index's answers are",
        description="Search for photos whose place is known and report how far off the answers "
        "are, how much must be searched, whether probabilities mean what they say, and how simpler "
        "ways to answer compare: report.html for people, report.json for machines. A photo that "
        "fails counts as infinitely far off.",
        epilog=_EPILOG,
    )
    add_positional_index(parser)


def run(options: Evaluate) -> int:
    """Evaluate, write the report, print its headlines."""
    from indexer.evaluate.evaluate import evaluate
    from indexer.evaluate.report.report import check_folder, write_report
    from indexer.evaluate.stress import stress_report

    columns = tuple(dict.fromkeys(options.evaluation.slice_by))
    evaluation = dataclasses.replace(
        options.evaluation, slice_by=columns, command=_command(options), manifest=options.photos
    )
    evaluation.query.check()
    out = check_folder(options.out)
    photos, photos_elsewhere = options.listed(columns)
    geolocator = options.geolocator()
    vectors = options.vectors(geolocator, photos)
    outside = None if photos_elsewhere is None else options.vectors(geolocator, photos_elsewhere)
    report = evaluate(geolocator.space, vectors, evaluation, outside=outside)
    if evaluation.stress:
        report["stress"] = stress_report(geolocator, vectors, evaluation)
    page, numbers = write_report(report, out)
    if options.json:
        print(json.dumps(report, allow_nan=False))
    else:
        print("\n".join([*headlines(report), f"  report      {page}", f"  numbers     {numbers}"]))
    return 0


def _command(options: Evaluate) -> str:
    """What makes the same report again."""
    evaluation = options.evaluation
    words = ["python", "-m", "indexer", "evaluate", "--indexes", options.indexes_dir]
    for name in ("index", "model", "photos", "out", "out_of_index", "cache"):
        if (value := getattr(options, name)) is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    for column in evaluation.slice_by:
        words += ["--slice-by", column]
    for name in ("seed", "rs_weight", "location_weight", "ground_weight", "ground_apart_m"):
        if (number := getattr(evaluation, name)) != getattr(EvaluateOptions, name):
            words += [f"--{name.replace('_', '-')}", str(number)]
    for name in ("thorough", "stress", "allow_calibration_photos"):
        if getattr(evaluation, name):
            words.append(f"--{name.replace('_', '-')}")
    if not evaluation.ground:
        words.append("--no-ground")
    return shlex.join(words)


def headlines(report: Mapping[str, Any]) -> list[str]:
    """The first numbers of a report as lines for a terminal."""
    from indexer.evaluate.report.report import headline_radius, numbers_of
    from indexer.evaluate.report.wording import metres, percent, radius, shown, span, square_km

    own, blind = numbers_of(report, "answer"), numbers_of(report, "blind")
    near, photos = headline_radius(report), report["photos"]
    lines = [
        f"index {report['index']['name']}: {photos['listed']:,} photos of "
        f"{photos['places']:,} places, "
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
    lines += _claim_lines(report["claims"])
    lines += stress_lines(report["stress"])
    for note in report["notes"]:
        print(f"note: {note}", file=sys.stderr)
    return lines


def stress_lines(stress: Mapping[str, Any]) -> list[str]:
    """The table of altered photos; nothing where nobody asked for it."""
    from indexer.evaluate.report.wording import percent, radius, shown, span

    if not stress["measured"]:
        return []
    near, level = radius(stress["radius_m"]), f"{stress['level']:.0%}"
    heads = [f"within {near}"]
    if stress["calibrated"]:
        heads += ["said", "promised", "refused", f"{level} holds"]
    keys = ("within", "said", "promised", "refused", "covered")[: len(heads)]
    asked = f"{stress['rows'][0]['photos']:,} photos, altered and asked about again"
    about = f"; {level} holds: of those promised" if stress["calibrated"] else ""
    lines = [
        f"  stress      {asked}{about}",
        f"    {'':<11}" + "".join(f"{head:>24}" for head in heads),
    ]
    for row in stress["rows"]:
        cells = []
        for key in keys:
            ends = f" ({span(row[key], percent)})" if "low" in row[key] else ""
            cells.append(f"{shown(row[key]['value'], percent) + ends:>24}")
        lines.append(f"    {row['key']:<11}" + "".join(cells))
    own = [f"    {stress['own_references']}"] if stress["own_references"] else []
    return [*lines, f"    left out: {stress['left_out']}", *own]


def _claim_lines(claims: Mapping[str, Any]) -> list[str]:
    """The cost of likelihood ratios at the radius nearest to 500 m, bits."""
    if not claims["measured"]:
        return [f"  claims      {claims['why']}"]
    radius_m = min((row["radius_m"] for row in claims["rows"]), key=lambda r: abs(r - 500))
    return [
        f"  claims      within {radius_m:,.0f} m, against {row['alternative']}: Cllr "
        f"{row['cllr']['value']:.3f}, {row['least_cllr']:.3f} at least"
        for row in claims["rows"]
        if row["radius_m"] == radius_m
    ]
