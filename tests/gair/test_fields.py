"""Flags, help texts and values from the fields of dataclasses."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from gair.command import flags_by_name, in_flags, run_parsed
from gair.errors import UsageError
from gair.fields import (
    add_fields,
    field_help,
    from_namespace,
    given,
    option,
)

Mode = Literal["fast", "exact"]


def megabytes(text: str) -> int:
    if not text.endswith("MB"):
        raise UsageError(f"`most` {text!r} is no size: write 5MB")
    return int(text[:-2]) * 10**6


@dataclass(frozen=True)
class Split:
    """A split."""

    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Shares of the three parts."""
    seed: int = 0
    """Of the split."""


@dataclass(frozen=True)
class Catalogue:
    """A catalogue."""

    days: int = 7
    """How many days."""


@dataclass(frozen=True)
class Options:
    """Options of many kinds."""

    photos: Path
    """A folder of photos."""
    steps: int = 100
    """H3 steps of the fit, 5 % of it to warm up."""
    limit: int | None = None
    """Stop after so many, as with ``mode``."""
    mode: Mode = "fast"
    """How it is searched."""
    query_mode: Mode | None = option(None, flags="--rs-query")
    """How frames are read (default: as the index has it)."""
    places: int = option(5, flags=("-k", "--places"))
    """Places of a photo."""
    lr: float = 1e-4
    """Peak rate."""
    force: bool = False
    """Start over."""
    keep_maps: bool = option(True, flags="--no-maps", help="do not keep the maps")
    refine: bool = True
    """Refine."""
    gather: bool = option(True, both=True)
    """Gather."""
    tables: tuple[Path, ...] = ()
    """Folders; may be given again."""
    imagery: tuple[str, ...] = option((), many="words", metavar="FILE")
    sigmas: tuple[int, ...] = option((), many="commas")
    letters: tuple[str, ...] = option((), many="word", parse=tuple)
    most: int = option(10**6, parse=megabytes, metavar="SIZE", group="limits")
    """What may stay."""
    inner: float = option(0.5, flags=None)
    secret: str = field(default="x", init=False)
    split: Split = option(Split(seed=3), group="split")
    catalogue: Catalogue | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"`steps` {self.steps} is below 1: give `places` or more")


def parsed(*words: str, cls: type = Options) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_fields(parser, cls)
    return parser.parse_args(words)


def made(*words: str) -> Options:
    return from_namespace(Options, parsed("--photos", "p", *words))


def help_text() -> str:
    parser = argparse.ArgumentParser()
    add_fields(parser, Options)
    return " ".join(parser.format_help().split())


def test_nothing_given_is_what_the_dataclass_says() -> None:
    assert made() == Options(Path("p"))


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("--steps 7", "steps", 7),
        ("--limit 2", "limit", 2),
        ("--mode exact", "mode", "exact"),
        ("--rs-query exact", "query_mode", "exact"),
        ("-k 3", "places", 3),
        ("--places 4", "places", 4),
        ("--lr 0.5", "lr", 0.5),
        ("--force", "force", True),
        ("--no-maps", "keep_maps", False),
        ("--no-refine", "refine", False),
        ("--no-gather", "gather", False),
        ("--gather", "gather", True),
        ("--tables a --tables b", "tables", (Path("a"), Path("b"))),
        ("--imagery a b", "imagery", ("a", "b")),
        ("--sigmas 1,16", "sigmas", (1, 16)),
        ("--letters ab", "letters", ("a", "b")),
        ("--most 5MB", "most", 5_000_000),
        ("--shares 0.5,0.25,0.25", "split", Split((0.5, 0.25, 0.25), seed=3)),
        ("--seed 9", "split", Split(seed=9)),
    ],
)
def test_a_flag_sets_its_field(words: str, name: str, value: object) -> None:
    assert getattr(made(*words.split()), name) == value


def test_given_tells_flags_from_defaults() -> None:
    assert given(Options, parsed("--photos", "p", "--steps", "100", "--seed", "0")) == {
        "photos",
        "steps",
        "seed",
    }


@pytest.mark.parametrize("words", ["", "--photos p --mode slow", "--photos p --steps many"])
def test_argparse_refuses_what_is_missing_or_of_another_kind(words: str) -> None:
    with pytest.raises(SystemExit) as stop:
        parsed(*words.split())
    assert stop.value.code == 2


