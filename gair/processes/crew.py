"""Crew: forked children that work blocks off, and arrays that they write for their parent.

Threads of Python wait for one another wherever the work is many small steps: an evaluation by two
of them took 0.8 of the time that one took. A forked child has all that its parent had, at no cost,
and waits for nobody; what it writes is lost, but for arrays of :func:`shared_full`.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gair.errors import ResourceError

Block = TypeVar("Block")

_SIGNAL_WITHOUT_PARENT = 1
"""Linux's PR_SET_PDEATHSIG: a child would wait for work for ever when its parent is killed."""
_works: list[Callable[[Any], int]] = []
"""In a child, what it was forked for; a closure cannot be sent."""


def shared_full(
    shape: int | tuple[int, ...], value: float, dtype: npt.DTypeLike = np.float64
) -> npt.NDArray[Any]:
    """As :func:`numpy.full`, in memory that is shared with children which are forked later."""
    sides = (shape,) if isinstance(shape, int) else shape
    kind = np.dtype(dtype)
    memory = mmap.mmap(-1, max(1, math.prod(sides)) * kind.itemsize)
    array = np.frombuffer(memory, dtype=kind, count=math.prod(sides)).reshape(sides)
    array.fill(value)
    return array


def can_fork() -> bool:
    """Whether children can be forked: on Linux, as long as no GPU computes for this process."""
    torch = sys.modules.get("torch")
    if sys.platform != "linux" or (torch is not None and torch.cuda.is_initialized()):
        return False
    return os.access("/dev/shm", os.W_OK)  # noqa: S108 - where semaphores of children are


def workers_here() -> int:
    """As many as this process may use processors."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def work_off(
    work: Callable[[Block], int],
    blocks: Sequence[Block],
    workers: int,
    *,
    forked: bool,
    done: Callable[[int], object],
) -> None:
    """Work blocks off, several at once.

    After an error or Ctrl-C what was begun is finished, and no more is begun.

    Args:
        work: of one block; it may be called in threads and in forked children, so what it keeps
            it writes into arrays of :func:`shared_full`.
        blocks: small, for they are sent to the children.
        workers: at once.
        forked: children do it, where this system can fork and there are several blocks; else
            threads.
        done: is told what the work of each block returned, in order.

    Raises:
        ResourceError: the system ended a child.
    """
    pool: Executor
    if forked and can_fork() and workers > 1 and len(blocks) > 1:
        forks, told = get_context("fork"), (work, os.getpid())
        pool = ProcessPoolExecutor(min(workers, len(blocks)), forks, _begin, told)
        do: Callable[[Block], int] = _do
    else:
        pool, do = ThreadPoolExecutor(workers), work
    results: list[Future[int]] = []
    try:
        results.extend(pool.submit(do, block) for block in blocks)
        for result in results:
            done(result.result())
    except BrokenProcessPool as error:
        raise ResourceError(
            "the system ended a process of this command, most likely for want of memory: free "
            "some, or allow the command fewer processors (taskset -c 0)"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(work: Callable[[Any], int], parent: int) -> None:
    """In a child: know the work, leave Ctrl-C to the parent, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_SIGNAL_WITHOUT_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was killed before it could be told of
        os.kill(os.getpid(), signal.SIGKILL)
    _works[:] = [work]


def _do(block: Any) -> int:  # noqa: ANN401
    return _works[0](block)
