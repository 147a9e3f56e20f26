"""Rows of the highest values are those that sorting all of them gives."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.regions.highest import highest_rows


@pytest.mark.parametrize("levels", [3, 40, 10**6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_they_are_the_first_of_all_sorted(levels: int, dtype: type) -> None:
    rng = np.random.default_rng(levels)
    for count in (1, 2, 17, 199, 200, 300):
        values = rng.integers(-levels, levels, 200).astype(dtype)
        values[rng.choice(200, 40)] = -np.inf  # such as what a prior leaves out
        everything = sorted(range(200), key=lambda row: (-values[row], row))  # noqa: B023
        rows = highest_rows(values, count)
        assert rows.tolist() == everything[: len(rows)]
        assert len(rows) >= min(count, 200)
        if len(rows) < 200:  # others only where they equal the last one that was asked for
            assert values[everything[len(rows)]] < values[everything[count - 1]]
        assert (values[rows[count:]] == values[rows[min(count, 200) - 1]]).all()


def test_of_nothing_there_is_nothing() -> None:
    assert highest_rows(np.empty(0), 5).tolist() == []
