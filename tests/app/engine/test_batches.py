"""What is computed together: everyone gets his own result, or his own error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from app_pages import wait_for

from app.engine.batches import Batcher, Sharing


class Doubling:
    """Doubles numbers, a batch at a time; 13 is refused."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()

    def __call__(self, kind: str, numbers: list[int]) -> list[str]:
        self.batches.append(list(numbers))
        assert self.go.wait(20)
        if 13 in numbers:
            raise ValueError("13")
        return [f"{kind}{2 * n}" for n in numbers]


def outcome(future: Future[list[str]] | Future[str]) -> object:
    """The result, or the name of the error."""
    error = future.exception(20)
    return type(error).__name__ if error else future.result()


def test_in_one_thread() -> None:
    work = Doubling()
    batcher = Batcher(4, work, "test")
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(batcher.results, "a", [0], 20)
        wait_for(lambda: work.batches)
        late = pool.submit(batcher.results, "a", [9], 0.05)
        assert outcome(late) == "TimeoutError"
        rest = []
        for kind, numbers in (("a", [1]), ("b", [5]), ("a", [13]), ("a", [3, 4]), ("a", [6])):
            rest.append(pool.submit(batcher.results, kind, numbers, 20))
            wait_for(lambda: len(batcher._waiting) == 1 + len(rest))
        work.go.set()
        assert outcome(first) == ["a0"]
        outcomes = [outcome(future) for future in rest]
    assert outcomes == [["a2"], ["b10"], "ValueError", ["a6", "a8"], ["a12"]]
    # 9 was given up; 13 spoils the batch, whose others are computed again
    assert work.batches[:5] == [[0], [1, 13, 3, 4], [1], [13], [3, 4]]
    assert sorted(work.batches[5:]) == [[5], [6]]
    batcher.close()


def test_closing_tells_who_waits_and_passes_over_who_gave_up() -> None:
    work = Doubling()
    batcher = Batcher(4, work, "test")
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(batcher.results, "a", [0], 20)
        wait_for(lambda: work.batches)
        assert outcome(pool.submit(batcher.results, "a", [9], 0.05)) == "TimeoutError"
        late = pool.submit(batcher.results, "a", [1], 20)
        wait_for(lambda: len(batcher._waiting) == 2)
        closing = pool.submit(batcher.close)
        assert outcome(late) == "UnavailableError"
        work.go.set()
        assert outcome(first) == ["a0"]
        closing.result(20)
    assert work.batches == [[0]]


@pytest.mark.parametrize("most", [1, 4])
def test_by_whoever_has_a_seat(most: int) -> None:
    work, seats = Doubling(), threading.BoundedSemaphore(1)
    sharing = Sharing(most, work)
    work.go.set()

    @contextmanager
    def seat(patience_s: float) -> Iterator[None]:
        if not seats.acquire(timeout=patience_s):
            raise TimeoutError
        try:
            yield
        finally:
            seats.release()

    until = time.monotonic() + 20
    with ThreadPoolExecutor(6) as pool:
        with seat(1):
            late = pool.submit(sharing.result, "a", 9, seat(0.05), until)
            assert outcome(late) == "TimeoutError"
            futures = [pool.submit(sharing.result, "a", n, seat(20), until) for n in (1, 2, 13)]
            futures.append(pool.submit(sharing.result, "b", 5, seat(20), until))
            wait_for(lambda: len(sharing._waiting) == 4)
        outcomes = [outcome(future) for future in futures]
    assert outcomes == ["a2", "a4", "ValueError", "b10"]
    assert not any(9 in batch for batch in work.batches)  # given up, never begun
    assert max(len(batch) for batch in work.batches) == (1 if most == 1 else 3)
    with seat(1):  # free again, after errors too
        pass
    assert not sharing._waiting
