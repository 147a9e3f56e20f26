"""How the benchmarks measure: side by side, interleaved, medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


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


def report(title: str, *lines: str) -> None:
    """Print a result so that it stands out of pytest's dots."""
    print(f"\n== {title}")
    for line in lines:
        print(f"   {line}")
