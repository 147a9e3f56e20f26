"""Which photos make which batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gair.arrays import Ints
from training.dataset.batches.loader import epoch_plan


def photos_of(sizes: list[int], group_photos: int = 4) -> tuple[Ints, Ints]:
    """Footprint and row group of the photos of footprints with these many photos."""
    footprint = np.repeat(np.arange(len(sizes)), sizes)
    group = np.concatenate(
        [np.arange(size) // group_photos + 1000 * n for n, size in enumerate(sizes)]
    )
    return footprint, np.unique(group, return_inverse=True)[1]


def plan_of(sizes: list[int], **changes: Any) -> Ints:
    options = {"seed": 0, "epoch": 0, "batch_photos": 8, "photos_per_footprint": 1} | changes
    return epoch_plan(*photos_of(sizes), **options)


SIZES = [5, 1, 12, 3, 30, 2, 7, 9, 1, 1, 4, 16]
"""91 photos."""


@pytest.mark.parametrize("per_footprint", [1, 2, 4, 100])
@pytest.mark.parametrize("window", [1, 3, 256])
def test_every_photo_comes_at_most_once_and_few_are_left(per_footprint: int, window: int) -> None:
    plan = plan_of(SIZES, photos_per_footprint=per_footprint, window=window)
    assert plan.shape == (91 // 8, 8)
    assert len(np.unique(plan)) == plan.size
    assert plan.min() >= 0
    assert plan.max() < 91
    assert plan.dtype == np.int64


def test_a_plan_depends_on_seed_and_epoch_only() -> None:
    np.testing.assert_array_equal(plan_of(SIZES), plan_of(SIZES))
    assert not np.array_equal(plan_of(SIZES), plan_of(SIZES, epoch=1))
    assert not np.array_equal(plan_of(SIZES), plan_of(SIZES, seed=1))
    assert not np.array_equal(plan_of(SIZES, epoch=1), plan_of(SIZES, seed=1))


def test_what_one_epoch_leaves_comes_in_others() -> None:
    seen = {int(n) for epoch in range(40) for n in plan_of(SIZES, epoch=epoch).flat}
    assert seen == set(range(91))


@pytest.mark.parametrize("per_footprint", [1, 4])
def test_rows_are_sorted_by_footprint(per_footprint: int) -> None:
    footprint, _ = photos_of(SIZES)
    plan = plan_of(SIZES, photos_per_footprint=per_footprint)
    assert (np.diff(footprint[plan], axis=1) >= 0).all()


def test_photos_of_a_footprint_come_together() -> None:
    sizes = [16] * 20
    footprint, _ = photos_of(sizes)
    for row in plan_of(sizes, photos_per_footprint=4):
        counts = np.bincount(footprint[row])
        assert (counts % 4 == 0).all()


def test_which_photos_come_together_changes() -> None:
    footprint, _ = photos_of([16] * 4)
    pairs = set()
    for epoch in range(60):
        plan = plan_of([16] * 4, photos_per_footprint=2, batch_photos=2, epoch=epoch)
        pairs |= {tuple(sorted(row)) for row in plan.tolist() if footprint[row[0]] == 0}
    assert len(pairs) > 90  # of 120, so across row groups too


def test_independent_photos_are_spread_over_the_footprints() -> None:
    sizes = [32] * 64
    footprint, _ = photos_of(sizes)
    plan = plan_of(sizes, batch_photos=32, window=256)
    different = [len(np.unique(footprint[row])) for row in plan]
    # 32 draws out of 64 meet 64 (1 - (63/64)^32) = 25.3 different ones.
    assert np.mean(different) == pytest.approx(25.3, abs=1.5)


def test_footprints_with_few_photos_take_part() -> None:
    plan = plan_of([1] * 16 + [2] * 8, photos_per_footprint=4)
    assert plan.size == 32
    assert len(np.unique(plan)) == 32


@pytest.mark.parametrize("window", [1, 2, 8])
def test_only_a_window_of_row_groups_is_read_at_once(window: int) -> None:
    sizes = [4] * 64  # row groups of 4
    _, group = photos_of(sizes)
    plan = plan_of(sizes, batch_photos=4, window=window)
    for start in range(0, 64, window):
        here = plan[start : start + window]
        assert len(np.unique(group[here])) == window
    starts = [set(group[plan_of(sizes, batch_photos=4, window=1, epoch=e)[0]]) for e in range(9)]
    assert len(set(map(frozenset, starts))) > 3  # the windows themselves are shuffled


def test_less_than_a_batch_makes_none() -> None:
    assert plan_of([3, 2]).shape == (0, 8)
    assert epoch_plan(
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
        seed=0,
        epoch=0,
        batch_photos=4,
        photos_per_footprint=1,
    ).shape == (0, 4)
