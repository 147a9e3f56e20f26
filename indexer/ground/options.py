"""Options of adding reference photos; nothing heavy is imported, so `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gair.fields import option

APART_M = 100.0
"""Reference photos as near as this are no evidence of a photo that is tested."""

ReferenceIndexType = Literal["auto", "flat", "ivf-sq8", "ivf-pq"]


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
    index_type: ReferenceIndexType | None = None
    """How the photos are searched: flat scores every one, the others score a shortlist exactly
    (default: as before; at first auto, which is flat up to 200,000 photos, ivf-sq8 up to 50
    million, ivf-pq above)."""
    prototypes: int | None = option(None, metavar="N")
    """Search by at most so many prototypes a cell instead of by every photo: quicker and smaller
    for millions of photos; 0 for none (default: as before; at first 0)."""
    quiet: bool = False
    """No progress."""
