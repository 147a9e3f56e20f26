"""How the benchmarks measure: side by side, interleaved, medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path


def medians_s(*runs: Callable[[], object], rounds: int) -> list[float]:
    """The median seconds of each callable; they take turns, so that drift hits all alike."""
    times: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()  # warm up
    for _ in range(rounds):
        for run, seconds in zip(runs, times, strict=True):
            since = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - since)
    return [statistics.median(seconds) for seconds in times]


def processor_s(run: Callable[[], object], rounds: int) -> float:
    """The median seconds of processor time of a callable: other work disturbs it less."""
    times = []
    for _ in range(rounds):
        since = time.process_time()
        run()
        times.append(time.process_time() - since)
    return statistics.median(times)


def report(title: str, *lines: str) -> None:
    """Print a result so that it stands out of pytest's dots."""
    print(f"\n== {title}")
    for line in lines:
        print(f"   {line}")


def process_memory_gb() -> tuple[float, float]:
    """Memory of this process now, and the most it ever had.

    Read from Linux: ``getrusage`` would also count the process that this one was started by.
    """
    now_b, most_b = (memory_bytes(name) for name in ("VmRSS", "VmHWM"))
    return now_b / 1e9, most_b / 1e9


def memory_bytes(name: str) -> int:
    """One number of Linux about this process's memory, such as ``RssAnon``."""
    lines = Path("/proc/self/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines)
    return int(values[name].split()[0]) * 1024
