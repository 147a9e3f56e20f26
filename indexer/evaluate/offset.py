"""Offset and noise tests: similarity away from the true place, recall with displaced cells.

*Offset*: for photos whose place is known, the mean of cos(s, z(x)) against the distance between the
true place and the point x that is read. A representation that knows the point falls from the first
metres on; one that only knows the frame (``frame``: NILI averaged over it) is flat up to the
frame's size. All modes of reading are given the same points of the same token maps.

``bilinear`` and ``mean`` read raw tokens. A model that was trained with NILI need not put those
where photos are, so their curves say what NILI's decoder is for; to compare NILI with plain
interpolation, train a model on each (``python -m training.evaluate --ablate``) and test an index of
each.

*Noise*: every cell is read at a place displaced by Gaussian noise, while it keeps claiming to be
where it was. That is what a shift between imagery and map does, or photos with a poor fix in
training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Floats, Ints, Vectors
from gair.errors import UsageError
from gair.geo import EARTH_RADIUS_M
from indexer.evaluate.judge import Truths
from indexer.evaluate.metrics import rank_distances
from indexer.search.token_reader import ReadMode, TokenReader

if TYPE_CHECKING:
    from indexer.search.space import SearchSpace

Rows = list[dict[str, Any]]

DISTANCES_M = (0.0, 25, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000)

MODES: tuple[ReadMode, ...] = ("nili", "frame", "bilinear", "mean")

NOISE_M = (0.0, 25, 50, 100, 200, 400)
"""Standard deviations of the noise along each axis."""

OFFSET_PHOTOS = 200
"""Photos of the offset test, drawn by the seed."""

_PHOTOS_AT_ONCE = 256


@dataclass(frozen=True)
class OffsetOptions:
    """Points and modes that the offset test reads."""

    distances_m: tuple[float, ...] = DISTANCES_M
    """How far from the true place; the first one is what the others are compared with."""
    bearings: int = 4
    """Points at each distance, each in a direction drawn at random."""
    modes: tuple[ReadMode, ...] = MODES
    """How token maps are read."""
    seed: int = 0
    """Of the directions."""


@dataclass(frozen=True, eq=False)
class OffsetTask:
    """An index and photos whose place is known."""

    space: SearchSpace
    s: Vectors
    """(P, D) vectors of photos; NaN for one that could not be read."""
    lonlat_deg: Floats
    """(P, 2) where they were taken; NaN where that is unknown."""

    @property
    def usable(self) -> Ints:
        """Rows with a vector and a place.

        Raises:
            UsageError: there is none.
        """
        usable = np.isfinite(self.s).all(axis=1) & np.isfinite(self.lonlat_deg).all(axis=1)
        if not usable.any():
            raise UsageError("no photo has both a vector and a place: nothing can be measured")
        return np.flatnonzero(usable)


def offset_report(space: SearchSpace, truths: Truths, seed: int) -> dict[str, Any]:
    """:func:`offset_rows` on at most :data:`OFFSET_PHOTOS` of the photos."""
    rows = truths.rows
    if len(rows) > OFFSET_PHOTOS:
        drawn = np.random.default_rng([seed, 5]).choice(rows, OFFSET_PHOTOS, replace=False)
        rows = np.sort(drawn)
    task = OffsetTask(space, truths.s[rows], truths.lonlat_deg[rows])
    return {"measured": True, "photos": len(rows), "rows": offset_rows(task)}


def noise_report(space: SearchSpace, truths: Truths, seed: int) -> dict[str, Any]:
    """:func:`noise_rows` on all photos; one that could not be judged is not found."""
    rows = noise_rows(OffsetTask(space, truths.s, truths.lonlat_deg), seed)
    return {"measured": True, "photos": len(truths.s), "rows": rows}


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
        reader = TokenReader(task.space.index, task.space.model, task.space.field, mode=mode)
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
    read = np.isfinite(scores)  # (P, d, b)
    count = read.sum(axis=2)  # (P, d)
    # 0 points of a photo at a distance give NaN, which the means over photos leave out.
    of_photo = np.where(read, scores, 0).sum(axis=2) / np.where(count, count, np.nan)
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
                "points": int(read[:, column].sum()),
                "points_outside": int((~read[:, column]).sum()),
            }
        )
    return rows


def noise_rows(
    task: OffsetTask,
    seed: int = 0,
    *,
    noise_m: Sequence[float] = NOISE_M,
    k: int = 10,
    within_m: float = 200.0,
) -> Rows:
    """What noise on the coordinates costs, a row for each strength, read as the index is.

    ``recall`` is the share of all photos with one of the k best cells near the truth; a photo
    without a vector or a place counts as not found. ``score`` is the mean cosine with the cell
    nearest to the truth. A cell whose displaced place no frame holds is not read, and counted.

    Args:
        task: the photos.
        seed: of the noise; its directions are the same at every strength.
        noise_m: standard deviations along each axis, metres.
        k: how many of the best cells count.
        within_m: how near one of them must be to the true place.

    Raises:
        UsageError: no photo has a vector and a place.
        SearchIndexError: the index has no token maps.
    """
    usable = task.usable
    s, truth_deg = task.s[usable], task.lonlat_deg[usable]
    field = task.space.field
    nearest = field.nearest(truth_deg)[0]
    reader = TokenReader(task.space.index, task.space.model, field)
    # One draw for all strengths: (2, N) east and north, only scaled from row to row.
    normal = np.random.default_rng([seed, 1]).standard_normal((2, len(field)))
    rows: Rows = []
    for strength_m in noise_m:
        distance_m = strength_m * np.hypot(*normal)
        places = displaced(field.lonlat_deg, np.arctan2(*normal), distance_m)
        z = reader.localized(places)  # (N, D); NaN where no frame holds the displaced place
        read = np.flatnonzero(np.isfinite(z).all(axis=1))
        near = 0
        for start in range(0, len(s), _PHOTOS_AT_ONCE):
            block = slice(start, start + _PHOTOS_AT_ONCE)
            scores = s[block] @ z[read].T
            away_m = rank_distances(scores, truth_deg[block], field.lonlat_deg[read], k)
            near += int((away_m <= within_m).any(axis=1).sum())
        share = near / len(task.s)
        mean, error = mean_and_error(np.einsum("pd,pd->p", s, z[nearest]))
        rows.append(
            {
                "noise_m": float(strength_m),
                "k": k,
                "within_m": within_m,
                "recall": share,
                "recall_standard_error": float(np.sqrt(share * (1 - share) / len(task.s))),
                "score": mean,
                "standard_error": error,
                "photos": len(task.s),
                "cells_unread": len(z) - len(read),
            }
        )
    return rows


def mean_and_error(values: Floats) -> tuple[float | None, float | None]:
    """Mean and standard error of what is finite; None where there is too little."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None, None
    error = float(finite.std(ddof=1) / np.sqrt(len(finite))) if len(finite) > 1 else None
    return float(finite.mean()), error
