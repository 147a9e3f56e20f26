"""Replies to the page from answers of the engine: places with pictures, colours, cells, files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from app.examples import stem_of
from app.page.request import (
    CellRequest,
    HeatRequest,
    Layer,
    SaveRequest,
    ScoreRequest,
    SearchRequest,
)
from app.views.cards import CellFacts, cell_html, outside_html
from app.views.exports import answer_csv, answer_geojson, answer_kml
from app.views.index_facts import imagery_dates
from app.views.map import MOST_CELLS, cell_outlines, cosine_levels, density_levels, packed
from app.views.pictures import ChipPicture, PhotoFacts, jpeg_uri
from app.views.report import ReportParts, report_html
from app.views.wording import shown_lonlat_deg
from gair.geo import haversine_m
from gair.photos.exif import read_tags
from gair.photos.photo import open_photo
from indexer.regions.cells import cell_boundary_lonlat_deg, cell_hex
from indexer.search.ground_picture import chip_at

if TYPE_CHECKING:
    import numpy.typing as npt

    from app.engine.engine import Engine
    from app.engine.uploads import Upload
    from indexer.search.answer import Answer
    from indexer.search.geolocator import Geolocator

PREVIEW_PX = 1280
"""Longest side of the picture of a photo, in the page and in a report."""
MOST_CHIPS = 20
"""Places that come with a satellite picture."""
_LEGENDS = {
    "fused": "score",
    "imagery": "cosine, imagery",
    "location": "cosine, location",
}
_TYPES = {
    "geojson": "application/geo+json",
    "csv": "text/csv",
    "kml": "application/vnd.google-earth.kml+xml",
    "report": "text/html",
}


def search(
    engine: Engine, request: SearchRequest, photos: Sequence[Upload]
) -> tuple[Geolocator, Answer]:
    """The answer about photos of one place, and the index that gave it."""
    geo = engine.geo(request.index)
    return geo, request.question(geo, request.k).ask(engine, request.index, photos)


def chips_of(geo: Geolocator, answer: Answer) -> dict[int, ChipPicture]:
    """Satellite pictures of the places, by rank; none where the build kept none."""
    if answer.build != geo.index.manifest.build:  # another build took over meanwhile
        return {}
    chips = {}
    for place in answer.candidates[:MOST_CHIPS]:
        chip = ChipPicture.of(chip_at(geo.index, place.row, place.refined_lonlat_deg))
        if chip is not None:
            chips[place.rank] = chip
    return chips


def describe_photos(photos: Sequence[Upload], answer: Answer | None = None) -> list[PhotoFacts]:
    """What the files of the photos say, beside the best guess where there is one."""
    best = None
    if answer is not None and answer.candidates:
        best = shown_lonlat_deg(answer.candidates[0])
    return [_describe(photo, best) for photo in photos]


def _describe(upload: Upload, best: tuple[float, float] | None) -> PhotoFacts:
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


def heat_of(engine: Engine, request: HeatRequest, photos: Sequence[Upload]) -> dict[str, Any]:
    """A colour for each cell of the index, and the outlines where the browser has none yet.

    Returns:
        ``levels``, packed colours; ``low``, ``high`` and ``words`` for the legend; ``build``; and
        ``outlines``, unless the request says that it ``has`` those of the build.
    """
    geo = engine.geo(request.index)
    values, probable = cell_values(engine, geo, request, photos, request.layer)
    cells = geo.index.cells
    if probable:
        levels, low, high = density_levels(values, cells.area_m2)
        words = "probability a km²"
    else:
        levels, low, high = cosine_levels(values)
        words = _LEGENDS[request.layer]
    build, every = geo.index.manifest.build, len(cells) <= MOST_CELLS
    rows = np.arange(len(cells))
    if not every:
        # The MOST_CELLS highest, in the order of the index; others with every photo, so their
        # outlines are sent each time.
        rows = np.sort(np.argpartition(-values, MOST_CELLS)[:MOST_CELLS])
    reply = {"levels": packed(levels[rows]), "low": low, "high": high, "words": words}
    if request.has != build or not every:
        reply["outlines"] = cell_outlines(cells, rows)
    return {**reply, "build": build if every else "", "log": probable}


def cell_values(
    engine: Engine, geo: Geolocator, request: ScoreRequest, photos: Sequence[Upload], layer: Layer
) -> tuple[npt.NDArray[np.floating[Any]], bool]:
    """(N,) what each cell has, and whether that is a probability."""
    name = request.index
    if layer != "fused":
        return engine.heatmap(name, photos, layer).values, False
    question = request.question(geo)
    share, prior = question.rs_weight, question.prior(geo)
    if share is None and geo.calibration is not None:
        return engine.heatmap(name, photos, "posterior", prior).values, True
    weight = 0.5 if share is None else share
    rs = engine.heatmap(name, photos, "imagery").values
    location = engine.heatmap(name, photos, "location").values
    values = weight * rs + (1 - weight) * location
    if prior is not None:
        values = np.where(np.isfinite(prior.log_weight), values, np.nan)
    return values, False


def look_at(engine: Engine, request: CellRequest, photos: Sequence[Upload]) -> dict[str, Any]:
    """The card of the cell that holds a point, its middle and its corners (latitude first)."""
    geo = engine.geo(request.index)
    lon_deg, lat_deg = request.lonlat
    row = int(geo.cell_row([request.lonlat])[0])
    if row < 0:
        return {"card": outside_html(lon_deg, lat_deg), "at": [lat_deg, lon_deg], "cell": None}
    lon_deg, lat_deg = (float(v) for v in geo.index.cells.lonlat_deg[row])
    cell = geo.index.cells.h3[row]
    rs = location = fused = rank = None
    probable = False
    if photos:
        rs = float(cell_values(engine, geo, request, photos, "imagery")[0][row])
        location = float(cell_values(engine, geo, request, photos, "location")[0][row])
        values, probable = cell_values(engine, geo, request, photos, "fused")
        if np.isfinite(values[row]):  # NaN outside the area, and NaN compares as not above
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


def file_of(engine: Engine, request: SaveRequest, photos: Sequence[Upload]) -> dict[str, Any]:
    """An answer as a file: its ``name``, its media ``type`` and its ``text``."""
    geo, answer = search(engine, request, photos)
    writers = {"geojson": answer_geojson, "csv": answer_csv, "kml": answer_kml}
    if request.kind == "report":
        text, suffix = report_html(_report_parts(geo, answer, photos)), "html"
    else:
        text, suffix = writers[request.kind](answer), request.kind
    name = f"{stem_of(answer.photo)}-in-{answer.index}.{suffix}"
    return {"name": name, "type": _TYPES[request.kind], "text": text}


def _report_parts(geo: Geolocator, answer: Answer, photos: Sequence[Upload]) -> ReportParts:
    imagery = geo.index.manifest.imagery
    return ReportParts(
        answer=answer,
        outline=geo.index.outline["geometry"],
        photos=[preview_uri(photo) for photo in photos],
        chips=chips_of(geo, answer),
        imagery_licence=str(imagery.get("licence", "")),
        imagery_dates=imagery_dates(imagery),
        made_utc=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
    )
