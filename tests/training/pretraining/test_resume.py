"""A run that was killed and resumed ends with the bits of one that was not."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from repository import REPOSITORY
from tiny_run import arguments, assert_same_state, saved_state, write_material
from warm_processes import warm_run

from training.pretrain import main

STEPS = 8
FLAGS = (
    "--steps=8 --save-every=2 --keep=9 --validate-every=4 --ema-decay=0.9 --learnable-temperature "
    "--in-batch-locations --clip-grad-norm=1 --distill-weight=0.2"
).split()

KILLED = """\
import os, signal, sys
import {module} as module

calls = 0
real = module.{function}

def deadly(*arguments, **options):
    global calls
    calls += 1
    if calls == {call}:
        os.kill(os.getpid(), signal.{signal})
    return real(*arguments, **options)

module.{function} = deadly
from training.pretrain import main
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""
"""A program that trains, and gets a signal as it calls a function for the nth time."""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material")
    write_material(folder)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(material: Path) -> Path:
    out = material / "uninterrupted"
    assert main(arguments(material, out, *FLAGS)) == 0
    return out


def interrupted(
    script: Path, argv: list[str], function: str, call: int, number: signal.Signals
) -> int:
    module, name = function.rsplit(".", 1)
    script.write_text(KILLED.format(module=module, function=name, call=call, signal=number.name))
    here = str(REPOSITORY)
    environment = {**os.environ, "PYTHONPATH": here, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), *argv]
    return warm_run(command, env=environment, timeout=120).returncode


@pytest.mark.process
@pytest.mark.parametrize(
    ("function", "call", "left", "workers"),
    [
        pytest.param("training.pretraining.loop.train_step", 6, 4, 0, id="in a step"),
        pytest.param(
            "training.pretraining.loop.train_step", 3, 2, 1, id="in a step, with a worker"
        ),
        pytest.param(
            "training.pretraining.checkpointing.sync_folder", 5, 4, 0, id="in a checkpoint"
        ),
    ],
)
def test_a_killed_run_resumes_bit_for_bit(
    material: Path,
    uninterrupted: Path,
    tmp_path: Path,
    function: str,
    call: int,
    left: int,
    workers: int,
) -> None:
    out = tmp_path / "run"
    argv = arguments(material, out, *FLAGS, f"--workers={workers}")
    died = interrupted(tmp_path / "killed.py", argv, function, call, signal.SIGKILL)
    assert died == -signal.SIGKILL
    assert max(int(f.name[5:]) for f in (out / "checkpoints").glob("step-*")) == left

    assert main(["--resume", str(out)]) == 0
    for step in (left + 2, STEPS):
        assert_same_state(saved_state(out, step), saved_state(uninterrupted, step))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    steps = Counter((line["kind"], line["step"]) for line in lines)
    assert steps == Counter(
        [*(("train", s) for s in range(1, 9)), ("validation", 4), ("validation", 8)]
    )
    assert not list((out / "checkpoints").glob(".*"))


@pytest.mark.process
def test_sigterm_writes_a_checkpoint_and_the_run_goes_on_from_it(
    material: Path,
    uninterrupted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        signal_in_step(patch, 3, signal.SIGTERM)
        assert main(arguments(material, out, *FLAGS)) == 143
    told = capfd.readouterr().err
    assert "finishing this step and writing a checkpoint; once more: end at once" in told
    assert f"stopped after step 3; go on with --resume {out}" in told
    assert (out / "checkpoints" / "step-000003" / "checkpoint.json").is_file()
    assert not (out / "model").exists()
    before = signal.getsignal(signal.SIGTERM)
    assert main(["--resume", str(out)]) == 0
    assert signal.getsignal(signal.SIGTERM) is before
    assert_same_state(saved_state(out, STEPS), saved_state(uninterrupted, STEPS))


@pytest.mark.process
def test_ctrl_c_ends_with_130_and_a_checkpoint(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal_in_step(monkeypatch, 1, signal.SIGINT)
    assert main(arguments(material, tmp_path / "run", *FLAGS)) == 130
    assert (tmp_path / "run" / "checkpoints" / "step-000001").is_dir()


@pytest.mark.process
def test_a_second_ctrl_c_ends_at_once(
    material: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    signal_in_step(monkeypatch, 3, signal.SIGINT, times=2)
    assert main(arguments(material, tmp_path / "run", *FLAGS)) == 130
    assert [f.name for f in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-000002"]
    assert "interrupted" in capsys.readouterr().err


def test_resuming_passes_over_a_damaged_checkpoint(
    material: Path, uninterrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(arguments(material, out, *FLAGS, "--steps=6")) == 0
    (out / "checkpoints" / "step-000006" / "model.safetensors").write_bytes(b"gone")
    assert main(["--resume", str(out), "--steps", "8"]) == 0
    told = capsys.readouterr().err
    assert "step-000006 is damaged: model.safetensors" in told
    assert "note: steps 6 -> 8" in told
    assert "steps 4 to 8" in told
    assert max(int(f.name[5:]) for f in (out / "checkpoints").glob("step-*")) == 8


def test_a_finished_run_has_nothing_to_resume(
    uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (uninterrupted / "metrics.jsonl").read_bytes()
    assert main(["--resume", str(uninterrupted)]) == 0
    assert "trained:" in capsys.readouterr().err
    assert (uninterrupted / "metrics.jsonl").read_bytes() == before


def signal_in_step(
    monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals, times: int = 1
) -> None:
    """Send this process signals as it begins a step."""
    import training.pretraining.loop

    real, calls = training.pretraining.loop.train_step, [0]

    def step_with_signal(*arguments: object, **options: object) -> object:
        calls[0] += 1
        for _ in range(times if calls[0] == step else 0):
            os.kill(os.getpid(), number)
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(training.pretraining.loop, "train_step", step_with_signal)
