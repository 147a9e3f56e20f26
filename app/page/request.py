"""Requests of the page as Pydantic models: whoever calls the server sends what they like.

Each kind of request has a model of what it needs, and what else is sent with it is not looked at.
Searches and claims become the questions that programs ask (:mod:`app.http.questions`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.engine.limits import MOST_PHOTOS, MOST_PLACES
from app.http.questions import Latitude, Longitude, SearchQuestion, VerifyQuestion
from gair.coordinates.text import parse_coordinates
from gair.errors import UsageError
from indexer.explore.near_photos import PhotoOrder
from indexer.explore.similar import MOST_EXAMPLES
from indexer.probability.decisions import ERROR_RATES

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from indexer.search.geolocator import Geolocator

Layer = Literal["fused", "imagery", "location", "ground"]
"""What a heat map shows."""
Kind = Literal["geojson", "csv", "kml", "report"]
"""What can be downloaded."""
PlainKind = Literal["geojson", "csv"]
"""The same of what was explored."""

MOST_CORNERS = 500
"""Corners of an area that was drawn."""
MOST_RADIUS_M = 1_000_000.0
"""Largest radius of a claim."""
_MOST_TEXT = 4096
_SAME_SHARE = 0.0051
"""Shares closer than this are one; the page's slider rounds to a hundredth."""

Text = Annotated[str, AfterValidator(lambda text: text[:_MOST_TEXT])]
"""A text, cut where it is longer than anything that makes sense."""
Paths = Annotated[list[Text], Field(min_length=1, max_length=MOST_PHOTOS)]
"""Photos as the page knows them; only :class:`app.engine.uploads.Uploads` says where they lead."""
Point = Annotated[tuple[Longitude, Latitude], Field(strict=False)]
"""Longitude, latitude in degrees; JSON has lists only, which the strict mode takes for no tuple."""


class PageRequest(BaseModel):
    """A request of the page: types as sent, none made from another."""

    model_config = ConfigDict(strict=True)


class IndexRequest(PageRequest):
    """An index to look at."""

    index: Text


class PhotosRequest(PageRequest):
    """Photos, and nothing about them."""

    photos: Paths


class CompareRequest(IndexRequest, PhotosRequest):
    """Two photos to compare."""


class SimilarRequest(IndexRequest):
    """Places that are like some, and not like others."""

    like: Annotated[list[Text], Field(min_length=1, max_length=MOST_EXAMPLES)]
    """Examples, as people write places."""
    unlike: Annotated[list[Text], Field(max_length=MOST_EXAMPLES)] = []
    """Counter-examples."""


class SaveSimilarRequest(SimilarRequest):
    """The same as a file."""

    kind: PlainKind


class NearPhotosRequest(IndexRequest):
    """Reference photos of a place."""

    at: Text
    """The place, as people write it."""
    order: PhotoOrder = "distance"
    """What comes first."""


class SaveNearPhotosRequest(NearPhotosRequest):
    """The same as a file."""

    kind: PlainKind


class ScoreRequest(IndexRequest):
    """Photos of one place, and how cells are scored."""

    photos: Paths
    share: Annotated[float | None, Field(ge=0, le=1)] = None
    """Weight of the imagery, the location has the rest; None: as the index starts."""
    area: Annotated[list[Point] | None, Field(min_length=3, max_length=MOST_CORNERS)] = None
    """Corners of the area that the search is limited to; None for the whole index."""

    def question(self, geo: Geolocator, k: float = 1) -> SearchQuestion:
        """The same as a program would ask it; no weights of one's own at those of the index."""
        share = self.share
        if share is not None and abs(share - geo.space.default_weights.rs) <= _SAME_SHARE:
            share = None
        return SearchQuestion(
            k=int(k),
            rs_weight=share,
            location_weight=None if share is None else 1 - share,
            within=None if self.area is None else _polygon(self.area),
        )


class SearchRequest(ScoreRequest):
    """Places to rank."""

    k: Annotated[float, Field(ge=1, le=MOST_PLACES)]
    """How many."""
    error_percent: Annotated[
        float | None, Field(ge=100 * ERROR_RATES[0], le=100 * ERROR_RATES[1])
    ] = None
    """Percent of answers that may be wrong, for a decision; None: none is asked for."""
    within_m: Annotated[float, Field(ge=1, le=MOST_RADIUS_M)] = 500
    """How near an answer of the decision should be."""
    taken_at: Text = ""
    """When the photos were taken, with an offset from UTC; empty: as they say."""

    def question(self, geo: Geolocator, k: float = 1) -> SearchQuestion:
        """The same as a program would ask it, with the time and the decision."""
        taken_at = self.taken_at.strip() or None
        asked = super().question(geo, k).model_copy(update={"taken_at": taken_at})
        if self.error_percent is None:
            return asked
        rate = self.error_percent / 100
        return asked.model_copy(update={"max_error_rate": rate, "within_m": self.within_m})


class HeatRequest(ScoreRequest):
    """A colour for every cell."""

    layer: Layer
    has: Any = None
    """Build whose outlines the browser has already."""


class CellRequest(ScoreRequest):
    """The cell at a point, with or without photos."""

    photos: Annotated[list[Text], Field(max_length=MOST_PHOTOS)] = []
    lonlat: Point


