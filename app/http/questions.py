"""Questions of programs and their answers as Pydantic models, for all ways to ask.

Plain HTTP, ``gradio_client`` and MCP differ in how a photo arrives; what can be asked, what is
refused and what comes back is the same and written here once. The page asks in smaller pieces
(:mod:`app.page.request`), and its searches and claims become the questions of this module, too.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.engine.limits import MOST_PHOTOS, MOST_PLACES
from gair.coordinates.text import MOST_TEXT, parse_coordinates
from gair.errors import UsageError

if TYPE_CHECKING:
    from app.engine.engine import Engine, PhotoInput
    from indexer.probability.verdicts import Verdict
    from indexer.search.answer import Answer
    from indexer.search.geolocator import Geolocator
    from indexer.search.prior import Prior

Weight = Annotated[float | None, Field(ge=0, le=1e6)]
Places = Annotated[int, Field(ge=1, le=MOST_PLACES)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]


class Question(BaseModel):
    """A question about photos of one place."""

    model_config = ConfigDict(extra="forbid")

    index: str | None = Field(
        default=None, max_length=64, description="Name of the index; the one the page starts with."
    )

    def ask(self, engine: Engine, start: str, photos: Sequence[PhotoInput]) -> Answer | Verdict:
        """What the engine answers.

        Args:
            engine: what answers.
            start: the index that is asked where the question names none.
            photos: one, or several of one place.

        Raises:
            GairError: as for :class:`app.engine.engine.Engine`.
        """
        raise NotImplementedError

    def answer(self, engine: Engine, start: str, photos: Sequence[PhotoInput]) -> dict[str, Any]:
        """The same as JSON."""
        return self.ask(engine, start, photos).to_dict()

    @classmethod
    def schema_with(cls, name: str, photos: dict[str, Any]) -> dict[str, Any]:
        """The JSON schema of the question with its photos, which each way to ask sends otherwise.

        Args:
            name: of the field that holds them.
            photos: what an item of it is, and words about it.
        """
        schema = cls.model_json_schema()
        several = {"type": "array", "minItems": 1, "maxItems": MOST_PHOTOS, **photos}
        schema["properties"] = {name: several, **schema["properties"]}
        schema["required"] = [name, *schema.get("required", [])]
        return schema


class SearchQuestion(Question):
    """Where may these photos of one place have been taken?"""

    k: Places = Field(default=5, description="How many places.")
    rs_weight: Weight = Field(
        default=None,
        description="Weight of the similarity with the imagery. If both weights are left out: as "
        "calibrated, else as the model's card says, else imagery alone; if only the "
        "other is given: 1. Probabilities are given for calibrated weights only.",
    )
    location_weight: Weight = Field(
        default=None,
        description="Weight of the similarity with the coordinates. If both are left "
        "out, the same; if only the other is given: 0.",
    )
    ground_weight: Weight = Field(
        default=None,
        description="Weight of the log ratio of reference photos, where the index has some; 0: "
        "search without them. If no weight is given, the same; if one of the others is: 0.",
    )
    condition: str | None = Field(
        default=None,
        max_length=200,
        description="What the photos were taken under: a condition that the calibration photos' "
        "list names, such as night. If left out: what they look like.",
    )
    refine: bool = Field(default=True, description="Look between the centres of cells, too.")
    elsewhere_prior: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How likely it is, before the photos are looked at, that they were not taken "
        "in the index.",
    )
    max_error_rate: float | None = Field(
        default=None,
        description="Decide: answer within within_m, else in a larger disc or region, else not at "
        "all, so that at most this share of such answers is wrong (0.001 to 0.5).",
    )
    within_m: float = Field(
        default=500.0, gt=0, le=1e7, description="Answers farther off count as wrong, metres."
    )
    taken_at: str | None = Field(
        default=None,
        max_length=MOST_TEXT,
        description="When the photos were taken, with the offset from UTC, such as "
        "2024-06-01T14:30+01:00, for the sun over the places. If left out: as their files say.",
    )
    within: str | None = Field(
        default=None,
        max_length=200_000,
        description="GeoJSON polygon, as text, in longitude and latitude: only cells in it count.",
    )
    bbox: str | None = Field(
        default=None,
        max_length=200,
        description="The same for a box: west,south,east,north in degrees; west above east goes "
        "over 180 degrees.",
    )

    def ask(self, engine: Engine, start: str, photos: Sequence[PhotoInput]) -> Answer:
        """Where the photos may have been taken: :meth:`app.engine.engine.Engine.search`."""
        name = self.index or start
        area = self._area()
        return engine.search(
            name,
            photos,
            k=self.k,
            rs_weight=self.rs_weight,
            location_weight=self.location_weight,
            ground_weight=self.ground_weight,
            condition=self.condition,
            refine=self.refine,
            elsewhere_prior=self.elsewhere_prior,
            max_error_rate=self.max_error_rate,
            within_m=self.within_m,
            taken_at=self.taken_at,
            prior=None if area is None else _prior(engine.indexes.get(name), area),
        )

    def prior(self, geo: Geolocator) -> Prior | None:
        """The area that the search is limited to; None for the whole index."""
        area = self._area()
        return None if area is None else _prior(geo, area)

    def _area(self) -> dict[str, Any] | None:
        """The area as GeoJSON."""
        if self.within is not None and self.bbox is not None:
            raise UsageError("within and bbox both say where: give one of them")
        if self.bbox is not None:
            return _box(self.bbox)
        return None if self.within is None else _polygon(self.within)


class VerifyQuestion(Question):
    """May these photos have been taken there?"""

    lat_deg: Latitude | None = Field(default=None, description="Latitude of the claimed place.")
    lon_deg: Longitude | None = Field(default=None, description="Longitude of the claimed place.")
    at: str | None = Field(
        default=None,
        max_length=MOST_TEXT,
        description="Instead of both, the place as people write it: 51.5, -0.12, also in minutes, "
        "in MGRS or UTM, as a plus code or the address of a map.",
    )
    radius_m: float = Field(
        default=500.0, gt=0, le=1e7, description="How far from there it may have been taken."
    )
    prior_odds: float | None = Field(
        default=None, gt=0, le=1e12, description="Odds of the claim before the photo is looked at."
    )
    prior_probability: float | None = Field(
        default=None, gt=0, lt=1, description="The same as a probability; give one of the two."
    )
    claim_number: int = Field(
        default=1, ge=1, le=1_000_000, description="Which claim on these photos this is."
    )

    @model_validator(mode="after")
    def _place_once(self) -> Self:
        for name, value in (("lat_deg", self.lat_deg), ("lon_deg", self.lon_deg)):
            if (value is None) == (self.at is None):
                said = "Field required, or at" if value is None else "give it or at, not both"
                raise PydanticCustomError("place", f"{name}: {said}")
        return self

    @property
    def lonlat_deg(self) -> tuple[float, float]:
        """Longitude, latitude of the claimed place.

        Raises:
            UsageError: ``at`` names no place.
        """
        if self.lat_deg is None or self.lon_deg is None:
            return parse_coordinates(self.at or "")
        return self.lon_deg, self.lat_deg

    def ask(self, engine: Engine, start: str, photos: Sequence[PhotoInput]) -> Verdict:
        """A verdict on the claim: :meth:`app.engine.engine.Engine.verify`."""
        from indexer.probability.evidence import prior_odds_of

        return engine.verify(
            self.index or start,
            photos,
            *self.lonlat_deg,
            self.radius_m,
            prior_odds=prior_odds_of(self.prior_odds, self.prior_probability),
            claim_number=self.claim_number,
        )


AnyQuestion = TypeVar("AnyQuestion", bound=Question)


def read_question(kind: type[AnyQuestion], values: dict[str, Any]) -> AnyQuestion:
    """A question from what a program sent.

    Raises:
        UsageError: a field is unknown, missing or makes no sense; one line names the first.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the question"
        given = "" if first["type"] == "missing" else f" (given: {_short(first['input'])})"
        hint = _exchanged_hint(values) if "lat_deg" in first["loc"] else ""
        raise UsageError(f"{_short(where)[1:-1]}: {first['msg']}{given}{hint}") from error


