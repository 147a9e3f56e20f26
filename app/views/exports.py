"""Files of an answer for other programs: GeoJSON, CSV, KML. No photo and none of its tags."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from app.views.markup import esc, shown_lonlat_deg
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
        "warnings": list(answer.warnings),
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
            + [f"{c.lat_deg:.7f}", f"{c.lon_deg:.7f}", *map(_plain, _origin(answer))]
        )
    return buffer.getvalue()


def answer_kml(answer: Answer) -> str:
    """Placemarks of the places and polygons of the regions (OGC KML 2.2)."""
    marks = "".join(_placemark(candidate) for candidate in answer.candidates)
    regions = "".join(
        _region(answer.region(level).to_geojson())
        for level in sorted((r["level"] for r in answer.regions), reverse=True)
    )
    about = f"{answer.attribution}. Model {answer.model}, licence {answer.model_licence}."
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2">'
        f"<Document><name>{_xml(answer.index)}: places of a photo</name>"
        f"<description>{_xml(about)}</description>{regions}{marks}</Document></kml>\n"
    )


def _origin(answer: Answer) -> tuple[str, str, str]:
    return answer.index, answer.build, answer.model


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


def _placemark(candidate: Candidate) -> str:
    lon_deg, lat_deg = shown_lonlat_deg(candidate)
    likely = "" if candidate.probability is None else f"{candidate.probability:.1%} likely, "
    return (
        f"<Placemark><name>{candidate.rank}</name><description>{likely}score "
        f"{candidate.score:.3f}</description><Point><coordinates>{lon_deg:.7f},{lat_deg:.7f}"
        "</coordinates></Point></Placemark>"
    )


def _region(feature: dict[str, Any]) -> str:
    geometry = feature["geometry"]
    parts = geometry["coordinates"]
    polygons = "".join(_polygon(p) for p in ([parts] if geometry["type"] == "Polygon" else parts))
    name = f"{feature['properties']['level']:.0%} region"
    return (
        f"<Placemark><name>{name}</name><Style><PolyStyle><color>336e760f</color></PolyStyle>"
        f"</Style><MultiGeometry>{polygons}</MultiGeometry></Placemark>"
    )


def _polygon(rings: list[list[list[float]]]) -> str:
    def ring(points: list[list[float]]) -> str:
        text = " ".join(f"{lon:.7f},{lat:.7f}" for lon, lat in points)
        return f"<LinearRing><coordinates>{text}</coordinates></LinearRing>"

    inner = "".join(f"<innerBoundaryIs>{ring(r)}</innerBoundaryIs>" for r in rings[1:])
    return f"<Polygon><outerBoundaryIs>{ring(rings[0])}</outerBoundaryIs>{inner}</Polygon>"


def _xml(value: str) -> str:
    """Text of an XML document, without the characters that XML has no way to write."""
    return esc("".join(c for c in value if c in "\t\n" or ord(c) >= 32))
