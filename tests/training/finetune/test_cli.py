"""The command line: its list, its refusals, tasks and tables end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from labelled_samples import write_burn_scars, write_streetscapes
from micro_training import micro_model
from sighting_samples import write_yfcc

from gair.errors import UsageError
from training.finetune import cli, synthetic_table
from training.finetune.cli import TransferOptions, main
from training.finetune.encoders.opening import open_encoder
from training.finetune.fitting import Budget
from training.finetune.readers import labelled_places, labelled_scenes
from training.finetune.results import Row, Section, markdown, mean_sd
from training.finetune.synthetic_table import TableOptions
from training.finetune.synthetic_tasks import Size
from training.finetune.tasks import TASKS
from training.synthetic.city import City


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(micro_model().save_pretrained(tmp_path_factory.mktemp("model")))


def test_the_list_names_every_task_with_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", "list"]) == 0
    told = capsys.readouterr().out
    assert all(task.name in told and task.get in told for task in TASKS)
    assert "remote sensing (frozen)" in told


def test_a_task_end_to_end_with_two_encoders_and_published_numbers(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(labelled_scenes, "BURN_SCARS_COUNTS", {"training": 3, "validation": 1})
    data, out = write_burn_scars(tmp_path / "scars"), tmp_path / "out"
    argv = ["--task", "hls-burn-scars", "--data", str(data), "--out", str(out), "--quiet"]
    models = ["--model", model, "--model", f"scratch:{model}"]
    assert main([*argv, *models, "--seeds", "2", "--steps", "2", "--batch", "2"]) == 0
    text = (out / "transfer.md").read_text()
    assert text in capsys.readouterr().out
    assert "| micro, frozen | " in text
    assert "| micro, from scratch | " in text
    assert "| GAIR, as published | 83.26 |" in text
    assert "| CROMA, as published | 81.95 |" in text
    facts = json.loads((out / "transfer.json").read_text())
    (task,) = facts["tasks"]
    assert [len(row["scores"]) for row in task["rows"]] == [2, 2]
    mean = np.mean([scores["mIoU"] for scores in task["rows"][0]["scores"]])
    assert task["rows"][0]["mean"]["mIoU"] == pytest.approx(mean)


def test_the_papers_table_runs_what_is_there_and_says_what_is_not(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    write_streetscapes(root / "view-direction")
    (root / "yfcc100m-geo100").mkdir()
    write_yfcc(root / "yfcc100m-geo100")
    monkeypatch.setitem(labelled_places.CLASSES, "yfcc", 4)
    argv = ["--table", "paper", "--data", str(root), "--model", model, "--out", str(tmp_path / "o")]
    assert (
        main([*argv, "--model", "geoclip:/no.pth", "--seeds", "1", "--steps", "2", "--quiet"]) == 0
    )
    text = capsys.readouterr().out
    for task in TASKS:
        assert f"**{task.title}**" in text
        if not (root / task.name).is_dir():
            assert f"{model}: not run: data needed at {root / task.name}" in text
    assert text.count("| micro, ") == 2
    assert "not run: geoclip encodes no photos" in text
    assert "not run: no weights at '/no.pth'" in text
    assert text.count("as published") == 6  # two models on three tasks, and nothing else


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        ([], 2, "give one of --task NAME and --table"),
        (["--task", "platfrm", "--data", "."], 2, "did you mean 'platform'?; see them"),
        (["--task", "platfrm"], 2, "did you mean 'platform'?; see them"),
        (["--task", "platform"], 2, "--data is needed: a folder with manual_labels of"),
        (["--table", "paper"], 2, "--data is needed: ROOT, with a folder ROOT/TASK for each"),
        (["--table", "paper", "--data", "/nowhere"], 1, "no folder /nowhere"),
        (["--task", "platform", "--model", "scratch:geoclip"], 2, "--data is needed"),
        (["--task", "platform", "--data", "/nowhere"], 1, "no data at /nowhere: manual_labels of"),
        (["--task", "platform", "--data", ".", "--seeds", "0"], 2, "--seeds is 0"),
        (["--table", "synthetic", "--steps", "5"], 2, "--steps does not go with --table syn"),
        (["--table", "synthetic", "--model", "a", "--model", "b"], 2, "give one --model"),
        (["--table", "synthetic", "--model", "shipped:no"], 1, "no model 'shipped:no'"),
    ],
)
def test_refusals_are_one_line(
    argv: list[str], status: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv, "--out", str(tmp_path)]) == status
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("source", ["scratch:geoclip", "scratch:croma:x.pt", "scratch:scratch:a"])
def test_only_gair_and_timm_models_start_from_scratch(source: str) -> None:
    with pytest.raises(UsageError, match="scratch: goes before a GAIR model or timm:NAME"):
        open_encoder(source, "location")


def test_what_is_not_finite_is_null_in_the_file_and_told_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (Row("a", ({"R2": float("-inf")}, {"R2": 0.5})),)
    section = Section("T", "street view", ("R2",), rows)
    cli._write([section], TransferOptions(out=tmp_path, seeds=2))
    facts = json.loads((tmp_path / "transfer.json").read_text(), parse_constant=pytest.fail)
    assert facts["tasks"][0]["rows"][0]["scores"] == [{"R2": None}, {"R2": 0.5}]
    assert facts["tasks"][0]["rows"][0]["mean"] == {"R2": None}
    assert "| a | -inf" in capsys.readouterr().out


def test_tables_are_told_as_tasks_are_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []

    def sections() -> Iterator[Section]:
        for title, pipeline in (("A", "street view"), ("B", "street view"), ("C", "location")):
            yield Section(title, pipeline, ("R2",), (Row("a", ({"R2": 0.5},)),))
            told.append(capsys.readouterr().out)

    cli._write(sections(), TransferOptions(out=tmp_path, seeds=1))
    assert [text.count("**") for text in told] == [2, 2, 2]
    assert "".join(told) + capsys.readouterr().out == (tmp_path / "transfer.md").read_text()


def test_an_encoder_of_another_kind_fails_a_single_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_streetscapes(tmp_path / "labels")
    argv = ["--task", "view-direction", "--data", str(data), "--out", str(tmp_path)]
    assert main([*argv, "--model", "croma"]) == 2
    assert "croma encodes no photos" in capsys.readouterr().err


@pytest.mark.process
def test_help_teaches_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, contextlib\n"
        "from training.finetune.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "main(['--task', 'list'])\n"
        "assert not {'torch', 'rasterio', 'scipy', 'timm'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "python -m training.finetune --table synthetic" in done.stdout


@pytest.mark.process
def test_without_scikit_learn_the_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['sklearn'] = None\n"
        "from training.finetune.cli import main\n"
        f"sys.exit(main(['--table', 'synthetic', '--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: scikit-learn is not installed: pip install 'gair-geolocator[finetune]'\n"
    )


def tiny_options(model: str) -> TableOptions:
    size = Size(
        train_cities=(300,), test_cities=(310,), side_m=1900.0, train_photos=24, test_photos=8,
        home=City(1, 1900.0), train_places=60, test_places=20, prior_photos=8,
    )  # fmt: skip
    few = Budget(steps=2, batch=4, checks=1)
    return TableOptions(
        model=model, seeds=2, size=size, street=few, frames=few, places=few, channels=4,
        globe_train=200, globe_test=50, geoclip="geoclip:/no.pth", full_size=f"scratch:{model}",
        efficientnet="efficientnet-lite:/no.pth", quiet=True,
    )  # fmt: skip


@pytest.mark.slow
def test_the_synthetic_table_end_to_end(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(synthetic_table, "TableOptions", lambda **_given: tiny_options(model))
    assert main(["--table", "synthetic", "--model", model, "--out", str(tmp_path), "--quiet"]) == 0
    text = capsys.readouterr().out
    facts = json.loads((tmp_path / "transfer.json").read_text())
    assert [task["pipeline"] for task in facts["tasks"]] == [
        *["street view"] * 3, "remote sensing", *["location"] * 3, "species prior",
    ]  # fmt: skip
    for task in facts["tasks"]:
        assert len(task["rows"]) >= 4
        for row in task["rows"]:
            assert bool(row["scores"]) != bool(row["not_run"]), row
            assert all(m in scores for scores in row["scores"] for m in task["metrics"])
    assert text.count("not run: no weights at '/no.pth'") == 7
    assert "micro, frozen" in text
    assert "the same, from scratch" in text


def test_a_table_has_means_deviations_and_the_best_in_bold() -> None:
    rows = (
        Row("a", ({"top-1": 0.5, "MAE": 2.0}, {"top-1": 0.7, "MAE": 4.0})),
        Row("b", ({"top-1": 0.4, "MAE": 1.0},)),
        Row("c", not_run="data needed at d"),
    )
    section = Section("T", "street view", ("top-1", "MAE"), rows, "on x", {"MAE": {"GAIR": 1.5}})
    assert mean_sd(rows[0], "top-1") == pytest.approx((0.6, 0.1 * 2**0.5))
    assert markdown([section]).splitlines() == [
        "### Street view",
        "",
        "**T**: on x",
        "",
        "| | top-1 (%) | MAE |",
        "|---|---:|---:|",
        "| a | **60.0 ± 14.1** | 3.000 ± 1.414 |",
        "| b | 40.0 | **1.000** |",
        "| c: not run: data needed at d | - | - |",
        "| GAIR, as published |  | 1.5 |",
    ]
    assert section.to_dict()["rows"][0]["mean"] == {"top-1": pytest.approx(0.6), "MAE": 3.0}
