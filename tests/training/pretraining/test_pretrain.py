"""``python -m training.pretrain``: what a run writes, refuses and survives."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from repository import REPOSITORY
from safetensors.torch import load_file
from tiny_dataset import write_tiny_dataset
from tiny_run import SMALL, arguments, saved_state, small_model, write_material

from gair.errors import UsageError
from gair.model import Gair
from training.pretrain import main
from training.pretraining.checkpointing import steps_of
from training.pretraining.config import PRESETS
from training.pretraining.logs import read_metrics
from training.pretraining.loop import clip
from training.pretraining.run import check_start, locked

TWO_RANKS = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material")
    write_material(folder)
    return folder


@pytest.fixture(scope="module")
def finished(material: Path) -> Path:
    out = material / "finished"
    flags = ("--validate-every=2", "--name=little", "--licence=CC0-1.0", "--tensorboard")
    assert main(arguments(material, out, *flags)) == 0
    return out


def refusal(argv: list[str], capsys: Capture, status: int) -> str:
    capsys.readouterr()
    assert main(argv) == status
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: "), lines
    return lines[-1]


def test_a_run_leaves_models_metrics_curves_and_checkpoints(finished: Path) -> None:
    assert {f.name for f in finished.iterdir()} == {
        *("config.yaml", "run.json", "metrics.jsonl", ".lock"),
        *("tensorboard", "checkpoints", "best", "model"),
    }
    lines = read_metrics(finished)
    assert [line["step"] for line in lines if line["kind"] == "train"] == [1, 2, 3, 4]
    assert [line["step"] for line in lines if line["kind"] == "validation"] == [2, 4]
    for line in lines:
        if line["kind"] == "train":
            terms = line["incl"] + line["secl_sv"] + line["secl_rs"]
            assert line["total"] == pytest.approx(terms / 2, rel=1e-5)
            assert {"epoch", "lr", "temperature", "grad_norm", "photos_per_s"} <= line.keys()
            assert {"seconds", "memory_gb", "waiting_share"} <= line.keys()
    assert yaml.safe_load((finished / "config.yaml").read_text())["steps"] == 4


def test_the_exported_model_is_the_trained_one_and_says_so(finished: Path) -> None:
    model = Gair.from_pretrained(finished / "model")
    assert (model.info.name, model.info.licence, model.info.trained) == ("little", "CC0-1.0", True)
    state = saved_state(finished, 4)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[f"/model.safetensors/model.{name}"])
    assert model.fingerprint() != small_model().fingerprint()
    card = (finished / "model" / "README.md").read_text()
    facts = json.loads((finished / "model" / "training.json").read_text())
    assert facts["data"]["synthetic"] is True
    for told in ("synthetic", facts["data"]["sha256"], "CC0-1.0 (48)", "Noise 2024", "seed 0"):
        assert told in card
    assert re.search(r"\| recall@10_200m \| 0\.\d+ \| 0\.\d+ \|", card)
    assert facts["validation"]["chance_recall@10_200m"] > 0
    assert facts["steps"] == 4
    assert facts["location_weight"] == facts["validation"]["location_weight"]
    assert f"that found most there: {facts['location_weight']:g} (imagery alone finds" in card
    assert facts["location_temperature"] == pytest.approx(0.07)


def test_the_best_is_the_step_that_validated_best(finished: Path) -> None:
    validations = [line for line in read_metrics(finished) if line["kind"] == "validation"]
    best = max(validations, key=lambda line: (line["recall@10_200m"], -line["median_error_m"]))
    facts = json.loads((finished / "best" / "training.json").read_text())
    assert facts["steps"] == best["step"]
    weights = load_file(finished / "best" / "model.safetensors")
    state = saved_state(finished, best["step"])
    name = "inr.decoder.weight"
    assert torch.equal(weights[name], state[f"/model.safetensors/model.{name}"])


@pytest.mark.parametrize(
    ("flags", "tolerance"),
    [
        (["--chunks=2"], 1e-5),
        (["--checkpoint-activations"], 1e-5),
        (["--clip-grad-norm=0.01"], 1e-5),
        (["--autocast=bf16"], 3e-2),
    ],
)
def test_switches_of_the_machine_do_not_change_the_losses(
    finished: Path, material: Path, tmp_path: Path, flags: list[str], tolerance: float
) -> None:
    assert main(arguments(material, tmp_path / "run", "--steps=1", *flags)) == 0
    wanted, totals = read_metrics(finished)[0], read_metrics(tmp_path / "run")[0]
    for name in ("total", "grad_norm"):  # of the gradient before it is clipped
        assert totals[name] == pytest.approx(wanted[name], rel=tolerance), name


def test_a_gradient_is_shortened_and_its_length_told() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    for longest, wanted in ((0.0, [3.0, 4.0]), (9.0, [3.0, 4.0]), (1.0, [0.6, 0.8])):
        weight.grad = torch.tensor([3.0, 4.0])
        assert float(clip([weight, torch.nn.Parameter(torch.zeros(1))], longest)) == 5
        assert weight.grad.tolist() == pytest.approx(wanted, rel=1e-5)


def test_averaged_weights_are_what_is_exported(material: Path, tmp_path: Path) -> None:
    assert main(arguments(material, tmp_path / "run", "--ema-decay=0.5", "--lr=0.01")) == 0
    state = saved_state(tmp_path / "run", 4)
    name = "inr.decoder.weight"
    exported = Gair.from_pretrained(tmp_path / "run" / "model").state_dict()[name]
    assert torch.equal(exported, state[f"/ema.safetensors/{name}"])
    assert not torch.equal(exported, state[f"/model.safetensors/model.{name}"])


def test_a_preset_trains_with_overrides_and_the_data_sets_footprint(
    material: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    flags = ("--model=tiny", "--sigmas=1,4", "--inr-hidden=8", "--steps=1", "--batch-photos=2")
    assert main(arguments(material, out, *flags, "--learnable-temperature")) == 0
    config = Gair.from_pretrained(out / "model").config
    assert (config.location_sigmas, config.inr_hidden) == ((1.0, 4.0), (8,))
    assert config.footprint_mercator_m == 2446.0
    assert config.temperature != 0.07


def test_random_towers_are_not_trained_at_the_published_rate(
    material: Path, tmp_path: Path, capsys: Capture
) -> None:
    """It never learns; whoever gives a rate is left alone, or told that it is a slow one."""
    out = tmp_path / "run"
    paper = ["--preset", "paper", "--data", str(material / "data"), "--out", str(out)]
    told = refusal(paper, capsys, 2)
    assert "give --init-street-view and --init-remote-sensing, or an --lr of your own" in told
    assert not out.exists()
    started = ["--model=tiny", "--steps=1", "--batch-photos=2", "--workers=0", "--threads=1"]
    for number, (rate, warned) in enumerate((("1e-6", True), ("1e-3", False))):
        (tmp_path / "rate.yaml").write_text(f"lr: {rate}\n")
        argv = [*paper[:-1], str(tmp_path / str(number)), *started, "--no-tensorboard"]
        assert main([*argv, "--config", str(tmp_path / "rate.yaml")]) == 0
        assert ("hardly moves them" in capsys.readouterr().err) == warned


@pytest.mark.parametrize("name", ["init_street_view", "init_remote_sensing"])
def test_pretrained_towers_are_trained_at_the_published_rate(name: str) -> None:
    config = dataclasses.replace(PRESETS["paper"], **{name: "weights.pth"})  # type: ignore[arg-type]
    check_start(config, rate_given=False)
    check_start(dataclasses.replace(PRESETS["paper"], model="a/folder"), rate_given=False)
    with pytest.raises(UsageError):
        check_start(PRESETS["paper"], rate_given=False)


def test_an_override_does_not_change_weights_that_are_there(
    material: Path, tmp_path: Path, capsys: Capture
) -> None:
    told = refusal(arguments(material, tmp_path / "run", "--sigmas=1,4"), capsys, 2)
    assert f"sigmas is (1.0, 4.0) and {material / 'small'} has {SMALL.location_sigmas}" in told
    assert not (tmp_path / "run").exists()  # so that the next try is not refused


def test_without_a_split_to_validate_on_it_trains_and_says_so(
    material: Path, tmp_path: Path, capsys: Capture
) -> None:
    data = write_tiny_dataset(tmp_path / "data", splits=["train"], photo_px=(40, 32))
    argv = arguments(material, tmp_path / "run", "--data", str(data), "--validate-every=1")
    assert main(argv) == 0
    assert "no split val, so no validation" in capsys.readouterr().err
    assert (tmp_path / "run" / "model").is_dir()
    assert not (tmp_path / "run" / "best").exists()


def test_a_folder_with_something_in_it_is_refused(
    finished: Path, material: Path, tmp_path: Path, capsys: Capture
) -> None:
    before = (finished / "metrics.jsonl").read_bytes()
    told = refusal(arguments(material, finished), capsys, 2)
    assert f"resume it with --resume {finished}, or name a new folder" in told
    assert (finished / "metrics.jsonl").read_bytes() == before
    (tmp_path / "notes.txt").touch()
    assert "is there already: name a new folder" in refusal(
        arguments(material, tmp_path), capsys, 2
    )


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--seed=1"], "cannot resume with seed 1: the run has 0"),
        (["--losses=incl"], "cannot resume with losses 'incl': the run has 'both'"),
        (["--model=tiny"], "cannot resume with model 'tiny': the run has "),
        (["--ema-decay=0.9"], "cannot resume with ema_decay 0.9: the run has 0.0"),
        (["--batch-photos=4"], "batch_photos is 4 here and was 8"),
        (["--preset=paper"], "cannot resume with model 'base'"),
    ],
)
def test_resuming_as_another_run_is_refused_by_field(
    finished: Path, capsys: Capture, flags: list[str], told: str
) -> None:
    before = (finished / "config.yaml").read_bytes()
    assert told in refusal(["--resume", str(finished), *flags], capsys, 1)
    assert (finished / "config.yaml").read_bytes() == before


def test_resuming_with_other_data_is_refused(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    data = write_tiny_dataset(tmp_path / "data", seed=9)
    told = refusal(["--resume", str(finished), "--data", str(data)], capsys, 1)
    assert re.search(r"data_sha256 is [0-9a-f]{64} here and was [0-9a-f]{64}", told)


def test_resuming_nothing_is_refused(tmp_path: Path, capsys: Capture) -> None:
    told = refusal(["--resume", str(tmp_path / "none")], capsys, 1)
    assert "is no run folder (no run.json): start a run with --data and --out" in told
    (tmp_path / "run.json").write_text("{}")
    assert "cannot be resumed" in refusal(["--resume", str(tmp_path)], capsys, 1)


def test_no_data_set_is_one_line_and_nothing_is_made(
    material: Path, tmp_path: Path, capsys: Capture
) -> None:
    argv = arguments(material, tmp_path / "run", "--data", str(tmp_path / "nowhere"))
    assert "has no dataset.json" in refusal(argv, capsys, 1)
    assert not (tmp_path / "run").exists()


def test_two_processes_do_not_train_in_one_folder(finished: Path, capsys: Capture) -> None:
    with locked(finished):
        told = refusal(["--resume", str(finished), "--steps=9"], capsys, 1)
    assert "another process is training" in told
    assert yaml.safe_load((finished / "config.yaml").read_text())["steps"] == 4


@pytest.mark.parametrize("what", ["total", "grad_norm", "weights"])
def test_a_number_that_is_not_finite_stops_before_anything_is_written(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, what: str
) -> None:
    poison_step(monkeypatch, 3, what)
    flags = ("--save-every=1", "--validate-every=1", "--steps=5")
    out = tmp_path / "run"
    told = refusal(arguments(material, out, *flags), capsys, 1)
    assert re.search(rf"step 3 \(epoch 0, batch 2\) gave .*{what} (nan|inf)", told)
    assert "resume from step 2 with a smaller lr" in told
    failed = json.loads((out / "failed-batch.json").read_text())
    assert (failed["step"], len(failed["photos"])) == (3, 8)
    assert all(photo in told for photo in failed["photos"])
    assert steps_of(out) == [1, 2]
    assert max(line["step"] for line in read_metrics(out)) == 2
    assert json.loads((out / "best" / "training.json").read_text())["steps"] <= 2
    monkeypatch.undo()
    assert main(["--resume", str(out)]) == 0


def poison_step(monkeypatch: pytest.MonkeyPatch, step: int, what: str) -> None:
    import training.pretraining.loop

    real, calls = training.pretraining.loop.train_step, [0]

    def poisoned(objective: Any, *arguments: Any, **options: Any) -> Any:
        losses = real(objective, *arguments, **options)
        calls[0] += 1
        if calls[0] == step and what == "total":
            losses.total.fill_(torch.nan)
        if calls[0] == step and what == "grad_norm":
            objective.model.inr.decoder.weight.grad[0, 0] = torch.inf
        if calls[0] == step and what == "weights":
            objective.model.inr.decoder.weight.data[0, 0] = torch.nan
        return losses

    monkeypatch.setattr(training.pretraining.loop, "train_step", poisoned)


@pytest.mark.process
def test_two_ranks_train_as_one_does(material: Path, tmp_path: Path) -> None:
    alone, two = tmp_path / "one", tmp_path / "two"
    assert main(arguments(material, alone)) == 0
    done = command(arguments(material, two), *TWO_RANKS)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trained: ") == 1  # only the first rank speaks
    assert "on 2 x cpu" in done.stderr
    apart, together = read_metrics(two), read_metrics(alone)
    assert [line["step"] for line in apart] == [line["step"] for line in together]
    for name in ("total", "incl", "secl_sv", "secl_rs", "grad_norm"):
        values = [line[name] for line in apart if line["kind"] == "train"]
        wanted = [line[name] for line in together if line["kind"] == "train"]
        assert values == pytest.approx(wanted, rel=1e-4), name


@pytest.mark.process
@pytest.mark.slow
def test_the_demo_preset_trains_on_two_ranks_as_on_one_and_goes_on(
    material: Path, tmp_path: Path
) -> None:
    """Masks, temperatures, the linear start; stopped and resumed on the way.

    In single precision: half precision rounds batches of another size otherwise, and random
    weights carry that away from each other in a few steps.
    """
    data = str(material / "data")
    small = ["--batch-photos=16", "--warm-start-photos=16", "--threads=1", "--workers=0"]
    small += [
        "--autocast=off",
        "--log-every=1",
        "--save-every=2",
        "--validate-every=0",
        "--no-tensorboard",
    ]

    def argv(out: Path, *flags: str) -> list[str]:
        return ["--preset", "demo", "--data", data, "--out", str(out), *small, *flags]

    alone, two = tmp_path / "one", tmp_path / "two"
    assert main(argv(alone, "--steps=4")) == 0
    done = command(argv(two, "--steps=4"), *TWO_RANKS)
    assert done.returncode == 0, done.stderr
    names = ("total", "incl", "secl_sv", "secl_rs", "temperature", "location_temperature")
    wanted, apart = (
        [line for line in read_metrics(out) if line["kind"] == "train"] for out in (alone, two)
    )
    assert [line["step"] for line in apart] == [1, 2, 3, 4]
    for name in names:
        assert [line[name] for line in apart] == pytest.approx(
            [line[name] for line in wanted], abs=2e-3
        ), name
    shutil.rmtree(two / "checkpoints" / "step-000004")
    done = command(["--resume", str(two)], *TWO_RANKS)
    assert done.returncode == 0, done.stderr
    again = [line for line in read_metrics(two) if line["kind"] == "train"][-2:]
    assert [line["step"] for line in again] == [3, 4]
    for name in names:
        assert [line[name] for line in again] == [line[name] for line in apart[2:]], name


@pytest.mark.process
@pytest.mark.slow
def test_a_run_of_one_rank_goes_on_with_two(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    done = command(["--resume", str(out), "--steps=5"], *TWO_RANKS)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("note: ranks 1 -> 2") == 1
    assert "steps 4 to 5" in done.stderr
    assert [line["step"] for line in read_metrics(out) if line["kind"] == "train"][-1] == 5
    failed = command(["--resume", str(out), "--seed=3"], *TWO_RANKS)
    assert failed.stderr.count("error: cannot resume with seed 3") == 1


def command(argv: list[str], *launcher: str) -> subprocess.CompletedProcess[str]:
    here = str(REPOSITORY)
    environment = {**os.environ, "PYTHONPATH": here, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, *launcher, "-m", "training.pretrain", *argv]
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
