"""Folds of places: at random, or by blocks of a grid of degrees that stay together.

The assignments are those of the published numbers, which start from a seed: the blocks in order of
latitude, then longitude, are numbered by NumPy's permutation, places at random by torch's; each
number modulo five is a fold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from gair.arrays import Floats, Ints
from gair.check.coordbench import BLOCKS_DEG

FOLDS = 5
SMALLER_DEG = {2: 1, 10: 5, 20: 10, 40: 20}
"""Block size to the next smaller one of the published ladder (0.25, 0.5, 1, 2, 5, 10, 20, 40)."""


def random_folds(rows: Ints, seed: int) -> list[Ints]:
    """Five parts of some rows drawn at random, as equal as can be; none of them empty."""
    generator = torch.Generator().manual_seed(seed)
    shuffled = rows[torch.randperm(len(rows), generator=generator).numpy()]
    return [part for part in (shuffled[start::FOLDS] for start in range(FOLDS)) if len(part)]


def block_folds(lonlat_deg: Floats, block_deg: float, seed: int) -> Ints:
    """(N,) the fold of each place, that of its block.

    Args:
        lonlat_deg: (N, 2).
        block_deg: side of a block; one has its corner at 0, 0.
        seed: of the blocks' numbers.
    """
    corners = np.floor(lonlat_deg[:, ::-1] / block_deg).astype(np.int64)  # (lat, lon)
    blocks, block_of_place = np.unique(corners, axis=0, return_inverse=True)
    numbers = np.random.default_rng(seed).permutation(len(blocks))
    fold_of_place: Ints = numbers[block_of_place.ravel()] % FOLDS
    return fold_of_place


def counts_at(lonlat_deg: Floats, block_deg: int, seeds: Sequence[int]) -> bool:
    """Whether a data set counts at a block size: the blocks must make folds, and other ones.

    Where a smaller size divides the places into the same folds already, the larger one holds out
    nothing further away, and the published means leave the data set out.
    """
    if not block_deg:
        return True
    for seed in seeds:
        folds = block_folds(lonlat_deg, block_deg, seed)
        if len(np.unique(folds)) < 2:
            return False
        smaller = block_folds(lonlat_deg, SMALLER_DEG[block_deg], seed)
        if np.array_equal(_by_appearance(folds), _by_appearance(smaller)):
            return False
    return True


def _by_appearance(folds: Ints) -> Ints:
    """The folds numbered by where each appears first, so that only the division counts."""
    _, first, fold = np.unique(folds, return_index=True, return_inverse=True)
    renumbered: Ints = np.argsort(np.argsort(first))[fold]
    return renumbered


assert set(SMALLER_DEG) == set(BLOCKS_DEG) - {0}
