"""One-page report: a document that needs nothing else, to be printed, mailed or archived.

Its map is one SVG: outline of the index, regions, numbered places, a scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.views.templates import render
from app.views.wording import distance, shown_lonlat_deg
from indexer.search.answer import Answer
from indexer.search.maps.ground_picture import Chip
from indexer.search.wording import (
    decision_kind,
    decision_said,
    elsewhere_said,
    likely_means,
    near_said,
    square_km,
)

_WIDTH, _HEIGHT, _PAD = 720, 460, 26
_M_PER_DEG = 111_195.0
_LEAST_SPAN_M = 800.0
_ROUND_M = [n * 10**power for power in range(1, 7) for n in (1, 2, 5)]


def report_html(
    answer: Answer,
    *,
    outline: dict[str, Any],
    photos: Sequence[str],
    chips: Mapping[int, Chip],
    imagery_licence: str,
    imagery_dates: str,
    made_utc: str,
) -> str:
    """A whole HTML document without scripts and without addresses that anything is loaded from.

    Args:
        answer: What is reported.
        outline: GeoJSON geometry of the index.
        photos: data: addresses of the photos, without metadata.
        chips: Satellite pictures by rank.
        imagery_licence: What the imagery may be used for.
        imagery_dates: Days of the imagery.
        made_utc: When the report was made.
    """
    levels = sorted((region["level"] for region in answer.regions), reverse=True)
    belief = [near_said(c, distance(c.radius_m)) for c in answer.confidence]
    for region in answer.regions:
        promise = "" if region["promised"] else ", not promised"
        belief.append(f"{region['level']:.0%} region: {square_km(region['km2'])}{promise}")
    if belief:
        belief.append(f"all {answer.given}")
    if answer.elsewhere is not None:
        belief.append(elsewhere_said(answer.elsewhere))
    if (decision := answer.decision) is not None:
        belief.append(f"decision: {decision_kind(decision, distance)}: {decision_said(decision)}")
    return render(
        "report.html",
        answer=answer,
        photos=photos,
        chips=chips,
        imagery_licence=imagery_licence,
        imagery_dates=imagery_dates,
        made_utc=made_utc,
        belief=belief,
        meaning=likely_means(answer, distance(answer.merge_radius_m)) if answer.calibrated else "",
        pictures=any(candidate.rank in chips for candidate in answer.candidates),
        map=AnswerMap.of(
            outline,
            [answer.region(level).to_geojson() for level in levels],
            {c.rank: shown_lonlat_deg(c) for c in answer.candidates},
        ),
    )


@dataclass(frozen=True)
class _View:
    """Longitude and latitude to the drawing's units; equirectangular around its middle."""

    west: float
    north: float
    per_deg: tuple[float, float]
    """Units per degree of longitude and of latitude."""

    def xy(self, lon_deg: float, lat_deg: float) -> tuple[float, float]:
        return (
            (lon_deg - self.west) * self.per_deg[0],
            (self.north - lat_deg) * self.per_deg[1],
        )


@dataclass(frozen=True)
class AnswerMap:
    """Places and regions on the outline of the index, in units of the drawing, y down."""

    outline: str
    """Data of a path."""
    regions: list[tuple[int, str]]
    """Level in percent, data of a path; the largest first."""
    pins: list[tuple[int, tuple[float, float]]]
    """Rank and position; the best last, on top."""
    scale_m: int
    """A round length, about a quarter of the width."""
    scale_px: float
    """How long that is here."""
    width: int = _WIDTH
    height: int = _HEIGHT

    @classmethod
    def of(
        cls,
        outline: dict[str, Any],
        regions: list[dict[str, Any]],
        pins: Mapping[int, tuple[float, float]],
    ) -> AnswerMap:
        """The drawing.

        Args:
            outline: GeoJSON geometry.
            regions: GeoJSON Features with the property ``level``, the largest first.
            pins: rank to longitude, latitude of the places.
        """
        view = _view_of(regions, [*pins.values()])
        per_m = view.per_deg[1] / _M_PER_DEG
        scale_m = max((m for m in _ROUND_M if m * per_m <= _WIDTH / 4), default=_ROUND_M[0])
        return cls(
            outline=_path(outline, view),
            regions=[
                (round(100 * f["properties"]["level"]), _path(f["geometry"], view)) for f in regions
            ],
            pins=[(rank, view.xy(*pins[rank])) for rank in sorted(pins, reverse=True)],
            scale_m=scale_m,
            scale_px=scale_m * per_m,
        )


def _view_of(regions: list[dict[str, Any]], points: list[tuple[float, float]]) -> _View:
    """What shows every place and the smallest region, with a margin."""
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


def polygons_of(geometry: dict[str, Any]) -> list[list[list[tuple[float, float]]]]:
    """Rings of longitude, latitude of each polygon of a GeoJSON Polygon or MultiPolygon."""
    parts = geometry["coordinates"]
    polygons = [parts] if geometry["type"] == "Polygon" else parts
    return [[[(p[0], p[1]) for p in ring] for ring in polygon] for polygon in polygons]


def _rings(geometry: dict[str, Any]) -> list[list[tuple[float, float]]]:
    return [ring for polygon in polygons_of(geometry) for ring in polygon]


def _path(geometry: dict[str, Any], view: _View) -> str:
    def line(ring: list[tuple[float, float]]) -> str:
        return "L".join("{:.1f} {:.1f}".format(*view.xy(*point)) for point in ring[:-1])

    return "".join(f"M{line(ring)}Z" for ring in _rings(geometry))
