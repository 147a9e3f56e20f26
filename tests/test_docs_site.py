"""The documentation site: its command reference is whole, and its check finds what it looks for."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
import yaml
from repository import REPOSITORY
from snippets import site_module


def programs() -> list:  # type: ignore[type-arg]
    return site_module("commands").read_programs()


def test_every_program_and_flag_is_in_the_reference() -> None:
    commands = site_module("commands")
    listed = commands.overview(programs())
    for program in programs():
        page = commands.program_page(program)
        assert f"]({program.page})" in listed
        for name, parser in [("", program.parser), *program.commands.items()]:
            assert not name or f"[`{name}`](" in listed
            own = page.partition(f"## `{name}`")[2] if name else page
            own = own.partition("\n## `")[0]
            for action in parser._actions:
                hidden = {"--help", "--version"} & set(action.option_strings)
                if action.help == argparse.SUPPRESS or hidden:
                    continue
                for flag in action.option_strings:
                    assert re.search(rf"`[^`\n]*{re.escape(flag)}\b", own), (program.name, flag)


def test_every_module_that_people_start_is_a_program() -> None:
    """Those named in the docs by `python -m` are there, and every parser of ours has a page."""
    names = {program.name for program in programs()}
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    asked = set(re.findall(r"python -m ((?:app|gair|indexer|training)[\w.]*\w)", text))
    assert {f"python -m {module}" for module in asked} <= names
    own = {
        match
        for package in ("app", "gair", "indexer", "training")
        for path in (REPOSITORY / package).rglob("*.py")
        for match in re.findall(r'prog="([^"]+)"', path.read_text(encoding="utf-8"))
    }
    assert own <= names


def test_every_page_is_in_the_navigation() -> None:
    text = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"[\w/-]+\.md", str(yaml.safe_load(text)["nav"])))
    docs = REPOSITORY / "docs"
    there = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    assert there <= listed


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<a href="b.html#there">', None),
        ('<a href="b.html#gone">', "a.html links to b.html#gone, a heading that is not there"),
        ('<a href="c.html">', "a.html links to c.html, which is not there"),
        ('<a href="https://example.org">', None),
        ('<script src="https://example.org/x.js">', "a.html loads https://example.org/x.js"),
        ('<img src="x.png">', "a.html links to x.png, which is not there"),
    ],
)
def test_the_check_finds_what_it_looks_for(tmp_path: Path, html: str, problem: str | None) -> None:
    (tmp_path / "a.html").write_text(html)
    (tmp_path / "b.html").write_text('<h1 id="there">')
    problems = site_module("check").problems_of(tmp_path)
    assert problems == ([] if problem is None else [problem])
