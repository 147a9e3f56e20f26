"""Builds that are killed at any moment and started again: the same data set, byte for byte."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from folder_files import files_of
from repository import REPOSITORY
from street_samples import Listed, listed_photos, write_tables
from street_servers import TOKEN, TROUBLES, StreetServer, street_server
from toy_city import write_city

from training.dataset.cli import main
from training.dataset.shards import ShardedDataset
from training.dataset.streetscapes.providers import TOKEN_VARIABLE

pytestmark = pytest.mark.process


class Build:
    """The command in a process of its own."""

    def __init__(self, server: StreetServer, folder: Path, out: str, per_cell: int = 8) -> None:
        self.out = folder / out
        self.argv = [
            "streetscapes", "--tables", str(folder / "tables"),
            "--imagery", str(folder / "imagery"), "--dates-per-footprint", "2",
            "--out", str(self.out), "--per-cell", str(per_cell), "--concurrency", "6",
            "--pause-s", "0.01", "--footprint-m", "600", "--buffer-m", "100",
            "--shares", "0.5,0.25,0.25", "--quiet",
            *server.flags(),
        ]  # fmt: skip
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        # A proxy that does not answer: loopback must not be asked for through it.
        environment = os.environ | {TOKEN_VARIABLE: TOKEN, "HTTP_PROXY": "http://127.0.0.1:9"}
        environment |= {"http_proxy": "http://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "training.dataset", *self.argv],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> str:
        assert self.process is not None
        out, err = self.process.communicate(timeout=200)
        assert (self.process.returncode, err) == (0, "")
        return out

    def killed(self) -> None:
        """Wait for the death of a process that somebody kills."""
        assert self.process is not None
        out, _ = self.process.communicate(timeout=200)
        assert (self.process.returncode, out) == (-signal.SIGKILL, "")

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)


def killer(server: StreetServer, build: Build, at: Sequence[int]) -> Callable[[int], None]:
    """Kill the build as it asks for the n-th file, for each n; counted over all its lives."""
    left = list(at)
    lock = threading.Lock()

    def look(count: int) -> None:
        with lock:
            due = bool(left) and count >= left[0]
            if due:
                left.pop(0)
        if due:
            build.kill()

    return look


def kill_while_packing(build: Build) -> None:
    """Kill the build as its first shard grows."""
    deadline = time.monotonic() + 120
    while not list(build.out.glob(".writing-*/photos/*")) and time.monotonic() < deadline:
        assert build.process is not None
        if build.process.poll() is not None:
            break
        time.sleep(0.002)
    build.kill()
    build.killed()


def prepare(folder: Path, count: int) -> list[Listed]:
    rows = listed_photos(count)
    for number, row in enumerate(rows):
        row.served.trouble = ("", "", *TROUBLES)[number % (2 + len(TROUBLES))]
    rows[7].served.gone = True
    rows[8].served.jpeg = rows[8].served.jpeg[:2000]
    write_tables(folder / "tables", rows)
    (folder / "imagery").mkdir()
    for day in ("20230102", "20240501"):
        write_city(folder / f"imagery/s_{day}T101010.tif", seed=int(day) % 7)
    return rows


def settled(build: Build) -> int:
    return len(list(build.out.with_name(f"{build.out.name}.unfinished").rglob("photos/*/*.jpg")))


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)


def check_killed_build(folder: Path, count: int, kills: Sequence[int], per_cell: int) -> None:
    rows = prepare(folder, count)
    with street_server(*(row.served for row in rows)) as server:
        straight = Build(server, folder, "straight", per_cell)
        assert main(straight.argv) == 0
    with street_server(*(row.served for row in rows)) as server:
        build = Build(server, folder, "killed", per_cell)
        server.before_file = killer(server, build, kills)
        before = 0
        for _ in kills:
            build.start()
            build.killed()
            assert not (build.out / "dataset.json").exists()
            assert settled(build) > before  # it went on, and what it had is still there
            before = settled(build)
        build.start()
        kill_while_packing(build)
        asked = server.asked.copy()
        build.start()
        text = build.finish()
        assert server.asked == asked  # all had come: nobody was asked again
        # A photo may be asked for twice if its answer was on its way when the build was killed.
        assert sum(server.served.values()) <= len(server.served) + 6 * len(kills)
    assert f"data set {build.out}" in text
    assert files_of(build.out) == files_of(straight.out)
    assert not list(folder.glob("*.unfinished"))
    assert len(ShardedDataset.open(build.out, verify=True)) > 0


@pytest.mark.slow
def test_a_build_that_is_killed_again_and_again(tmp_path: Path) -> None:
    check_killed_build(tmp_path, 64, [9, 40], per_cell=8)


@pytest.mark.slow
def test_a_build_of_hundreds_that_is_killed_at_random_moments(tmp_path: Path) -> None:
    kills = np.cumsum(np.random.default_rng(5).integers(25, 60, 6))  # each does some work first
    check_killed_build(tmp_path, 360, kills.tolist(), per_cell=40)


@pytest.mark.slow
def test_ctrl_c_is_polite(tmp_path: Path) -> None:
    rows = prepare(tmp_path, 40)
    with street_server(*(row.served for row in rows)) as server:
        server.delay_s = 0.05
        build = Build(server, tmp_path, "out")
        handler = signal.signal(signal.SIGINT, signal.SIG_DFL)  # it may be ignored, and inherited
        try:
            build.start()
        finally:
            signal.signal(signal.SIGINT, handler)
        deadline = time.monotonic() + 60
        while settled(build) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert build.process is not None
        build.process.send_signal(signal.SIGINT)
        out, err = build.process.communicate(timeout=60)
        assert (build.process.returncode, out) == (130, "")
        assert err.splitlines() == ["interrupted: run the same command again to go on from here"]
        assert settled(build) >= 5
