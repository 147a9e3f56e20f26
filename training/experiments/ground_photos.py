"""Measures what reference photos add to an index, by how many there are: a city nobody trained on.

A synthetic city is drawn and indexed; some of its photos are reference photos, some calibrate, and
others are asked about. For each number of reference photos the index is calibrated and asked anew,
as the product does both. From the command line, in one go; what is drawn, encoded and measured is
kept in the folder, so a run that was ended goes on from there, and another model only encodes and
measures again::

    python -m training.experiments.ground_photos --out unseen
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.command import run_script
from gair.errors import UsageError
from gair.fields import check_range, option
from gair.files import make_folder, write_whole
from gair.progress import Progress
from indexer.evaluate.report.wording import metres, percent
from indexer.ground.options import APART_M
from training.experiments.drawn_city import index_city

if TYPE_CHECKING:
    from gair.arrays import Bools, Ints
    from indexer.evaluate.judge import Outcomes
    from indexer.evaluate.task import Task
    from indexer.ground.likelihood import GroundField
    from indexer.photos.vectors import PhotoVectors
    from indexer.search.space import SearchSpace

Rows = list[dict[str, Any]]

NONE = "no reference photos"
VERSION = 3
"""Of the rows that are kept; raised when the same photos would give others than before."""
RADIUS_M = 200.0
"""How near counts as found, and the radius of the chance that is compared with that."""


@dataclass(frozen=True, kw_only=True)
class GroundOptions:
    """Which city, which model and how many photos."""

    out: Path = option(metavar="DIR")
    """Keeps the city, its index and the vectors of its photos."""
    model: str = "shipped:demo"
    """Of the index."""
    seed: int = 7
    """Which city."""
    side_km: float = 11.5
    """Its side."""
    dates: int = 1
    """Scenes of its imagery, of several seasons, whose median is indexed."""
    references: tuple[int, ...] = option((600, 1500, 3000, 6000), metavar="N")
    """How many reference photos; may be given again."""
    photos: int = 500
    """How many photos are asked about."""
    calibration_photos: int = 500
    """How many others calibrate."""
    prototypes: int = option(4, metavar="N")
    """Measure most reference photos once more by so many prototypes a cell, too; 0: do not."""
    ground_apart_m: float = option(0.0, metavar="M")
    """Reference photos as near as this are no evidence of a photo, metres; 0, as all photos are
    scattered and taken by themselves (the product's default is 100)."""
    json: bool = False
    """Rows as JSON."""
    quiet: bool = False
    """No progress."""

    def __post_init__(self) -> None:
        check_range(self, 1.5, "side_km", most=40)
        check_range(self, 50, "photos", "calibration_photos")
        check_range(self, 1, "dates")
        check_range(self, 0, "seed", "prototypes")
        if not self.references or min(self.references) < 1:
            raise UsageError(f"references is {self.references}: give numbers of 1 or more")


@dataclass(frozen=True, eq=False)
class City:
    """An indexed city and its photos with their vectors."""

    folder: Path
    """Of its index."""
    space: SearchSpace
    """Of its index, with no reference photos."""
    queries: PhotoVectors
    calibration: PhotoVectors
    references: PhotoVectors


def open_city(options: GroundOptions) -> City:
    """Draw, index and encode, as far as that was not done before."""
    from gair.model import Gair
    from indexer.photos.vectors import photo_vectors
    from indexer.search.geolocator import Geolocator

    model = Gair.from_pretrained(options.model)
    most = max(options.references)
    home = _drawn(options, most)
    folder = index_city(options.out, home, model)
    geolocator = Geolocator.open(folder, model=model)
    photos, calibration = (
        photo_vectors(geolocator, manifest, cache=options.out / "vectors", quiet=options.quiet)
        for manifest in (home / "photos.csv", home / "calibration.csv")
    )
    rows = np.arange(len(photos))
    return City(
        folder,
        geolocator.space.beside(None),
        photos.taken(rows[: options.photos]),
        calibration,
        photos.taken(rows[options.photos :]),
    )


def _drawn(options: GroundOptions, references: int) -> Path:
    from training.synthetic.city import City as SyntheticCity
    from training.synthetic.files import MANIFEST, write_city

    count = options.photos + references
    city = SyntheticCity(options.seed, options.side_km * 1000)
    calibration, dates = options.calibration_photos, options.dates
    name = f"{city.name}-{options.side_km:g}km-{count}-{calibration}"
    home = options.out / (name if dates == 1 else f"{name}-{dates}dates")
    if not (home / MANIFEST).is_file():  # written last
        write_city(
            city,
            home,
            photos=count,
            calibration_photos=calibration,
            dates=dates,
            quiet=options.quiet,
        )
    return home


@dataclass(frozen=True, eq=False)
class _Case:
    """One number of reference photos."""

    name: str
    references: Ints
    """Which of the city's."""
    sides: Mapping[str, Bools]
    """What the rows of the table are called, and which photos each is about."""
    prototypes: int = 0


def rows_of(city: City, options: GroundOptions) -> Rows:
    """The table: without reference photos, with more and more, and with half the city bare."""
    cases, rows = _cases(city, options), Rows()
    base: dict[str, float] | None = None
    with Progress("table", len(cases), "calibration", quiet=options.quiet) as progress:
        for case in cases:
            kept = _kept_at(city, options, case)
            if not kept.is_file():
                make_folder(kept.parent)
                write_whole(kept, json.dumps(_rows(city, options, case, base)).encode())
            rows += json.loads(kept.read_bytes())
            base = base or rows[0]["weights"]  # of the first case, which has no reference photos
            progress.advance(1)
    return rows


def _cases(city: City, options: GroundOptions) -> list[_Case]:
    all_asked = {"": np.ones(len(city.queries), dtype=bool)}
    counts = sorted(options.references)
    middle_deg = float(np.median(city.references.lonlat_deg[:, 0]))
    west = city.queries.lonlat_deg[:, 0] < middle_deg
    halves = {", asked in the west half": west, ", asked in the east half": ~west}
    cases = [_Case(NONE, np.arange(0), all_asked | halves)]
    cases += [_Case(f"{count:,}", np.arange(count), all_asked) for count in counts]
    if options.prototypes:
        name = f"{counts[-1]:,} as {options.prototypes} prototypes a cell"
        cases.append(_Case(name, np.arange(counts[-1]), all_asked, options.prototypes))
    half = np.flatnonzero(city.references.lonlat_deg[:, 0] < middle_deg)
    sides = {", asked there": west, ", asked in the east half": ~west}
    return [*cases, _Case(f"{len(half):,} in the west half", half, sides)]


def _kept_at(city: City, options: GroundOptions, case: _Case) -> Path:
    """Where the rows of a case are kept, by all that they depend on but the code."""
    digest = hashlib.sha256(case.references.tobytes())
    manifest = city.space.index.manifest
    sizes = (len(city.queries), len(city.calibration), case.prototypes, options.ground_apart_m)
    digest.update(f"{VERSION} {manifest.build} {case.name} {sizes}".encode())
    return options.out / f"{city.folder.name}-rows" / f"{digest.hexdigest()[:16]}.json"


def _rows(
    city: City, options: GroundOptions, case: _Case, base: Mapping[str, float] | None
) -> Rows:
    """Calibrate with some reference photos, and ask: a row for each group of the photos asked.

    ``base`` are the fields of the weights without any, where these were fitted.
    """
    from indexer.calibrate.calibrate import calibrate
    from indexer.evaluate.options import EvaluateOptions
    from indexer.evaluate.task import make_task
    from indexer.probability.posterior import ScoreWeights

    space = city.space.beside(_given(city, case))
    apart_m = options.ground_apart_m
    space.calibration = calibrate(
        space,
        city.calibration,
        ground_apart_m=apart_m,
        base=None if base is None else ScoreWeights(**base),
        quiet=True,
    )
    task = make_task(space, city.queries, EvaluateOptions(ground_apart_m=apart_m, quiet=True))
    outcomes = _judged(task)
    weights = dataclasses.asdict(space.calibration.weights)
    return [
        {
            "name": f"{case.name}{group}",
            "references": len(case.references),
            "a_km2": len(case.references) / task.scale.area_m2 * 1e6,
            "asked": int(asked.sum()),
            "weights": weights,
            "left_out": {} if task.truths.left_out is None else task.truths.left_out.counts,
            "methods": {key: _numbers(task, one, asked) for key, one in outcomes.items()},
        }
        for group, asked in case.sides.items()
    ]


def _given(city: City, case: _Case) -> GroundField | None:
    """The reference photos around the cells, as they are written and opened again."""
    from indexer.ground.likelihood import GroundField
    from indexer.ground.likeness import Comparison
    from indexer.ground.photo_table import ReferencePhoto, rows_of
    from indexer.ground.reference_photos import open_reference_photos
    from indexer.ground.write import changing, remove_pointer, write_reference_photos
    from indexer.photos.vectors import file_digest
    from indexer.regions.cells import cell_hex, cells_at

    photos, manifest = city.references.taken(case.references), city.space.index.manifest
    cells = cells_at(photos.lonlat_deg, manifest.h3_resolution)
    listed = [
        ReferencePhoto(
            content_sha256=file_digest(photo.path),
            lonlat_deg=(float(lon), float(lat)),
            cell=cell_hex(int(cell)),
            heading_deg=photo.heading_deg,
            captured_at=photo.captured_at or "",
            source=photo.source,
            licence=photo.licence,
        )
        for photo, (lon, lat), cell in zip(photos.photos, photos.lonlat_deg, cells, strict=True)
    ]
    with changing(city.folder):
        if not listed:
            remove_pointer(city.folder)
            return None
        write_reference_photos(
            city.folder,
            rows_of(listed),
            lambda rows: photos.s[rows],
            dim=photos.s.shape[1],
            model=manifest.model,
            h3_resolution=manifest.h3_resolution,
            prototypes=case.prototypes,
            quiet=True,
        )
    opened = open_reference_photos(city.folder)
    assert opened is not None
    index = city.space.index
    return GroundField(Comparison(opened), index.cells.lonlat_deg, index.rs.vectors)


def _judged(task: Task) -> dict[str, Outcomes]:
    """What becomes of the photos under each way to answer."""
    from indexer.evaluate.judge import judge_all
    from indexer.evaluate.methods import (
        ANSWER,
        IMAGERY,
        NEAREST_PHOTO,
        WITHOUT_GROUND,
        ground_rankings,
        judge_nearest_photo,
        rankings_of,
    )

    space: SearchSpace = task.space
    answer, imagery, _ = rankings_of(task)
    rankings = {ANSWER: answer, IMAGERY: imagery} | ground_rankings(answer)
    rankings.pop(WITHOUT_GROUND, None)  # as good as imagery alone, and refining takes long
    outcomes = judge_all(task.judge, rankings, space.scores, task.truths, quiet=True)
    if space.ground is not None:
        outcomes[NEAREST_PHOTO] = judge_nearest_photo(task)
    return outcomes


def _numbers(task: Task, outcomes: Outcomes, asked: Bools) -> dict[str, float]:
    from indexer.evaluate.metrics import KS
    from indexer.evaluate.probabilities import LEVELS
    from indexer.probability.reliability import calibration_error

    error_m = outcomes.error_m[asked]
    numbers = {
        "best_guess": float((error_m <= RADIUS_M).mean()),
        "one_of_ten": float((outcomes.near_places_m[asked, KS.index(10)] <= RADIUS_M).mean()),
        "cell_1": float((outcomes.near_cells_m[asked, KS.index(1)] <= RADIUS_M).mean()),
        "cell_10": float((outcomes.near_cells_m[asked, KS.index(10)] <= RADIUS_M).mean()),
        "median_m": float(np.median(error_m)),
    }
    if outcomes.disc_mass.shape[1] and task.calibration is not None:
        calibration = task.calibration
        said = calibration.confidences(outcomes.disc_mass[asked], refined=task.refined_confidence)[
            :, calibration.radii_m.index(RADIUS_M)
        ]
        numbers["ece"] = float(calibration_error(said, error_m <= RADIUS_M)[0])
        numbers["covered_90"] = float(outcomes.covered[asked, LEVELS.index(0.9)].mean())
    return numbers


def table_text(rows: Rows, options: GroundOptions) -> str:
    """The rows as a Markdown table."""
    within = f"{RADIUS_M:g} m"
    names = ["reference photos", "a km2", "n", "way to answer", f"best guess {within}"]
    names += [f"one of ten {within}", f"R@1 cells {within}", f"R@10 cells {within}"]
    names += ["median error", "in the 90 % region", f"chance of {within} off by"]
    lines = ["| " + " | ".join(names) + " |", "|---|---:|---:|---|" + "---:|" * 7]
    ways = {"answer": "all three", "imagery": "imagery alone"}
    ways |= {"ground": "reference photos alone", "nearest_photo": "nearest reference photo"}
    for row in rows:
        for key, way in ways.items():
            if key not in row["methods"] or (key == "imagery" and row["references"]):
                continue
            n = row["methods"][key]
            cells = [row["name"], f"{row['a_km2']:.1f}", f"{row['asked']:,}", way]
            cells += [percent(n[name]) for name in ("best_guess", "one_of_ten")]
            cells += [
                "" if key == "nearest_photo" else percent(n[name]) for name in ("cell_1", "cell_10")
            ]
            cells.append(metres(n["median_m"]))
            cells += [percent(n[name]) if name in n else "" for name in ("covered_90", "ece")]
            lines.append("| " + " | ".join(cells) + " |")
    near = f", nor are those within {options.ground_apart_m:g} m" if options.ground_apart_m else ""
    about = f"Copies of a photo and photos of its sequence are no evidence of it{near}."
    return "\n".join([*lines, "", about])


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    return run_script(
        GroundOptions,
        _run,
        argv,
        prog="python -m training.experiments.ground_photos",
        description="What reference photos add to the index of a synthetic city, by how many there "
        f"are ({APART_M:g} m is the product's distance to a photo's own evidence), as a Markdown "
        "table with simpler ways to answer beside it.",
    )


def _run(options: GroundOptions) -> int:
    rows = rows_of(open_city(options), options)
    print(json.dumps(rows, indent=1) if options.json else table_text(rows, options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
