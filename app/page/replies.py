"""From an answer of the engine to what the page needs of it: pictures, colours, files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from app.examples import stem_of
from app.page.request import Asked, Kind, Layer
from app.views.cell import CellFacts, cell_html, outside_html
from app.views.cells import (
    MOST_CELLS,
    cell_outlines,
    cosine_levels,
    density_levels,
    packed_levels,
)
from app.views.explore import imagery_dates
from app.views.exports import answer_csv, answer_geojson, answer_kml
from app.views.facts import PhotoFacts
from app.views.pictures import ChipPicture, jpeg_uri
from app.views.report import ReportParts, report_html
from gair.geo import haversine_m
from gair.photos.photo import open_photo
from indexer.photos.exif_tags import read_tags
from indexer.regions.cells import cell_boundary_lonlat_deg, cell_hex
from indexer.search.ground_picture import chip_at
from indexer.search.prior import Prior, build_prior

if TYPE_CHECKING:
    import numpy.typing as npt

    from app.engine.engine import Engine
    from app.engine.uploads import Upload
    from indexer.search.answer import Answer
    from indexer.search.geolocator import Geolocator
    from indexer.search.query import QueryFields

PREVIEW_PX = 1280
"""Longest side of the picture of a photo, in the page and in a report."""
MOST_CHIPS = 20
"""Places that come with a satellite picture."""
_SAME_SHARE = 0.0051
"""Shares closer than this are one; the page's slider rounds to a hundredth."""
_TYPES = {
    "geojson": "application/geo+json",
    "csv": "text/csv",
    "kml": "application/vnd.google-earth.kml+xml",
    "report": "text/html",
}


def answered_query(engine: Engine, question: Asked) -> tuple[Geolocator, Answer]:
    """The answer about the photos of a question, and the index that gave it."""
    geo = engine.geo(question.index)
    query = query_of(geo, question)
    return geo, engine.search(question.index, question.photos, same_place=True, **query)


def query_of(geo: Geolocator, question: Asked) -> QueryFields:
    """What is asked beside the photos; no weights of one's own at the calibrated ones."""
    query: QueryFields = {"k": question.places, "prior": prior_of(geo, question)}
    if (share := own_share(geo, question.share)) is not None:
        query["rs_weight"], query["location_weight"] = share, 1 - share
    return query


def own_share(geo: Geolocator, share: float | None) -> float | None:
    """The weight of the imagery; None where it is the calibrated one, or not given."""
    known = geo.calibration
    if share is None or (known and abs(share - known.weights.shares[0]) <= _SAME_SHARE):
        return None
    return share


def prior_of(geo: Geolocator, question: Asked) -> Prior | None:
    """The area that the search is limited to."""
    area = question.area
    return None if area is None else build_prior(geo.index, within=area)


def chips_of(geo: Geolocator, answer: Answer) -> dict[int, ChipPicture]:
    """Satellite pictures of the places, by rank; none where the build kept none."""
    if answer.build != geo.index.manifest.build:  # another build took over meanwhile
        return {}
    found = {}
    for place in answer.candidates[:MOST_CHIPS]:
        picture = ChipPicture.of(chip_at(geo.index, place.row, place.refined_lonlat_deg))
        if picture is not None:
            found[place.rank] = picture
    return found


def described_photos(photos: Sequence[Upload], answer: Answer | None = None) -> list[PhotoFacts]:
    """What the files of the photos say, beside the best guess where there is one."""
    best = None
    if answer is not None and answer.candidates:
        first = answer.candidates[0]
        best = first.refined_lonlat_deg or (first.lon_deg, first.lat_deg)
    return [_described(photo, best) for photo in photos]


def _described(upload: Upload, best: tuple[float, float] | None) -> PhotoFacts:
    tags = read_tags(io.BytesIO(upload.content))
    gps = tags.lonlat_deg if tags else None
    return PhotoFacts(
        name=upload.name,
        size_bytes=len(upload.content),
        size_px=tags.size_px if tags else None,
        gps_lonlat_deg=gps,
        heading_deg=tags.heading_deg if tags else None,
        captured_at=tags.captured_at if tags else None,
        from_best_m=float(haversine_m(gps, best)) if gps and best else None,
    )


def preview_uri(upload: Upload) -> str:
    """A picture of an upload, upright and without metadata, as a data: address."""
    photo = open_photo(upload.content, name=upload.name)
    return jpeg_uri(photo.rgb, PREVIEW_PX)