def _exchanged_hint(values: dict[str, Any]) -> str:
    """A remedy for a latitude that can only be a longitude, where the other can be a latitude."""
    try:
        lat_deg, lon_deg = float(values["lat_deg"]), float(values["lon_deg"])
    except (KeyError, TypeError, ValueError):
        return ""
    if not (abs(lon_deg) <= 90 < abs(lat_deg) <= 180):
        return ""
    return f"; are they exchanged? Did you mean lat_deg {lon_deg:g}, lon_deg {lat_deg:g}?"


_BRIEF = reprlib.Repr()
"""Looks at a part of a value only: what was sent may be deep, or a million characters long."""
_BRIEF.maxstring = _BRIEF.maxother = 60


def _short(value: object) -> str:
    text = _BRIEF.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _prior(geo: Geolocator, area: dict[str, Any]) -> Prior:
    from indexer.search.prior import build_prior

    return build_prior(geo.index, within=area)


def _box(text: str) -> dict[str, Any]:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"bbox {_short(text)} must be west,south,east,north in degrees") from None
    from indexer.regions.region import region_from_bbox

    return region_from_bbox((west, south, east, north)).to_geojson()


def _polygon(text: str) -> dict[str, Any]:
    try:
        polygon = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"within {_short(text)} is no GeoJSON") from None
    if not isinstance(polygon, dict):
        raise UsageError(f"within {_short(text)} is no GeoJSON object")
    return polygon
