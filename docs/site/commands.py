"""Command reference of the site: a page a program, made from its parsers.

A program is what ``python -m`` or a script of the installed package starts. Its parser is caught as
it is asked for ``--help``, so the page cannot say anything else than the program does.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import importlib
import re
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from unittest import mock

REPOSITORY = Path(__file__).resolve().parents[2]
ENTRY = "app.entry"
"""The command line that leads to all others."""
PACKAGES = ("gair", "indexer", "training", "app")


@dataclass(frozen=True)
class Program:
    """A program and its commands."""

    parser: argparse.ArgumentParser
    """Of the program itself."""
    commands: dict[str, argparse.ArgumentParser] = field(default_factory=dict)
    """Parsers by the names of the commands; none where it has no commands."""

    @property
    def name(self) -> str:
        """How it is called, such as ``python -m indexer``."""
        return self.parser.prog

    @property
    def page(self) -> str:
        """Its page, beside the others."""
        return f"commands/{self.slug}.md"

    @property
    def slug(self) -> str:
        """Its name in addresses."""
        module = self.name.removeprefix("python -m ")
        return module.replace(".", "-") if module != self.name else f"{self.name}-command"


def program_modules() -> list[str]:
    """Modules with a ``main`` that people start, in the order of the packages."""
    modules = [ENTRY]
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if path.name == "__main__.py":  # some run as they are imported
                modules += re.findall(r"^from (\S+) import main$", text, re.M)
            elif '\nif __name__ == "__main__":' in text:
                modules.append(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    scripts = [target.partition(":")[0] for target in project["scripts"].values()]
    return list(dict.fromkeys([*modules, *scripts]))


@cache
def read_programs() -> list[Program]:
    """Every program once, although a script and a module may start the same one."""
    programs: dict[str, Program] = {}
    for module in program_modules():
        parser = parser_of(module)
        if parser.prog not in programs:
            # Commands of the one entry to all are those of the others.
            own = [] if module == ENTRY else _commands(parser)
            names = [name for action in own for name in action.choices]
            parsers = {n: parser_of(module, n) for n in names}
            programs[parser.prog] = Program(parser, _with_their_own(module, parsers))
    return list(programs.values())


def _with_their_own(
    module: str, parsers: dict[str, argparse.ArgumentParser]
) -> dict[str, argparse.ArgumentParser]:
    """Commands, each followed by the commands that it has: ``index``, ``index push``."""
    everything = {}
    for name, parser in parsers.items():
        everything[name] = parser
        for action in _commands(parser):
            for own in action.choices:
                everything[f"{name} {own}"] = parser_of(module, name, own)
    return everything


def parser_of(module: str, *words: str) -> argparse.ArgumentParser:
    """The parser that answers ``python -m MODULE WORDS --help``, with all its flags."""
    caught: list[argparse.ArgumentParser] = []
    main = importlib.import_module(module).main
    with (
        mock.patch.object(
            argparse.ArgumentParser, "print_help", lambda parser: caught.append(parser)
        ),
        contextlib.suppress(SystemExit),
    ):
        main([*words, "--help"])
    return caught[0]


def overview(programs: list[Program]) -> str:
    """All programs and commands, as links to their pages."""
    lines = []
    for program in programs:
        page = program.page
        lines += [
            "",
            f"**[`{program.name}`]({page})** {_escaped(_first_sentence(program.parser))}",
            "",
        ]
        parsers = {"": program.parser, **program.commands}
        for name in program.commands:
            above, _, own = name.rpartition(" ")
            (said,) = [
                choice.help or ""
                for action in _commands(parsers[above])
                for choice in action._choices_actions
                if choice.dest == own
            ]
            lines.append(f"- [`{name}`]({page}#{_anchor(program, name)}): {_escaped(said)}")
    return "\n".join(lines) + "\n"


def program_page(program: Program) -> str:
    """The page of a program: itself, then its commands."""
    lines = [f"# `{program.name}`", "", *_described(program.parser)]
    for name, parser in program.commands.items():
        anchor = _anchor(program, name)
        lines += [f"## `{name}` {{: #{anchor} }}", "", *_described(parser)]
    return "\n".join(lines) + "\n"


def _described(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Description, usage, flags by group, and examples of a parser, as lines of Markdown."""
    for paragraph in _paragraphs(parser.description or ""):
        yield from (paragraph, "")
    usage = parser.format_usage().removeprefix("usage: ").strip()
    yield from ("```text", usage, "```", "")
    formatter = parser._get_formatter()
    for group in parser._action_groups:
        actions = [
            action
            for action in group._group_actions
            if action.help != argparse.SUPPRESS
            and not {"--help", "--version"} & set(action.option_strings)
            and not isinstance(action, argparse._SubParsersAction)
        ]
        if not actions:
            continue
        yield from (f"**{_escaped(group.title or '')}**", "")
        if group.description:
            yield from (_escaped(" ".join(group.description.split())), "")
        for action in actions:
            said = formatter._format_action_invocation(action)
            help_text = " ".join(formatter._expand_help(action).split()) if action.help else ""
            yield from (f"`{said}`", f":   {_escaped(help_text) or '&nbsp;'}", "")
    if parser.epilog:
        yield from (
            "```text",
            textwrap.dedent(parser.epilog.replace("%(prog)s", parser.prog)).strip(),
            "```",
            "",
        )


def _paragraphs(text: str) -> list[str]:
    """Paragraphs of a description; those with indented lines stay as they are."""
    paragraphs = []
    for part in re.split(r"\n\s*\n", text.strip()):
        if any(line.startswith((" ", "*")) for line in part.splitlines()):
            paragraphs.append(f"```text\n{part}\n```")
        elif part:
            paragraphs.append(_escaped(" ".join(part.split())))
    return paragraphs


def _first_sentence(parser: argparse.ArgumentParser) -> str:
    text = " ".join((parser.description or "").split())
    return re.split(r"(?<=\.) ", text)[0]


def _anchor(program: Program, command: str) -> str:
    return f"{program.slug}-{command.replace(' ', '-')}"


def _commands(
    parser: argparse.ArgumentParser,
) -> list[argparse._SubParsersAction[argparse.ArgumentParser]]:
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]


def _escaped(text: str) -> str:
    """Plain text in Markdown."""
    return re.sub(r"([\\`*_{}\[\]#|])", r"\\\1", html.escape(text, quote=False))
