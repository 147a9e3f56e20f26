"""How well a ranking of places finds the truth: recall by metres, median error, and chance.

Everything here is NumPy on plain arrays. A *cell* is a place that may be named as the answer. Every
photo counts: one that no cell is near to, or whose scores are not finite, is a miss, never left
out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats
from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.evaluate.baselines import blind_picks, found_by_chance, squared_chords
from indexer.regions.cell_field import chord_of

KS = (1, 10, 100)
"""How many of the best cells may be looked at."""
RADII_M = (200.0, 1000.0)
"""How near to the truth counts as found."""

_BLOCK_NUMBERS = 4 << 20
"""Numbers of a (photos, cells) matrix that are held at once."""


def nearest_first_distances(
    photo_vectors: npt.NDArray[np.float32],
    cell_vectors: npt.NDArray[np.float32],
    photo_lonlat_deg: Floats,
    cell_lonlat_deg: Floats,
    k: int,
    *,
    seed: int = 0,
) -> Floats:
    """Rank all cells for each photo by inner product, a block of photos at a time.

    Args:
        photo_vectors: (P, D), unit length for cosines.
        cell_vectors: (C, D).
        photo_lonlat_deg: (P, 2) the truth.
        cell_lonlat_deg: (C, 2).
        k: how many of the best cells.
        seed: orders cells of equal score, see :func:`rank_distances`.

    Returns:
        (P, k) as :func:`rank_distances` gives them.
    """
    distances = np.empty((len(photo_vectors), k))
    step = max(1, _BLOCK_NUMBERS // max(1, len(cell_vectors)))
    for start in range(0, len(photo_vectors), step):
        block = slice(start, start + step)
        distances[block] = rank_distances(
            photo_vectors[block] @ cell_vectors.T,
            photo_lonlat_deg[block],
            cell_lonlat_deg,
            k,
            seed=seed,
            first_photo=start,
        )
    return distances


def rank_distances(
    scores: npt.NDArray[np.floating],
    photo_lonlat_deg: Floats,
    cell_lonlat_deg: Floats,
    k: int,
    *,
    seed: int = 0,
    first_photo: int = 0,
) -> Floats:
    """How far the best cells of each photo are from the truth.

    Cells of equal score come in a random order that depends on the seed and the photo's number
    only. Where a whole frame has one vector, the order of rows would favour one of its corners.

    Args:
        scores: (P, C), higher is better.
        photo_lonlat_deg: (P, 2) the truth.
        cell_lonlat_deg: (C, 2).
        k: how many of the best cells.
        seed: of the order among equals.
        first_photo: number of the first photo, where these are a block of more.

    Returns:
        (P, k) metres, best cell first; infinite where there are fewer than k cells, or where a
        photo has a score that is not a number.
    """
    if scores.shape != (len(photo_lonlat_deg), len(cell_lonlat_deg)) or k < 1:
        raise UsageError(
            f"scores have shape {scores.shape} for {len(photo_lonlat_deg)} photos and "
            f"{len(cell_lonlat_deg)} cells, k is {k}: expected (photos, cells) and k from 1"
        )
    distances = np.full((len(scores), k), np.inf)
    for photo, row in enumerate(scores):
        if not len(row) or np.isnan(row).any():
            continue
        rng = np.random.default_rng([seed, first_photo + photo])
        best = _best(row, k, rng)
        distances[photo, : len(best)] = haversine_m(cell_lonlat_deg[best], photo_lonlat_deg[photo])
    return distances


def _best(row: npt.NDArray[np.floating], k: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """The k highest scores, highest first, equals in random order."""
    cells = np.arange(len(row))
    if k < len(row):
        threshold = np.partition(row, len(row) - k)[len(row) - k]
        above, equal = np.flatnonzero(row > threshold), np.flatnonzero(row == threshold)
        if len(equal) > k - len(above):
            equal = rng.choice(equal, size=k - len(above), replace=False)
        cells = np.concatenate([above, equal])
    order = np.lexsort((rng.random(len(cells)), -row[cells]))
    return np.asarray(cells[order], dtype=np.int64)


def recall_at(distances_m: Floats, k: int, radius_m: float) -> float:
    """Share of photos with one of the first k cells within a radius: (P, K) metres, k up to K."""
    if not len(distances_m) or not 1 <= k <= distances_m.shape[1]:
        raise UsageError(
            f"recall@{k} of distances with shape {distances_m.shape}: there must be a photo, and k "
            "between 1 and the number of columns"
        )
    return float((distances_m[:, :k] <= radius_m).any(axis=1).mean())


def median_error_m(distances_m: Floats) -> float:
    """Median distance of the best cell, (P, K) metres; infinite if half the photos have none."""
    if not len(distances_m):
        raise UsageError("the median error of no photos: there must be one")
    first = distances_m[:, 0]
    return float(np.median(np.where(np.isnan(first), np.inf, first)))


def chance_recall(
    photo_lonlat_deg: Floats, cell_lonlat_deg: Floats, k: int, radius_m: float
) -> float:
    """What recall@k is expected of k different cells picked blindly.

    Of N cells, m lie within the radius of a photo: 1 - C(N - m, k) / C(N, k), averaged over the
    photos, with all cells picked where there are fewer than k.
    """
    near = np.zeros(len(photo_lonlat_deg))
    edge = (chord_of(radius_m) * (1 + 1e-9)) ** 2
    for block, chord_squared in squared_chords(photo_lonlat_deg, cell_lonlat_deg):
        near[block] = (chord_squared <= edge).sum(axis=1)
    return float(found_by_chance(near, len(cell_lonlat_deg), k).mean())


def chance_median_error_m(photo_lonlat_deg: Floats, cell_lonlat_deg: Floats) -> float:
    """The median distance of a cell picked blindly, over all photos; to five metres."""
    return blind_picks(photo_lonlat_deg, cell_lonlat_deg, ()).quantile_m(0.5)


def retrieval_metrics(
    distances_m: Floats,
    photo_lonlat_deg: Floats,
    cell_lonlat_deg: Floats,
    *,
    ks: Sequence[int] = KS,
    radii_m: Sequence[float] = RADII_M,
) -> dict[str, float]:
    """Recalls and median error, each with chance beside it, by name.

    Args:
        distances_m: (P, K) of :func:`rank_distances`, K at least the largest of ``ks``.
        photo_lonlat_deg: (P, 2) the truth.
        cell_lonlat_deg: (C, 2) all cells that were ranked.
        ks: how many of the best cells may be looked at.
        radii_m: metres.

    Returns:
        ``recall@10_200m``, ``chance_recall@10_200m``, ``median_error_m`` and so on.
    """
    metrics = {
        "photos": float(len(photo_lonlat_deg)),
        "cells": float(len(cell_lonlat_deg)),
        "median_error_m": median_error_m(distances_m),
        "chance_median_error_m": chance_median_error_m(photo_lonlat_deg, cell_lonlat_deg),
    }
    for radius_m in radii_m:
        for k in ks:
            name = recall_name(k, radius_m)
            metrics[name] = recall_at(distances_m, k, radius_m)
            chance = chance_recall(photo_lonlat_deg, cell_lonlat_deg, k, radius_m)
            metrics[f"chance_{name}"] = chance
    return metrics


def recall_name(k: int, radius_m: float) -> str:
    """The name of a recall in metrics: ``recall@10_200m``."""
    return f"recall@{k}_{radius_m:g}m"
