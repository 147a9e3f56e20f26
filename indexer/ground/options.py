"""Options of adding reference photos; nothing heavy is imported, so `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass

from gair.fields import option


@dataclass(frozen=True, kw_only=True)
class AddOptions:
    """What holds for all photos that are added together."""

    source: str | None = option(None, metavar="NAME")
    """Source of photos that name none (default: the name of the manifest or the folder)."""
    licence: str = option("", metavar="TEXT")
    """Licence of photos that name none."""
    attribution: str = option("", metavar="TEXT")
    """Credit for photos that name none."""
    private: bool = False
    """Leave these photos out of exports and of merges into other indexes, always."""
    quiet: bool = False
    """No progress."""
