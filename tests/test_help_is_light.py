"""``--help`` of every command: nothing heavy is imported, and it takes a tenth of a second."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest
from repository import REPOSITORY

HEAVY = {
    *("torch", "numpy", "faiss", "duckdb", "gradio", "scipy", "shapely", "pandas", "rasterio"),
    *("timm", "PIL", "pyarrow", "pyproj", "h3", "sklearn", "fastapi", "pydantic"),
}
MOST_S = 0.1
"""Of our own time, beside the start of Python and argparse."""

COMMANDS = [
    *[("indexer.commands.cli", name) for name in ("build", "add", "merge", "search", "verify")],
    *[("indexer.commands.cli", name) for name in ("heatmap", "calibrate", "evaluate", "info")],
    *[("indexer.commands.cli", name) for name in ("verify-index", "prune", "export", "regions")],
    ("indexer.commands.cli", ""),
    ("training.pretrain", ""),
    *[("training.dataset.cli", name) for name in ("", "pack", "streetscapes", "info")],
    ("training.finetune.cli", ""),
    *[("training.synthetic.cli", name) for name in ("", "world", "city")],
    ("training.evaluate", ""),
    *[("gair.cli", name) for name in ("", "check", "convert")],
    ("app.cli", ""),
    ("app.demo", ""),
]
CODE = """
import argparse, contextlib, io, sys, time  # argparse is not ours
before = time.process_time()
from {module} import main
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
    main([*{words}, "--help"])
seconds = time.process_time() - before
assert "usage: " in out.getvalue()
print(seconds, *{{module.split(".")[0] for module in sys.modules}})
"""


def help_of(module: str, command: str) -> tuple[float, set[str]]:
    """Seconds of the processor, and the packages that were imported."""
    code = CODE.format(module=module, words=[command] if command else [])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    seconds, *packages = done.stdout.split()
    return float(seconds), set(packages)


@pytest.mark.parametrize(("module", "command"), COMMANDS, ids=str)
def test_help_is_light(module: str, command: str) -> None:
    seconds, packages = help_of(module, command)
    assert not packages & HEAVY
    # The processor may be shared, and files be read for the first time: the best of a few counts.
    tries = iter(range(4))
    while seconds > MOST_S and next(tries, None) is not None:
        seconds = min(seconds, help_of(module, command)[0])
    assert seconds <= MOST_S


def test_every_command_of_the_indexer_is_looked_at() -> None:
    from indexer.commands.cli import build_parser

    (places,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    assert {command for _, command in COMMANDS} >= set(places.choices)
