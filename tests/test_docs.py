"""The docs can be followed: a short first page, and links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from snippets import PAGES, read, snippets_of

LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_the_first_page_can_be_read_at_once() -> None:
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in LINK.findall(text):
        target, _, heading = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = page.parent / target if target else page
        assert there.exists(), link
        if heading:
            headings = re.findall(r"(?m)^#+ (.+)$", there.read_text(encoding="utf-8"))
            names = [re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings]
            assert heading in names, link


def test_every_page_of_the_docs_is_linked() -> None:
    linked = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for page in PAGES[2:]:
        assert f"{page.name})" in linked, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_could_run(page: Path) -> None:
    """Those that do run in tests/test_snippets.py; names and flags of all others are there, too."""
    for snippet in snippets_of(page):
        read(snippet)
