"""Areas of a city that training photos keep out of: held-out blocks, and gaps between streets.

Both are functions of the city's seed and a place, so whoever asks gets the same answer. *Blocks* of
over a kilometre ask what a model knows of streets around which it saw nothing; *gaps* are so small
that training photos stand all around: what does it know of places between them?
"""

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

GAP_M = 150.0
"""Side of a gap."""
GAP_BUFFER_M = 25.0
"""No training photo stands nearer than this to a gap."""
GAP_STEP_M = 530.0
"""There is a gap in each square of this side: 8 percent of the ground."""

_BLOCKS, _GAPS = 4242, 4243


def held_out(seed: int, x_m: npt.ArrayLike, y_m: npt.ArrayLike, *, grow_m: float = 0.0) -> Bools:
    """Whether points lie in a held-out block of a city, or within ``grow_m`` of one.

    Args:
        seed: of the city.
        x_m: metres to the east of the city's corner.
        y_m: metres to the south of it.
        grow_m: less than :data:`BLOCK_M`; blocks grow by this much on each side.
    """
    x, y = np.asarray(x_m, dtype=np.float64), np.asarray(y_m, dtype=np.float64)
    inside = np.zeros(np.broadcast(x, y).shape, dtype=bool)
    for dx in (-grow_m, 0.0, grow_m):
        for dy in (-grow_m, 0.0, grow_m):
            column = np.floor((x + dx) / BLOCK_M).astype(np.int64)
            row = np.floor((y + dy) / BLOCK_M).astype(np.int64)
            inside |= uniform(hashed(seed, _BLOCKS, row, column)) < HELD_OUT_SHARE
    return inside


def in_gap(seed: int, x_m: npt.ArrayLike, y_m: npt.ArrayLike, *, grow_m: float = 0.0) -> Bools:
    """Whether points lie in a gap of a city, or within ``grow_m`` of one.

    Args:
        seed: of the city.
        x_m: metres to the east of the city's corner.
        y_m: metres to the south of it.
        grow_m: at most :data:`GAP_BUFFER_M`; gaps grow by this much on each side.
    """
    x, y = np.asarray(x_m, dtype=np.float64), np.asarray(y_m, dtype=np.float64)
    row, column = (np.floor(along / GAP_STEP_M).astype(np.int64) for along in (y, x))
    square = hashed(seed, _GAPS, row, column)
    # With its buffer a gap stays inside its square, so no other square's need be looked at.
    room_m = GAP_STEP_M - GAP_M - 2 * GAP_BUFFER_M
    west = column * GAP_STEP_M + GAP_BUFFER_M + room_m * uniform(square, 1)
    north = row * GAP_STEP_M + GAP_BUFFER_M + room_m * uniform(square, 2)
    across = np.abs(x - west - GAP_M / 2) <= GAP_M / 2 + grow_m
    down = np.abs(y - north - GAP_M / 2) <= GAP_M / 2 + grow_m
    return np.asarray(across & down)


def for_training(seed: int, x_m: npt.ArrayLike, y_m: npt.ArrayLike) -> Bools:
    """Whether a training photo of the seen city may come from points."""
    blocked = held_out(seed, x_m, y_m, grow_m=BUFFER_M)
    return np.asarray(~blocked & ~in_gap(seed, x_m, y_m, grow_m=GAP_BUFFER_M))


def between_training_places(seed: int, x_m: npt.ArrayLike, y_m: npt.ArrayLike) -> Bools:
    """Whether points lie in a gap that training photos may stand around."""
    return np.asarray(in_gap(seed, x_m, y_m) & ~held_out(seed, x_m, y_m, grow_m=BUFFER_M))
