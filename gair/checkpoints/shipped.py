"""Models that come with this package, named ``shipped:NAME``: the folders under ``gair/data``."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from gair.errors import ModelError

PREFIX = "shipped:"


def shipped_names() -> list[str]:
    """The models there are; a checkout in which none was trained has none."""
    return sorted(file.parent.name for file in _home().glob("*/config.json"))


def shipped_folder(source: str) -> Path:
    """The folder of ``shipped:NAME``, as :func:`gair.checkpoints.checkpoint.save_pretrained` wrote it.

    Raises:
        ModelError: there is none of that name.
    """
    name = source.removeprefix(PREFIX)
    names = shipped_names()
    if name not in names:
        there = ", ".join(PREFIX + known for known in names) or "none in this installation"
        raise ModelError(f"no model {source!r} was shipped; there are: {there}")
    return _home() / name


def _home() -> Path:
    return Path(str(resources.files("gair"))) / "data"
