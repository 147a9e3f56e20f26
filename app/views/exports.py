"""Files of an answer for other programs: GeoJSON, CSV, KML. No photo and none of its tags."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from app.views.report import polygons_of
from app.views.templates import render
from app.views.wording import distance
from gair.spreadsheets import plain_cell
from indexer.probability.cautions import coded
from indexer.search.answer import Answer, Candidate
from indexer.search.wording import decision_kind, decision_said, elsewhere_said

if TYPE_CHECKING:
    from indexer.probability.decisions import Decision

_COLUMNS = (
    "rank", "lat", "lon", "probability", "probability_low", "probability_high", "chance_level",
    "given", "not_in_index", "in_index", "score", "imagery", "location", "photos",
    "imagery_weight", "location_weight", "photos_weight", "merged_cells", "merged_within_m",
    "h3_cell", "cell_lat", "cell_lon", "index", "build", "model", "runtime",
    "decision", "max_error_rate", "decided_within_m", "decided_km2",
)  # fmt: skip


def answer_geojson(answer: Answer) -> str:
    """Points of the places and outlines of the regions, best first; then the decision."""
    levels = sorted(region["level"] for region in answer.regions)
    features = [_point(answer, candidate) for candidate in answer.candidates]
    about = {"kind": "region", "given": answer.given}
    features += [answer.region(level).to_geojson(about) for level in levels]
    if (decided := answer.decision_geojson()) is not None:
        features.append(decided)
    credits_ = {
        "index": answer.index,
        "build": answer.build,
        "model": answer.model,
        "model_licence": answer.model_licence,
        "runtime": answer.runtime,
        "weights": {
            "imagery": answer.rs_weight,
            "location": answer.location_weight,
            "photos": answer.ground_weight,
        },
        "attribution": answer.attribution,
        "calibrated": answer.calibrated,
        "calibration": answer.calibration and asdict(answer.calibration),
        "decision": answer.decision and asdict(answer.decision),
        "warnings": coded(answer.warnings),
        "prior": answer.prior,
        "elsewhere": None if answer.elsewhere is None else asdict(answer.elsewhere),
        "membership": None if answer.membership is None else asdict(answer.membership),
    }
    document = {"type": "FeatureCollection", **credits_, "features": features}
    return json.dumps(document, indent=1, allow_nan=False)


def answer_csv(answer: Answer) -> str:
    """A line a place; numbers that are not known are empty.

    ``not_in_index`` is the share of photos from elsewhere, the same in every line. The score is
    that of imagery, location and reference photos, each times its weight. The decision is of the
    answer, the same in every line; a disc that was decided for is around the first place.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    elsewhere = None if answer.elsewhere is None else answer.elsewhere.probability
    refused = "" if answer.membership is None else str(answer.membership.in_index).lower()
    weights = answer.rs_weight, answer.location_weight, answer.ground_weight
    for c in answer.candidates:
        lon_deg, lat_deg = (f"{v:.{answer.decimals}f}" for v in c.shown_lonlat_deg)
        ground = "" if c.ground_score is None else f"{c.ground_score:.6f}"
        chances = (c.probability, *(c.interval or (None, None)), c.chance_level)
        writer.writerow(
            [c.rank, lat_deg, lon_deg, *map(_number, chances)]
            + [answer.given, _number(elsewhere), refused]
            + [*(f"{v:.6f}" for v in (c.score, c.rs_score, c.location_score)), ground]
            + [*map(_number, weights)]
            + [c.merged_cells, f"{c.merged_within_m:.1f}", c.h3_cell]
            + [f"{c.lat_deg:.7f}", f"{c.lon_deg:.7f}"]
            + [
                plain_cell(name)
                for name in (answer.index, answer.build, answer.model, answer.runtime)
            ]
            + _decided(answer)
        )
    return buffer.getvalue()


def answer_kml(answer: Answer) -> str:
    """Placemarks of the places and polygons of the regions (OGC KML 2.2)."""
    told = sorted(answer.regions, key=lambda region: -float(region["level"]))
    regions = [
        (
            region["level"],
            polygons_of(answer.region(region["level"]).to_geojson()["geometry"]),
            region["promised"],
        )
        for region in told
    ]
    decision = None if answer.decision is None else _kml_decision(answer, answer.decision)
    return render(
        "answer.kml",
        answer=answer,
        regions=regions,
        decision=decision,
        elsewhere="" if answer.elsewhere is None else elsewhere_said(answer.elsewhere),
    )


def _kml_decision(answer: Answer, decision: Decision) -> dict[str, Any]:
    """Its words, and the polygons or the point that it answers with."""
    feature = answer.decision_geojson()
    geometry = None if feature is None else feature["geometry"]
    point = geometry is not None and geometry["type"] == "Point"
    return {
        "kind": decision_kind(decision, distance),
        "said": decision_said(decision),
        "polygons": [] if geometry is None or point else polygons_of(geometry),
        "point": geometry["coordinates"] if geometry is not None and point else None,
    }


def _decided(answer: Answer) -> list[str]:
    """Columns of the decision; empty where nobody asked for one."""
    if (decision := answer.decision) is None:
        return [""] * 4
    km2 = None if decision.region is None else decision.region["km2"]
    numbers = (decision.max_error_rate, decision.radius_m, km2)
    return [decision.kind, *map(_number, numbers)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _point(answer: Answer, candidate: Candidate) -> dict[str, Any]:
    lon_deg, lat_deg = (round(v, answer.decimals) for v in candidate.shown_lonlat_deg)
    ground = candidate.ground_score
    return {
        "type": "Feature",
        "properties": {
            "kind": "place",
            "rank": candidate.rank,
            "probability": candidate.probability,
            "interval": candidate.interval,
            "chance_level": candidate.chance_level,
            "given": answer.given,
            "score": round(candidate.score, 6),
            "imagery": round(candidate.rs_score, 6),
            "location": round(candidate.location_score, 6),
            "photos": ground if ground is None else round(ground, 6),
            "reference_photos": [asdict(photo) for photo in candidate.ground_photos],
            "merged_cells": candidate.merged_cells,
            "merged_within_m": round(candidate.merged_within_m, 1),
            "h3_cell": candidate.h3_cell,
        },
        "geometry": {"type": "Point", "coordinates": [lon_deg, lat_deg]},
    }
