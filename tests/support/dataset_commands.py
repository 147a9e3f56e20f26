"""Command lines of ``python -m training.dataset`` that must fail, and how they must."""

from __future__ import annotations

import pytest

from training.dataset.cli import main

REFUSALS = [
    (["--shares", "0.8,0.2"], 2, "--shares 0.8,0.2 are not three shares"),
    (["--shares", "most,some,few"], 2, "--shares 'most,some,few' are no numbers"),
    (["--buffer-m", "-1"], 2, "--buffer-m -1.0 is no distance"),
    (["--seed", "-1"], 2, "--seed"),
    (["--footprint-m", "1"], 2, "--footprint-m 1 is not between"),
    (["--min-valid", "2"], 2, "--min-valid 2 is not above 0"),
    (["--max-px", "2"], 2, "--max-px 2 is too small for a photo"),
    (["--dn-scale", "0"], 2, "--dn-scale 0.0 is not above 0"),
    (["--bands", "B2,B99"], 2, "unknown band 'B99'"),
    (["--imagery", "nowhere.tif"], 1, "no file or folder nowhere.tif"),
]
"""Flags that both commands have, the exit status, and some of the one line that is said."""


def refusal(argv: list[str], capsys: pytest.CaptureFixture[str], status: int = 1) -> str:
    """Run a command that must fail; the text of its one error line."""
    capsys.readouterr()
    assert main(argv) == status
    told = capsys.readouterr()
    (line,) = told.err.splitlines()
    assert line.startswith("error: ")
    assert told.out == ""
    return line.removeprefix("error: ")
