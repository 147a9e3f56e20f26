"""What the page asks and what it is answered: one function, one question at a time, no state.

The browser sends a question as JSON (:class:`app.page.request.Asked`) and gets JSON back: pieces of
HTML made by the views, and data for the map. Whatever is wrong comes back as ``error``, in words.
Questions stand by themselves, so one that was overtaken by the next one can be forgotten.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.engine.uploads import GONE
from app.examples import Sample
from app.page.replies import (
    answered_query,
    chips_of,
    described_photos,
    downloaded,
    heat_of,
    looked_at,
    preview_uri,
)
from app.page.request import Asked
from app.views.claim import verdict_html
from app.views.explore import comparison_html, explore_html
from app.views.facts import facts_html
from app.views.header import IndexFacts, facts_line_html, standing_warnings_html
from app.views.map import index_background, map_places
from app.views.markup import coordinates
from app.views.places import places_html
from gair.errors import GairError, PhotoError, UsageError

if TYPE_CHECKING:
    from app.engine.engine import Engine
    from app.engine.uploads import Uploads

Reply = dict[str, Any]


@dataclass(frozen=True)
class Desk:
    """Answers the questions of the page."""

    engine: Engine
    uploads: Uploads
    """Where the paths of photos lead, and copies of examples go."""
    samples: Sequence[Sample] = ()
    """Photos that the page offers to try."""
    replies: Mapping[str, Callable[[Asked], Reply]] = field(init=False)

    def __post_init__(self) -> None:
        replies = {
            "index": self.index,
            "locate": self.locate,
            "heat": self.heat,
            "cell": self.cell,
            "verify": self.verify,
            "compare": self.compare,
            "save": self.save,
            "place": self.place,
            "example": self.example,
            "preview": self.preview,
            "forget": self.forget,
        }
        object.__setattr__(self, "replies", replies)

    def ask(self, asked: object) -> Reply:
        """Answer one question; the page's only way to the server.

        Args:
            asked: a JSON object with ``do``, the kind of question, and what that one needs.

        Returns:
            What the kind of question says; or ``error``, a sentence, and ``gone``, whether a photo
            has to be uploaded once more.
        """
        try:
            question = Asked.of(asked, self.uploads)
            reply = self.replies.get(question.what)
            if reply is None:
                raise UsageError(f"the page has no question {question.what[:40]!r}")
            return reply(question)
        except GairError as error:
            return {"error": str(error), "gone": str(error) == GONE}

    def index(self, question: Asked) -> Reply:
        """An index to look at: facts, warnings, outline, holes, and how it starts."""
        geo = self.engine.geo(question.index)
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

    def locate(self, question: Asked) -> Reply:
        """Ranked places of the photos, as a list and on the map."""
        started = time.perf_counter()
        geo, answer = answered_query(self.engine, question)
        chips = chips_of(geo, answer)
        facts = described_photos(question.photos, answer)
        seconds = time.perf_counter() - started
        return {
            "list": places_html(answer, seconds, tuple(geo.warnings), chips),
            "map": map_places(answer),
            "facts": facts_html(facts),
            "said": f"{len(answer.candidates)} places found in {seconds:.1f} seconds",
        }

    def heat(self, question: Asked) -> Reply:
        """A colour for every cell."""
        return heat_of(self.engine, question, question.layer)

    def cell(self, question: Asked) -> Reply:
        """What the cell at a point says."""
        return looked_at(self.engine, question, question.lonlat_deg)

    def verify(self, question: Asked) -> Reply:
        """A verdict on a claimed place."""
        lon_deg, lat_deg = question.claim
        photos = question.photos
        verdict = self.engine.verify(question.index, photos, lon_deg, lat_deg, question.radius_m)
        facts = described_photos(photos)
        gps = next((f.gps_lonlat_deg for f in facts if f.gps_lonlat_deg), None)
        return {
            "verdict": verdict_html(verdict, facts[0].name, gps),
            "facts": facts_html(facts),
            "claim": [lat_deg, lon_deg],
            "said": verdict.sentence,
        }

    def place(self, question: Asked) -> Reply:
        """Typed coordinates as a point on the map."""
        lon_deg, lat_deg = question.claim
        return {"claim": [lat_deg, lon_deg], "text": coordinates(lon_deg, lat_deg)}

    def compare(self, question: Asked) -> Reply:
        """How alike two photos are."""
        if len(question.paths) != 2:
            raise UsageError(f"{len(question.paths)} photos: choose two to compare")
        photos = question.photos
        cosine = self.engine.compare(question.index, photos[0], photos[1])
        first, second = (facts.name for facts in described_photos(photos))
        return {"comparison": comparison_html(first, second, cosine)}

    def save(self, question: Asked) -> Reply:
        """An answer as a file."""
        return downloaded(self.engine, question, question.kind)

    def example(self, question: Asked) -> Reply:
        """A copy of an example among the uploads, and a picture of it."""
        number = int(question.number("number", 1, max(1, len(self.samples))))
        if number > len(self.samples):
            raise UsageError(f"there is no example {number}")
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

    def preview(self, question: Asked) -> Reply:
        """A picture of an upload that the browser itself cannot show."""
        return {"preview": preview_uri(question.photos[0])}

    def forget(self, question: Asked) -> Reply:
        """Let photos go now."""
        for path in question.paths:
            self.uploads.forget(path)
        return {}
