"""Retrieval metrics of a ranking of places: recall by metres, median error, and chance.

Everything here is NumPy on plain arrays. A *cell* is a place that may be named as the answer. Every
photo counts: one that no cell is near to, or whose scores are not finite, is a miss, never left
out. Distances and chance are those of :mod:`indexer.evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats
from gair.errors import UsageError
from indexer.evaluate.baselines import blind_picks
from indexer.evaluate.metrics import KS, nearest_of_first, rank_distances, within

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
        seed: orders cells of equal score.

    Returns:
        (P, k) as :func:`indexer.evaluate.metrics.rank_distances` gives them.
    """
    distances = np.empty((len(photo_vectors), k))
    step = max(1, _BLOCK_NUMBERS // max(1, len(cell_vectors)))
    for start in range(0, len(photo_vectors), step):
        block = slice(start, start + step)
        scores = photo_vectors[block] @ cell_vectors.T
        distances[block] = rank_distances(
            scores,
            photo_lonlat_deg[block],
            cell_lonlat_deg,
            k,
            seed=seed,
            numbers=np.arange(start, start + len(scores)),
        )
    return distances


def retrieval_metrics(
    distances_m: Floats,
    photo_lonlat_deg: Floats,
    cell_lonlat_deg: Floats,
    *,
    ks: Sequence[int] = KS,
    radii_m: Sequence[float] = RADII_M,
) -> dict[str, float]:
    """Recalls and median error, each with chance beside it, by name.

    Chance is what is expected of as many different cells picked blindly, over all photos; its
    median error is right to five metres.

    Args:
        distances_m: (P, K) of :func:`indexer.evaluate.metrics.rank_distances`, K at least the
            largest of ``ks``.
        photo_lonlat_deg: (P, 2) the truth.
        cell_lonlat_deg: (C, 2) all cells that were ranked.
        ks: how many of the best cells may be looked at.
        radii_m: metres.

    Returns:
        ``recall@10_200m``, ``chance_recall@10_200m``, ``median_error_m`` and so on.

    Raises:
        UsageError: there is no photo, or more cells may be looked at than were ranked.
    """
    if not len(distances_m) or not 1 <= min(ks) <= max(ks) <= distances_m.shape[1]:
        raise UsageError(
            f"recall@{max(ks)} of distances with shape {distances_m.shape}: there must be a photo, "
            "and k between 1 and the number of columns"
        )
    first_m = np.where(np.isnan(distances_m[:, 0]), np.inf, distances_m[:, 0])
    picks = blind_picks(photo_lonlat_deg, cell_lonlat_deg, radii_m)
    metrics = {
        "photos": float(len(photo_lonlat_deg)),
        "cells": float(len(cell_lonlat_deg)),
        "median_error_m": float(np.median(first_m)),
        "chance_median_error_m": picks.quantile_m(0.5),
    }
    nearest_m = nearest_of_first(distances_m, ks)
    recall = np.stack([within(column, radii_m).mean(axis=0) for column in nearest_m.T])
    chance = np.stack([picks.found(k).mean(axis=0) for k in ks])  # (len(ks), len(radii_m)), both
    for column, radius_m in enumerate(radii_m):
        for row, k in enumerate(ks):
            name = recall_name(k, radius_m)
            metrics[name] = float(recall[row, column])
            metrics[f"chance_{name}"] = float(chance[row, column])
    return metrics


def recall_name(k: int, radius_m: float) -> str:
    """The name of a recall in metrics: ``recall@10_200m``."""
    return f"recall@{k}_{radius_m:g}m"