def heat_of(engine: Engine, question: Asked, layer: Layer) -> dict[str, Any]:
    """A colour for each cell of the index, and the outlines where the browser has none yet.

    Returns:
        ``levels``, packed colours; ``low``, ``high`` and ``words`` for the legend; ``build``; and
        ``outlines``, unless the question says that it ``has`` those of the build.
    """
    geo = engine.geo(question.index)
    values, probable = cell_values(engine, geo, question, layer)
    cells = geo.index.cells
    if probable:
        levels, low, high = density_levels(values, cells.area_m2)
        words = "probability a km²"
    else:
        levels, low, high = cosine_levels(values)
        words = {"fused": "score", "imagery": "cosine, imagery", "location": "cosine, location"}[
            layer
        ]
    build, every = geo.index.manifest.build, len(cells) <= MOST_CELLS
    rows = np.arange(len(cells))
    if not every:
        rows = np.sort(np.argpartition(-values, MOST_CELLS)[:MOST_CELLS])
    reply = {"levels": packed_levels(levels[rows]), "low": low, "high": high, "words": words}
    if question.values.get("has") != build or not every:
        reply["outlines"] = cell_outlines(cells, rows)
    return {**reply, "build": build if every else "", "log": probable}


def cell_values(
    engine: Engine, geo: Geolocator, question: Asked, layer: Layer
) -> tuple[npt.NDArray[np.floating[Any]], bool]:
    """(N,) what each cell has, and whether that is a probability."""
    name, photos = question.index, question.photos
    if layer != "fused":
        return engine.heatmap(name, photos, layer).values, False
    share, prior = own_share(geo, question.share), prior_of(geo, question)
    if share is None and geo.calibration is not None:
        return engine.heatmap(name, photos, "posterior", prior).values, True
    weight = 0.5 if share is None else share
    rs = engine.heatmap(name, photos, "imagery").values
    location = engine.heatmap(name, photos, "location").values
    values = weight * rs + (1 - weight) * location
    if prior is not None:
        values = np.where(np.isfinite(prior.log_weight), values, np.nan)
    return values, False


def looked_at(engine: Engine, question: Asked, lonlat_deg: tuple[float, float]) -> dict[str, Any]:
    """The card of the cell that holds a point, its middle and its corners (latitude first)."""
    geo = engine.geo(question.index)
    row = int(geo.cell_row([lonlat_deg])[0])
    lon_deg, lat_deg = lonlat_deg
    if row < 0:
        return {"card": outside_html(lon_deg, lat_deg), "at": [lat_deg, lon_deg], "cell": None}
    lon_deg, lat_deg = (float(v) for v in geo.index.cells.lonlat_deg[row])
    cell = geo.index.cells.h3[row]
    rs = location = fused = rank = None
    probable = False
    if question.values.get("photos"):
        rs = float(cell_values(engine, geo, question, "imagery")[0][row])
        location = float(cell_values(engine, geo, question, "location")[0][row])
        values, probable = cell_values(engine, geo, question, "fused")
        if np.isfinite(values[row]):
            fused, rank = float(values[row]), 1 + int((values > values[row]).sum())
    chip = ChipPicture.of(chip_at(geo.index, row))
    facts = CellFacts(
        cell_hex(cell), lon_deg, lat_deg, rs, location, fused, probable, rank,
        len(geo.index.cells), chip,
    )  # fmt: skip
    corners = cell_boundary_lonlat_deg(cell)
    return {
        "card": cell_html(facts),
        "at": [lat_deg, lon_deg],
        "cell": [[float(lat), float(lon)] for lon, lat in corners],
    }


def downloaded(engine: Engine, question: Asked, kind: Kind) -> dict[str, Any]:
    """An answer as a file: its ``name``, its media ``type`` and its ``text``."""
    geo, answer = answered_query(engine, question)
    writers = {"geojson": answer_geojson, "csv": answer_csv, "kml": answer_kml}
    if kind == "report":
        text, suffix = report_html(_report_parts(geo, answer, question)), "html"
    else:
        text, suffix = writers[kind](answer), kind
    name = f"{stem_of(answer.photo)}-in-{answer.index}.{suffix}"
    return {"name": name, "type": _TYPES[kind], "text": text}


def _report_parts(geo: Geolocator, answer: Answer, question: Asked) -> ReportParts:
    imagery = geo.index.manifest.imagery
    return ReportParts(
        answer=answer,
        outline=geo.index.outline["geometry"],
        photos=[preview_uri(photo) for photo in question.photos],
        chips=chips_of(geo, answer),
        imagery_licence=str(imagery.get("licence", "")),
        imagery_dates=imagery_dates(imagery),
        made_utc=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
    )
