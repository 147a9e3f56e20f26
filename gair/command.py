"""Command lines: help, flags from dataclasses, errors of one line, and exit statuses."""

from __future__ import annotations

import argparse
import contextlib
import contextvars
import io
import os
import re
import sys
import textwrap
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from gair.errors import GairError, one_line
from gair.fields import add_fields, from_namespace, nearest
from gair.interrupts import INTERRUPTED, kills_as_ctrl_c

_T = TypeVar("_T")
_SPOKEN: contextvars.ContextVar[Mapping[str, str] | None]
_SPOKEN = contextvars.ContextVar("_SPOKEN", default=None)


@contextlib.contextmanager
def spoken_as(names: Mapping[str, str]) -> Iterator[None]:
    """Help and errors of command lines that are run inside the block, as another name has them.

    Args:
        names: what is written of a call, such as ``python -m indexer``, to what people typed.
    """
    token = _SPOKEN.set(names)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def spoken(text: str) -> str:
    """A text with calls as people typed them.

    >>> with spoken_as({"python -m indexer": "gair"}):
    ...     spoken("run python -m indexer build")
    'run gair build'
    """
    for written, said in (_SPOKEN.get() or {}).items():
        text = re.sub(rf"{re.escape(written)}(?![\w.])", said, text)
    return text


