"""The map of a report as one SVG: outline, regions, places, scale. Drawn here, fetched nowhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.views.markup import esc

_WIDTH, _HEIGHT, _PAD = 720.0, 460.0, 26.0
_M_PER_DEG = 111_195.0
_LEAST_SPAN_M = 800.0
_ROUND_M = [n * 10**power for power in range(1, 7) for n in (1, 2, 5)]


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
