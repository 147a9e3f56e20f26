"""What a run tells: metrics, curves, the progress line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from gair.progress import duration
from training.pretraining import logs
from training.pretraining.logs import (
    Interval,
    MetricsLog,
    ProgressLine,
    Status,
    read_metrics,
)


class Terminal(io.StringIO):
    """Claims to be one."""

    def isatty(self) -> bool:
        return True


def status(step: int) -> Status:
    return Status(step, {"total": 13.86, "incl": 11.09}, 1.5e-4, 812.4, 1.234)


def test_one_object_a_line_on_the_disk_at_once(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    log.write("train", 20, {"total": 13.8629436111, "epoch": 0, "note": "x"})
    log.write("validation", 20, {"median_error_m": float("inf"), "recall": float("nan")})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {
        "kind": "train",
        "step": 20,
        "total": 13.86294,
        "epoch": 0,
        "note": "x",
    }
    assert json.loads(lines[1])["median_error_m"] is None
    assert json.loads(lines[1])["recall"] is None
    log.close()


def test_a_resumed_log_has_no_step_twice(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    for step in (2, 4, 6):
        log.write("train", step, {"total": 1.0})
        log.write("validation", step, {"recall": 0.5})
    log.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "step": 8, "tot')  # the process was killed here
    log = MetricsLog(tmp_path, after_step=4)
    log.write("train", 6, {"total": 2.0})
    log.close()
    lines_kept = [(line["kind"], line["step"]) for line in read_metrics(tmp_path)]
    assert lines_kept == [
        ("train", 2),
        ("validation", 2),
        ("train", 4),
        ("validation", 4),
        ("train", 6),
    ]
    assert read_metrics(tmp_path)[-1]["total"] == 2.0


def test_curves_are_written_and_cut_like_the_lines(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for after, last, value in ((0, 3, 1.0), (1, 2, 7.0)):
        log = MetricsLog(tmp_path, after_step=after, tensorboard=True)
        for step in range(after + 1, last + 1):
            log.write("train", step, {"total": value, "note": "text is no curve"})
        log.close()
    curves = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert curves.Tags()["scalars"] == ["train/total"]
    curve = {event.step: event.value for event in curves.Scalars("train/total")}
    assert curve == {1: 1.0, 2: 7.0}  # step 3 of the first is of a past that was given up


def test_without_tensorboard_it_is_said_once_and_the_lines_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as if not installed
    log = MetricsLog(tmp_path, tensorboard=True)
    log.write("train", 1, {"total": 1.0})
    log.write("train", 2, {"total": 1.0})
    log.close()
    told = capsys.readouterr().err.splitlines()
    assert told == ["no TensorBoard here: metrics.jsonl only (pip install tensorboard for curves)"]
    assert len(read_metrics(tmp_path)) == 2
    assert not (tmp_path / "tensorboard").exists()


def test_a_log_gets_a_line_now_and_then_and_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    line = ProgressLine(50, out=out)
    for step in range(1, 51):
        line.show(status(step))
        now[0] += 1.0
    shown = out.getvalue().splitlines()
    assert [text.split()[1] for text in shown] == [
        "1/50",
        "11/50",
        "21/50",
        "31/50",
        "41/50",
        "50/50",
    ]
    assert shown[1] == (
        "step 11/50  total 13.860 incl 11.090  lr 1.50e-04  812 photos/s  39 s left  1.23 GB"
    )
    assert "left" not in shown[0]  # nothing to judge by yet


def test_a_terminal_has_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    out = Terminal()
    line = ProgressLine(1000, out=out)
    line.interrupt()
    assert out.getvalue() == ""
    for step in (1000, 7):  # the second is shorter and must cover the first
        line.show(status(step))
        now[0] += 1.0
    first, second = out.getvalue().split("\r")[1:]
    assert len(second) >= len(first.rstrip("\n"))
    line.interrupt()
    line.interrupt()
    assert out.getvalue().count("\n") == 1


def test_a_quiet_line_says_nothing() -> None:
    out = io.StringIO()
    ProgressLine(1, quiet=True, out=out).show(status(1))
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (91, "2 min"), (5340, "89 min"), (7260, "2 h 1 min")],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_interval_averages_its_steps() -> None:
    interval = Interval()
    for loss, epoch in ((2.0, 0), (4.0, 1)):
        interval.add_time(0.5, 0.1, steps=1)
        interval.add_values({"total": loss}, {"epoch": epoch})
    assert interval.steps_per_s == pytest.approx(2)
    assert interval.summary() == {"total": 3.0, "epoch": 1, "waiting_share": pytest.approx(0.2)}


def test_memory_is_what_this_process_used() -> None:
    assert 0.01 < logs.memory_gb("cpu") < 100
