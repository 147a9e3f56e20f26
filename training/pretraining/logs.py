"""Logs of a run: ``metrics.jsonl``, curves for TensorBoard, and one line of progress."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from gair.files import disk_errors, write_whole
from gair.inputs.documents import json_of
from gair.progress import duration, peak_memory_gb, say

METRICS_FILE = "metrics.jsonl"
TENSORBOARD = "tensorboard"

_LINE_EVERY_S = 10.0
_REDRAW_EVERY_S = 0.2

Value = float | int | str


class MetricsLog:
    """Appends one JSON object a line, and mirrors the numbers to TensorBoard.

    Every line has ``kind`` (train, validation) and ``step``. A resumed run cuts the lines after the
    step it resumes from, so no step is there twice.
    """

    def __init__(self, run: Path, *, after_step: int = 0, tensorboard: bool = False) -> None:
        self._path = run / METRICS_FILE
        if self._path.is_file():
            kept = [line for line in read_metrics(run) if line["step"] <= after_step]
            write_whole(self._path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        with disk_errors(self._path):
            self._file = self._path.open("a")
        self._board = _board(run / TENSORBOARD, after_step) if tensorboard else None

    def write(self, kind: str, step: int, values: Mapping[str, Value]) -> None:
        """Append a line; it is on its way to the disk when this returns.

        JSON knows no infinity, so a number that is not finite is written as null.
        """
        line: dict[str, Any] = {"kind": kind, "step": step}
        for name, value in values.items():
            if isinstance(value, float):
                line[name] = float(f"{value:.7g}") if math.isfinite(value) else None
            else:
                line[name] = value
        with disk_errors(self._path):
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                if not isinstance(value, str):
                    self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Finish both files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's metrics; a last one that was cut short is left out."""
    path = run / METRICS_FILE
    lines = []
    for text in path.read_text().splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError):
            lines.append(json_of(text))
    return lines


def _board(folder: Path, after_step: int) -> Any:  # noqa: ANN401
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        say(f"no TensorBoard here: {METRICS_FILE} only (pip install tensorboard for curves)")
        return None
    return SummaryWriter(str(folder), purge_step=after_step + 1)


@dataclass(frozen=True)
class Status:
    """Where a run is, for people."""

    step: int
    losses: Mapping[str, float]
    lr: float
    photos_per_s: float
    memory_gb: float


class Interval:
    """What happened since the last line of the log."""

    def __init__(self) -> None:
        self._values: list[Mapping[str, float]] = []
        self._latest: Mapping[str, Value] = {}
        self._busy_s = 0.0
        self._waited_s = 0.0
        self._steps = 0

    def add_time(self, busy_s: float, waited_s: float, *, steps: int) -> None:
        """Count time spent on some steps, and the part of it that was waiting for data."""
        self._busy_s += busy_s
        self._waited_s += waited_s
        self._steps += steps

    def add_values(self, values: Mapping[str, float], latest: Mapping[str, Value]) -> None:
        """Count what a step gave; of ``latest`` only the last step's stays."""
        self._values.append(values)
        self._latest = latest

    @property
    def steps_per_s(self) -> float:
        """Of the time spent on steps: validation and checkpoints do not count."""
        return self._steps / max(self._busy_s, 1e-9)

    def summary(self) -> dict[str, Value]:
        """Means over the steps, what was the latest, and the share of time spent on data."""
        names = self._values[0] if self._values else {}
        means: dict[str, Value] = {
            name: sum(values[name] for values in self._values) / len(self._values) for name in names
        }
        return {**self._latest, **means, "waiting_share": self._waited_s / max(self._busy_s, 1e-9)}


def memory_gb(device_type: str) -> float:
    """The most memory this process has used so far: the GPU's on one, else its own."""
    if device_type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 1e9
    return peak_memory_gb() or 0.0


class ProgressLine:
    """One updating line on a terminal; in a log, a line every few seconds and at the end."""

    def __init__(self, total_steps: int, *, quiet: bool = False, out: TextIO | None = None) -> None:
        self._total = total_steps
        self._out = sys.stderr if out is None else out
        self._quiet = quiet
        self._terminal = self._out.isatty()
        self._started: tuple[float, int] | None = None
        self._shown = -math.inf
        self._width = 0

    def show(self, status: Status) -> None:
        """Say where the run is, if it is time to."""
        now = time.monotonic()
        if self._started is None:
            self._started = (now, status.step)
        every_s = _REDRAW_EVERY_S if self._terminal else _LINE_EVERY_S
        if self._quiet or (now - self._shown < every_s and status.step < self._total):
            return
        self._shown = now
        line = self._line(status, now)
        if self._terminal:
            line = line[: shutil.get_terminal_size().columns - 1]  # a wrapped line stays behind
            self._out.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._out.write(line + "\n")
        self._out.flush()

    def interrupt(self) -> None:
        """Leave the updating line as it is, so that something else can be printed."""
        if self._width:
            self._out.write("\n")
            self._out.flush()
            self._width = 0

    def _line(self, status: Status, now: float) -> str:
        began, first = self._started or (now, status.step)
        done = status.step - first
        left_s = (now - began) / done * (self._total - status.step) if done else None
        losses = " ".join(f"{name} {value:.3f}" for name, value in status.losses.items())
        return (
            f"step {status.step}/{self._total}  {losses}  lr {status.lr:.2e}  "
            f"{status.photos_per_s:,.0f} photos/s  "
            f"{'' if left_s is None else f'{duration(left_s)} left  '}{status.memory_gb:.2f} GB"
        )
