"""Files of an answer for other programs: GeoJSON, CSV, KML. No photo and none of its tags."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from app.views.report import polygons_of
from app.views.templates import render
from app.views.wording import shown_lonlat_deg
from indexer.probability.cautions import coded
from indexer.search.answer import Answer, Candidate

_COLUMNS = (
    "rank", "lat", "lon", "probability", "score", "imagery", "location", "spread_m",
    "merged_cells", "h3_cell", "cell_lat", "cell_lon", "index", "build", "model",
)  # fmt: skip


def answer_geojson(answer: Answer) -> str:
    """Points of the places and outlines of the regions, best first."""
    levels = sorted(region["level"] for region in answer.regions)
    features = [_point(candidate) for candidate in answer.candidates]
    features += [answer.region(level).to_geojson({"kind": "region"}) for level in levels]
    credits_ = {
        "index": answer.index,
        "build": answer.build,
        "model": answer.model,
        "model_licence": answer.model_licence,
        "attribution": answer.attribution,
        "calibrated": answer.calibrated,
        "warnings": coded(answer.warnings),
        "prior": answer.prior,
    }
    document = {"type": "FeatureCollection", **credits_, "features": features}
    return json.dumps(document, indent=1, allow_nan=False)


def answer_csv(answer: Answer) -> str:
    """A line a place; numbers that are not known are empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for c in answer.candidates:
        lon_deg, lat_deg = shown_lonlat_deg(c)
        likely = "" if c.probability is None else f"{c.probability:.6g}"
        writer.writerow(
            [c.rank, f"{lat_deg:.7f}", f"{lon_deg:.7f}", likely]
            + [f"{v:.6f}" for v in (c.score, c.rs_score, c.location_score)]
            + [f"{c.spread_m:.1f}", c.merged_cells, c.h3_cell]
            + [f"{c.lat_deg:.7f}", f"{c.lon_deg:.7f}"]
            + [_plain(name) for name in (answer.index, answer.build, answer.model)]
        )
    return buffer.getvalue()


def answer_kml(answer: Answer) -> str:
    """Placemarks of the places and polygons of the regions (OGC KML 2.2)."""
    levels = sorted((region["level"] for region in answer.regions), reverse=True)
    regions = [
        (level, polygons_of(answer.region(level).to_geojson()["geometry"])) for level in levels
    ]
    return render("answer.kml", answer=answer, regions=regions)


def _plain(value: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _point(candidate: Candidate) -> dict[str, Any]:
    lon_deg, lat_deg = shown_lonlat_deg(candidate)
    return {
        "type": "Feature",
        "properties": {
            "kind": "place",
            "rank": candidate.rank,
            "probability": candidate.probability,
            "score": round(candidate.score, 6),
            "imagery": round(candidate.rs_score, 6),
            "location": round(candidate.location_score, 6),
            "spread_m": round(candidate.spread_m, 1),
            "merged_cells": candidate.merged_cells,
            "h3_cell": candidate.h3_cell,
        },
        "geometry": {"type": "Point", "coordinates": [round(lon_deg, 7), round(lat_deg, 7)]},
    }
