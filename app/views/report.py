"""One-page report: a document that needs nothing else, to be printed, mailed or archived.

Its map is one SVG: outline of the index, regions, numbered places, a scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.views.markup import coordinates, distance, esc, rows_html, share, shown_lonlat_deg, signed
from app.views.pictures import ChipPicture
from indexer.search.answer import Answer, Candidate

_STYLE = Path(__file__).parents[1] / "static" / "report.css"
_WIDTH, _HEIGHT, _PAD = 720.0, 460.0, 26.0
_M_PER_DEG = 111_195.0
_LEAST_SPAN_M = 800.0
_ROUND_M = [n * 10**power for power in range(1, 7) for n in (1, 2, 5)]


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
    pins = [Pin(c.rank, *shown_lonlat_deg(c)) for c in answer.candidates]
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
        f"<h2>Best guess: {coordinates(*shown_lonlat_deg(answer.candidates[0]))}</h2>"
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
        coordinates(*shown_lonlat_deg(candidate)),
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


@dataclass(frozen=True)
class Pin:
    """A numbered place."""

    rank: int
    lon_deg: float
    lat_deg: float


@dataclass(frozen=True)
class _View:
    """Longitude and latitude to the drawing's units; equirectangular around its middle."""

    west: float
    north: float
    per_deg: tuple[float, float]
    """Units per degree of longitude and of latitude."""

    def xy(self, lon_deg: float, lat_deg: float) -> str:
        x, y = self.numbers(lon_deg, lat_deg)
        return f"{x:.1f} {y:.1f}"

    def numbers(self, lon_deg: float, lat_deg: float) -> tuple[float, float]:
        return (
            (lon_deg - self.west) * self.per_deg[0],
            (self.north - lat_deg) * self.per_deg[1],
        )


def map_svg(outline: dict[str, Any], regions: Iterable[dict[str, Any]], pins: list[Pin]) -> str:
    """Places and regions on the outline of the index.

    Args:
        outline: GeoJSON geometry.
        regions: GeoJSON Features with the property ``level``, the largest first.
        pins: the places.
    """
    regions = list(regions)
    view = _view_of(regions, pins)
    drawn = f'<path class="outline" fill-rule="evenodd" d="{_path(outline, view)}"/>'
    for feature in regions:
        level = round(100 * feature["properties"]["level"])
        drawn += f'<path class="region in{level}" d="{_path(feature["geometry"], view)}"/>'
    drawn += "".join(_pin(pin, view) for pin in sorted(pins, key=lambda pin: -pin.rank))
    words = f"Map of {len(pins)} places" + (" and their regions" if regions else "")
    return (
        f'<svg class="map" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        f'aria-label="{esc(words)}"><defs><clipPath id="frame"><rect width="{_WIDTH:g}" '
        f'height="{_HEIGHT:g}" rx="6"/></clipPath></defs><g clip-path="url(#frame)">'
        f'<rect class="sea" width="{_WIDTH:g}" height="{_HEIGHT:g}"/>{drawn}'
        f"{_scale(view)}</g></svg>"
    )


def _view_of(regions: list[dict[str, Any]], pins: list[Pin]) -> _View:
    """What shows every place and the smallest region, with a margin."""
    points = [(pin.lon_deg, pin.lat_deg) for pin in pins]
    for feature in regions[-1:]:
        points += [p for ring in _rings(feature["geometry"]) for p in ring]
    lons, lats = [p[0] for p in points] or [0.0], [p[1] for p in points] or [0.0]
    lat = (min(lats) + max(lats)) / 2
    shrink = max(0.05, math.cos(math.radians(lat)))
    span_m = [
        max((max(lons) - min(lons)) * _M_PER_DEG * shrink, _LEAST_SPAN_M),
        max((max(lats) - min(lats)) * _M_PER_DEG, _LEAST_SPAN_M),
    ]
    # One scale for both axes: degrees of longitude are shrunk by the cosine of the latitude.
    per_m = min((_WIDTH - 2 * _PAD) / span_m[0], (_HEIGHT - 2 * _PAD) / span_m[1])
    per_deg = (per_m * _M_PER_DEG * shrink, per_m * _M_PER_DEG)
    lon = (min(lons) + max(lons)) / 2
    return _View(lon - _WIDTH / 2 / per_deg[0], lat + _HEIGHT / 2 / per_deg[1], per_deg)


def _rings(geometry: dict[str, Any]) -> list[list[tuple[float, float]]]:
    parts = geometry["coordinates"]
    polygons = [parts] if geometry["type"] == "Polygon" else parts
    return [[(p[0], p[1]) for p in ring] for polygon in polygons for ring in polygon]


def _path(geometry: dict[str, Any], view: _View) -> str:
    return "".join(
        "M" + "L".join(view.xy(*point) for point in ring[:-1]) + "Z" for ring in _rings(geometry)
    )


def _pin(pin: Pin, view: _View) -> str:
    x, y = view.numbers(pin.lon_deg, pin.lat_deg)
    kind = "pin first" if pin.rank == 1 else "pin"
    return (
        f'<g class="{kind}"><circle cx="{x:.1f}" cy="{y:.1f}" r="11"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{pin.rank}</text></g>'
    )


def _scale(view: _View) -> str:
    """A bar of a round length, about a quarter of the width."""
    per_m = view.per_deg[1] / _M_PER_DEG
    length_m = max((m for m in _ROUND_M if m * per_m <= _WIDTH / 4), default=_ROUND_M[0])
    width = length_m * per_m
    x, y = _WIDTH - 16 - width, _HEIGHT - 16
    return (
        f'<path class="scale" d="M{x:.1f} {y - 5:g}v5h{width:.1f}v-5"/>'
        f'<text class="scale-text" x="{x + width / 2:.1f}" y="{y - 7:g}" text-anchor="middle">'
        f"{_length(length_m)}</text>"
    )


def _length(metres: float) -> str:
    return f"{metres:g} m" if metres < 1000 else f"{metres / 1000:g} km"
