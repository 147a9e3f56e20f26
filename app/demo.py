"""Demo: index a city, ask where its sample photos were taken, open the page.

``make demo`` draws the city and runs this. The city is synthetic, no place on Earth, and so are the
places that the model which ships was trained on: what the demo shows is the way from pixels to
ranked places, and how often that model is right about photos it was not trained on.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.examples import MANIFEST, Sample, read_samples
from app.options import ServerOptions, check_free
from app.views.wording import coordinates, distance, shown_lonlat_deg
from gair.command import run_parsed
from gair.errors import SearchIndexError, UsageError
from gair.fields import add_fields, from_namespace, option

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gair.model import Gair
    from indexer.search.answer import Answer
    from indexer.search.geolocator import Geolocator

NAME = "demo"
MODEL = "shipped:demo"
IMAGERY = "imagery"
"""Folder of GeoTIFFs inside a city's."""
CALIBRATION = "calibration.csv"
"""Manifest of the photos that an index is calibrated with, inside a city's folder."""
SHOWN = 3
"""How many answers are printed: the first ones of the manifest, whatever they are."""
NEAR_M = 1000.0


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
    parser = argparse.ArgumentParser(prog="python -m app.demo", description=__doc__)
    add_fields(parser, DemoOptions)
    parser.set_defaults(run=lambda args: _run(from_namespace(DemoOptions, args)))
    return run_parsed(
        parser,
        argv,
        interrupted="interrupted: run it again, and what is finished is not done twice",
    )


def _run(options: DemoOptions) -> int:
    status = _index_and_search(options)
    if status or options.no_page:
        return status
    from app.cli import main as serve

    print("\n3. the same in a browser, with the sample photos to click on", flush=True)
    where = ["--index", NAME, "--indexes", str(options.out), "--port", str(options.port)]
    if not (options.city / CALIBRATION).is_file():
        where += ["--imagery-share", "1"]
    return serve([*where, "--examples", str(options.city), "--open"])


def _index_and_search(options: DemoOptions) -> int:
    samples = city_samples(options.city)
    if not options.no_page:
        check_free(ServerOptions.host, options.port)
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
    geolocator = Geolocator.open(NAME, indexes_dir=out, model=model)
    photos = options.city / CALIBRATION
    if photos.is_file() and geolocator.calibration is None:
        calibrate = ["calibrate", "--index", NAME, "--indexes", str(out), "--photos", str(photos)]
        calibrate += ["--model", options.model]
        print(f"no calibration yet: python -m indexer {shlex.join(calibrate)}", flush=True)
        if status := index(calibrate):
            return status
        geolocator = Geolocator.open(NAME, indexes_dir=out, model=model)
    print(f"\n2. ask where its {len(samples)} sample photos were taken", flush=True)
    print("\n".join(answer_lines(geolocator, samples)), flush=True)
    return 0


def city_samples(city: Path) -> list[Sample]:
    """The sample photos of a city; all of them say where they were taken.

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


def answer_lines(geolocator: Geolocator, samples: Sequence[Sample]) -> list[str]:
    """Best guesses for the first samples, and how good they are for all of them."""
    import numpy as np

    from gair.geo import haversine_m

    truth = np.array([sample.lonlat_deg for sample in samples])
    photos = [sample.photo for sample in samples]
    # No photo of these places was trained on, so the location embeddings have nothing to say.
    calibrated = geolocator.calibration is not None
    weights: tuple[float | None, float | None] = (None, None) if calibrated else (1, 0)
    answers = geolocator.search(photos, k=1, rs_weight=weights[0], location_weight=weights[1])
    best = np.array([shown_lonlat_deg(answer.candidates[0]) for answer in answers])
    off_m = haversine_m(truth, best)
    chance_m = haversine_m(truth[:, None], geolocator.index.cells.lonlat_deg[None])
    near, near_by_chance = (off_m <= NEAR_M).sum(), (chance_m <= NEAR_M).mean() * len(samples)
    return [
        *(
            f"{sample.photo.name}: best guess {coordinates(*place)}, "
            f"{distance(away)} from where it was taken"
            for sample, place, away in zip(samples[:SHOWN], best, off_m, strict=False)
        ),
        f"all {len(samples)}: median error {distance(float(np.median(off_m)))} (random cells: "
        f"{distance(float(np.median(chance_m)))}), {near} within {NEAR_M / 1000:g} km (random "
        f"cells: {near_by_chance:.1f}); {len(geolocator.index.cells):,} cells",
        *_region_lines(geolocator, answers, truth),
        f"This is a demo. {geolocator.space.attribution}.",
        *(f"note: {warning}" for warning in geolocator.space.warnings),
        f"try: python -m indexer search {samples[0].photo} --index {geolocator.index.path.parent}"
        + ("" if calibrated else " --rs-weight 1 --location-weight 0"),
    ]


def _region_lines(
    geolocator: Geolocator, answers: Sequence[Answer], truth: npt.NDArray[np.float64]
) -> list[str]:
    """How often the regions held the truth; nothing without a calibration."""
    import numpy as np

    if geolocator.calibration is None:
        return []
    cells = geolocator.space.cell_row(truth)
    regions = [answer.region(0.9) for answer in answers]
    held = sum(cell in region.rows for cell, region in zip(cells, regions, strict=True))
    area_km2 = float(np.median([region.km2 for region in regions]))
    return [
        f"the 90 % regions, {area_km2:.1f} km2 in the median of "
        f"{geolocator.index.cells.area_m2.sum() / 1e6:,.0f}, held the truth of {held} of "
        f"{len(answers)}"
    ]


if __name__ == "__main__":
    raise SystemExit(main())
