"""Areas that training photos keep out of: how much ground they take, and what lies around them."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic.areas import (
    BUFFER_M,
    GAP_BUFFER_M,
    GAP_M,
    GAP_STEP_M,
    between_training_places,
    for_training,
    held_out,
    in_gap,
)

STEP_M = 10.0
AT = (np.arange(900) + 0.5) * STEP_M
X_M, Y_M = AT[None, :], AT[:, None]


def test_gaps_are_squares_of_eight_percent_of_the_ground() -> None:
    inside = in_gap(1, X_M, Y_M)
    assert inside.mean() == pytest.approx(0.08, abs=0.006)
    side = int(GAP_STEP_M / STEP_M)
    tiles = inside[: 16 * side, : 16 * side].reshape(16, side, 16, side)
    high, wide = tiles.any(axis=3).sum(axis=1), tiles.any(axis=1).sum(axis=2)
    np.testing.assert_array_equal(high * wide, tiles.sum(axis=(1, 3)))
    assert {*high.ravel()} == {*wide.ravel()} == {GAP_M / STEP_M}
    assert not np.array_equal(inside, in_gap(2, X_M, Y_M))


def test_training_places_lie_around_gaps_and_keep_their_distance() -> None:
    gap, training = between_training_places(1, X_M, Y_M), for_training(1, X_M, Y_M)
    assert not (gap & training).any()
    assert not (training & in_gap(1, X_M, Y_M, grow_m=GAP_BUFFER_M)).any()
    assert not (training & held_out(1, X_M, Y_M, grow_m=BUFFER_M)).any()
    assert not (gap & held_out(1, X_M, Y_M, grow_m=BUFFER_M)).any()
    # Within the half of a gap, its buffer and a step there are training places on all four sides,
    # unless a held-out block is near.
    far = int((GAP_M + GAP_BUFFER_M) / STEP_M) + 1
    rows, columns = np.nonzero(gap)
    here = (np.minimum(rows, columns) > far) & (np.maximum(rows, columns) < len(AT) - far)
    rows, columns = rows[here], columns[here]
    sides = [
        training[rows + far * down, columns + far * right]
        for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0))
    ]
    assert np.mean(sides) > 0.9


def test_a_buffer_never_reaches_into_the_next_gap() -> None:
    grown = in_gap(1, X_M, Y_M, grow_m=GAP_BUFFER_M)
    around = np.zeros_like(grown)
    for dx in (-GAP_BUFFER_M, 0, GAP_BUFFER_M):
        for dy in (-GAP_BUFFER_M, 0, GAP_BUFFER_M):
            around |= in_gap(1, X_M + dx, Y_M + dy)
    np.testing.assert_array_equal(grown, around)
