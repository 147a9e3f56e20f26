"""Batches made by torch's DataLoader processes.

The processes are forked from a small server that has no threads, where the platform has one: a
training process has many, and a fork of it could inherit a lock that nobody will release.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from gair.errors import GairError, TrainingError
from gair.interrupts import polite_kills
from training.dataset.batches.assemble import BatchMaker, BatchTask, MadeBatch

GRACE_S = 60
"""How long a worker outlives a SIGTERM: a scheduler sends it to every process of a job, and the
one that trains still wants batches until its checkpoint is written."""


def made_by_workers(
    maker: BatchMaker, tasks: Iterator[BatchTask], *, workers: int, prefetch: int
) -> Iterator[MadeBatch]:
    """Batches in the order of their tasks; closing the iterator ends the workers.

    Raises:
        GairError: what :meth:`BatchMaker.make` raised in a worker.
        TrainingError: a worker died.
    """
    loader: DataLoader[MadeBatch | GairError] = DataLoader(
        _Made(maker),
        batch_size=None,
        sampler=tasks,
        num_workers=workers,
        prefetch_factor=prefetch,
        collate_fn=_unchanged,
        worker_init_fn=_settle,
        multiprocessing_context=_context(),
        generator=torch.Generator(),  # or it would draw from the global one
        pin_memory=torch.cuda.is_available(),
    )
    # The iterator starts the workers and hands the first tasks to them; results come back in the
    # order of the tasks, whichever worker is first.
    with _held_back():
        results = iter(loader)
    end_workers = results._shutdown_workers  # type: ignore[attr-defined]
    atexit.register(end_workers)  # before multiprocessing would wait for them
    try:
        while True:
            try:
                result = next(results)
            except (RuntimeError, OSError, EOFError) as error:
                if not _is_of_a_dead_worker(error):
                    raise
                reason = (str(error) or type(error).__name__).splitlines()[0]
                raise TrainingError(
                    f"an input worker died ({reason}): give it more memory or shared memory "
                    "(/dev/shm), or pass fewer workers"
                ) from error
            if isinstance(result, GairError):
                raise result
            yield result
    finally:
        atexit.unregister(end_workers)
        end_workers()


def _is_of_a_dead_worker(error: Exception) -> bool:
    """Whether the DataLoader says so, or a batch cannot be fetched from who made it."""
    if isinstance(error, RuntimeError):
        return "DataLoader worker" in str(error)
    lost = isinstance(error, ConnectionError | EOFError | FileNotFoundError)
    return lost and "in DataLoader worker process" not in str(error)  # raised by its work


class _Made(Dataset[MadeBatch | GairError]):
    """The work of a worker: a task in, a batch out."""

    def __init__(self, maker: BatchMaker) -> None:
        self._maker = maker

    def __getitem__(self, task: BatchTask) -> MadeBatch | GairError:
        try:
            return self._maker.make(task)
        except GairError as error:  # handed over: raised here it would arrive as a traceback
            return error


def _unchanged(made: Any) -> Any:  # noqa: ANN401
    return made


def _context() -> Any:  # noqa: ANN401
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.dataset.batches.assemble"])
    return context


def _settle(worker: int) -> None:
    """Runs first in a worker: it ends with the process that trains, which Ctrl-C is for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number in polite_kills():
            signal.signal(number, lambda *_: signal.alarm(GRACE_S))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def _end_with_parent() -> None:
    """Torch looks for the death of the process that forked, which here is the server."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Hold signals back while workers start: the processes that start now inherit that."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # lifts the block when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
