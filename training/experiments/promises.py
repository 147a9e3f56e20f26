"""Measures what an index promises beside what is so, under the conditions of real use.

A synthetic city that the model never saw is drawn, indexed and calibrated; then it is asked about
photos like those that calibrated it, drives of other streets, copies, frames, views of one spot,
other seasons and nights, another city, black photos, its own best guesses and true claims. Each row
of the table has what is stated and what is so. From the command line, in one go; what is drawn and
encoded is kept in the folder, and another model only encodes again::

    python -m training.experiments.promises --out unseen

It leaves ``promises.md`` and ``promises.json`` in the folder. A row is *kept* where the 95 %
interval of what is so reaches what is stated, *withheld* where nothing is promised of nearly all of
the photos, and *broken* else.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from gair.command import run_script
from gair.progress import Progress
from training.experiments.promise_city import CityOptions, PromiseCity, open_city
from training.experiments.promise_rows import (
    BROKEN,
    TOLD,
    Row,
    Told,
    ask,
    claim_rows,
    copies_rows,
    decision_rows,
    evidence_rows,
    foreign_rows,
    in_groups,
    nothing_rows,
    one_by_one,
    own_guess_rows,
    promise_rows,
    several_rows,
)

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors
    from indexer.probability.calibration import Calibration
    from indexer.search.geolocator import Geolocator


def measure(city: PromiseCity, options: CityOptions) -> list[Row]:
    """The whole table."""
    from indexer.calibrate.calibrate import calibrate
    from indexer.photos.altered import altered_photos

    geolocator, space = city.geolocator, city.geolocator.space

    def by(photos: PhotoVectors) -> Calibration:
        altered = altered_photos(photos, quiet=options.quiet)
        return calibrate(
            space, photos, out_of_index=city.foreign[0], altered=altered, quiet=options.quiet
        )

    scattered, driven = by(city.calibration), by(city.drives[0])
    frames = in_groups(city.drives[1], 12)
    several = {
        "12 frames 5 m apart": (city.drives[1], frames),
        "4 views of one spot": (city.turned, in_groups(city.turned, 4)),
        "4 photos 100 m apart": (city.apart, in_groups(city.apart, 4)),
    }
    rows: list[Row] = []
    parts: list[Callable[[], list[Row]]] = [
        lambda: promise_rows(
            "like the calibration photos", _single(geolocator, city.photos), refused=True
        ),
        *(
            lambda name=name, photos=photos: promise_rows(name, _single(geolocator, photos))
            for name, photos in city.conditions.items()
        ),
        lambda: copies_rows(geolocator, city.photos, options.each),
        *(
            lambda name=name, of=of: several_rows(
                f"{name}, {_floor(scattered)}", ask(geolocator, *of), scattered
            )
            for name, of in several.items()
        ),
        lambda: own_guess_rows(geolocator, city.photos, options.each),
        lambda: claim_rows("like the calibration photos", geolocator, city.photos),
        lambda: claim_rows("winter", geolocator, city.conditions["winter"]),
        lambda: foreign_rows("another city", geolocator, city.foreign[1]),
        lambda: nothing_rows(geolocator),
        lambda: [] if city.real is None else foreign_rows("real photos", geolocator, city.real),
        lambda: decision_rows(geolocator, city.photos),
        lambda: evidence_rows(geolocator, city.photos, city.foreign[1]),
    ]
    by_drives: list[Callable[[], list[Row]]] = [
        lambda: promise_rows(
            "calibrated on drives, other drives", _single(geolocator, city.drives[1]), refused=True
        ),
        *(
            lambda name=name, of=of: several_rows(
                f"calibrated on drives, {name}, {_floor(driven)}", ask(geolocator, *of), driven
            )
            for name, of in several.items()
        ),
    ]
    each = [(scattered, part) for part in parts] + [(driven, part) for part in by_drives]
    with Progress("promises", len(each), "part", quiet=options.quiet) as progress:
        for calibration, part in each:
            space.calibration = geolocator.calibration = calibration
            rows += part()
            progress.advance(1)
    return rows


def _single(geolocator: Geolocator, photos: PhotoVectors) -> Told:
    return ask(geolocator, photos, one_by_one(photos), photos.place_of_photo)


def _floor(calibration: Calibration) -> str:
    """How much of their errors photos of one place are taken to share, in words."""
    from indexer.probability.posterior import LEAST_SHARED

    shared = calibration.shared
    if shared is None:
        return f"sharing {LEAST_SHARED:.2f} (unmeasured)"
    return f"sharing {shared.least:.2f} (of {shared.photos:,} photos of {shared.places:,} places)"


def table_text(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| photos | stated | so | 95 % | n, places | asked | |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        cost = row.what.startswith("Cllr")

        def number(value: float | None, cost: bool = cost) -> str:
            return "" if value is None else f"{value:.3f}" if cost else f"{value:.1%}"

        interval = "" if row.low is None else f"{number(row.low)} to {number(row.high)}"
        cells = [row.what, row.stated, number(row.so), interval]
        cells += [f"{row.photos:,}, {row.places:,}", f"{row.of:,}", row.outcome]
        lines.append("| " + " | ".join(cells) + " |")
    broken = sum(row.outcome == BROKEN for row in rows)
    stated = sum(row.outcome != TOLD for row in rows)
    return "\n".join([*lines, "", f"{broken} of {stated} promises are broken."])


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    return run_script(
        CityOptions,
        _run,
        argv,
        prog="python -m training.experiments.promises",
        description="What an index of a synthetic city promises, beside what is so, under the "
        "conditions of real use: drives, frames, copies, seasons, night, another city, claims and "
        "decisions. Writes promises.md and promises.json, and keeps all that it drew and encoded.",
    )


def _run(options: CityOptions) -> int:
    from gair.files import write_whole

    rows = measure(open_city(options), options)
    told = {
        "options": {key: str(value) for key, value in dataclasses.asdict(options).items()},
        "rows": [asdict(row) for row in rows],
    }
    text = table_text(rows)
    write_whole(options.out / "promises.json", json.dumps(told, indent=1).encode())
    write_whole(options.out / "promises.md", f"{text}\n".encode())
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
