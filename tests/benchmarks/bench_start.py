r"""How soon a server answers from a large index that nobody opened before, and at what cost.

::

    python -m pytest tests/benchmarks/bench_start.py -o "python_files=bench_*.py" -m "" -s \\
        --timeout=0

``GAIR_BENCH_INDEXES`` is a folder where the index of :mod:`bench_app` is kept between runs, and
``GAIR_BENCH_ROUNDS`` how often each server is started, 3 times unless given.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import time
from pathlib import Path

import pytest
from app_server import Served, ask, served
from big_index import build_big_index, street_jpegs
from measuring import report
from small_builds import grow_tokens, serving_build

from gair.files import size_bytes
from gair.model import Gair

ROUNDS = int(os.environ.get("GAIR_BENCH_ROUNDS", "3"))
TURN_S = 5.0
SLOWER = 1.35
"""Most that an answer may take beside one of a server that verifies nothing."""


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Greater London at H3 10 with noise for vectors, by a model as wide as GAIR's."""
    kept = os.environ.get("GAIR_BENCH_INDEXES")
    found = (Path(kept) if kept else tmp_path_factory.mktemp("big")) / "big-base"
    if not (found / "london" / "CURRENT").is_file():
        build_big_index(found, Gair.untrained("base"))
    return found


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    return street_jpegs(8)


def forget(indexes: Path) -> None:
    """Let go of what the system keeps of an index in memory: the next who reads waits."""
    for file in serving_build(indexes / "london").iterdir():
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def verification(server: Served) -> str:
    return str(server.health()["indexes"][0]["verification"])


def started(indexes: Path, photos: list[bytes], mode: str) -> tuple[float, float, float]:
    """Seconds until the port is open, the first answer is there, and the files are verified."""
    began = time.perf_counter()
    with served(indexes, mode) as server:
        asked_s = time.perf_counter() - began
        asked = ask(server, photos, 1, 1.0)
        assert asked.errors == []
        answered_s = asked_s + asked.seconds[0]
        while verification(server) != "verified":
            time.sleep(0.02)
        return server.ready_s, answered_s, time.perf_counter() - began


@pytest.mark.parametrize("kept", [True, False], ids=["in memory", "on disk"])
def test_first_answer(
    indexes: Path, photos: list[bytes], kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verified first, verified later and known already, by turns."""
    notes = indexes.parent / "notes"
    modes = {"verified first": "", "verified later": "", "known already": str(notes)}
    found: dict[str, list[tuple[float, float, float]]] = {mode: [] for mode in modes}
    for number in range(ROUNDS + 1):
        for mode, hashes in modes.items():
            monkeypatch.setenv("GAIR_HASHES", hashes)
            if not kept:
                forget(indexes)
            times = started(indexes, photos, "batched" if mode != "verified first" else mode)
            if number:  # the first round imports everything, and learns the hashes
                found[mode].append(times)
    lines = []
    for mode, rounds in found.items():
        port, answer, verified = (statistics.median(each) for each in zip(*rounds, strict=True))
        each = ", ".join(f"{times[1]:.2f}" for times in rounds)
        lines.append(
            f"{mode:<15} port open {port:5.2f} s, first answer {answer:5.2f} s ({each}), "
            f"verified {verified:5.2f} s"
        )
    taken = size_bytes(serving_build(indexes / "london")) / 1e6
    where = "in memory" if kept else "on disk"
    report(f"cold start, index of {taken:,.0f} MB {where}, medians of {ROUNDS}", *lines)


def test_answers_while_it_verifies(
    indexes: Path, photos: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same questions by turns: to a server that hashes all the while, and to one that does not.

    The token maps of the first are a file of 200 GB, nearly all of it a hole.
    """
    monkeypatch.setenv("GAIR_HASHES", str(indexes.parent / "notes"))
    busy = tmp_path / "busy"
    shutil.copytree(indexes / "london", busy / "london")
    grow_tokens(busy / "london", 200 << 30, sound=False)
    with served(indexes) as idle, served(busy) as reading:
        seconds: dict[int, list[float]] = {idle.pid: [], reading.pid: []}
        for server in (idle, reading):
            ask(server, photos, 1, TURN_S)
        for _ in range(ROUNDS):
            for server in (idle, reading):
                # It would go on reading while the other one answers.
                os.kill(reading.pid, signal.SIGCONT if server is reading else signal.SIGSTOP)
                asked = ask(server, photos, 1, TURN_S)
                assert asked.errors == []
                seconds[server.pid] += asked.seconds
            assert verification(reading) == "verifying"
        one, other = (statistics.median(seconds[server.pid]) for server in (idle, reading))
    report(
        "answers, one client, medians by turns",
        f"while nothing is verified {1e3 * one:.0f} ms, while files are {1e3 * other:.0f} ms "
        f"({other / one:.2f} times)",
    )
    assert other < SLOWER * one
