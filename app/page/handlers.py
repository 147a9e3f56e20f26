"""Desk that answers the page: one function, one question at a time, no state.

The browser sends a question as JSON (:mod:`app.page.request`) and gets JSON back: pieces of HTML
made by the views, and data for the map. Whatever is wrong comes back as ``error``, in words.
Questions stand by themselves, so one that was overtaken by the next one can be forgotten.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.engine.uploads import GONE
from app.examples import Sample, stem_of
from app.page.exploring import (
    near_photos_file,
    near_photos_reply,
    similar_file,
    similar_reply,
)
from app.page.request import (
    CellRequest,
    CompareRequest,
    ExampleRequest,
    HeatRequest,
    IndexRequest,
    Layer,
    NearPhotosRequest,
    PageRequest,
    PhotosRequest,
    PlaceRequest,
    SaveNearPhotosRequest,
    SaveRequest,
    SaveSimilarRequest,
    ScoreRequest,
    SearchRequest,
    SimilarRequest,
    SunRequest,
    VerifyRequest,
    read_request,
)
from app.views.cards import (
    CellFacts,
    PhotoFacts,
    cell_html,
    facts_html,
    outside_html,
    places_html,
    verdict_html,
)
from app.views.explored import comparison_html
from app.views.exports import answer_csv, answer_geojson, answer_kml
from app.views.index_facts import (
    explore_html,
    facts_line_html,
    imagery_dates,
    standing_warnings_html,
)
from app.views.map import (
    MOST_CELLS,
    cell_outlines,
    cosine_levels,
    density_levels,
    index_background,
    map_places,
    packed,
    picture_layers,
    reference_points,
)
from app.views.report import report_html
from app.views.templates import jpeg_uri
from app.views.wording import coordinates, shown_lonlat_deg
from gair.coordinates.text import parse_coordinates
from gair.errors import GairError, PhotoError, UsageError
from gair.geo import haversine_m
from gair.photos.disclosed import place_in
from gair.photos.exif import read_tags
from gair.photos.sun import first_moment, parse_moment, suns_over
from indexer.regions.cells import cell_boundary_lonlat_deg, cell_hex
from indexer.search.answer import GIVEN_HERE
from indexer.search.maps.ground_picture import Chip, chip_at
from indexer.search.weights import SAID

if TYPE_CHECKING:
    import numpy.typing as npt

    from app.engine.engine import Engine
    from app.engine.uploads import Upload, Uploads
    from indexer.ground.reference_photos import ReferencePhotos
    from indexer.search.answer import Answer
    from indexer.search.geolocator import Geolocator

Reply = dict[str, Any]

PREVIEW_PX = 1280
"""Longest side of the picture of a photo, in the page and in a report."""
MOST_CHIPS = 20
"""Places that come with a satellite picture."""
_LEGENDS = {
    "fused": "score",
    "imagery": "cosine, imagery",
    "location": "cosine, location",
    "ground": "log ratio, reference photos",
}
_TYPES = {
    "geojson": "application/geo+json",
    "csv": "text/csv",
    "kml": "application/vnd.google-earth.kml+xml",
    "report": "text/html",
}


@dataclass(frozen=True)
class Desk:
    """Answers the questions of the page."""

    engine: Engine
    uploads: Uploads
    """Where the paths of photos lead, and copies of examples go."""
    samples: Sequence[Sample] = ()
    """Photos that the page offers to try."""

    def ask(self, values: object) -> Reply:
        """Answer one question; the page's only way to the server.

        Args:
            values: a JSON object with ``do``, the kind of question, and what that one needs.

        Returns:
            What the kind of question says; or ``error``, a sentence, and ``gone``, whether a photo
            has to be uploaded once more.
        """
        try:
            do, request = read_request(values)
            # Each kind of request has a method of its name; `do` is one of those kinds here.
            answer: Callable[[PageRequest], Reply] = getattr(self, do)
            return answer(request)
        except GairError as error:
            return {"error": str(error), "gone": str(error) == GONE}

    def index(self, request: IndexRequest) -> Reply:
        """An index to look at: facts, warnings, outline, holes, and how it starts."""
        geo = self.engine.indexes.get(request.index)
        calibration, weights = geo.calibration, geo.space.default_weights
        references = references_of(geo)
        photos = None if references is None else references.manifest
        return {
            "name": geo.index.name,
            "build": geo.index.manifest.build,
            "cells": geo.index.manifest.cells_indexed,
            "share": round(weights.rs, 2),
            "share_by": SAID[weights.source],
            "calibrated": calibration is not None,
            "facts": facts_line_html(geo.space),
            "warnings": standing_warnings_html(geo.space),
            "explore": explore_html(geo.index, calibration, photos, geo.space.runtime),
            "references": 0 if references is None else len(references),
            "references_set": None if photos is None else photos.name,
            "pictures": picture_layers(geo.index),
            **index_background(geo.index),
        }

    def references(self, request: IndexRequest) -> Reply:
        """Where the reference photos of an index were taken."""
        references = references_of(self.engine.indexes.get(request.index))
        if references is None:
            raise UsageError(f"index {request.index!r} has no reference photos")
        return reference_points(references.lonlat_deg)

    def locate(self, request: SearchRequest) -> Reply:
        """Ranked places of the photos, as a list and on the map."""
        started = time.perf_counter()
        photos = self._photos(request)
        geo, answer = self._answer(request, photos)
        chips = chips_of(geo, answer)
        facts = describe_photos(photos, answer)
        seconds = time.perf_counter() - started
        return {
            "list": places_html(answer, seconds, tuple(geo.space.warnings), chips),
            "map": map_places(answer),
            "facts": facts_html(facts),
            "said": f"{len(answer.candidates)} places found in {seconds:.1f} seconds",
        }

    def heat(self, request: HeatRequest) -> Reply:
        """A colour for each cell of the index, and the outlines where the browser has none yet.

        Returns:
            ``levels``, packed colours; ``low``, ``high`` and ``words`` for the legend; ``build``;
            and ``outlines``, unless the request says that it ``has`` those of the build.
        """
        photos = self._photos(request)
        geo = self.engine.indexes.get(request.index)
        values, probable = self._values(geo, request, photos, request.layer)
        cells = geo.index.cells
        if probable:
            levels, low, high = density_levels(values, cells.area_m2)
            words = f"probability a km² {GIVEN_HERE}"
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

    def cell(self, request: CellRequest) -> Reply:
        """The card of the cell that holds a point, its middle and its corners (latitude first)."""
        photos = self._photos(request)
        geo = self.engine.indexes.get(request.index)
        lon_deg, lat_deg = request.lonlat
        row = int(geo.space.cell_row([request.lonlat])[0])
        if row < 0:
            return {"card": outside_html(lon_deg, lat_deg), "at": [lat_deg, lon_deg], "cell": None}
        lon_deg, lat_deg = (float(v) for v in geo.index.cells.lonlat_deg[row])
        cell = geo.index.cells.h3[row]
        rs = location = ground = fused = rank = None
        probable = False
        if photos:
            rs = float(self._values(geo, request, photos, "imagery")[0][row])
            location = float(self._values(geo, request, photos, "location")[0][row])
            if geo.space.ground is not None:
                ground = float(self._values(geo, request, photos, "ground")[0][row])
            values, probable = self._values(geo, request, photos, "fused")
            if np.isfinite(values[row]):  # NaN outside the area, and NaN compares as not above
                fused, rank = float(values[row]), 1 + int((values > values[row]).sum())
        facts = CellFacts(
            cell_hex(cell), lon_deg, lat_deg, rs, location, ground, fused, probable, rank,
            len(geo.index.cells), chip_at(geo.index, row),
        )  # fmt: skip
        corners = cell_boundary_lonlat_deg(cell)
        return {
            "card": cell_html(facts),
            "at": [lat_deg, lon_deg],
            "cell": [[float(lat), float(lon)] for lon, lat in corners],
        }

    def verify(self, request: VerifyRequest) -> Reply:
        """A verdict on a claimed place."""
        question = request.question()
        photos = self._photos(request)
        verdict = question.ask(self.engine, request.index, photos)
        facts = describe_photos(photos)
        gps = next((f.gps_lonlat_deg for f in facts if f.gps_lonlat_deg), None)
        return {
            "verdict": verdict_html(verdict, facts[0].name, gps),
            "facts": facts_html(facts),
            "claim": list(question.lonlat_deg[::-1]),
            "said": verdict.sentence,
        }

    def place(self, request: PlaceRequest) -> Reply:
        """Typed coordinates as a point on the map."""
        lon_deg, lat_deg = parse_coordinates(request.claim)
        return {"claim": [lat_deg, lon_deg], "text": coordinates(lon_deg, lat_deg)}

    def sun(self, request: SunRequest) -> Reply:
        """Where the sun stood over places when the photos were taken, to check shadows by.

        Returns:
            ``places``, each with ``azimuth_deg``, ``elevation_deg`` and ``words``; none where the
            time is not known. ``said``: which time, or why it is not known.
        """
        taken_at: str | None = request.taken_at.strip()
        if taken_at:
            parse_moment(taken_at)
            by = ", as typed"
        else:
            files = [io.BytesIO(upload.content) for upload in self._photos(request)]
            taken_at = first_moment(tags.captured_at for f in files if (tags := read_tags(f)))
            by = ", says the photo"
        suns = suns_over(request.lonlats, taken_at)
        return {
            "places": [{**vars(sun), "words": sun.said} for sun in suns.places],
            "said": suns.said if suns.reason else suns.said + by,
        }

    def compare(self, request: CompareRequest) -> Reply:
        """How alike two photos are."""
        if len(request.photos) != 2:
            raise UsageError(f"{len(request.photos)} photos: choose two to compare")
        first, second = self._photos(request)
        return {"comparison": comparison_html(self.engine.compare(request.index, first, second))}

    def similar(self, request: SimilarRequest) -> Reply:
        """Places like some places."""
        return similar_reply(self.engine, request)

    def save_similar(self, request: SaveSimilarRequest) -> Reply:
        """The same as a file."""
        return similar_file(self.engine, request, request.kind)

    def near_photos(self, request: NearPhotosRequest) -> Reply:
        """Reference photos of a place."""
        return near_photos_reply(self.engine, request)

    def save_near_photos(self, request: SaveNearPhotosRequest) -> Reply:
        """The same as a file."""
        return near_photos_file(self.engine, request, request.kind)

    def save(self, request: SaveRequest) -> Reply:
        """An answer as a file: its ``name``, its media ``type`` and its ``text``."""
        photos = self._photos(request)
        geo, answer = self._answer(request, photos)
        writers = {"geojson": answer_geojson, "csv": answer_csv, "kml": answer_kml}
        if request.kind == "report":
            imagery = geo.index.manifest.imagery
            text = report_html(
                answer,
                outline=geo.index.outline["geometry"],
                photos=[self._preview_uri(photo) for photo in photos],
                chips=chips_of(geo, answer),
                imagery_licence=str(imagery.get("licence", "")),
                imagery_dates=imagery_dates(imagery),
                made_utc=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
            )
        else:
            text = writers[request.kind](answer)
        suffix = "html" if request.kind == "report" else request.kind
        name = f"{stem_of(answer.photo)}-in-{answer.index}.{suffix}"
        return {"name": name, "type": _TYPES[request.kind], "text": text}

    def example(self, request: ExampleRequest) -> Reply:
        """A copy of an example among the uploads, and a picture of it."""
        most = len(self.samples)
        if not 1 <= request.number <= most:  # NaN fails, too
            raise UsageError(f"number is {request.number:.6g}: it must be from 1 to {most}")
        number = int(request.number)
        sample = self.samples[number - 1]
        if not sample.photo.is_file():
            raise PhotoError(f"example photo {number} is gone")
        folder = Path(tempfile.mkdtemp(prefix="example-", dir=self.uploads.folder))
        path = str(shutil.copy(sample.photo, folder / sample.photo.name))
        return {
            "path": path,
            "name": sample.photo.name,
            "preview": self._preview_uri(self.uploads.take(path)),
        }

    def preview(self, request: PhotosRequest) -> Reply:
        """A picture of an upload that the browser itself cannot show."""
        return {"preview": self._preview_uri(self._photos(request)[0])}

    def forget(self, request: PhotosRequest) -> Reply:
        """Let photos go now."""
        for path in request.photos:
            self.uploads.forget(path)
        return {}

    def _preview_uri(self, upload: Upload) -> str:
        """A picture of an upload, upright and without metadata, as a data: address."""
        return self.engine.picture(upload, lambda photo: jpeg_uri(photo.rgb, PREVIEW_PX))

    def _photos(
        self, request: PhotosRequest | ScoreRequest | SunRequest | VerifyRequest
    ) -> list[Upload]:
        """The photos that the paths of a request lead to.

        Raises:
            PhotoError: one is gone, or was never uploaded.
        """
        return [self.uploads.take(path) for path in request.photos]

    def _answer(
        self, request: SearchRequest, photos: Sequence[Upload]
    ) -> tuple[Geolocator, Answer]:
        """The answer about photos of one place, and the index that gave it."""
        geo = self.engine.indexes.get(request.index)
        return geo, request.question(geo, request.k).ask(self.engine, request.index, photos)

    def _values(
        self, geo: Geolocator, request: ScoreRequest, photos: Sequence[Upload], layer: Layer
    ) -> tuple[npt.NDArray[np.floating[Any]], bool]:
        """(N,) what each cell has, and whether that is a probability."""
        name, heatmap = request.index, self.engine.heatmap
        if layer != "fused":
            return heatmap(name, photos, layer).values, False
        question = request.question(geo)
        share, prior = question.rs_weight, question.prior(geo)
        if share is None and geo.calibration is not None:
            return heatmap(name, photos, "posterior", prior).values, True
        weight = geo.space.default_weights.rs if share is None else share
        rs = heatmap(name, photos, "imagery").values
        location = heatmap(name, photos, "location").values
        values = weight * rs + (1 - weight) * location
        if share is None and (ground_weight := geo.space.default_weights.ground):
            values = values + ground_weight * heatmap(name, photos, "ground").values
        if prior is not None:
            values = np.where(np.isfinite(prior.log_weight), values, np.nan)
        return values, False


def references_of(geo: Geolocator) -> ReferencePhotos | None:
    """The reference photos of an index; None where it has none."""
    return None if geo.space.ground is None else geo.space.ground.comparison.photos


def chips_of(geo: Geolocator, answer: Answer) -> dict[int, Chip]:
    """Satellite pictures of the places, by rank; none where the build kept none."""
    if answer.build != geo.index.manifest.build:  # another build took over meanwhile
        return {}
    chips = {
        place.rank: chip_at(geo.index, place.row, place.refined_lonlat_deg)
        for place in answer.candidates[:MOST_CHIPS]
    }
    return {rank: chip for rank, chip in chips.items() if chip is not None}


def describe_photos(photos: Sequence[Upload], answer: Answer | None = None) -> list[PhotoFacts]:
    """What the files of the photos say, beside the best guess where there is one."""
    best = None
    if answer is not None and answer.candidates:
        best = shown_lonlat_deg(answer.candidates[0])
    facts = []
    for upload in photos:
        tags = read_tags(io.BytesIO(upload.content))
        gps = place_in(io.BytesIO(upload.content))
        facts.append(
            PhotoFacts(
                name=upload.name,
                size_bytes=len(upload.content),
                size_px=tags.size_px if tags else None,
                gps_lonlat_deg=gps,
                heading_deg=tags.heading_deg if tags else None,
                captured_at=tags.captured_at if tags else None,
                from_best_m=float(haversine_m(gps, best)) if gps and best else None,
            )
        )
    return facts
