"""Desk that answers the page: one function, one question at a time, no state.

The browser sends a question as JSON (:mod:`app.page.request`) and gets JSON back: pieces of HTML
made by the views, and data for the map. Whatever is wrong comes back as ``error``, in words.
Questions stand by themselves, so one that was overtaken by the next one can be forgotten.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.engine.uploads import GONE
from app.examples import Sample
from app.page.coordinates import parse_coordinates
from app.page.replies import (
    chips_of,
    describe_photos,
    file_of,
    heat_of,
    look_at,
    preview_uri,
    search,
)
from app.page.request import (
    CellRequest,
    CompareRequest,
    ExampleRequest,
    HeatRequest,
    IndexRequest,
    PageRequest,
    PhotosRequest,
    PlaceRequest,
    SaveRequest,
    ScoreRequest,
    SearchRequest,
    VerifyRequest,
    read_request,
)
from app.views.cards import places_html, verdict_html
from app.views.index_facts import (
    IndexFacts,
    explore_html,
    facts_line_html,
    standing_warnings_html,
)
from app.views.map import index_background, map_places
from app.views.pictures import comparison_html, facts_html
from app.views.wording import coordinates
from gair.errors import GairError, PhotoError, UsageError

if TYPE_CHECKING:
    from app.engine.engine import Engine
    from app.engine.uploads import Upload, Uploads

Reply = dict[str, Any]


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
        geo = self.engine.geo(request.index)
        facts = IndexFacts.of(geo)
        calibration = geo.calibration
        return {
            "name": facts.name,
            "build": facts.build,
            "cells": facts.cells,
            "share": 0.5 if calibration is None else round(calibration.weights.shares[0], 2),
            "calibrated": calibration is not None,
            "facts": facts_line_html(facts),
            "warnings": standing_warnings_html(facts),
            "explore": explore_html(geo.index, calibration),
            **index_background(geo.index),
        }

    def locate(self, request: SearchRequest) -> Reply:
        """Ranked places of the photos, as a list and on the map."""
        started = time.perf_counter()
        photos = self._photos(request)
        geo, answer = search(self.engine, request, photos)
        chips = chips_of(geo, answer)
        facts = describe_photos(photos, answer)
        seconds = time.perf_counter() - started
        return {
            "list": places_html(answer, seconds, tuple(geo.warnings), chips),
            "map": map_places(answer),
            "facts": facts_html(facts),
            "said": f"{len(answer.candidates)} places found in {seconds:.1f} seconds",
        }

    def heat(self, request: HeatRequest) -> Reply:
        """A colour for every cell."""
        return heat_of(self.engine, request, self._photos(request))

    def cell(self, request: CellRequest) -> Reply:
        """What the cell at a point says."""
        return look_at(self.engine, request, self._photos(request))

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
            "claim": [question.lat_deg, question.lon_deg],
            "said": verdict.sentence,
        }

    def place(self, request: PlaceRequest) -> Reply:
        """Typed coordinates as a point on the map."""
        lon_deg, lat_deg = parse_coordinates(request.claim)
        return {"claim": [lat_deg, lon_deg], "text": coordinates(lon_deg, lat_deg)}

    def compare(self, request: CompareRequest) -> Reply:
        """How alike two photos are."""
        if len(request.photos) != 2:
            raise UsageError(f"{len(request.photos)} photos: choose two to compare")
        photos = self._photos(request)
        cosine = self.engine.compare(request.index, photos[0], photos[1])
        first, second = (facts.name for facts in describe_photos(photos))
        return {"comparison": comparison_html(first, second, cosine)}

    def save(self, request: SaveRequest) -> Reply:
        """An answer as a file."""
        return file_of(self.engine, request, self._photos(request))

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
            "preview": preview_uri(self.uploads.take(path)),
        }

    def preview(self, request: PhotosRequest) -> Reply:
        """A picture of an upload that the browser itself cannot show."""
        return {"preview": preview_uri(self._photos(request)[0])}

    def forget(self, request: PhotosRequest) -> Reply:
        """Let photos go now."""
        for path in request.photos:
            self.uploads.forget(path)
        return {}

    def _photos(self, request: PhotosRequest | ScoreRequest | VerifyRequest) -> list[Upload]:
        """The photos that the paths of a request lead to.

        Raises:
            PhotoError: one is gone, or was never uploaded.
        """
        return [self.uploads.take(path) for path in request.photos]
