"""Demo: index a city, ask where its sample photos were taken, open the page.

``make demo`` draws the city and runs this. The city is synthetic, no place on Earth, and so are the
places that the model which ships was trained on: what the demo shows is the way from pixels to
ranked places, and how often that model is right about photos it was not trained on, beside how
often chance is.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.examples import MANIFEST, MOST_EXAMPLES, Sample, read_samples
from app.options import ServerOptions, check_free
from gair.command import Parser, run_parsed
from gair.errors import SearchIndexError, UsageError
from gair.fields import add_fields, from_namespace, option

if TYPE_CHECKING:
    from gair.model import Gair

NAME = "demo"
MODEL = "shipped:demo"
IMAGERY = "imagery"
"""Folder of GeoTIFFs inside a city's."""
CALIBRATION = "calibration.csv"
"""Manifest of the photos that an index is calibrated with, inside a city's folder."""
REFERENCES = "references.csv"
"""Manifest of the photos that are added to an index as evidence, inside a city's folder."""


@dataclass(frozen=True)
class DemoOptions:
    """City, model and index of the demo."""

    city: Path = option(metavar="DIR")
    """Folder with imagery/ and photos.csv, from python -m training.synthetic city."""
    model: str = option(MODEL, metavar="SPEC")
    """Model to use."""
    out: Path = option(Path("indexes"), metavar="DIR")
    """Folder of all indexes."""
    resolution: int = 10
    """H3 resolution of the cells."""
    port: int = ServerOptions.port
    """Port of the page."""
    no_page: bool = False
    """Stop before the page."""


def main(argv: Sequence[str] | None = None) -> int:
    """Index unless that is done, search on the command line, then serve the page."""
    parser = Parser(prog="python -m app.demo", description=__doc__)
    add_fields(parser, DemoOptions)
    parser.set_defaults(run=lambda args: _run(from_namespace(DemoOptions, args)))
    return run_parsed(
        parser,
        argv,
        interrupted="interrupted: run it again, and what is finished is not done twice",
    )


def _run(options: DemoOptions) -> int:
    samples = city_samples(options.city)
    if not options.no_page:
        check_free(ServerOptions.host, options.port)
    status = _index(options)
    if status:
        return status
    note = _answer(options, samples)
    if options.no_page:
        return 0
    from app.cli import main as serve

    print(
        f"\n3. the same in a browser, with the first {min(MOST_EXAMPLES, len(samples))} photos to "
        "click on",
        flush=True,
    )
    where = ["--index", NAME, "--indexes", str(options.out), "--port", str(options.port)]
    examples = ["--examples", str(options.city), "--examples-note", note]
    return serve([*where, *examples, "--open"])


def _index(options: DemoOptions) -> int:
    """Index, add reference photos and calibrate unless that is done; returns the exit status."""
    from gair.model import Gair
    from indexer.commands.cli import main as index
    from indexer.search.geolocator import Geolocator

    imagery, out, resolution = options.city / IMAGERY, options.out, options.resolution
    model = Gair.from_pretrained(options.model)
    print(f"1. index the imagery of {options.city}", flush=True)
    if why := why_to_build(out, model, imagery, resolution):
        build = ["build", "--imagery", str(imagery), "--model", options.model, "--name", NAME]
        build += ["--resolution", str(resolution), "--out", str(out)]
        print(f"{why}: python -m indexer {shlex.join(build)}", flush=True)
        if status := index(build):
            return status
    else:
        print(f"the index {out / NAME} is of this imagery and this model already")
    if status := _add_references(options, rebuilt=bool(why)):
        return status
    geolocator = Geolocator.open(NAME, indexes_dir=out, model=model)
    photos = options.city / CALIBRATION
    calibration, ground = geolocator.calibration, geolocator.space.ground
    # A calibration from before there were reference photos knows nothing of them.
    if photos.is_file() and (
        calibration is None or (ground is not None and calibration.ground is None)
    ):
        calibrate = ["calibrate", "--index", NAME, "--indexes", str(out), "--photos", str(photos)]
        calibrate += ["--model", options.model]
        print(f"no calibration yet: python -m indexer {shlex.join(calibrate)}", flush=True)
        return index(calibrate)
    return 0


def _add_references(options: DemoOptions, *, rebuilt: bool) -> int:
    """Add the city's reference photos unless that is done; returns the exit status."""
    from indexer.commands.cli import main as index
    from indexer.ground.manifest import POINTER_FILE

    where, photos = ["--indexes", str(options.out)], options.city / REFERENCES
    there = (options.out / NAME / POINTER_FILE).is_file()
    if rebuilt and there:  # they may be of another city or of another model
        if status := index(["remove-photos", NAME, *where, "--all"]):
            return status
        there = False
    if there or not photos.is_file():
        return 0
    add = ["add-photos", NAME, *where, "--photos", str(photos), "--model", options.model]
    print(f"no reference photos yet: python -m indexer {shlex.join(add)}", flush=True)
    return index(add)


def _answer(options: DemoOptions, samples: Sequence[Sample]) -> str:
    """Ask about all photos and print what came of it; returns the note for the page."""
    from app.demo_answers import answer_lines, measure, measure_without, page_note
    from gair.model import Gair
    from indexer.search.geolocator import Geolocator

    model = Gair.from_pretrained(options.model)
    geolocator = Geolocator.open(NAME, indexes_dir=options.out, model=model)
    print(f"\n2. ask where its {len(samples):,} photos were taken", flush=True)
    measured = measure(geolocator, options.city / MANIFEST)
    without = measure_without(geolocator, measured)
    lines = [
        *answer_lines(geolocator, measured, without),
        f"weights: {geolocator.space.default_weights.said}",
        f"This is a demo. {geolocator.space.attribution}.",
        *(f"note: {note}" for note in (*geolocator.space.warnings, *measured.task.notes)),
        f"try: python -m indexer search {samples[0].photo} --index {geolocator.index.path.parent}",
    ]
    print("\n".join(lines), flush=True)
    return page_note(measured, without)


def city_samples(city: Path) -> list[Sample]:
    """The photos of a city; all of them say where they were taken.

    Raises:
        UsageError: The folder holds no city.
    """
    if not (city / MANIFEST).is_file() or not (city / IMAGERY).is_dir():
        raise UsageError(
            f"{city} holds no {MANIFEST} and {IMAGERY}: run make demo, or draw a city there with "
            f"python -m training.synthetic city --out {city}"
        )
    samples = read_samples(city)
    unknown = [sample.photo.name for sample in samples if sample.lonlat_deg is None]
    if unknown:
        raise UsageError(f"{city / MANIFEST} does not say where {unknown[0]} was taken: add it")
    return samples


def why_to_build(out: Path, model: Gair, imagery: Path, resolution: int) -> str:
    """Why the index has to be built; empty if the one that is there will do."""
    from indexer.imagery import open_imagery
    from indexer.index.index import open_index
    from indexer.index.storage import index_names

    folder = out / NAME
    if NAME not in index_names(out):
        return "no index yet"
    try:
        manifest = open_index(folder).manifest
    except SearchIndexError:
        return f"{folder} is damaged and is built again"
    if manifest.model.fingerprint != model.fingerprint():
        return f"{folder} is of another model, {manifest.model.name}, and is built again"
    with open_imagery(imagery) as opened:
        same = opened.describe() == manifest.imagery
    if not same or manifest.h3_resolution != resolution:
        return f"{folder} is of other imagery or other cells and is built again"
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
