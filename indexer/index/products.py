"""Inner products: rows of half precision by queries, over threads that each compute alone.

Torch shares one small product out over its threads and waits for the last of them: on busy cores
hundreds of such waits take many times what the products do. Here each thread takes block after
block and computes it by itself, and there is one wait, at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Floats32, Halves
from gair.processes.forks import renew_in_child

if TYPE_CHECKING:
    from torch import Tensor

ROWS_AT_ONCE = 2048
"""Rows of a block, converted to float32 in a buffer that is used again: 6 MB at 768 dimensions."""


def inner_products(halves: Tensor, queries: Floats32) -> Floats32:
    """Inner products accumulated in float32: (N, D) halves and (Q, D) queries to (Q, N).

    They do not depend on the number of threads, which is that of the caller's torch: blocks are the
    same for any.
    """
    import torch

    q = torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32)).T  # (D, Q)
    q = q[:, 0] if q.shape[1] == 1 else q  # a matrix-vector product has less overhead
    out = torch.empty(len(halves), *q.shape[1:])
    blocks = list(
        zip(torch.split(halves, ROWS_AT_ONCE), torch.split(out, ROWS_AT_ONCE), strict=True)
    )
    if len(halves):
        _THREADS.share(iter(blocks), lambda some: _multiply(some, q), torch.get_num_threads())
    return np.ascontiguousarray(out.view(len(halves), len(queries)).T.numpy())


def inner_products_by_numpy(halves: Halves, queries: Floats32) -> Floats32:
    """The same without torch: (N, D) halves and (Q, D) queries to (Q, N), a block at a time."""
    q = np.ascontiguousarray(queries, dtype=np.float32)
    out = np.empty((len(q), len(halves)), dtype=np.float32)
    for start in range(0, len(halves), ROWS_AT_ONCE):
        rows = halves[start : start + ROWS_AT_ONCE].astype(np.float32)
        np.matmul(q, rows.T, out=out[:, start : start + len(rows)])
    return out


def _multiply(blocks: Iterator[tuple[Tensor, Tensor]], q: Tensor) -> None:
    """Fill the scores of the blocks that this thread gets."""
    import torch

    with torch.inference_mode():  # less overhead for each of many small steps
        buffer = torch.empty(ROWS_AT_ONCE, *q.shape[:1])
        for halves, scores in blocks:  # other threads take theirs from the same iterator
            rows = buffer if len(halves) == len(buffer) else buffer[: len(halves)]
            torch.matmul(rows.copy_(halves), q, out=scores)


class _Threads:
    """Threads whose torch computes with one thread each; made when they are first needed."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._pools: dict[int, ThreadPoolExecutor] = {}
        renew_in_child(self)

    def after_fork(self) -> None:
        """The threads are not in the child."""
        self._making = threading.Lock()
        self._pools = {}

    def share(
        self,
        blocks: Iterator[tuple[Tensor, Tensor]],
        work: Callable[[Iterator[tuple[Tensor, Tensor]]], None],
        threads: int,
    ) -> None:
        """Have the blocks taken by so many threads; one is the caller."""
        if threads == 1:
            work(blocks)
            return
        pool = self._pool(threads)
        done: list[Future[None]] = [pool.submit(work, blocks) for _ in range(threads)]
        for future in done:
            future.result()

    def _pool(self, threads: int) -> ThreadPoolExecutor:
        import torch

        with self._making:
            if threads not in self._pools:
                pool = ThreadPoolExecutor(threads, "scores", _compute_alone)
                begun = threading.Barrier(threads + 1)
                for _ in range(threads):
                    pool.submit(begun.wait)
                begun.wait()
                # The setting of a thread is also what threads begin with that come later.
                torch.set_num_threads(threads)
                self._pools[threads] = pool
            return self._pools[threads]


def _compute_alone() -> None:
    """Make this thread's torch compute with it alone."""
    import torch

    torch.get_num_threads()  # sets what it has not set yet, which would undo the next line
    torch.set_num_threads(1)


_THREADS = _Threads()
