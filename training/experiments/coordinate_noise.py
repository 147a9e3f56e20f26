"""What wrong coordinates cost: an index whose cells were read where they are not.

Every cell is read at a place displaced by Gaussian noise, while it keeps claiming to be where it
was. That is what a shift between imagery and map does, or photos with a poor fix in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats, Vectors
from indexer.evaluate.metrics import nearest_of_best_cells
from indexer.evaluate.offset import OffsetTask, displaced, mean_and_error
from indexer.search.token_reader import TokenReader

Rows = list[dict[str, Any]]

NOISE_M = (0.0, 25, 50, 100, 200, 400)

_PHOTOS_AT_ONCE = 256


@dataclass(frozen=True)
class NoiseOptions:
    """How much noise, and what counts as found."""

    noise_m: tuple[float, ...] = NOISE_M
    """Standard deviations along each axis."""
    k: int = 10
    """How many of the best cells count."""
    within_m: float = 200.0
    """How near one of them must be to the true place."""
    seed: int = 0
    """Of the noise; its directions are the same at every strength."""


def noise_rows(task: OffsetTask, options: NoiseOptions | None = None) -> Rows:
    """What noise on the coordinates costs, a row for each strength, read as the index is.

    ``recall`` is the share of all photos with one of the k best cells near the truth; a photo
    without a vector or a place counts as not found. ``score`` is the mean cosine with the cell
    nearest to the truth. A cell whose displaced place no frame holds is not read, and counted.

    Raises:
        UsageError: no photo has a vector and a place.
        SearchIndexError: the index has no token maps.
    """
    options = options or NoiseOptions()
    usable = task.usable
    s, truth = task.s[usable], task.lonlat_deg[usable]
    nearest = task.field.nearest(truth)[0]
    reader = TokenReader(task.index, task.model, task.field)
    normal = np.random.default_rng([options.seed, 1]).standard_normal((2, len(task.field)))
    rows: Rows = []
    for noise_m in options.noise_m:
        distance_m = noise_m * np.hypot(*normal)
        places = displaced(task.field.lonlat_deg, np.arctan2(*normal), distance_m)
        z = reader.localized(places)
        read = np.flatnonzero(np.isfinite(z).all(axis=1))
        found = 0
        for start in range(0, len(s), _PHOTOS_AT_ONCE):
            some = slice(start, start + _PHOTOS_AT_ONCE)
            cells = task.field.lonlat_deg[read]
            found += int(_found(s[some] @ z[read].T, cells, truth[some], options).sum())
        own = np.einsum("pd,pd->p", s, z[nearest])
        mean, error = mean_and_error(own)
        share = found / len(task.s)
        rows.append(
            {
                "noise_m": float(noise_m),
                "k": options.k,
                "within_m": options.within_m,
                "recall": share,
                "recall_standard_error": float(np.sqrt(share * (1 - share) / len(task.s))),
                "score": mean,
                "standard_error": error,
                "photos": len(task.s),
                "cells_unread": len(z) - len(read),
            }
        )
    return rows


def _found(
    scores: Vectors, lonlat_deg: Floats, truth: Floats, options: NoiseOptions
) -> npt.NDArray[np.bool_]:
    """(P,) whether one of the k best of (N,) cells is near enough."""
    away_m = nearest_of_best_cells(scores, lonlat_deg, truth, [options.k])[:, 0]
    return np.asarray(away_m <= options.within_m)
