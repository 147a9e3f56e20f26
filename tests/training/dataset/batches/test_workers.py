"""Worker processes and signals: Ctrl-C is quiet, a scheduler's SIGTERM waits, nothing stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from repository import REPOSITORY
from tiny_dataset import write_tiny_dataset
from warm_processes import WarmProcess, warm_run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")

SCRIPT = """
import sys, warnings
sys.warnoptions.append("error")  # for the processes it starts
warnings.simplefilter("error")
import torch.utils.data._utils.worker
torch.utils.data._utils.worker.MP_STATUS_CHECK_INTERVAL = 0.5  # not 5 s
import os, signal, sys, time, multiprocessing
from gair.config import preset
from gair.errors import TrainingError
from training.dataset.batches.batch import LoaderOptions
from training.dataset.batches.loader import PairLoader
from training.dataset.shards import ShardedDataset


def say(*words):
    print(*words, flush=True)


def main(folder, what):
    options = LoaderOptions(batch_photos=4, workers=2)
    loader = PairLoader(ShardedDataset.open(folder), options, preset("tiny"))
    next(loader)
    workers = [child.pid for child in multiprocessing.active_children()]
    if what == "term":
        signal.signal(signal.SIGTERM, lambda *_: None)
    if what == "kill-workers":
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        try:
            for _ in range(20):
                next(loader)
        except TrainingError as error:
            say(type(error).__name__, error)
        return
    try:
        say("ready", *workers)
        time.sleep(60 if what == "int" else 2)
    except KeyboardInterrupt:
        pass
    for _ in range(12):
        next(loader)
    say("went on")
    if what == "int":
        time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("workers")
    write_tiny_dataset(folder / "data")
    (folder / "go.py").write_text(SCRIPT)
    return [sys.executable, str(folder / "go.py"), str(folder / "data")]


@contextmanager
def started(script: list[str], what: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Run the script in a process group of its own, until its workers are there."""
    with WarmProcess(
        [*script, what],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=REPOSITORY,
    ) as run:
        try:
            assert run.stdout is not None
            first, *workers = run.stdout.readline().split() or [""]
            if first != "ready":
                pytest.fail(f"{first}: {run.communicate()}")
            assert len(workers) == 2
            yield run, [int(worker) for worker in workers]
        finally:
            run.kill()  # a test that failed leaves nothing for the next one


def gone(processes: list[int], within_s: float = 10) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not any(Path(f"/proc/{process}").exists() for process in processes):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.process
def test_ctrl_c_and_kill_are_quiet_and_leave_no_worker(script: list[str]) -> None:
    """A terminal sends Ctrl-C to all processes, but only the one that trains may act on it."""
    with started(script, "int") as (run, workers):
        os.killpg(run.pid, signal.SIGINT)
        assert run.stdout is not None
        assert run.stdout.readline() == "went on\n"
        run.kill()
        assert run.communicate(timeout=60) == ("", "")
        assert gone(workers)


@pytest.mark.process
def test_workers_outlive_sigterm_and_end_with_a_process_that_forgot_them(script: list[str]) -> None:
    """A scheduler sends SIGTERM to all processes, and the one that trains still wants batches."""
    with started(script, "term") as (run, workers):
        os.killpg(run.pid, signal.SIGTERM)
        since = time.monotonic()
        assert run.communicate(timeout=60) == ("went on\n", "")
        assert run.returncode == 0
        assert gone(workers)
    assert time.monotonic() - since < 45  # less than a worker's grace


@pytest.mark.process
def test_a_dead_worker_is_one_line(script: list[str]) -> None:
    run = warm_run([*script, "kill-workers"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("TrainingError an input worker died (")
    assert "/dev/shm" in run.stdout
    assert run.stdout.count("\n") == 1
