"""Notes on a photo tell what was odd about its file or its picture, with a code for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NoteCode = Literal[
    "photo_bars",
    "photo_end_missing",
    "photo_gps_half",
    "photo_gps_xmp",
    "photo_gps_zeroed",
    "photo_panorama",
]


@dataclass(frozen=True)
class Note:
    """Something to know about a photo."""

    code: NoteCode
    """Stays the same when the words are improved."""
    text: str
    """A sentence for people, without the photo's name."""
