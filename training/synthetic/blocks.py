"""Blocks of a city that no training photo comes from, to test a city that is otherwise seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools
from training.synthetic.noise import hashed, uniform

BLOCK_M = 1200.0
"""Side of a block."""
BUFFER_M = 250.0
"""Photos nearer than this to a held-out block are in no split."""
HELD_OUT_SHARE = 0.2
"""Share of a city's blocks that is held out."""


def held_out(seed: int, x_m: npt.ArrayLike, y_m: npt.ArrayLike, *, grow_m: float = 0.0) -> Bools:
    """Whether points lie in a held-out block of a city, or within ``grow_m`` of one.

    Args:
        seed: of the city.
        x_m: metres to the east of the city's corner.
        y_m: metres to the south of it.
        grow_m: less than :data:`BLOCK_M`; blocks grow by this much on each side.
    """
    x, y = np.asarray(x_m, dtype=np.float64), np.asarray(y_m, dtype=np.float64)
    found = np.zeros(np.broadcast(x, y).shape, dtype=bool)
    for dx in (-grow_m, 0.0, grow_m):
        for dy in (-grow_m, 0.0, grow_m):
            column = np.floor((x + dx) / BLOCK_M).astype(np.int64)
            row = np.floor((y + dy) / BLOCK_M).astype(np.int64)
            found |= uniform(hashed(seed, 4242, row, column)) < HELD_OUT_SHARE
    return found
