"""Options of how imagery files are read, shared by indexes and data sets.

Nothing heavy is imported, so that ``--help`` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gair.bands import parse_bands
from gair.fields import option

Composite = Literal["median", "best"]
"""Of several dates of a place: for each band and pixel their median, or the best date of all that
show it."""


@dataclass(frozen=True)
class FileReading:
    """How files become imagery."""

    bands: tuple[str, ...] | None = option(None, many="word", parse=parse_bands, metavar="LIST")
    """Bands in files that do not name them, in file order: gair-10, l2a-12, l1c-13, or a list
    such as B2,B3,B4 with - for one to leave out."""
    force_bands: bool = False
    """Take --bands also where files name their bands otherwise."""
    dn_scale: float = 1.0
    """Multiply pixels by this to get reflectance x 10000 (10000 for reflectance in 0..1, 100 for
    per cent)."""
    dn_offset: float = 0.0
    """Then add this, where neither a file's tags nor its product's metadata or name say what to
    add (they do for the -1000 of ESA products of baseline 04.00 and later)."""
