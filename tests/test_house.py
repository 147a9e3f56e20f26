"""The house stays liveable: files that can be read, rooms that can be kept in mind."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from repository import REPOSITORY

PACKAGES = ("app", "gair", "indexer", "training")
MOST_LINES = 500
MOST_MODULES = 20
ROOMS_OF_INDEXER = {
    *(
        "build",
        "calibrate",
        "commands",
        "evaluate",
        "explore",
        "export",
        "ground",
        "imagery",
        "index",
    ),
    *("merge", "photos", "probability", "regions", "search", "sharing"),
}


def modules_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_no_file_is_too_long_to_be_read() -> None:
    modules = [path for name in (*PACKAGES, "tests") for path in modules_of(REPOSITORY / name)]
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert {str(path): count for path, count in lines.items() if count > MOST_LINES} == {}


def test_no_folder_has_more_modules_than_can_be_kept_in_mind() -> None:
    folders = {path.parent for name in PACKAGES for path in modules_of(REPOSITORY / name)}
    assert len(folders) > 20
    counts = {folder: len(list(folder.glob("*.py"))) for folder in folders}
    assert {str(folder): count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_the_indexer_has_its_rooms_and_two_modules() -> None:
    entries = {path.name for path in (REPOSITORY / "indexer").iterdir()}
    entries -= {"__pycache__", "py.typed"}
    assert entries == {"__init__.py", "__main__.py", *ROOMS_OF_INDEXER}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is(package: str) -> None:
    silent = [
        str(path)
        for path in modules_of(REPOSITORY / package)
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_local_is_named_for_having_been_found(package: str) -> None:
    """A local is named by what it holds: there were 146 of one name and 53 of the other."""
    named = [
        f"{path}:{node.lineno}"
        for path in modules_of(REPOSITORY / package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Store)
        and node.id in ("found", "known")
    ]
    assert named == []


def test_tests_lie_where_what_they_test_lies() -> None:
    rooms = {
        path.parent.relative_to(REPOSITORY) for p in PACKAGES for path in modules_of(REPOSITORY / p)
    }
    odd = [
        str(folder.relative_to(REPOSITORY))
        for folder in {path.parent for path in (REPOSITORY / "tests").rglob("test_*.py")}
        if folder != REPOSITORY / "tests" and folder.relative_to(REPOSITORY / "tests") not in rooms
    ]
    assert odd == []


def test_no_test_module_imports_another() -> None:
    importing = [
        f"{path}:{node.lineno}"
        for path in modules_of(REPOSITORY / "tests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").split(".")[0].startswith("test_")
    ]
    assert importing == []


@pytest.mark.process
def test_benchmarks_follow_what_they_measure() -> None:
    """No other test imports them: a name that moved would be noticed at the next release."""
    words = ["tests/benchmarks", "-o", "python_files=bench_*.py", "-m", "", "--collect-only"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
