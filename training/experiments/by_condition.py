"""Measures an index's answers by the condition of the photos: day and night, seasons, weather.

Photos come from one or several manifests. A photo's condition is what the column ``condition`` of
its manifest says; a manifest without that column is one condition, named like its file. From the
command line::

    python -m training.experiments.by_condition --index city --photos day.csv --photos night.csv

With ``--promises`` a second table has what answers say under each condition beside what is so, and
how many of them are promised.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.command import run_script
from gair.errors import UsageError
from gair.fields import option
from indexer.commands.arguments import IndexAndModel
from indexer.evaluate.options import WEIGHTS, EvaluateOptions
from indexer.evaluate.report.wording import metres, percent, shown, span

if TYPE_CHECKING:
    from indexer.evaluate.answers import MeasuredAnswers
    from indexer.photos.listing import ListedPhoto
    from indexer.photos.vectors import PhotoVectors
    from indexer.search.geolocator import Geolocator
    from indexer.search.space import SearchSpace

Rows = list[dict[str, Any]]

CONDITION = "condition"
"""Column that is used where a manifest has it."""
ALL = "all"
"""Name of the row of all photos."""


@dataclass(frozen=True, kw_only=True)
class ConditionOptions(IndexAndModel):
    """Index, photos and what is compared."""

    photos: tuple[Path, ...] = option(metavar="MANIFEST")
    """Photos with places, a .csv or .parquet manifest; may be given again."""
    column: str | None = option(None, metavar="NAME")
    """Column of every manifest that names the condition (default: condition, or where a manifest
    has no such column the name of its file)."""
    radius_m: float = option(200.0, metavar="M")
    """How near counts as found."""
    rs_weight: float | None = option(None, metavar="W", group=WEIGHTS)
    """Of the imagery (default, if the other is given: 1); 1 alone is imagery alone."""
    location_weight: float | None = option(None, metavar="W", group=WEIGHTS)
    """Of the location (default, if the other is given: 0)."""
    allow_calibration_photos: bool = False
    """Do not refuse photos that the index was calibrated on."""
    cache: Path | None = option(None, metavar="DIR")
    """Keep the photos' vectors here, so that a second run is fast."""
    promises: bool = False
    """Ask about each photo as a search does, too: what is said, what is so, what is promised."""
    json: bool = False
    """Rows as JSON."""
    quiet: bool = False
    """No progress."""

    @property
    def evaluation(self) -> EvaluateOptions:
        """How the photos of one condition are evaluated."""
        return EvaluateOptions(
            rs_weight=self.rs_weight,
            location_weight=self.location_weight,
            allow_calibration_photos=self.allow_calibration_photos,
            quiet=self.quiet,
        )


def read_conditions(
    manifests: Sequence[Path], column: str | None = None
) -> tuple[list[ListedPhoto], list[str]]:
    """The photos of manifests, and the condition of each.

    Args:
        manifests: CSV or Parquet files.
        column: that every manifest must have; None for ``condition`` or the file's name.

    Raises:
        DatasetError: a manifest cannot be read.
        UsageError: a manifest lacks the column.
    """
    from indexer.evaluate.summary import NOTHING
    from indexer.photos.listing import read_photos

    photos: list[ListedPhoto] = []
    conditions: list[str] = []
    name = column or CONDITION
    for manifest in manifests:
        if manifest.is_dir():
            raise UsageError(f"{manifest} is a folder: give a manifest with columns file, lat, lon")
        extra, if_there = ((name,), ()) if column else ((), (name,))
        listed = read_photos(manifest, extra=extra, if_there=if_there)
        photos += listed
        conditions += [photo.extra.get(name, manifest.stem) or NOTHING for photo in listed]
    return photos, conditions


def condition_rows(
    space: SearchSpace,
    photos: PhotoVectors,
    conditions: Sequence[str],
    radius_m: float = ConditionOptions.radius_m,
    options: EvaluateOptions | None = None,
) -> Rows:
    """What an index answers under each condition.

    Args:
        space: the index.
        photos: with their vectors and places.
        conditions: of each photo.
        radius_m: how near counts as found.
        options: weights and the like.

    Returns:
        A row a condition, as they first come, and one of all photos where there are several.

    Raises:
        UsageError: cells are too large for the radius, or it is none that is measured; or the index
            was calibrated on some of the photos.
    """
    from indexer.evaluate.answers import measure_answers

    names = np.array(conditions, dtype=object)
    rows: Rows = []
    for condition in dict.fromkeys(conditions):
        taken = photos.taken(np.flatnonzero(names == condition))
        rows.append(_row(condition, measure_answers(space, taken, options), radius_m))
    if len(rows) > 1:
        rows.append(_row(ALL, measure_answers(space, photos, options), radius_m))
    return rows


