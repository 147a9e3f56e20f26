"""Command ``gair``: every command line under one name, told as it was typed."""

from __future__ import annotations

import importlib

import pytest

from app.entry import GROUPS, build_parser, main
from gair.command import spoken, spoken_as

COMMANDS = {name: program for group in GROUPS.values() for name, (program, _) in group.items()}


def help_of(*words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    return ""


def test_the_help_lists_every_command_under_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    help_of()
    told = capsys.readouterr().out
    for title, group in GROUPS.items():
        assert f"\n{title}:\n" in told
        for name, (_, line) in group.items():
            assert f"  {name} " in told
            assert line in told


@pytest.mark.parametrize("module", ["indexer.commands.cli", "gair.cli"])
def test_no_command_is_left_out(module: str) -> None:
    """A command that is added there is reached here, too."""
    program = importlib.import_module(module)
    if module == "gair.cli":
        theirs = {"check", "convert", "push", "export-onnx"}
    else:
        theirs = {name for names in program._MODULES.values() for name in names}
    assert theirs == {name for name, about in COMMANDS.items() if about.module == module}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself_as_it_was_typed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    help_of(name)
    told = capsys.readouterr().out
    assert told.startswith(f"usage: gair {name}")
    assert COMMANDS[name].written not in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["serch"], "error: there is no command 'serch'; did you mean 'search'?; see gair --help"),
        (["search"], "error: the following arguments are required: PHOTO; see gair search --help"),
        ([], "error: the following arguments are required: COMMAND; see gair --help"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err == told + "\n"


def test_a_failure_names_the_command_that_helps(
    capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    assert main(["info", "--index", "nowhere", "--indexes", str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith("build it with gair build\n")


def test_names_that_only_begin_alike_are_left() -> None:
    with spoken_as({"python -m app": "gair app"}):
        assert spoken("python -m app, python -m app.demo") == "gair app, python -m app.demo"
    assert spoken("python -m app") == "python -m app"


def test_the_parser_can_be_read_by_documentation() -> None:
    assert "gair" == build_parser().prog
