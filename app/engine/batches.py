"""Batches of what waits at the same moment: photos to encode, places to refine.

Nobody is made to wait for company: while one batch is computed the next one gathers. Whoever asked
too much of a batch fails alone: a batch that failed is computed again, question by question.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.engine.admission import STOPPING
from gair.errors import UnavailableError

Kind = TypeVar("Kind")
"""What the questions of a batch must have in common: the same object."""
Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Kind, list[Item]], Sequence[Result]]
"""Computes a batch: one result an item, in order."""


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[Kind, Item, Result]):
    kind: Kind
    items: Sequence[Item]
    answer: Future[list[Result]]


class Batcher(Generic[Kind, Item, Result]):
    """One thread that computes whatever waits, as much of one kind together as allowed."""

    def __init__(self, most: int, work: Work[Kind, Item, Result], name: str) -> None:
        """Start the thread.

        Args:
            most: items in a batch; one question alone may have more.
            work: computes a batch.
            name: of the thread.
        """
        self._most = most
        self._work = work
        self._waiting: deque[_Waiting[Kind, Item, Result]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self.batches = 0
        """Batches so far."""
        self.items = 0
        """Items in them."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def results(self, kind: Kind, items: Sequence[Item], timeout_s: float) -> list[Result]:
        """A result for each item.

        Raises:
            TimeoutError: it took too long; if it was not begun by then, it never will be.
            UnavailableError: the server is stopping.
        """
        mine = _Waiting[Kind, Item, Result](kind, items, Future())
        with self._changed:
            if self._stopping:
                raise UnavailableError(STOPPING)
            self._waiting.append(mine)
            self._changed.notify()
        try:
            return mine.answer.result(timeout_s)
        except TimeoutError:
            mine.answer.cancel()  # of no effect once its batch has begun
            raise

    def close(self) -> None:
        """Finish the batch that is computed; what waits is told that the server stops."""
        with self._changed:
            self._stopping = True
            late, self._waiting = list(self._waiting), deque()
            self._changed.notify()
        for question in late:
            if question.answer.set_running_or_notify_cancel():  # else it was given up meanwhile
                question.answer.set_exception(UnavailableError(STOPPING))
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self.batches += 1
            self.items += sum(len(question.items) for question in batch)
            _compute(batch, self._work)
            del batch  # not kept until the next photo comes

    def _next(self) -> list[_Waiting[Kind, Item, Result]]:
        """What is computed next, all of one kind; empty when the server stops."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return []
                if batch := _gather(self._waiting, self._most):
                    return batch


class Sharing(Generic[Kind, Item, Result]):
    """Whoever gets a seat computes for all who wait for one; no thread of its own."""

    def __init__(self, most: int, work: Work[Kind, Item, Result]) -> None:
        """Take how many items a batch has at most, and what computes one."""
        self._most = most
        self._work = work
        self._waiting: deque[_Waiting[Kind, Item, Result]] = deque()
        self._lock = threading.Lock()

    def result(
        self, kind: Kind, item: Item, seat: AbstractContextManager[None], deadline: float
    ) -> Result:
        """The result for an item.

        Args:
            kind: what it can be computed together with.
            item: what is asked.
            seat: one of the few that may compute.
            deadline: by ``time.monotonic``.

        Raises:
            TimeoutError: it took too long; if it was not begun by then, it never will be.
        """
        mine = _Waiting[Kind, Item, Result](kind, [item], Future())
        with self._lock:
            self._waiting.append(mine)
        try:
            with seat:
                # Whoever had the seat before may have computed this question as well. Then its
                # result is there, or comes from the one who is at it.
                if batch := self._take_with(mine):
                    _compute(batch, self._work)
            return mine.answer.result(max(0.0, deadline - time.monotonic()))[0]
        except BaseException:  # no seat in time, or an error of this question
            mine.answer.cancel()
            with self._lock:
                if mine in self._waiting:
                    self._waiting.remove(mine)
            raise

    def _take_with(self, mine: _Waiting[Kind, Item, Result]) -> list[_Waiting[Kind, Item, Result]]:
        """This one and what waits with it; none if somebody else has taken it already."""
        with self._lock:
            if mine not in self._waiting:
                return []
            # To the front: a batch begins with the first that waits, and this one must be in it.
            self._waiting.remove(mine)
            self._waiting.appendleft(mine)
            return _gather(self._waiting, self._most)


def _gather(
    waiting: deque[_Waiting[Kind, Item, Result]], most: int
) -> list[_Waiting[Kind, Item, Result]]:
    """Take the first that waits, and others of its kind as far as there is room."""
    batch: list[_Waiting[Kind, Item, Result]] = []
    others: list[_Waiting[Kind, Item, Result]] = []
    while waiting:
        question = waiting.popleft()
        # The first goes in whatever its size, so that none waits for ever; the others keep order.
        if batch and not (question.kind is batch[0].kind and len(question.items) <= most):
            others.append(question)
        elif question.answer.set_running_or_notify_cancel():  # else it was given up: it is dropped
            batch.append(question)
            most -= len(question.items)
    waiting.extend(others)
    return batch


def _compute(batch: Sequence[_Waiting[Kind, Item, Result]], work: Work[Kind, Item, Result]) -> None:
    """Give everyone of a batch the results, or an error to the one it belongs to."""
    try:
        results = work(batch[0].kind, [item for question in batch for item in question.items])
    except BaseException as error:
        if len(batch) == 1:
            batch[0].answer.set_exception(error)
            return
        for question in batch:
            _compute([question], work)
        return
    start = 0
    for question in batch:
        question.answer.set_result(list(results[start : start + len(question.items)]))
        start += len(question.items)
