"""Command lines that must fail, and how they must."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_builds import BOX_WSEN_DEG

from indexer.commands.cli import main

Capture = pytest.CaptureFixture[str]


def refusal(argv: list[str], capsys: Capture, status: int = 1) -> str:
    """Run a command that must fail; the text of its one error line."""
    capsys.readouterr()
    assert main(argv) == status
    told = capsys.readouterr()
    *before, last = told.err.splitlines()
    assert last.startswith("error: "), told.err
    assert all(line.startswith(("region ", "imagery from ")) for line in before), told.err
    assert told.out == ""
    return last.removeprefix("error: ")


def built(imagery: Path, out: Path, *flags: str) -> list[str]:
    box = "--bbox={},{},{},{}".format(*BOX_WSEN_DEG)
    where = [] if {"--region", "--polygon"} & set(flags) or "--bbox" in str(flags) else [box]
    argv = ["build", "--imagery", str(imagery), "--model", "untrained:tiny", *where]
    return [*argv, "--out", str(out / "indexes"), "--quiet", *flags]