def _row(condition: str, measured: MeasuredAnswers, radius_m: float) -> dict[str, Any]:
    radii_m, near = measured.task.scale.radii_m, f"{radius_m:g}"
    if radius_m not in radii_m:
        there = ", ".join(f"{r:g}" for r in radii_m)
        raise UsageError(
            f"`radius_m` {radius_m:g} is not measured with cells of this size: choose of {there}"
        )
    numbers, chance = measured.numbers, measured.chance
    return {
        "condition": condition,
        "photos": len(measured.task.photos),
        "failures": measured.task.photos.left_out(),
        "outside": measured.outside,
        "notes": measured.task.notes,
        "radius_m": radius_m,
        "cell_1": numbers["recall_cells"]["1"][near],
        "cell_10": numbers["recall_cells"]["10"][near],
        "best_guess": numbers["accuracy"][near],
        "place_10": numbers["recall_places"]["10"][near],
        "median_m": numbers["median_m"],
        "chance_1": chance["accuracy"][near]["value"],
        "chance_10": chance["recall_cells"]["10"][near]["value"],
        "chance_median_m": chance["median_m"]["value"],
    }


def table_text(rows: Rows) -> str:
    """The rows as a Markdown table, with what they leave unsaid below it."""
    within = f"{rows[0]['radius_m']:g} m"
    names = ["condition", "n", f"R@1 cells {within}", f"R@10 cells {within}"]
    names += [f"best guess {within}", f"one of ten places {within}", "median error"]
    names += ["chance: one", "ten", "median"]
    lines = ["| " + " | ".join(names) + " |", "|---|" + "---:|" * (len(names) - 1)]
    for row in rows:
        cells = [str(row["condition"]), f"{row['photos']:,}"]
        cells += [_share(row[name]) for name in ("cell_1", "cell_10", "best_guess", "place_10")]
        cells.append(shown(row["median_m"]["value"], metres))
        cells += [percent(row["chance_1"]), percent(row["chance_10"])]
        cells.append(shown(row["chance_median_m"], metres))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    total = rows[-1] if len(rows) > 1 else rows[0]
    notes = [f"{count:,} count as not found: {why}" for why, count in total["failures"].items()]
    if total["outside"]:
        notes.append(f"{total['outside']:,} were taken outside the index")
    notes += total["notes"]
    about = "In brackets: 95 % intervals. Cells are the best single cells, near ones too; places "
    about += "are what a search lists, apart from each other and refined."
    return "\n".join([*lines, "", about, *notes])


def promise_rows(
    geolocator: Geolocator,
    photos: PhotoVectors,
    conditions: Sequence[str],
    options: EvaluateOptions | None = None,
) -> Rows:
    """What answers say under each condition, and what is so: a row each, as they first come.

    Args:
        geolocator: of a calibrated index.
        photos: with their vectors and places.
        conditions: of each photo.
        options: of the intervals.

    Raises:
        UsageError: the index is not calibrated, or no photo of a condition was taken in it.
    """
    from indexer.evaluate.stress import stress_report

    names = np.array(conditions, dtype=object)
    rows: Rows = []
    for condition in dict.fromkeys(conditions):
        taken = photos.taken(np.flatnonzero(names == condition))
        told = stress_report(geolocator, taken, options, alterations=())
        if not (told["measured"] and told["calibrated"]):
            raise UsageError(
                f"`promises` of condition {condition!r} cannot be measured: they take a calibrated "
                "index, no weights of your own, and photos that were taken in it"
            )
        rows.append({"condition": condition, "radius_m": told["radius_m"], **told["rows"][0]})
    return rows


def promise_text(rows: Rows) -> str:
    """The rows of :func:`promise_rows` as a Markdown table."""
    near = f"{rows[0]['radius_m']:g} m"
    names = ["condition", "n", f"best guess {near}", "said", "promised", "refused"]
    names += ["90 % region holds, if promised", "of all"]
    lines = ["| " + " | ".join(names) + " |", "|---|" + "---:|" * (len(names) - 1)]
    for row in rows:
        cells = [str(row["condition"]), f"{row['photos']:,}", _share(row["within"])]
        cells.append(shown(row["said"]["value"], percent))
        for name in ("promised", "refused", "covered", "covered_of_all"):
            cells.append(_share(row[name]) if "low" in row[name] else "none")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _share(measured: Mapping[str, Any]) -> str:
    return f"{percent(measured['value'])} ({span(measured, percent)})"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    return run_script(
        ConditionOptions,
        _run,
        argv,
        prog="python -m training.experiments.by_condition",
        description="How good an index's answers are under each condition of the photos, as a "
        "Markdown table with chance beside it.",
    )


def _run(options: ConditionOptions) -> int:
    from indexer.photos.vectors import photo_vectors

    options.evaluation.query.check()
    listed, conditions = read_conditions(options.photos, options.column)
    geolocator = options.geolocator()
    photos = photo_vectors(geolocator, listed, cache=options.cache, quiet=options.quiet)
    rows = condition_rows(
        geolocator.space, photos, conditions, options.radius_m, options.evaluation
    )
    promises: Rows = []
    if options.promises:
        promises = promise_rows(geolocator, photos, conditions, options.evaluation)
    weights = options.evaluation.query.weights(geolocator.space)
    if options.json:
        told = {"weights": weights._asdict(), "rows": rows, "promises": promises}
        print(json.dumps(told, indent=1, allow_nan=False))
    else:
        print(f"{table_text(rows)}\nWeights: {weights.said}.")
        if promises:
            print(f"\n{promise_text(promises)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