class VerifyRequest(IndexRequest):
    """A claim to check."""

    photos: Paths
    claim: Text
    """Coordinates as people write them."""
    radius_m: Annotated[float, Field(ge=1, le=MOST_RADIUS_M)]
    """How far from there the photos may have been taken."""
    prior_percent: Annotated[float | None, Field(ge=0.0001, le=99.9999)] = None
    """How likely the claim is before the photos are looked at."""
    claim_number: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Which claim on the photos this is."""

    def question(self) -> VerifyQuestion:
        """The same as a program would ask it."""
        lon_deg, lat_deg = parse_coordinates(self.claim)
        prior = None if self.prior_percent is None else self.prior_percent / 100
        return VerifyQuestion(
            lat_deg=lat_deg,
            lon_deg=lon_deg,
            radius_m=self.radius_m,
            prior_probability=prior,
            claim_number=self.claim_number,
        )


class PlaceRequest(PageRequest):
    """Typed coordinates to look up."""

    claim: Text


class SunRequest(PageRequest):
    """Where the sun stood over some places when the photos were taken."""

    photos: Paths
    lonlats: Annotated[list[Point], Field(min_length=1, max_length=MOST_PLACES)]
    taken_at: Text = ""
    """With an offset from UTC; empty: as the first photo says that has one."""


class SaveRequest(SearchRequest):
    """An answer as a file."""

    kind: Kind


class ExampleRequest(PageRequest):
    """One of the examples, by its number from 1."""

    number: float


REQUESTS: dict[str, type[PageRequest]] = {
    "index": IndexRequest,
    "references": IndexRequest,
    "locate": SearchRequest,
    "heat": HeatRequest,
    "cell": CellRequest,
    "verify": VerifyRequest,
    "compare": CompareRequest,
    "similar": SimilarRequest,
    "save_similar": SaveSimilarRequest,
    "near_photos": NearPhotosRequest,
    "save_near_photos": SaveNearPhotosRequest,
    "save": SaveRequest,
    "sun": SunRequest,
    "place": PlaceRequest,
    "example": ExampleRequest,
    "preview": PhotosRequest,
    "forget": PhotosRequest,
}
"""All that can be asked, by the word that the page sends as ``do``."""


def read_request(values: object) -> tuple[str, PageRequest]:
    """What was asked for, and the checked request.

    Raises:
        UsageError: it is no JSON object, of no known kind, or a value makes no sense.
    """
    if not isinstance(values, dict):
        raise UsageError(f"a question is a JSON object, not {_kind_of(values)}")
    do = values.get("do")
    if not isinstance(do, str):
        raise UsageError(f"do must be text, not {_kind_of(do)}")
    if do not in REQUESTS:
        raise UsageError(f"the page has no question {do[:40]!r}")
    try:
        return do, REQUESTS[do].model_validate(values)
    except ValidationError as error:
        # What makes no sense is told before what is missing.
        details = sorted(
            error.errors(include_url=False), key=lambda detail: detail["type"] == "missing"
        )
        raise UsageError(_sentence(REQUESTS[do], details[0])) from error


def _sentence(model: type[PageRequest], detail: ErrorDetails) -> str:
    """An error of Pydantic's in words for people."""
    name, inner = str(detail["loc"][0]), detail["loc"][1:]
    value = None if detail["type"] == "missing" else detail["input"]
    if name == "photos":
        if isinstance(value, list) and not inner:
            return f"{len(value)} photos: give 1 to {MOST_PHOTOS} of one place"
        return "photos must be a list of uploaded photos"
    if name in ("like", "unlike"):
        return f"{name} must be a list of 1 to {MOST_EXAMPLES} places, each a text"
    if name == "area" and not inner:
        return f"an area has 3 to {MOST_CORNERS} corners"
    if name in ("area", "lonlat", "lonlats"):
        return _point_sentence(detail["type"], value)
    field = model.model_fields[name]
    choices = get_args(field.annotation)
    match detail["type"]:
        case "less_than_equal" | "greater_than_equal":
            least, most = (
                next(getattr(limit, key) for limit in field.metadata if hasattr(limit, key))
                for key in ("ge", "le")
            )
            return f"{name} is {_number(value)}: it must be from {least:g} to {most:g}"
        case "literal_error" if isinstance(value, str):
            return f"{name} is {value[:40]!r}: choose {', '.join(choices)}"
    numeric = not {float, int}.isdisjoint((field.annotation, *choices))
    if numeric and type(value) is int:
        return f"{name} must be a number of fewer than 300 digits"
    return f"{name} must be {'a number' if numeric else 'text'}, not {_kind_of(value)}"


def _number(value: Any) -> str:  # noqa: ANN401 - a number of any size
    """A number in a few digits, also one that is too large for a float."""
    return "beyond all numbers" if abs(value) > 1e300 else f"{value:.6g}"


def _point_sentence(error: str, value: object) -> str:
    if error == "float_type":
        return f"a coordinate must be a number, not {_kind_of(value)}"
    if error in ("less_than_equal", "greater_than_equal"):
        return "a coordinate is no longitude or latitude in degrees"
    return "a point is a pair of longitude and latitude"


def _polygon(corners: list[Point]) -> str:
    ring = [*corners, corners[0]]
    return json.dumps({"type": "Polygon", "coordinates": [ring]})


def _kind_of(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
