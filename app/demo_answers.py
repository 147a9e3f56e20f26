"""Answers of the demo, judged: how often they are right, and how often chance would be.

All photos of a city's manifest are judged, by the code of ``python -m indexer evaluate``, at the
points that people are shown. The examples that are told one by one are the first of the manifest:
nobody looks at the answers before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.examples import MOST_EXAMPLES
from app.views.wording import coordinates, distance
from indexer.evaluate.report.wording import metres, percent, radius, shown, span
from indexer.search.wording import square_km

if TYPE_CHECKING:
    from indexer.evaluate.answers import MeasuredAnswers
    from indexer.search.geolocator import Geolocator

SHOWN = 3
"""How many answers are told one by one."""
NEAR_M = (200.0, 1000.0)
"""How near counts as right; the next larger radius where cells are too large for one."""


def measure(geolocator: Geolocator, manifest: Path) -> MeasuredAnswers:
    """Judge what a search answers about every photo of a manifest.

    Raises:
        DatasetError: the manifest cannot be read.
        UsageError: the index was calibrated on some of the photos.
    """
    from indexer.evaluate.answers import measure_answers
    from indexer.evaluate.options import EvaluateOptions
    from indexer.photos.vectors import photo_vectors

    photos = photo_vectors(geolocator, manifest, cache=None, quiet=True)
    # None of the photos is among the reference photos, which all count, as on the page.
    return measure_answers(geolocator.space, photos, EvaluateOptions(quiet=True, ground_apart_m=0))


def measure_without(geolocator: Geolocator, measured: MeasuredAnswers) -> MeasuredAnswers | None:
    """The same answers without reference photos; None where the index has none."""
    from indexer.evaluate.answers import measure_answers
    from indexer.evaluate.options import EvaluateOptions

    if geolocator.space.ground is None:
        return None
    options = EvaluateOptions(quiet=True, ground=False)
    return measure_answers(geolocator.space, measured.task.photos, options)


def answer_lines(
    geolocator: Geolocator, measured: MeasuredAnswers, without: MeasuredAnswers | None = None
) -> list[str]:
    """How often answers are right, and the answers about the first photos, for a terminal.

    Args:
        geolocator: of the index.
        measured: what a search answers.
        without: the same without reference photos.
    """
    count, numbers, chance = len(measured.task.photos), measured.numbers, measured.chance
    cells = geolocator.index.manifest.cells_indexed
    unused = "" if measured.task.calibration is None else ", none of them used to calibrate"
    lines = [f"of {count:,} photos{unused}, among {cells:,} cells:"]
    for near in near_keys(measured):
        for name, own, blind in _rows(measured, near):
            lines.append(
                f"  {name} within {radius(float(near)):<6} {percent(own['value']):>7} "
                f"(95 % interval {span(own, percent)}), by chance {percent(blind['value'])}"
            )
    lines.append(
        f"  median error of the best guess {shown(numbers['median_m']['value'], metres)}, of a "
        f"random cell {shown(chance['median_m']['value'], metres)}"
    )
    if without is not None:
        lines.append(_without_line(geolocator, without))
    lines += [f"  {n:,} count as wrong: {why}" for why, n in _failures(measured).items()]
    lines += _region_lines(geolocator, measured)
    told, offered = min(SHOWN, count), min(MOST_EXAMPLES, count)
    lines.append(
        f"examples, by a rule: the first {told} photos of the manifest; the page offers the first "
        f"{offered}"
    )
    return lines + [f"  {line}" for line in _example_lines(measured)]


def page_note(measured: MeasuredAnswers, without: MeasuredAnswers | None = None) -> str:
    """The same rates in two or three sentences, for beside the examples of the page."""
    near = near_keys(measured)[0]
    (_, best, best_blind), (_, ten, ten_blind) = _rows(measured, near)
    within = radius(float(near))
    blind_to_photos = ""
    if without is not None:
        (_, alone, _), (_, alone_ten, _) = _rows(without, near)
        blind_to_photos = (
            f" Without the index's reference photos it would be {percent(alone['value'])} and "
            f"{percent(alone_ten['value'])}."
        )
    return (
        f"None was picked for its answer. Of all {len(measured.task.photos):,}, the best guess is "
        f"within {within} of where the photo was taken for {percent(best['value'])} "
        f"({span(best, percent)}; by chance {percent(best_blind['value'])}), and one of ten places "
        f"for {percent(ten['value'])} ({span(ten, percent)}; by chance "
        f"{percent(ten_blind['value'])}).{blind_to_photos}"
    )


def near_keys(measured: MeasuredAnswers) -> list[str]:
    """Keys of the radii that rates are told for."""
    radii_m = measured.task.scale.radii_m
    near = [next((r for r in radii_m if r >= wanted), radii_m[-1]) for wanted in NEAR_M]
    return [f"{radius_m:g}" for radius_m in dict.fromkeys(near)]


def _rows(
    measured: MeasuredAnswers, near: str
) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Name, rate and rate of chance within a radius."""
    own, blind = measured.numbers, measured.chance
    return [
        ("best guess       ", own["accuracy"][near], blind["accuracy"][near]),
        ("one of ten places", own["recall_places"]["10"][near], blind["recall_places"]["10"][near]),
    ]


def _without_line(geolocator: Geolocator, without: MeasuredAnswers) -> str:
    """What the same answers would be without reference photos."""
    assert geolocator.space.ground is not None
    count = len(geolocator.space.ground.comparison.photos)
    near = near_keys(without)[0]
    (_, best, _), (_, ten, _) = _rows(without, near)
    median = shown(without.numbers["median_m"]["value"], metres)
    return (
        f"  without its {count:,} reference photos: best guess within {radius(float(near))} "
        f"{percent(best['value'])}, one of ten places {percent(ten['value'])}, "
        f"median error {median}"
    )


def _failures(measured: MeasuredAnswers) -> dict[str, int]:
    return measured.task.photos.left_out()


def _region_lines(geolocator: Geolocator, measured: MeasuredAnswers) -> list[str]:
    """How often the regions held the truth; nothing without a calibration."""
    from indexer.evaluate.probabilities import LEVELS

    if measured.task.calibration is None:
        return []
    column = LEVELS.index(0.9)
    held = int(measured.outcomes.covered[:, column].sum())
    area_km2 = float(np.nanmedian(measured.outcomes.region_m2[:, column])) / 1e6
    return [
        f"  the 90 % regions, {square_km(area_km2)} in the median of "
        f"{geolocator.index.cells.area_m2.sum() / 1e6:,.0f}, held the truth of {held} of "
        f"{len(measured.task.photos)}"
    ]


def _example_lines(measured: MeasuredAnswers) -> list[str]:
    photos, outcomes = measured.task.photos, measured.outcomes
    lines = []
    for row, photo in enumerate(photos.photos[:SHOWN]):
        error_m = float(outcomes.error_m[row])
        if np.isfinite(error_m):
            place = coordinates(*outcomes.shown_lonlat_deg[row].tolist())
            told = f"best guess {place}, {distance(error_m)} from where it was taken"
        else:
            told = "not answered: " + photos.failures.get(row, "its place is not known")
        lines.append(f"{Path(photo.name).name}: {told}")
    return lines
