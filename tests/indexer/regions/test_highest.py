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


@pytest.mark.parametrize("kind", ["any", "sorted", "one in many", "few levels", "in a crowd"])
def test_of_many_values_a_sample_says_where_to_look(kind: str) -> None:
    """Also where the sample, every 12th value here, misses or meets the highest alone."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=50_000).astype(np.float32)
    if kind == "sorted":
        values.sort()
    if kind == "one in many":
        values[::12] += 9
    if kind == "few levels":
        values = np.round(values)
    if kind == "in a crowd":
        values[1::12] += 9
    everything = np.lexsort((np.arange(50_000), -values))
    for count in (1, 40, 1000, 3000):
        rows = highest_rows(values, count)
        assert rows.tolist() == everything[: len(rows)].tolist()
        assert len(rows) == np.count_nonzero(values >= values[everything[count - 1]])
