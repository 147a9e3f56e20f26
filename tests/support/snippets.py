"""Snippets of the docs: which there are, and how their lines are run or at least read.

A fenced block of Python or of a console runs in the tests unless the line after it says why not:
``<!-- not run: REASON -->``. What is not run is read all the same: Python is compiled and its
imports are made; command lines of ours are parsed by their own parsers.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from repository import REPOSITORY

from app.entry import GROUPS

COMMANDS = {name: program for group in GROUPS.values() for name, (program, _) in group.items()}
"""Programs by the words that follow ``gair``."""
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
LOCAL = "http://127.0.0.1:7860"
"""Where a server runs in the docs."""

_BLOCK = re.compile(
    r"^```(python|console)\n(.*?)^```$(?:\n\n?<!-- not run: (.+?) -->$)?", re.M | re.S
)
_OTHERS = ("curl", "docker", "make", "pip", "pipx", "uvx", "pre-commit", "pytest")
"""First words of lines that are no command of ours."""


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    why_not_run: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command line, without its comment."""
        lines = [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]
        return [shlex.split(line, comments=True) for line in lines]


def snippets_of(page: Path) -> list[Snippet]:
    """All of Python and of a console, in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        Snippet(page, text.count("\n", 0, block.start()) + 1, block[1], block[2], block[3])
        for block in _BLOCK.finditer(text)
    ]


def site_module(name: str) -> ModuleType:
    """A module of ``docs/site``, which is no package."""
    path = REPOSITORY / "docs" / "site" / f"{name}.py"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def read(snippet: Snippet) -> None:
    """Make sure that a snippet could run: that its names and flags are there."""
    if snippet.language == "python":
        for node in ast.walk(ast.parse(snippet.text)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                missing = [a.name for a in node.names if not hasattr(module, a.name)]
                assert missing == [], f"{snippet}: {node.module}"
        return
    for words in snippet.commands:
        if (program := _program(words)) is not None:
            module, rest = program
            measures = module.startswith("training.experiments") and not snippet.why_not_run
            assert not measures, f"{snippet}: a measurement takes hours: say why it is not run"
            said = io.StringIO()
            try:
                with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                    _parser(module).parse_args(rest)
            except SystemExit as error:
                if error.code == 0:  # help
                    continue
                raise AssertionError(f"{snippet}: {shlex.join(words)}: {said.getvalue()}") from None


def run(snippet: Snippet, names: dict[str, Any], url: str) -> None:
    """Run a snippet in the folder that is current.

    Args:
        snippet: of Python or of a console.
        names: what snippets of the page before it have defined; added to.
        url: of a server, for :data:`LOCAL`.
    """
    if snippet.language == "python":
        code = snippet.text.replace(LOCAL, url)
        exec(compile(code, str(snippet), "exec"), names)
        return
    for words in snippet.commands:
        program = _program(words)
        if program is None:
            assert words[0] == "curl", f"{snippet}: {words[0]} is not run here: say why"
            words = [word.replace(LOCAL, url) for word in words]
            done = subprocess.run([*words, "-fsS"], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{snippet}: {done.stderr}"
            continue
        module, rest = program
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = importlib.import_module(module).main(rest)
        assert status == 0, f"{snippet}: {shlex.join(words)}: {said.getvalue()[-2000:]}"


def _program(words: list[str]) -> tuple[str, list[str]] | None:
    """Module and arguments of a command of ours, without what is redirected; None for others'."""
    if "docker" in words[:1] and "python" in words:
        words = words[words.index("python") :]
    for sign in (">", "|"):
        words = words[: words.index(sign)] if sign in words else words
    words = [word for word in words if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    if words[0] == "torchrun":
        words = ["python", *words[words.index("-m") :]]
    if words[0].endswith("python") and words[1] == "-m":
        module, rest = words[2], words[3:]
        if module in ("pytest", "pip"):
            return None
        package = REPOSITORY / Path(*module.split(".")) / "__main__.py"
        if package.is_file():
            (module,) = re.findall(r"^from (\S+) import main$", package.read_text(), re.M)
        return module, rest
    if words[0] == "gair" and words[1] in COMMANDS:
        command = COMMANDS[words[1]]
        return command.module, words[1:] if command.takes_command else words[2:]
    if words[0] in _scripts():
        return _scripts()[words[0]], words[1:]
    assert words[0].split("/")[-1] in (*_OTHERS, "python"), f"what is {words[0]}?"
    return None


@cache
def _scripts() -> dict[str, str]:
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    scripts: dict[str, str] = tomllib.loads(text)["project"]["scripts"]
    return {name: target.partition(":")[0] for name, target in scripts.items()}


@cache
def _parser(module: str) -> Any:
    return site_module("commands").parser_of(module)