def test_values_that_cannot_be_read_name_their_argument() -> None:
    with pytest.raises(UsageError, match="^`most` '5' is no size"):
        made("--most", "5")
    with pytest.raises(UsageError, match="^`sigmas` 'x' cannot be read"):
        made("--sigmas", "1,x")


def test_values_of_the_caller_win() -> None:
    namespace = parsed("--photos", "p", "--most", "bad")
    options = from_namespace(Options, namespace, most=3, catalogue=Catalogue(2))
    assert (options.most, options.catalogue) == (3, Catalogue(2))


def test_help_is_docstring_and_default() -> None:
    text = help_text()
    assert "--photos PATH a folder of photos" in text
    assert "--steps N H3 steps of the fit, 5 % of it to warm up (default: 100)" in text
    assert "--limit N stop after so many, as with --mode --" in text
    assert "--rs-query {fast,exact} how frames are read (default: as the index has it)" in text
    assert "--lr X peak rate (default: 0.0001)" in text
    assert "--no-maps do not keep the maps" in text
    assert "--shares X,X,X shares of the three parts (default: 0.8,0.1,0.1)" in text
    assert "limits: --most SIZE what may stay (default: 1000000)" in text
    assert "--seed N of the split (default: 3)" in text  # of the instance that is held
    assert text.index("split: --shares") > text.index("limits:")
    assert not {"inner", "secret", "days"} & {word.strip("-[],") for word in text.split()}


def test_positionals() -> None:
    @dataclass(frozen=True)
    class Merge:
        """Positional arguments."""

        into: str = option(positional=True)
        parts: tuple[str, ...] = option((), positional=True, metavar="PART")

    globals()["Merge"] = Merge
    assert from_namespace(Merge, parsed("a", cls=Merge)) == Merge("a")
    assert from_namespace(Merge, parsed("a", "b", "c", cls=Merge)) == Merge("a", ("b", "c"))


def test_dataclasses_share_a_parser_and_a_flag() -> None:
    parser = argparse.ArgumentParser()
    add_fields(parser, Split)
    add_fields(parser, Options, leave_out=("photos", "catalogue"))
    add_fields(parser.add_argument_group("where"), Catalogue, only=("days",))
    namespace = parser.parse_args(["--seed", "4", "--days", "1"])
    assert from_namespace(Split, namespace) == Split(seed=4)
    assert from_namespace(Options, namespace, photos=Path()).split == Split(seed=4)
    assert from_namespace(Catalogue, namespace) == Catalogue(1)


def test_docstrings_are_inherited_and_read_past_methods() -> None:
    @dataclass(frozen=True)
    class Child(Split):
        """A split with more."""

        more: int = 1

    assert field_help(Options)["lr"] == "Peak rate."
    assert field_help(Child)["seed"] == "Of the split."


def command(run: Any, **defaults: object) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for name in ("fit", "merge"):
        sub = commands.add_parser(name)
        sub.set_defaults(run=run, **defaults)
        sub.add_argument("part", metavar="INDEX", nargs="?")
        add_fields(sub, Options, leave_out=("photos",) if name == "merge" else ())
    return parser


def test_the_command_line_says_flags_where_python_says_arguments(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(arguments: argparse.Namespace) -> int:
        from_namespace(Options, arguments)
        raise UsageError(f"`query_mode`, `part` and `unheard` are {arguments.part}")

    parser = command(run)
    assert run_parsed(parser, ["fit", "x", "--photos", "p"], interrupted="") == 2
    assert capsys.readouterr().err == "error: --rs-query, INDEX and `unheard` are x\n"
    assert run_parsed(parser, ["fit", "--photos", "p", "--steps", "0"], interrupted="") == 2
    assert capsys.readouterr().err == "error: --steps 0 is below 1: give --places or more\n"


def test_a_command_that_is_stopped_says_so_in_its_own_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(arguments: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    assert run_parsed(command(run, interrupted="halted"), ["merge"], interrupted="no") == 130
    assert capsys.readouterr().err == "halted\n"


def test_flags_are_those_of_the_chosen_command() -> None:
    parser = command(None)
    assert flags_by_name(parser, ["fit"])["photos"] == "--photos"
    assert "photos" not in flags_by_name(parser, ["merge"])
    assert in_flags("`keep_maps`: x", flags_by_name(parser, ["fit"])) == "--no-maps: x"


@pytest.mark.process
def test_making_flags_needs_nothing_heavy() -> None:
    code = "import sys, gair.fields, gair.command; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
