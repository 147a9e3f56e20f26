"""Conditions of calibration photos: what they were like, for later photos to be compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gair.arrays import Bools, Floats, Ints, Vectors
from gair.photos.taught import Altered
from indexer.photos.altered import AlteredPhotos
from indexer.probability.conditions import CalibratedConditions, fit_conditions, pixel_values
from indexer.probability.out_of_index import (
    OutOfIndexTest,
    Whereabouts,
    kept_rows,
    nearest_cosine,
)

MOST_PHOTOS = 2_000
"""Photos that are kept to compare with."""


def conditions_of(
    values: Floats,
    labels: Sequence[str],
    s: Vectors,
    where: Whereabouts,
    test: OutOfIndexTest,
    seed: int,
    altered: AlteredPhotos | None = None,
) -> tuple[CalibratedConditions, Ints, Ints]:
    """What (P,) calibration photos are like.

    Args:
        values: (P, C) their conditions.
        labels: (P,) the condition that the list names; empty text for none.
        s: (P, D) their vectors.
        where: they were taken.
        test: made of the same photos with the same seed.
        seed: chooses :data:`MOST_PHOTOS` where there are more.
        altered: some of these photos, altered, by their row; None teaches no look.

    Returns:
        It, and (P,) the condition that is named of each photo, and that each looks like among
        photos of other places: rows of its ``named``; -1 for none.
    """
    kept, rows = kept_rows(len(s), seed), np.arange(len(s))
    if len(rows) > MOST_PHOTOS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_PHOTOS, replace=False))

    def passed_over(block: slice) -> Bools:
        return where.same(rows[block], kept)

    likeness = nearest_cosine(s[rows], test.s, passed_over)
    some = [labels[row] for row in rows.tolist()]
    taught = (
        {}
        if altered is None
        else {
            name: Altered(pixel_values(of_look), where.place[altered.rows])
            for name, of_look in altered.values.items()
        }
    )
    fitted = fit_conditions(values[rows], likeness, where.place[rows], some, taught)
    named = [fitted.named.index(label) if label in fitted.named else -1 for label in labels]
    guessed = fitted.guess(values, where.place[:, None] == where.place[rows])
    return fitted, np.array(named), guessed
