"""Forks: what the child finds of locks, threads and what is made anew."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable

import pytest
import torch

from gair.processes import forks
from gair.processes.forks import fork_safe_lock, renew_in_child

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]


def in_child(check: Callable[[], bool]) -> bool:
    """Whether a check holds in a forked child; False where the child hangs, too."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if check() else 1
        finally:
            os._exit(status)
    for _ in range(400):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.025)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


class Pair:
    """Two numbers that are equal whenever nobody holds the lock."""

    def __init__(self) -> None:
        self.lock = fork_safe_lock()
        self.first = self.second = 0

    def change(self, begun: threading.Event, seconds: float) -> None:
        with self.lock:
            self.first += 1
            begun.set()
            time.sleep(seconds)
            self.second += 1

    def whole(self) -> bool:
        return self.lock.acquire(timeout=1) and self.first == self.second


def changing(pair: Pair, seconds: float) -> threading.Thread:
    begun = threading.Event()
    thread = threading.Thread(target=pair.change, args=(begun, seconds))
    thread.start()
    begun.wait()
    return thread


def test_a_fork_waits_for_a_change_to_be_whole() -> None:
    pair = Pair()
    thread = changing(pair, 0.2)
    assert in_child(pair.whole)
    thread.join()
    assert pair.whole(), "and the parent's lock is free, too"


def test_a_lock_that_is_held_for_long_is_free_in_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "PATIENCE_S", 0.05)
    pair = Pair()
    thread = changing(pair, 0.6)
    assert in_child(lambda: pair.lock.acquire(timeout=1))
    assert pair.lock.locked(), "in the parent its holder still has it"
    thread.join()


class Kept:
    """Something of one process."""

    def __init__(self) -> None:
        self.made_in = os.getpid()
        renew_in_child(self)

    def after_fork(self) -> None:
        self.made_in = os.getpid()

    @functools.cached_property
    def slow(self) -> int:
        time.sleep(0.5)
        return 7


def test_what_belongs_to_one_process_is_made_anew_in_the_child() -> None:
    kept = Kept()
    parent = os.getpid()
    assert in_child(lambda: kept.made_in == os.getpid() != parent)
    assert kept.made_in == parent


def test_a_property_that_a_thread_was_computing_can_be_computed_in_the_child() -> None:
    kept = Kept()
    thread = threading.Thread(target=lambda: kept.slow)
    thread.start()
    time.sleep(0.1)
    assert in_child(lambda: kept.slow == 7)
    thread.join()


def test_a_child_computes_with_one_thread_and_its_parent_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert in_child(lambda: torch.get_num_threads() == 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
