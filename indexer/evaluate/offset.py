"""The offset test: does a photo match its own place better than the places around it?

For photos whose place is known, the mean of cos(s, z(x)) against the distance between the true
place and the point x that is read. A representation that knows the point falls from the first
metres on; one that only knows the frame (``frame``: NILI averaged over it) is flat up to the
frame's size. All ways to read are given the same points of the same token maps.

``bilinear`` and ``mean`` read raw tokens. A model that was trained with NILI need not put those
where photos are, so their curves say what NILI's decoder is for; to compare NILI with plain
interpolation, train a model on each (``training/ablations.py``) and test an index of each.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats, Vectors
from gair.errors import UsageError
from gair.geo import EARTH_RADIUS_M
from indexer.search.token_reader import ReadMode, TokenReader

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.index.index import Index
    from indexer.regions.cell_field import CellField
from gair.geo import haversine_m
from gair.progress import Progress
from indexer.evaluate.judge import Outcomes
from indexer.evaluate.judge_all import Truths

if TYPE_CHECKING:
    from indexer.search.geolocator import Geolocator
    from indexer.search.query import Query


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
    from indexer.search.refine import RefineOptions, refine

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


Rows = list[dict[str, Any]]

DISTANCES_M = (0.0, 25, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000)

MODES: tuple[ReadMode, ...] = ("nili", "frame", "bilinear", "mean")

_LABELS = {
    "nili": "NILI",
    "frame": "NILI, mean of the frame",
    "bilinear": "tokens, bilinear",
    "bicubic": "tokens, bicubic",
    "mean": "tokens, mean of the frame",
}


@dataclass(frozen=True)
class OffsetOptions:
    """What the test reads."""

    distances_m: tuple[float, ...] = DISTANCES_M
    """How far from the true place; the first one is what the others are compared with."""
    bearings: int = 4
    """Points at each distance, each in a direction drawn at random."""
    modes: tuple[ReadMode, ...] = MODES
    """Ways to read token maps."""
    seed: int = 0
    """Of the directions."""


@dataclass(frozen=True, eq=False)
class OffsetTask:
    """An index and photos whose place is known."""

    index: Index
    model: Gair
    field: CellField
    s: Vectors
    """(P, D) vectors of photos; NaN for one that could not be read."""
    lonlat_deg: Floats
    """(P, 2) where they were taken; NaN where that is unknown."""

    @property
    def usable(self) -> npt.NDArray[np.int64]:
        """Rows with a vector and a place.

        Raises:
            UsageError: there is none.
        """
        known = np.isfinite(self.s).all(axis=1) & np.isfinite(self.lonlat_deg).all(axis=1)
        if not known.any():
            raise UsageError("no photo has both a vector and a place: nothing can be measured")
        return np.flatnonzero(known)


def offset_rows(task: OffsetTask, options: OffsetOptions | None = None) -> Rows:
    """Mean scores against distance, a row for each way to read and each distance.

    Points outside the index are left out and counted. A photo's score at a distance is the mean
    over its points there; standard errors are over photos. ``drop`` is the mean difference from the
    first distance over the photos that have both, so it does not depend on which photos lie near
    the edge.

    Raises:
        UsageError: no photo has a vector and a place.
        SearchIndexError: the index has no token maps.
    """
    options = options or OffsetOptions()
    usable = task.usable
    shape = (len(usable), len(options.distances_m), options.bearings)
    bearing_rad = np.random.default_rng(options.seed).uniform(0, 2 * np.pi, shape)
    distance_m = np.asarray(options.distances_m, dtype=np.float64)[None, :, None]
    points = displaced(task.lonlat_deg[usable][:, None, None], bearing_rad, distance_m)
    rows: Rows = []
    outside = None
    for mode in options.modes:
        reader = TokenReader(task.index, task.model, task.field, mode=mode)
        if outside is None:
            outside = ~reader.indexed(points.reshape(-1, 2)).reshape(shape)
        scores = _scores_at(reader, task.s[usable], np.where(outside[..., None], np.nan, points))
        rows += _offset_rows_of(mode, scores, options.distances_m)
    return rows


def displaced(lonlat_deg: Floats, bearing_rad: Floats, distance_m: Floats) -> Floats:
    """Where great circles lead: (..., 2) places, (...) bearings from north, (...) metres."""
    lon, lat = np.radians(lonlat_deg[..., 0]), np.radians(lonlat_deg[..., 1])
    arc = distance_m / EARTH_RADIUS_M
    sin_lat = np.sin(lat) * np.cos(arc) + np.cos(lat) * np.sin(arc) * np.cos(bearing_rad)
    east = np.sin(bearing_rad) * np.sin(arc) * np.cos(lat)
    lon = lon + np.arctan2(east, np.cos(arc) - np.sin(lat) * sin_lat)
    lon_deg = (np.degrees(lon) + 180) % 360 - 180
    return np.stack([lon_deg, np.degrees(np.arcsin(np.clip(sin_lat, -1, 1)))], axis=-1)


def _scores_at(reader: TokenReader, s: Vectors, points: Floats) -> Floats:
    """cos(s, z) of (P, D) photos at (P, d, b, 2) points: (P, d, b), NaN where it is not read."""
    a_photo = points[0].size // 2
    scores = np.full(len(points) * a_photo, np.nan)
    for rows, z in reader.by_frame(points.reshape(-1, 2)):
        scores[rows] = np.einsum("nd,nd->n", s[rows // a_photo], z)
    return scores.reshape(points.shape[:-1])


def _offset_rows_of(mode: str, scores: Floats, distances_m: Sequence[float]) -> Rows:
    known = np.isfinite(scores)
    count = known.sum(axis=2)  # (P, d)
    of_photo = np.where(known, scores, 0).sum(axis=2) / np.where(count, count, np.nan)
    rows = []
    for column, distance_m in enumerate(distances_m):
        mean, error = mean_and_error(of_photo[:, column])
        drop, drop_error = mean_and_error(of_photo[:, column] - of_photo[:, 0])
        rows.append(
            {
                "mode": mode,
                "distance_m": float(distance_m),
                "score": mean,
                "standard_error": error,
                "drop": drop,
                "drop_standard_error": drop_error,
                "photos": int((count[:, column] > 0).sum()),
                "points": int(known[:, column].sum()),
                "points_outside": int((~known[:, column]).sum()),
            }
        )
    return rows


def mean_and_error(values: Floats) -> tuple[float | None, float | None]:
    """Mean and standard error of what is finite; None where there is too little."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None, None
    error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else None
    return float(known.mean()), error


def offset_plot(rows: Rows) -> bytes:
    """A PNG of :func:`offset_rows`: a line with its standard errors for each way to read."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for mode in dict.fromkeys(row["mode"] for row in rows):
        here = [row for row in rows if row["mode"] == mode and row["score"] is not None]
        axes.errorbar(
            [row["distance_m"] for row in here],
            [row["score"] for row in here],
            yerr=[row["standard_error"] or 0 for row in here],
            marker="o",
            markersize=3,
            capsize=2,
            linewidth=1.2,
            label=_LABELS.get(mode, mode),
        )
    axes.set_xscale("symlog", linthresh=50, linscale=0.5)
    ticks = [0, 25, 50, 100, 200, 500, 1000, 2000]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("distance between the photo's place and the point that is read, m")
    axes.set_ylabel("mean cosine")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
