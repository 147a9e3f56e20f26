"""The ranked places, and what stands in their stead: nothing yet, busy, or an error."""

from __future__ import annotations

from app.views.header import notice_html, warnings_html
from app.views.markup import coordinates, counted, distance, esc
from indexer.answer import Answer, Candidate

_SKELETON_ROWS = 4


def empty_html(minutes_kept: int) -> str:
    """What the panel says before the first photo.

    Args:
        minutes_kept: How long the server keeps an uploaded photo.
    """
    return (
        '<section class="gair-panel gair-empty"><h2>No photo yet</h2>'
        "<ol><li>Drop, paste or take a <b>street photo</b>: eye level, outdoors.</li>"
        "<li>It is compared with every cell of the index.</li>"
        "<li>The most similar places appear here and on the map.</li></ol>"
        '<p class="gair-fine">The photo stays on the machine that serves this page and is deleted '
        f"after {minutes_kept} minutes. Only its pixels are searched: coordinates it carries are "
        "shown, never used.</p></section>"
    )


def busy_html(cells: int) -> str:
    """What the panel says while a photo is searched."""
    row = '<li class="gair-skeleton"><i></i><b></b><b></b></li>'
    return (
        '<section class="gair-panel gair-busy" aria-busy="true"><h2><span class="gair-spinner">'
        f"</span>Searching {esc(counted(cells, 'cell'))}</h2>"
        f'<ol class="gair-places">{row * _SKELETON_ROWS}</ol></section>'
    )


def error_html(message: str) -> str:
    """What the panel says instead of places. ``message`` is plain text."""
    return (
        '<section class="gair-panel gair-error" role="alert"><h2>This photo was not searched</h2>'
        f"{notice_html('grave', message)}</section>"
    )


def places_html(answer: Answer, seconds: float, known_warnings: tuple[str, ...] = ()) -> str:
    """An answer as a ranked list.

    Args:
        answer: What the search returned.
        seconds: How long it took.
        known_warnings: Warnings that the top of the page shows already; not repeated.
    """
    fresh = [warning for warning in answer.warnings if warning not in known_warnings]
    rows = "".join(_row_html(candidate) for candidate in answer.candidates)
    return (
        '<section class="gair-panel gair-answer">'
        f"<h2>{esc(counted(len(answer.candidates), 'place'))}"
        f'<span class="gair-photo-name" title="{esc(answer.photo)}">{esc(answer.photo)}</span></h2>'
        f"{warnings_html(fresh)}{_gps_html(answer)}{belief_html(answer)}"
        f'<ol class="gair-places">{rows}</ol>'
        f'<p class="gair-fine">Score = {answer.rs_weight:.2f} × imagery + '
        f"{answer.location_weight:.2f} × location, both cosines from −1 to 1. "
        f"{_meaning(answer)} "
        f"{esc(counted(answer.cells_searched, 'cell'))} in {seconds:.2f} s.</p></section>"
    )


def _meaning(answer: Answer) -> str:
    if answer.calibrated:
        return f"Likely = taken within {distance(answer.merge_radius_m)} of the place."
    return "Scores rank the places of this answer; they are not probabilities."


def belief_html(answer: Answer) -> str:
    """How far to believe a calibrated answer; nothing for another."""
    if not answer.calibrated:
        return ""
    near = "".join(
        f"<li><b>{c.probability:.0%}</b><span>within {distance(c.radius_m)}</span></li>"
        for c in answer.confidence
    )
    regions = "".join(
        f"<li><b>{r['level']:.0%}</b><span>in {r['km2']:,.1f} km² on the map</span></li>"
        for r in answer.regions
    )
    return (
        '<div class="gair-belief"><h3>How likely is the best guess?</h3>'
        f"<ul>{near}</ul><h3>Where else?</h3><ul>{regions}</ul></div>"
    )


def _gps_html(answer: Answer) -> str:
    if answer.photo_gps_lonlat_deg is None:
        return ""
    place = coordinates(*answer.photo_gps_lonlat_deg)
    return notice_html("info", f"This photo carries coordinates ({place}); they were not used.")


def _row_html(candidate: Candidate) -> str:
    place = coordinates(*(candidate.refined_lonlat_deg or (candidate.lon_deg, candidate.lat_deg)))
    return (
        f'<li class="gair-place" data-gair-place="{candidate.rank}">'
        f'<button type="button" class="gair-pick" data-gair-pick="{candidate.rank}" '
        f'aria-pressed="false" title="H3 cell {esc(candidate.h3_cell)}">'
        f'<span class="gair-rank">{candidate.rank}</span>'
        f'<span class="gair-where"><span class="gair-lonlat">{place}</span>'
        f'<span class="gair-merged">{esc(_merged_text(candidate))}</span></span>'
        f"{_score_html(candidate)}"
        f'<span class="gair-parts">{_part_html("Imagery", candidate.rs_score)}'
        f"{_part_html('Location', candidate.location_score)}</span></button>"
        f'<span class="gair-actions"><button type="button" data-gair-copy="{place}" '
        f'aria-label="Copy the coordinates of place {candidate.rank}">Copy</button>'
        f'<a href="{_map_link(candidate)}" target="_blank" rel="noopener noreferrer" '
        f'title="Opens openstreetmap.org in a new tab">OpenStreetMap&nbsp;↗</a></span></li>'
    )


def _score_html(candidate: Candidate) -> str:
    """The probability where there is one, else the score."""
    shown, name = _signed(candidate.score), "score"
    if candidate.probability is not None:
        shown, name = f"{candidate.probability:.1%}", "likely"
    return f'<span class="gair-score"><b>{shown}</b><span>{name}</span></span>'


def _merged_text(candidate: Candidate) -> str:
    if not candidate.merged_cells:
        return "one cell"
    cells = counted(candidate.merged_cells, "close cell")
    return f"with {cells}, up to {distance(candidate.spread_m)} away"


def _part_html(name: str, cosine: float) -> str:
    """A bar that grows from the middle: right for a positive cosine, left for a negative one."""
    share = max(-1.0, min(1.0, cosine)) * 50
    left = 50 + min(share, 0.0)
    return (
        f'<span class="gair-part"><span>{name}</span><span class="gair-bar">'
        f'<i style="left:{left:.1f}%;width:{abs(share):.1f}%"></i></span>'
        f"<span>{_signed(cosine)}</span></span>"
    )


def _signed(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _map_link(candidate: Candidate) -> str:
    lon_deg, lat_deg = candidate.refined_lonlat_deg or (candidate.lon_deg, candidate.lat_deg)
    lat, lon = f"{lat_deg:.5f}", f"{lon_deg:.5f}"
    return f"https://www.openstreetmap.org/?mlat={lat}&amp;mlon={lon}#map=16/{lat}/{lon}"
