"""A question as programs put it, and the engine's answer to it, for all three ways to ask.

Plain HTTP, ``gradio_client`` and MCP differ in how a photo arrives; what can be asked, what is
refused and what comes back is the same and written here once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.engine.limits import MOST_PLACES
from gair.errors import UsageError

if TYPE_CHECKING:
    from app.engine.engine import Engine, PhotoInput
    from indexer.search.prior import Prior

INDEX_NAME = Field(
    default=None, max_length=64, description="Name of the index; the one the page starts with."
)
Weight = Annotated[float | None, Field(ge=0, le=1e6)]


class SearchQuestion(BaseModel):
    """Where may these photos of one place have been taken?"""

    model_config = ConfigDict(extra="forbid")

    index: str | None = INDEX_NAME
    k: int = Field(default=5, ge=1, le=MOST_PLACES, description="How many places.")
    rs_weight: Weight = Field(
        default=None,
        description="Weight of the similarity with the imagery; as calibrated, or half, if left "
        "out. Probabilities are given for calibrated weights only.",
    )
    location_weight: Weight = Field(
        default=None, description="Weight of the similarity with the coordinates; the same."
    )
    refine: bool = Field(default=True, description="Look between the centres of cells, too.")
    within: str | None = Field(
        default=None,
        max_length=200_000,
        description="GeoJSON polygon, as text, in longitude and latitude: only cells in it count.",
    )
    bbox: str | None = Field(
        default=None,
        max_length=200,
        description="The same for a box: west,south,east,north in degrees.",
    )

    def answer(self, engine: Engine, start: str, photos: Sequence[PhotoInput]) -> dict[str, Any]:
        """The answer as JSON.

        Raises:
            GairError: as for :meth:`app.engine.engine.Engine.search`.
        """
        name = self.index or start
        found = engine.search(
            name,
            photos,
            k=self.k,
            rs_weight=self.rs_weight,
            location_weight=self.location_weight,
            refine=self.refine,
            prior=self._prior(engine, name),
        )
        return found.to_dict()

    def _prior(self, engine: Engine, name: str) -> Prior | None:
        if self.within is None and self.bbox is None:
            return None
        if self.within is not None and self.bbox is not None:
            raise UsageError("within and bbox both say where: give one of them")
        from indexer.search.prior import build_prior

        area = _box(self.bbox) if self.bbox is not None else _polygon(self.within or "")
        return build_prior(engine.geo(name).index, within=area)


class VerifyQuestion(BaseModel):
    """May these photos have been taken there?"""

    model_config = ConfigDict(extra="forbid")

    lat_deg: float = Field(ge=-90, le=90, description="Latitude of the claimed place.")
    lon_deg: float = Field(ge=-180, le=180, description="Longitude of the claimed place.")
    radius_m: float = Field(
        default=500.0, gt=0, le=1e7, description="How far from there it may have been taken."
    )
    index: str | None = INDEX_NAME

    def answer(self, engine: Engine, start: str, photos: Sequence[PhotoInput]) -> dict[str, Any]:
        """The verdict as JSON.

        Raises:
            GairError: as for :meth:`app.engine.engine.Engine.verify`.
        """
        name = self.index or start
        return engine.verify(name, photos, self.lon_deg, self.lat_deg, self.radius_m).to_dict()


Question = SearchQuestion | VerifyQuestion


def read_question(kind: type[Question], values: dict[str, Any]) -> Question:
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
        raise UsageError(f"{_short(where)[1:-1]}: {first['msg']}{given}") from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _box(text: str) -> dict[str, Any]:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"bbox {_short(text)} must be west,south,east,north in degrees") from None
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _polygon(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"within {_short(text)} is no GeoJSON") from None
    if not isinstance(found, dict):
        raise UsageError(f"within {_short(text)} is no GeoJSON object")
    return found
