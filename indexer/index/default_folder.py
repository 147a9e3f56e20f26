"""Folder of all indexes, where nobody names one: the environment's, else ``indexes``."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT = "GAIR_INDEXES"
"""The variable that names it."""


def folder_of_indexes(named: str | Path | None = None) -> Path:
    """The folder of all indexes: as it was named, else the environment's, else ``indexes``."""
    return Path(named if named is not None else os.environ.get(ENVIRONMENT) or "indexes")