class HelpFormatter(RawDescriptionHelpFormatter):
    """Help with wrapped paragraphs and with examples whose lines are left as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text.strip():
            return super()._fill_text(text, width, indent)
        return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent)


class Parser(ArgumentParser):
    """A parser that answers mistakes in one line, with what was probably meant.

    Every parser of ours is one, so each has ``--version``. A command's flags may be made when it is
    chosen, for speed.
    """

    options: type | None = None
    """The dataclass whose fields become flags when the command is chosen."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        if kwargs.get("prog"):
            kwargs["prog"] = spoken(kwargs["prog"])
        super().__init__(*args, **kwargs)
        self.add_argument(
            "--version",
            action=_Version,
            nargs=0,
            default=argparse.SUPPRESS,  # it is no value of any command
            help="print the version and exit",
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401
        """Parse, after the flags were made and each was found to be one."""
        if self.options is not None:
            add_fields(self, self.options)
            self.options = None
        words = sys.argv[1:] if args is None else list(args)
        for word in self._own(words):
            self._check_flag(word.partition("=")[0])
        return super().parse_known_args(words, namespace)

    def format_help(self) -> str:
        """The help, with calls as people typed them."""
        return spoken(super().format_help())

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, without all the flags, and exit with 2."""
        if message.startswith("unrecognized arguments: "):
            message = f"unknown argument {message.split()[2]!r}"
        self.exit(2, spoken(f"error: {message}; see {self.prog} --help\n"))

    def _own(self, words: list[str]) -> list[str]:
        """Those words that are flags of this parser, not of a command's."""
        own = []
        commands = self._subparsers is not None
        for word in words:
            if word == "--" or (commands and not word.startswith("-")):
                break
            if word.startswith("--"):
                own.append(word)
        return own

    def _check_flag(self, flag: str) -> None:
        """Refuse a flag that is none, before another that is missing is complained of."""
        flags = [name for name in self._option_string_actions if name.startswith("--")]
        if flag in flags or (self.allow_abbrev and any(name.startswith(flag) for name in flags)):
            return
        self.error(f"unknown argument {flag!r}{nearest(flag, flags)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # noqa: ANN401
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        remedy = nearest(str(value), choices) or f": choose from {', '.join(choices)}"
        if isinstance(action, argparse._SubParsersAction):
            raise argparse.ArgumentError(None, f"there is no command {value!r}{remedy}")
        raise argparse.ArgumentError(action, f"invalid choice: {value!r}{remedy}")


class _Version(argparse.Action):
    def __call__(self, parser: ArgumentParser, *_: object) -> NoReturn:
        from gair.info import versions_said

        print(versions_said())
        parser.exit()


def add_command(
    commands: Any,  # noqa: ANN401
    name: str,
    options: type[_T],
    run: Callable[[_T], int],
    *,
    help: str,  # noqa: A002
    description: str | None = None,
    epilog: str | None = None,
) -> ArgumentParser:
    """Add a command whose flags are the fields of a dataclass.

    Args:
        commands: what `add_subparsers` returned.
        name: of the command.
        options: the dataclass.
        run: takes an instance of it; returns the exit status.
        help: a line in the list of commands.
        description: a paragraph; the help line unless given.
        epilog: examples.
    """
    parser: Parser = commands.add_parser(
        name,
        help=help,
        description=description or help,
        epilog=epilog,
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(run=lambda namespace: run(from_namespace(options, namespace)))
    parser.options = options
    return parser


def run_script(
    options: type[_T],
    run: Callable[[_T], int],
    argv: Sequence[str] | None,
    *,
    prog: str,
    description: str,
    interrupted: str = "interrupted",
) -> int:
    """Run a script of one command, whose flags are the fields of a dataclass.

    Args:
        options: the dataclass.
        run: takes an instance of it; returns the exit status.
        argv: the command line; that of the process unless given.
        prog: how the script is called.
        description: a paragraph of its help.
        interrupted: what to say when it was stopped.

    Returns:
        The exit status.

    Raises:
        SystemExit: as :func:`run_parsed`.
    """
    parser = Parser(prog=prog, description=description, formatter_class=HelpFormatter)
    add_fields(parser, options)
    parser.set_defaults(run=lambda namespace: run(from_namespace(options, namespace)))
    return run_parsed(parser, argv, interrupted=interrupted)


def run_parsed(parser: ArgumentParser, argv: Sequence[str] | None, *, interrupted: str) -> int:
    """Parse a command line and run the function that its command set as ``run``.

    Errors that name an argument in backticks, for callers of Python, name its flag here.

    Args:
        parser: with ``set_defaults(run=...)``, a function of the namespace that returns the exit
            status; a command may also set ``interrupted``.
        argv: the command line; that of the process unless given.
        interrupted: what to say when the command was stopped, unless it says so itself.

    Raises:
        SystemExit: help was asked for (0), or a flag is wrong (2); it has been printed.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    sound_streams()
    try:
        arguments = parser.parse_args(words)
    except SystemExit:
        _drop_unwritable_output()  # who asked for help may have seen enough of it
        raise
    return run_command(
        lambda: int(arguments.run(arguments)),
        interrupted=getattr(arguments, "interrupted", interrupted),
        flags=flags_by_name(parser, words),
    )


def run_command(
    run: Callable[[], int], *, interrupted: str, flags: Mapping[str, str] | None = None
) -> int:
    """Run a command; returns the exit status.

    0 and what else the command says, 1 for a failure, 2 for wrong usage, 130 after Ctrl-C or a
    polite kill. Failures are one line, without a traceback.

    Args:
        run: the command.
        interrupted: what to say when it was stopped.
        flags: what people write for the arguments that errors name in backticks.
    """
    sound_streams()
    try:
        with kills_as_ctrl_c():
            status = run()
            sys.stdout.flush()
        return status
    except GairError as error:
        complain(in_flags(str(error), flags or {}))
        return error.exit_status
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # there the reader has seen enough
            complain(error)
        _drop_unwritable_output()
        return 1


def sound_streams() -> None:
    """Make standard output and error such that anything can be printed, in any locale.

    Where the shell closed one (``>&-``), what is printed there is lost, and nothing else changes: a
    file that is opened later would take its number, and print(file=None) means standard output.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                _take_number(number)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # for ever
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may hold any bytes


def _take_number(number: int) -> None:
    """Keep files from getting the number of a closed standard stream."""
    try:
        os.fstat(number)
    except OSError:
        handle = os.open(os.devnull, os.O_RDWR)
        if handle != number:
            os.dup2(handle, number)
            os.close(handle)


def flags_by_name(parser: ArgumentParser, argv: Sequence[str]) -> dict[str, str]:
    """What people write for each name of a value: ``--rs-query`` for ``query_mode``.

    Args:
        parser: with subcommands or without.
        argv: the command line, which says which subcommand it is.
    """
    flags: dict[str, str] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            chosen = next((word for word in argv if word in action.choices), None)
            if chosen is not None:
                flags |= flags_by_name(action.choices[chosen], argv[argv.index(chosen) + 1 :])
        elif action.option_strings:
            flags[action.dest] = max(action.option_strings, key=len)
        else:
            flags.setdefault(action.dest, str(action.metavar or action.dest))
    return flags


def in_flags(text: str, flags: Mapping[str, str]) -> str:
    """A message with the arguments that it names in backticks as people write them.

    >>> in_flags("`limit` 0 is not 1 or more", {"limit": "--limit"})
    '--limit 0 is not 1 or more'
    """
    return re.sub(r"`(\w+)`", lambda name: flags.get(name[1], name[0]), text)


def _drop_unwritable_output() -> None:
    """Keep the interpreter from trying once more, at its end, what could not be written."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(error: object) -> None:
    """One line on standard error, whatever the message holds."""
    print("error:", one_line(spoken(str(error))), file=sys.stderr)
