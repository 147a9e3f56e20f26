"""What one cell says: its score, the parts of that, and its satellite picture."""

from __future__ import annotations

from dataclasses import dataclass

from app.views.markup import coordinates, counted, esc, share, signed
from app.views.pictures import ChipPicture, chip_html
from app.views.places import part_html


@dataclass(frozen=True)
class CellFacts:
    """One cell, as the photos see it."""

    h3_cell: str
    lon_deg: float
    lat_deg: float
    rs_score: float | None
    """Cosine with the imagery; None before there is a photo."""
    location_score: float | None
    fused: float | None
    """Probability of the cell, or its score."""
    probable: bool
    """Whether ``fused`` is a probability."""
    rank: int | None
    """Among all cells, 1 for the best."""
    cells: int
    """How many there are."""
    chip: ChipPicture | None


def cell_html(facts: CellFacts) -> str:
    """A card for the map."""
    where = coordinates(facts.lon_deg, facts.lat_deg)
    return (
        f'<div class="gair-cell-card">{chip_html(facts.chip, f"the cell at {where}")}'
        f'<div><p class="gair-lonlat">{where}</p>{_scores_html(facts)}'
        f'<p class="gair-fine">H3 {esc(facts.h3_cell)}</p>'
        f'<p class="gair-links"><button type="button" data-gair-copy="{where}">Copy</button>'
        f'<button type="button" data-gair-test="{where}">Test as a claim</button></p></div></div>'
    )


def outside_html(lon_deg: float, lat_deg: float) -> str:
    """What is said of a point that no cell holds."""
    where = coordinates(lon_deg, lat_deg)
    return (
        f'<div class="gair-cell-card"><div><p class="gair-lonlat">{where}</p>'
        "<p>No cell of this index.</p></div></div>"
    )


def _scores_html(facts: CellFacts) -> str:
    if facts.fused is None or facts.rs_score is None or facts.location_score is None:
        return '<p class="gair-fine">No photo yet, so no score.</p>'
    number = share(facts.fused) if facts.probable else signed(facts.fused)
    name = "probability of the cell" if facts.probable else "score"
    rank = "" if facts.rank is None else f", {facts.rank:,} of {counted(facts.cells, 'cell')}"
    return (
        f'<p><b>{number}</b> <span class="gair-dim">{name}{rank}</span></p>'
        f'<div class="gair-parts">{part_html("Imagery", facts.rs_score)}'
        f"{part_html('Location', facts.location_score)}</div>"
    )
