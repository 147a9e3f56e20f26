"""``--help`` of every command: nothing heavy is imported, and little of anything."""

from __future__ import annotations

import subprocess
import sys

import pytest
from repository import REPOSITORY

HEAVY = {
    *("torch", "numpy", "faiss", "duckdb", "gradio", "scipy", "shapely", "pandas", "rasterio"),
    *("timm", "PIL", "pyarrow", "pyproj", "h3", "sklearn", "fastapi", "pydantic"),
}
MOST_MODULES = 120
"""Beside Python's own and argparse's: on an idle machine these take 0.06 s. A time would depend on
what else the machine does."""

COMMANDS = [
    *[("indexer.commands.cli", name) for name in ("build", "add", "merge", "search", "verify")],
    *[
        ("indexer.commands.cli", name)
        for name in ("heatmap", "explore", "calibrate", "evaluate", "info")
    ],
    *[("indexer.commands.cli", name) for name in ("verify-index", "prune", "export", "regions")],
    *[("indexer.commands.cli", name) for name in ("add-photos", "remove-photos", "")],
    ("training.pretrain", ""),
    *[("training.dataset.cli", name) for name in ("", "pack", "streetscapes", "info")],
    ("training.finetune.cli", ""),
    *[("training.synthetic.cli", name) for name in ("", "world", "city")],
    ("training.evaluate", ""),
    *[("gair.cli", name) for name in ("", "check", "convert")],
    ("app.cli", ""),
    *[("app.entry", name) for name in ("", "build", "search", "app", "train")],
    ("app.demo", ""),
]
CODE = """
import argparse, contextlib, io, sys  # argparse is not ours
before = len(sys.modules)
from {module} import main
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
    main([*{words}, "--help"])
assert "usage: " in out.getvalue()
print(len(sys.modules) - before, *{{module.split(".")[0] for module in sys.modules}})
"""


def help_of(module: str, command: str) -> tuple[int, set[str]]:
    """How many modules were imported, and the packages that there are."""
    code = CODE.format(module=module, words=[command] if command else [])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    count, *packages = done.stdout.split()
    return int(count), set(packages)


@pytest.mark.parametrize(("module", "command"), COMMANDS, ids=str)
def test_help_is_light(module: str, command: str) -> None:
    count, packages = help_of(module, command)
    assert not packages & HEAVY
    assert count <= MOST_MODULES
