"""A crew of forked children does what one process does, and says when it is broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gair.errors import ResourceError, UsageError
from gair.processes.crew import can_fork, shared_full, work_off


def worked_off(
    work: Callable[[Any], int], blocks: Sequence[Any], workers: int, *, forked: bool
) -> list[int]:
    done: list[int] = []
    work_off(work, blocks, workers, forked=forked, done=done.append)
    return done


needs_forks = pytest.mark.skipif(not can_fork(), reason="this system does not fork safely")


def test_a_shared_array_begins_as_numpys() -> None:
    for shape, value, kind in ((3, np.nan, float), ((2, 3), np.inf, float), ((4, 0), False, bool)):
        found, wanted = shared_full(shape, value, kind), np.full(shape, value, kind)
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == wanted.dtype
        found[...] = 1
        assert (found == 1).all()


@needs_forks
@pytest.mark.parametrize("forked", [True, False])
def test_what_children_write_is_here(forked: bool) -> None:
    squares, whose = shared_full(40, np.nan), shared_full(40, -1, np.int64)

    def work(block: range) -> int:
        squares[block] = np.square(block)
        whose[block] = os.getpid()
        return len(block)

    blocks = [range(start, start + 4) for start in range(0, 40, 4)]
    assert worked_off(work, blocks, 2, forked=forked) == [4] * 10
    np.testing.assert_array_equal(squares, np.square(np.arange(40)))
    assert (os.getpid() in whose) is not forked
    assert 1 <= len(set(whose.tolist())) <= 2


@needs_forks
def test_one_worker_or_one_block_need_no_child() -> None:
    def work(block: int) -> int:
        return os.getpid() * block

    own = os.getpid()
    assert worked_off(work, [1, 2], 1, forked=True) == [own, 2 * own]
    assert worked_off(work, [1], 2, forked=True) == [own]


def test_where_children_cannot_wait_for_work_threads_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != "/dev/shm")
    assert not can_fork()
    assert worked_off(lambda block: os.getpid(), [1, 2, 3], 2, forked=True) == 3 * [os.getpid()]


@needs_forks
@pytest.mark.parametrize("forked", [True, False])
def test_an_error_comes_through_and_ends_the_work(forked: bool) -> None:
    done = shared_full(400, 0)

    def work(block: int) -> int:
        if block == 2:
            raise UsageError("block 2 makes no sense")
        done[block] = 1
        return block

    with pytest.raises(UsageError, match="block 2 makes no sense"):
        worked_off(work, range(400), 2, forked=forked)
    assert done.sum() < 399


@needs_forks
def test_a_child_that_the_system_ends_is_told_in_one_line() -> None:
    def work(block: int) -> int:
        if block == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return block

    with pytest.raises(ResourceError, match="the system ended a process") as error:
        worked_off(work, range(10), 2, forked=True)
    assert "\n" not in str(error.value)


SLOW_WORK = textwrap.dedent("""
    import os, time
    from gair.processes.crew import work_off

    def work(block):
        time.sleep(0.05)
        return os.getpid()

    try:
        work_off(work, range(1000), 2, forked=True, done=lambda pid: print(pid, flush=True))
    except KeyboardInterrupt:
        print("ended", flush=True)
""")


def begun() -> tuple[subprocess.Popen[str], set[int]]:
    """A program at work, and its two children."""
    run = subprocess.Popen(
        [sys.executable, "-c", SLOW_WORK],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    children: set[int] = set()
    while len(children) < 2:
        children.add(int(run.stdout.readline()))
    return run, children


def alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@needs_forks
def test_ctrl_c_ends_the_children_without_a_word() -> None:
    """Sent to all processes of the terminal's group, as a terminal does."""
    run, children = begun()
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate(timeout=30)
    assert out.splitlines()[-1] == "ended"
    assert len(out.splitlines()) < 500
    assert err == ""
    assert run.returncode == 0
    assert not any(alive(child) for child in children)


@needs_forks
def test_children_do_not_outlive_a_parent_that_is_killed() -> None:
    run, children = begun()
    assert all(alive(child) for child in children)
    run.kill()
    run.communicate(timeout=30)
    for _ in range(200):
        if not any(alive(child) for child in children):
            break
        time.sleep(0.05)
    assert not any(alive(child) for child in children)
