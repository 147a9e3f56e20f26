"""The location queue: real places only, first in, first out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gair.errors import TrainingError, UsageError
from training.pretraining.step import LocationQueue


def places(first: int, count: int) -> Tensor:
    """(count, 2) numbered places."""
    lon = torch.arange(first, first + count, dtype=torch.float64)
    return torch.stack([lon, -lon / 2], dim=1)


def numbers(queue: LocationQueue) -> list[int]:
    return sorted(int(lon) for lon, _ in queue.lonlat_deg.tolist())


def test_an_empty_queue_hands_out_nothing() -> None:
    queue = LocationQueue(5)
    assert len(queue) == 0
    assert queue.lonlat_deg.shape == (0, 2)
    assert not queue.valid.any()


def test_only_what_was_pushed_comes_out() -> None:
    queue = LocationQueue(5)
    queue.push(places(1, 3))
    assert torch.equal(queue.lonlat_deg, places(1, 3))
    assert queue.valid.tolist() == [True, True, True, False, False]


def test_the_oldest_make_room_around_the_end() -> None:
    queue = LocationQueue(5)
    for first in (1, 4, 7, 10):  # three at a time into five places
        queue.push(places(first, 3))
    assert numbers(queue) == [8, 9, 10, 11, 12]
    assert torch.equal(queue.lonlat_deg[:, 1], -queue.lonlat_deg[:, 0] / 2)


def test_of_a_batch_larger_than_the_queue_the_last_stay() -> None:
    queue = LocationQueue(4)
    queue.push(places(1, 2))
    queue.push(places(10, 11))
    assert numbers(queue) == [17, 18, 19, 20]
    queue.push(places(30, 1))
    assert numbers(queue) == [18, 19, 20, 30]


def test_a_queue_of_no_places_stays_empty() -> None:
    queue = LocationQueue(0)
    queue.push(places(1, 3))
    assert len(queue) == 0
    with pytest.raises(UsageError, match="queue_size is -1"):
        LocationQueue(-1)


@pytest.mark.parametrize("pushes", [1, 2, 3])
def test_state_goes_on_where_it_stopped(pushes: int) -> None:
    queue = LocationQueue(5)
    for i in range(pushes):
        queue.push(places(1 + 3 * i, 3))
    state = queue.state_dict()
    resumed = LocationQueue(5)
    resumed.load_state_dict(state)
    for each in (queue, resumed):
        each.push(places(50, 4))
    assert len(queue) == len(resumed)
    assert torch.equal(queue.lonlat_deg, resumed.lonlat_deg)
    assert float(state["lonlat_deg"].nan_to_num(0).max()) < 50  # the state is a copy


def test_a_state_of_another_size_is_refused() -> None:
    with pytest.raises(TrainingError, match="holds 5 places and this run's 4: resume with"):
        LocationQueue(4).load_state_dict(LocationQueue(5).state_dict())


def test_full_precision_is_kept() -> None:
    queue = LocationQueue(2)
    exact = torch.tensor([[139.123456789012, 35.987654321098]], dtype=torch.float64)
    queue.push(exact)
    assert torch.equal(queue.lonlat_deg, exact)
