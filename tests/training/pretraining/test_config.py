"""The configuration of a run: presets, YAML, flags, help."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gair.errors import UsageError
from gair.fields import field_help
from training.pretraining import arguments, config
from training.pretraining.arguments import overlay, parse, read_yaml
from training.pretraining.config import PRESETS, PretrainConfig
from training.synthetic.cli import build_parser as synthetic_parser

FIELDS = [field.name for field in dataclasses.fields(PretrainConfig)]
WHERE = ("--data", "data", "--out", "out")
Capture = pytest.CaptureFixture[str]


def resolved(*flags: str) -> PretrainConfig:
    return parse([*WHERE, *flags]).resolve()


def test_every_field_has_a_docstring_and_a_flag_that_shows_it() -> None:
    assert list(field_help(PretrainConfig)) == FIELDS
    parser = arguments._parser()
    told = {action.dest: action for action in parser._actions}
    for name, text in field_help(PretrainConfig).items():
        assert text.endswith("."), name
        assert "--" + name.replace("_", "-") in told[name].option_strings
        assert str(told[name].help).startswith(text), name


def test_every_flag_changes_its_field() -> None:
    for name in FIELDS:
        value = getattr(PRESETS["smoke"], name)
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words = [flag.replace("--", "--no-") if value else flag]
        else:
            other = {str: "other", int: 7, float: 0.25, tuple: "0.25,0.5"}[type(value)]
            values = {
                "losses": "incl",
                "rs_query": "mean",
                "autocast": "bf16",
                "inr_hidden": "8",
                "rs_windows": "3",
                "sv_residuals": "1,2",
                "rs_residuals": "1,2",
            }
            words = [f"{flag}={values.get(name, other)}"]
        changed = resolved("--preset", "smoke", "--in-batch-locations", *words)
        if name != "in_batch_locations":
            assert getattr(changed, name) != value, name


def test_names_in_tables_are_fields() -> None:
    tables = [config.MAY_CHANGE, arguments._GROUP_STARTS]
    for table in [*tables, *config.EXCLUSIVE]:
        assert set(table) <= set(FIELDS)


def test_the_paper_preset_is_the_papers() -> None:
    paper = resolved()
    assert paper == PRESETS["paper"]
    assert (paper.model, paper.epochs) == ("base", 300)
    assert (paper.queue_size, paper.temperature) == (4096, 0.07)
    assert not any([paper.in_batch_locations, paper.gather, paper.learnable_temperature])
    assert paper.batch_of(8) == 2048
    assert paper.peak_lr(2048) == pytest.approx(1.5e-6 * 8)
    assert round(paper.warmup_share * paper.total_steps(77)) == 10 * 77


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("batch_photos: 32\nseed: 5\nautocast: off\nlr: 1e-4\nsigmas: [1, 16]\n")
    config = resolved("--preset", "demo", "--config", str(file), "--seed", "6")
    assert (config.batch_photos, config.seed, config.lr) == (32, 6, 1e-4)
    assert (config.autocast, config.sigmas) == ("off", (1.0, 16.0))
    assert config.photos_per_footprint == PRESETS["demo"].photos_per_footprint


def test_a_written_configuration_reads_back_as_itself(tmp_path: Path) -> None:
    for preset in PRESETS.values():
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(preset.to_dict()))
        fields = read_yaml(tmp_path / "config.yaml")
        assert overlay(PretrainConfig(), fields, where="a file") == preset


def test_one_way_to_give_the_length_and_the_batch_replaces_the_other() -> None:
    config = resolved("--steps", "100", "--batch-photos", "64")
    assert (config.epochs, config.batch_per_rank) == (0, 0)
    assert config.total_steps(7) == 100
    back = overlay(config, {"epochs": 0.5}, where="a test")
    assert (back.steps, back.total_steps(7)) == (0, 4)
    with pytest.raises(UsageError, match=r"epochs is 2.0 and steps is 3: exactly one"):
        resolved("--steps", "3", "--epochs", "2")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("batch_photo: 3", r"no field 'batch_photo'; did you mean 'batch_photos'\?"),
        ("colour: red", "no field 'colour'$"),
        ("steps: many", "steps is 'many': expected a whole number"),
        ("steps: 1.5", "steps is 1.5: expected a whole number"),
        ("steps: true", "steps is True: expected a whole number"),
        ("gather: perhaps", "gather is 'perhaps': expected true or false"),
        ("sigmas: [1, x]", r"sigmas is \[1, 'x'\]: expected a number, or several"),
        ("losses: infonce", "losses is 'infonce': choose from both, incl, secl"),
        ("- 1", "holds no fields"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_file_with_a_mistake_is_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=told) as refused:
        resolved("--config", str(file))
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    "flag",
    [
        "--weight-decay=-1",
        "--lr=nan",
        "--temperature=0",
        "--warmup-share=1.1",
        "--flip=2",
        "--chunks=0",
        "--keep=0",
        "--betas=0.9",
        "--betas=0.9,1",
        "--ema-decay=1",
        "--sigmas=1,-2",
        "--queue-size=0",
    ],
)
def test_a_value_that_cannot_work_is_refused(flag: str) -> None:
    name = flag[2:].split("=")[0].replace("-", "_")
    with pytest.raises(UsageError, match=rf"{name}`? (is|are) .*"):
        resolved(flag)


def test_a_batch_that_cannot_be_dealt_out_is_refused() -> None:
    config = resolved("--batch-photos", "10", "--chunks", "2")
    assert config.batch_of(5) == 10
    with pytest.raises(UsageError, match="batch_photos is 10, no multiple of the 3 ranks"):
        config.batch_of(3)
    with pytest.raises(UsageError, match="chunks is 2, which does not divide 5"):
        config.batch_of(2)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--batch-photo", "3", *WHERE], "unknown argument '--batch-photo'; did you mean"),
        (["--data", "data"], "--data and --out are needed"),
        (["--resume", "a", "--out", "b"], "--out b is not the run to resume, a"),
        (["--preset", "huge", *WHERE], "invalid choice: 'huge'"),
        (["--steps"], "expected one argument"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(
    argv: list[str], told: str, capsys: Capture
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(argv)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert told in line


def test_without_a_word_it_says_how_to_begin(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse([])
    assert stopped.value.code == 2
    said, make, train = capsys.readouterr().err.splitlines()
    assert said.startswith("error: --data and --out are needed")
    world, run = (shlex.split(line) for line in (make, train))
    assert world[:4] == ["python", "-m", "training.synthetic", "world"]
    data = world[world.index("--out") + 1]
    synthetic_parser().parse_args(world[3:])
    arguments = parse(run[3:])
    assert (str(arguments.data), arguments.preset) == (data, "smoke")


@pytest.mark.process
def test_help_teaches_and_needs_nothing_heavy() -> None:
    program = (
        "import sys\nfrom training.pretrain import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stopped:\n    assert not stopped.code\n"
        "heavy = {'torch', 'timm', 'pyarrow', 'rasterio', 'numpy', 'yaml'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "heavy: []"
    assert re.search(
        r"examples:\n  # .*\n  python -m training.pretrain --preset smoke", done.stdout
    )
    assert "torchrun --nproc-per-node" in done.stdout
    flags = set(re.findall(r"--[a-z][a-z-]+", done.stdout.split("examples:")[1]))
    options = {flag for action in arguments._parser()._actions for flag in action.option_strings}
    assert flags - {"--nproc-per-node"} <= options


ODD = (None, [], {}, [None], {"a": {"b": 1}}, "text", True, -1, 10**400, 1e300, -(10**400), [[1]])
ODD_TEXTS = (".nan", ".inf", "-.inf", "2020-01-01", "0x" + "f" * 5000, "!!binary aGk=", "[" * 1000)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", FIELDS)
def test_every_odd_value_of_a_field_is_refused_or_stands_for_one_of_its_kind(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / "mine.yaml"
    texts = [yaml.safe_dump({name: odd}) for odd in ODD] + [f"{name}: {odd}" for odd in ODD_TEXTS]
    accepted = []
    for text in texts:
        file.write_text(text)
        try:
            accepted.append(getattr(resolved("--preset", "smoke", "--config", str(file)), name))
        except UsageError as error:
            told = str(error)
            refusals = (len(told) < 600, "\n" not in told)
            if refusals != (True, True):
                pytest.fail(told)
    kind = type(getattr(PRESETS["paper"], name))
    assert all(type(value) is kind for value in accepted)
    numbers = [n for v in accepted for n in (v if isinstance(v, tuple) else [v])]
    assert not [n for n in numbers if not isinstance(n, str) and not 0 <= n < 2**32]
    assert kind is str or len(accepted) <= 7
    assert not [n for n in numbers if isinstance(n, str) and n[:1] in ("[", "{")]
