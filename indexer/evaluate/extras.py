"""What takes minutes and needs token maps: the answer between cells, and the offset test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gair.geo import haversine_m
from indexer.evaluate.judging import Outcomes
from indexer.evaluate.offset import OffsetTask, offset_rows
from indexer.evaluate.passes import Truths
from indexer.progress import Progress

if TYPE_CHECKING:
    from indexer.geolocate import Geolocator
    from indexer.query import Query

Floats = npt.NDArray[np.float64]

OFFSET_PHOTOS = 200
"""Photos of the offset test, drawn by the seed."""


def refined_errors(
    geolocator: Geolocator, query: Query, answer: Outcomes, truths: Truths, *, quiet: bool
) -> Floats:
    """How far the refined best guess is from the truth: (P,) metres; infinite for failed photos.

    Args:
        geolocator: of an index with token maps.
        query: whose weights are refined with.
        answer: outcomes of the answer.
        truths: the photos.
        quiet: no progress bar.
    """
    from indexer.refine import RefineOptions, refine

    assert geolocator.reader is not None
    options = RefineOptions(*query.weights(geolocator.calibration))
    cells = geolocator.index.cells.lonlat_deg
    error_m = np.full(len(truths.s), np.inf)
    with Progress("refine best guesses", len(truths.rows), "photo", quiet=quiet) as progress:
        for row in truths.rows.tolist():
            found = refine(geolocator.reader, truths.s[row], cells[answer.best_row[row]], options)
            place = np.array([found.lon_deg, found.lat_deg])
            error_m[row] = haversine_m(place, truths.lonlat_deg[row])
            progress.advance(1)
    return error_m


def offset_report(geolocator: Geolocator, truths: Truths, seed: int) -> dict[str, Any]:
    """The offset test on some of the photos: :func:`indexer.evaluate.offset.offset_rows`."""
    rows = truths.rows
    if len(rows) > OFFSET_PHOTOS:
        drawn = np.random.default_rng([seed, 5]).choice(rows, OFFSET_PHOTOS, replace=False)
        rows = np.sort(drawn)
    task = OffsetTask(
        geolocator.index,
        geolocator.model,
        geolocator.field,
        truths.s[rows],
        truths.lonlat_deg[rows],
    )
    return {"measured": True, "photos": len(rows), "rows": offset_rows(task)}
