"""Conditions of calibration photos: what they were like, for later photos to be compared with."""

from __future__ import annotations

import numpy as np

from gair.arrays import Bools, Floats, Vectors
from indexer.probability.conditions import CalibratedConditions, fit_conditions
from indexer.probability.out_of_index import (
    OutOfIndexTest,
    Whereabouts,
    kept_rows,
    nearest_cosine,
)

MOST_PHOTOS = 2_000
"""Photos that are kept to compare with."""


def conditions_of(
    values: Floats, s: Vectors, where: Whereabouts, test: OutOfIndexTest, seed: int
) -> CalibratedConditions:
    """What (P,) calibration photos are like.

    Args:
        values: (P, C) their conditions.
        s: (P, D) their vectors.
        where: they were taken.
        test: made of the same photos with the same seed.
        seed: chooses :data:`MOST_PHOTOS` where there are more.
    """
    kept, rows = kept_rows(len(s), seed), np.arange(len(s))
    if len(rows) > MOST_PHOTOS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_PHOTOS, replace=False))

    def passed_over(block: slice) -> Bools:
        return where.same(rows[block], kept)

    return fit_conditions(
        values[rows], nearest_cosine(s[rows], test.s, passed_over), where.place[rows]
    )
