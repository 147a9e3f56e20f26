"""Snippets of README and docs: they run, in their order, on a tiny index, or say why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hand_calibration import calibrate_by_hand
from repository import REPOSITORY
from snippets import PAGES, run, snippets_of
from toy_city import photo

if TYPE_CHECKING:
    from app_pages import RunningPage

ELSEWHERE = {REPOSITORY / "docs" / "programs.md"}
"""Run by a test of its own: tests/indexer/search/test_programs_page.py."""
LONG = {REPOSITORY / "docs" / "tutorials" / "researcher.md"}
SLOW = (pytest.mark.slow, pytest.mark.timeout(1800))
RUN = [
    page
    for page in PAGES
    if page not in ELSEWHERE and any(not one.why_not_run for one in snippets_of(page))
]
PHOTOS = ("photo", "second", "a", "b", "front", "side", "street")


@pytest.fixture(scope="module")
def place(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the pages have it: two indexes and some photos."""
    folder = tmp_path_factory.mktemp("snippets")
    for number, name in enumerate(PHOTOS):
        photo(number).save(folder / f"{name}.jpg")
    for name in ("demo", "london"):
        shutil.copytree(tiny_index / "toy", folder / "indexes" / name)
        calibrate_by_hand(folder / "indexes" / name)
    build = json.loads((folder / "indexes" / "demo" / "CURRENT").read_text())["build"]
    (folder / "demo-build").symlink_to(folder / "indexes" / "demo" / build)
    return folder


def test_reasons_are_reasons() -> None:
    reasons = [one.why_not_run for page in PAGES for one in snippets_of(page) if one.why_not_run]
    assert len(reasons) > 5
    assert [reason for reason in reasons if len(reason.split()) < 4] == []


@pytest.mark.process
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=SLOW if page in LONG else ()) for page in RUN],
    ids=lambda page: page.name,
)
def test_snippets_run(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    url = ""
    if page not in LONG:  # those make their own indexes
        for entry in request.getfixturevalue("place").iterdir():
            (tmp_path / entry.name).symlink_to(entry)
        server: RunningPage = request.getfixturevalue("server")
        url = server.url.rstrip("/")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    for snippet in snippets_of(page):
        if snippet.why_not_run is None:
            run(snippet, names, url)
