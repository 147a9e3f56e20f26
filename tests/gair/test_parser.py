"""Parsers of command lines: versions, and what is said of words that are misspelt."""

from __future__ import annotations

import importlib

import pytest

from gair.info import package_version
from indexer.commands.cli import main

MODULES = (
    "app.cli app.demo gair.cli indexer.commands.cli training.pretrain training.dataset.cli "
    "training.finetune.cli training.synthetic.cli training.evaluate "
    "training.experiments.by_condition training.experiments.similarity_maps"
).split()


@pytest.mark.parametrize("module", MODULES)
def test_every_command_line_says_its_version(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"gair-geolocator {package_version()} (Python 3.")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["search", "--version"], "gair-geolocator "),
        (["--version"], "gair-geolocator "),
    ],
)
def test_commands_say_it_too(
    argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(told)


def test_a_misspelt_flag_is_told_before_one_that_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused(*argv: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(argv)
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line.removesuffix("; see python -m indexer verify --help")

    assert refused("verify", "--ta", "51.5,0") == (
        "error: unknown argument '--ta'; did you mean '--at'?"
    )
    assert refused("verify", "--rad", "5", "p.jpg") == (
        "error: the following arguments are required: --at/--claim"
    )  # a beginning of --radius-m is enough
