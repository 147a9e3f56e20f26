"""Cards of the ranked places and of single cells, and what stands there before an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.views.markup import (
    coordinates,
    counted,
    distance,
    esc,
    map_link,
    share,
    shown_lonlat_deg,
    signed,
    warnings_html,
)
from app.views.pictures import ChipPicture, chip_html
from indexer.search.answer import NOT_IN_INDEX, Answer, Candidate


def empty_html(minutes_kept: int) -> str:
    """What the panel says before the first photo.

    Args:
        minutes_kept: How long the server keeps an uploaded photo.
    """
    return (
        '<section class="gair-card gair-empty"><h2>No photo yet</h2>'
        "<ol><li>Drop, paste or take a <b>street photo</b>: eye level, outdoors. Several of one "
        "place count together.</li>"
        "<li>It is compared with every cell of the index.</li>"
        "<li>The likeliest places appear here and on the map, each with its satellite picture."
        "</li></ol>"
        '<p class="gair-fine">The photo stays on the machine that serves this page, in memory, '
        f"and is gone {minutes_kept} minutes after the last question. Only its pixels are "
        "searched: coordinates it carries are shown, never used.</p></section>"
    )


def places_html(
    answer: Answer,
    seconds: float,
    standing_warnings: tuple[str, ...] = (),
    chips: Mapping[int, ChipPicture] | None = None,
) -> str:
    """An answer: the best guess, and the ranked list.

    Args:
        answer: What the search returned.
        seconds: How long it took.
        standing_warnings: Warnings that the top of the page shows already; not repeated.
        chips: Satellite pictures by rank.
    """
    fresh = [warning for warning in answer.warnings if warning not in standing_warnings]
    chips = chips or {}
    rows = "".join(_row_html(c, chips.get(c.rank)) for c in answer.candidates)
    return (
        '<section class="gair-card gair-answer">'
        f"{_grave_html(fresh)}{best_html(answer)}{_fresh_html(fresh)}"
        f"<h2>{esc(counted(len(answer.candidates), 'place'))}{_names_html(answer)}</h2>"
        f'<ol class="gair-places">{rows}</ol>{_downloads_html()}'
        f'<p class="gair-fine">Score = {answer.rs_weight:.2f} × imagery + '
        f"{answer.location_weight:.2f} × location, both cosines from −1 to 1. "
        f"{_meaning(answer)} {_prior(answer)}"
        f"{esc(counted(answer.cells_searched, 'cell'))} in {seconds:.2f} s.</p></section>"
    )


def best_html(answer: Answer) -> str:
    """The best guess in large letters, and how far to believe it."""
    if not answer.candidates:
        return ""
    first = answer.candidates[0]
    lonlat_deg = shown_lonlat_deg(first)
    where, link = coordinates(*lonlat_deg), map_link(*lonlat_deg)
    how = "refined between cells" if first.refined_lonlat_deg else "centre of the best cell"
    return (
        f'<div class="gair-best"><p class="gair-kicker">Best guess, {how}</p>'
        f'<p class="gair-best-where">{where}</p>'
        f"{_links_html(where, link)}{belief_html(answer)}</div>"
    )


def belief_html(answer: Answer) -> str:
    """How far to believe a calibrated answer; a plain word for another."""
    if not answer.calibrated:
        return (
            '<p class="gair-tag gair-tag-warn">Not calibrated: scores rank places, they are not '
            "probabilities</p>"
        )
    near = "".join(
        f"<li><b>{c.probability:.0%}</b><span>{distance(c.radius_m)}</span></li>"
        for c in answer.confidence
    )
    regions = "".join(
        f'<li class="gair-in-{100 * r["level"]:.0f}"><b>{r["level"]:.0%}</b>'
        f"<span>region, {r['km2']:,.1f} km²</span></li>"
        for r in answer.regions
    )
    return (
        '<div class="gair-belief"><p class="gair-kicker" id="gair-near">Chance that it was taken '
        f'within</p><ul aria-labelledby="gair-near">{near}</ul>'
        f'<ul class="gair-regions" aria-label="Regions on the map">{regions}</ul></div>'
    )


def _grave_html(warnings: list[str]) -> str:
    """Said first: the photo is none of this index."""
    if NOT_IN_INDEX not in warnings:
        return ""
    return (
        '<div class="gair-notice gair-notice-grave gair-outside" role="alert"><span '
        'class="gair-sign" aria-hidden="true">!</span><span><b>Not in this index.</b> '
        f"{esc(NOT_IN_INDEX[:1].upper() + NOT_IN_INDEX[1:])}.</span></div>"
    )


def _fresh_html(warnings: list[str]) -> str:
    return warnings_html([warning for warning in warnings if warning != NOT_IN_INDEX])


def _names_html(answer: Answer) -> str:
    names = answer.photos or (answer.photo,)
    shown = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    return f'<span class="gair-photo-name" title="{esc(", ".join(names))}">{esc(shown)}</span>'


def _meaning(answer: Answer) -> str:
    if answer.calibrated:
        return f"Likely = taken within {distance(answer.merge_radius_m)} of the place."
    return "Scores rank the places of this answer; they are not probabilities."


def _prior(answer: Answer) -> str:
    return f"Searched {esc(answer.prior)}. " if answer.prior else ""


def _downloads_html() -> str:
    kinds = (("report", "Report"), ("geojson", "GeoJSON"), ("csv", "CSV"), ("kml", "KML"))
    buttons = "".join(
        f'<button type="button" data-gair-save="{kind}">{name}</button>' for kind, name in kinds
    )
    return f'<p class="gair-links gair-save"><span>Download</span>{buttons}</p>'


def _row_html(candidate: Candidate, chip: ChipPicture | None) -> str:
    lonlat_deg = shown_lonlat_deg(candidate)
    where = coordinates(*lonlat_deg)
    name = f"place {candidate.rank}"
    return (
        f'<li class="gair-place" data-gair-place="{candidate.rank}">'
        f'<button type="button" class="gair-pick" data-gair-pick="{candidate.rank}" '
        f'aria-pressed="false" title="H3 cell {esc(candidate.h3_cell)}">'
        f'<span class="gair-rank">{candidate.rank}</span>{chip_html(chip, name)}'
        f'<span class="gair-where"><span class="gair-lonlat">{where}</span>'
        f'<span class="gair-merged">{esc(_merged_text(candidate))}</span></span>'
        f"{_score_html(candidate)}"
        f'<span class="gair-parts">{part_html("Imagery", candidate.rs_score)}'
        f"{part_html('Location', candidate.location_score)}</span></button>"
        f'<div class="gair-detail">{eye_html(chip, name)}'
        f"{_links_html(where, map_link(*lonlat_deg), name)}</div></li>"
    )


def eye_html(chip: ChipPicture | None, name: str) -> str:
    """Photo and satellite picture side by side, for a person to compare."""
    wide = "" if chip is None else f", {distance(chip.side_m)} wide"
    return (
        '<div class="gair-eye"><figure><img data-gair-photo alt="The photo that was searched">'
        f"<figcaption>Photo</figcaption></figure><figure>{chip_html(chip, name)}"
        f"<figcaption>Satellite{wide}</figcaption></figure></div>"
    )


def _links_html(where: str, link: str = "", name: str = "") -> str:
    """What can be done with coordinates: copy them, see them on a map, test them as a claim.

    Args:
        where: the coordinates.
        link: address of a map of the place; empty for none.
        name: of the place, told to those who cannot see which one the button belongs to.
    """
    label = f' aria-label="Copy the coordinates of {name}"' if name else ""
    anchor = (
        f'<a href="{link}" target="_blank" rel="noopener noreferrer" '
        'title="Opens openstreetmap.org in a new tab">OpenStreetMap&nbsp;↗</a>'
    )
    return (
        f'<p class="gair-links"><button type="button" data-gair-copy="{where}"{label}>Copy</button>'
        f"{anchor if link else ''}"
        f'<button type="button" data-gair-test="{where}">Test as a claim</button></p>'
    )


def _score_html(candidate: Candidate) -> str:
    """The probability where there is one, else the score."""
    shown, name = signed(candidate.score), "score"
    if candidate.probability is not None:
        shown, name = f"{candidate.probability:.1%}", "likely"
    return f'<span class="gair-score"><b>{shown}</b><span>{name}</span></span>'


def _merged_text(candidate: Candidate) -> str:
    if not candidate.merged_cells:
        return "one cell"
    cells = counted(candidate.merged_cells, "close cell")
    return f"with {cells}, up to {distance(candidate.spread_m)} away"


def part_html(name: str, cosine: float) -> str:
    """A bar that grows from the middle: right for a positive cosine, left for a negative one."""
    half = max(-1.0, min(1.0, cosine)) * 50
    left = 50 + min(half, 0.0)
    return (
        f'<span class="gair-part"><span>{name}</span><span class="gair-bar">'
        f'<i style="left:{left:.1f}%;width:{abs(half):.1f}%"></i></span>'
        f"<span>{signed(cosine)}</span></span>"
    )


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
        f"{_links_html(where)}</div></div>"
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
