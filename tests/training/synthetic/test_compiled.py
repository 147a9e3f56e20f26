"""Compiled loops: what is kept on disk is what the sources say now."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from repository import REPOSITORY

from training.synthetic import compiled

INNER = """
from loops.compiled import compiled
@compiled
def inner(x: int) -> int:
    return x + {}
"""
OUTER = """
from loops.compiled import compiled
from loops.inner import inner
@compiled
def outer(x: int) -> int:
    return inner(x)
print(outer(1))
"""


def test_a_loop_is_made_anew_when_one_that_it_calls_in_another_file_changes(tmp_path: Path) -> None:
    folder = tmp_path / "loops"
    folder.mkdir()
    (folder / "__init__.py").touch()
    shutil.copy(compiled.__file__, folder / "compiled.py")
    (folder / "outer.py").write_text(OUTER)

    def answer(added: int) -> tuple[str, int]:
        (folder / "inner.py").write_text(INNER.format(added))
        command = [sys.executable, "-B", "-c", "import loops.outer"]
        path = {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
        done = subprocess.run(command, env=path, capture_output=True, text=True, check=True)
        return done.stdout.strip(), len(list(folder.glob("__pycache__/outer*.nbc")))

    assert answer(10) == ("11", 1)
    assert answer(20) == ("21", 1)
