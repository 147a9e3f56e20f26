"""The one-page report: a document that needs nothing else, to be printed, mailed or archived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.views.drawing import Pin, map_svg
from app.views.markup import coordinates, distance, esc, rows_html, share, signed
from app.views.pictures import ChipPicture
from indexer.search.answer import Answer, Candidate

_STYLE = Path(__file__).parents[1] / "static" / "report.css"


@dataclass(frozen=True)
class ReportParts:
    """What a report is made of."""

    answer: Answer
    outline: dict[str, Any]
    """GeoJSON geometry of the index."""
    photos: Sequence[str]
    """data: addresses of the photos, without metadata."""
    chips: Mapping[int, ChipPicture]
    """By rank."""
    imagery_licence: str
    imagery_dates: str
    made_utc: str


def report_html(parts: ReportParts) -> str:
    """A whole HTML document without scripts and without addresses that anything is loaded from."""
    answer = parts.answer
    regions = [answer.region(r["level"]).to_geojson() for r in _largest_first(answer)]
    pins = [Pin(c.rank, *_best(c)) for c in answer.candidates]
    photos = "".join(f'<img src="{uri}" alt="The photo">' for uri in parts.photos)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{esc(answer.photo)} in {esc(answer.index)}</title>"
        f"<style>{_STYLE.read_text()}</style></head>"
        '<body><div class="top"><h1>Where was this photo taken?</h1>'
        f'<span class="dim">GAIR Geolocator, {esc(parts.made_utc)} UTC</span></div>'
        f"{_warnings(answer)}{_best_html(answer)}"
        f'<div class="see"><div>{photos}</div>{map_svg(parts.outline, regions, pins)}</div>'
        f"<h2>Places</h2>{_table(parts)}<h2>How this was made</h2>{rows_html(_about(parts))}"
        "</body></html>"
    )


def _largest_first(answer: Answer) -> list[dict[str, Any]]:
    return sorted(answer.regions, key=lambda region: -region["level"])


def _best(candidate: Candidate) -> tuple[float, float]:
    return candidate.refined_lonlat_deg or (candidate.lon_deg, candidate.lat_deg)


def _warnings(answer: Answer) -> str:
    def kind(warning: str) -> str:
        grave = "untrained" in warning.lower() or "looks like nothing" in warning
        return "warn" if grave else "warn note"

    return "".join(
        f'<p class="{kind(w)}">{esc(w[:1].upper() + w[1:])}</p>' for w in answer.warnings
    )


def _best_html(answer: Answer) -> str:
    if not answer.candidates:
        return "<p>No place was found.</p>"
    said = [f"{share(c.probability)} within {distance(c.radius_m)}" for c in answer.confidence]
    said += [f"{r['level']:.0%} region: {r['km2']:,.1f} km²" for r in answer.regions]
    belief = "; ".join(said) or "scores rank places, they are not probabilities"
    return (
        f"<h2>Best guess: {coordinates(*_best(answer.candidates[0]))}</h2>"
        f'<p class="dim">Latitude, longitude (WGS 84). {esc(belief)}.</p>'
    )


def _table(parts: ReportParts) -> str:
    chips = any(c.rank in parts.chips for c in parts.answer.candidates)
    head = "".join(
        f"<th>{name}</th>"
        for name in ("", "Latitude, longitude", "Likely", "Score", "Imagery", "Location", "Spread")
    )
    picture = "<th>Satellite</th>" if chips else ""
    rows = "".join(_row(c, parts, chips) for c in parts.answer.candidates)
    return f"<table><thead><tr>{head}{picture}</tr></thead><tbody>{rows}</tbody></table>"


def _row(candidate: Candidate, parts: ReportParts, chips: bool) -> str:
    likely = "" if candidate.probability is None else share(candidate.probability)
    values = [
        str(candidate.rank),
        coordinates(*_best(candidate)),
        likely,
        signed(candidate.score),
        signed(candidate.rs_score),
        signed(candidate.location_score),
        distance(candidate.spread_m),
    ]
    cells = "".join(f"<td>{esc(value)}</td>" for value in values)
    if chips:
        chip = parts.chips.get(candidate.rank)
        alt = f"Satellite picture of place {candidate.rank}"
        cells += f'<td><img src="{chip.uri}" alt="{alt}"></td>' if chip else "<td></td>"
    return f"<tr>{cells}</tr>"


def _about(parts: ReportParts) -> list[tuple[str, str]]:
    answer = parts.answer
    return [
        ("Photos", ", ".join(answer.photos or (answer.photo,))),
        ("Index", f"{answer.index}, build {answer.build}"),
        ("Model", answer.model),
        ("Model licence", answer.model_licence),
        ("Cells searched", f"{answer.cells_searched:,}"),
        ("Searched", answer.prior or "the whole index"),
        ("Weights", f"{answer.rs_weight:.2f} imagery, {answer.location_weight:.2f} location"),
        ("Imagery dates", parts.imagery_dates),
        ("Imagery and outline", answer.attribution),
        ("Imagery licence", parts.imagery_licence),
    ]
