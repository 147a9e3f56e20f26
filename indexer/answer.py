"""What a search returns: an answer with ranked, spatially distinct candidates."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Candidate:
    """One place a photo may show: the best cell of a neighbourhood."""

    rank: int
    """1 for the best."""
    lon_deg: float
    lat_deg: float
    h3_cell: str
    """H3 address of the cell, as hexadecimal text."""
    row: int
    """Row of the cell in the index, the same in its table and its vector stores."""
    score: float
    """Weighted sum of the two cosines below; comparable within one answer only."""
    rs_score: float
    """Cosine of the photo with the imagery at the cell, localised by the INR."""
    location_score: float
    """Cosine of the photo with the location embedding of the cell."""
    merged_cells: int
    """How many other cells among the best ones were merged into this one."""
    spread_m: float
    """Distance from the cell to the farthest cell merged into it, metres; 0 for none."""


@dataclass(frozen=True)
class Answer:
    """Where one photo may have been taken, and what to know before believing it."""

    photo: str
    """Name of the photo."""
    candidates: tuple[Candidate, ...]
    index: str
    """Name of the index."""
    build: str
    """Identifier of the build that answered."""
    cells_searched: int
    rs_weight: float
    location_weight: float
    model: str
    """Name of the model."""
    model_licence: str
    trained: bool
    """False when the model's weights were never trained: candidates then mean nothing."""
    attribution: str
    """Attribution that the imagery asks for."""
    warnings: tuple[str, ...]
    """Plain sentences to show beside the candidates."""
    photo_gps_lonlat_deg: tuple[float, float] | None
    """Coordinates the photo's EXIF tags carry; disclosed, never used for the scores."""

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain JSON types."""
        return asdict(self)
