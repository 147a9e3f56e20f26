"""Schemas of answers as Pydantic models, made from the dataclasses that the answers are.

``/openapi.json`` and ``docs/answers.schema.json`` are written from them.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import fields
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import models_json_schema

from gair.fields import field_help
from gair.photos.sun import Reason
from indexer.probability.cautions import CODES


class Problem(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="One line that names what was wrong and what to do.")


@functools.cache
def answer_model() -> type[BaseModel]:
    """The JSON of an :class:`indexer.search.answer.Answer`."""
    from indexer.ground.nearby import GroundPhoto
    from indexer.probability.basis import Basis
    from indexer.probability.decisions import Decision
    from indexer.search.answer import (
        SCHEMA_VERSION,
        Answer,
        Candidate,
        Confidence,
        Elsewhere,
        Membership,
    )

    kinds = (Basis, Confidence, Decision, Elsewhere, GroundPhoto, Membership)
    parts = {part.__name__: json_model(part) for part in kinds}
    parts["Candidate"] = json_model(Candidate, parts)
    hidden = tuple(f.name for f in fields(Answer) if not f.repr)
    model = json_model(Answer, parts, hidden)
    regions = Field(description="The 50 and the 90 % region; their outlines are GeoJSON.")
    sun = Field(description="Where the sun stood over the candidates, to check shadows by.")
    own: dict[str, Any] = {"regions": (list[RegionSize], regions), "sun": (SunOverPlaces, sun)}
    model = create_model("Answer", __base__=model, **own)
    return _versioned("SearchAnswer", model, SCHEMA_VERSION)


@functools.cache
def verdict_model() -> type[BaseModel]:
    """The JSON of an :class:`indexer.probability.verdicts.Verdict`."""
    from indexer.probability.basis import Basis
    from indexer.probability.evidence import Evidence
    from indexer.probability.out_of_index import Membership
    from indexer.probability.verdicts import SCHEMA_VERSION, Verdict

    hidden = tuple(f.name for f in fields(Verdict) if not f.repr)
    parts = {part.__name__: json_model(part) for part in (Basis, Evidence, Membership)}
    model = json_model(Verdict, parts, hidden)
    return _versioned("ClaimVerdict", model, SCHEMA_VERSION)


class CodedWarning(BaseModel):
    """A sentence to show beside an answer."""

    model_config = ConfigDict(extra="forbid")

    code: Literal[tuple(CODES)] = Field(  # type: ignore[valid-type]
        description="Stays the same when the words are improved."
    )
    text: str = Field(description="For people.")


class RegionSize(BaseModel):
    """A region that holds the place with a probability, without its outline."""

    model_config = ConfigDict(extra="forbid")

    level: float = Field(description="Share of photos whose place such regions are meant to hold.")
    mass: float = Field(description="Posterior probability of its cells, before calibration.")
    promised: bool = Field(description="Whether the level was measured on photos like this one.")
    refused: bool = Field(description="Whether the photo looks like nothing in the index.")
    cells: int = Field(description="How many.")
    km2: float = Field(description="Their area.")


class SunOverPlace(BaseModel):
    """Where the sun stood over one place."""

    model_config = ConfigDict(extra="forbid")

    azimuth_deg: float = Field(description="Clockwise from north, 0 to 360.")
    elevation_deg: float = Field(
        description="Above the horizon, with refraction; below it where negative."
    )


class SunOverPlaces(BaseModel):
    """Where the sun stood over the places of an answer when the photo was taken."""

    model_config = ConfigDict(extra="forbid")

    at_utc: str | None = Field(description="When; null where that is not known.")
    reason: Reason | None = Field(
        description="Why it is not known: the photo says no time, or none with its offset from "
        "UTC; null where it is."
    )
    places: list[SunOverPlace] = Field(
        description="One a candidate, in their order; none where the time is not known."
    )


@functools.cache
def similar_model() -> type[BaseModel]:
    """The JSON of :class:`indexer.explore.similar.SimilarPlaces`."""
    from indexer.explore.similar import SCHEMA_VERSION, Example, SimilarPlace, SimilarPlaces

    parts = {part.__name__: json_model(part) for part in (Example, SimilarPlace)}
    return _versioned("SimilarPlacesAnswer", json_model(SimilarPlaces, parts), SCHEMA_VERSION)


@functools.cache
def near_photos_model() -> type[BaseModel]:
    """The JSON of :class:`indexer.explore.near_photos.NearPhotos`."""
    from indexer.explore.near_photos import SCHEMA_VERSION, NearPhoto, NearPhotos

    parts = {NearPhoto.__name__: json_model(NearPhoto)}
    return _versioned("NearPhotosAnswer", json_model(NearPhotos, parts), SCHEMA_VERSION)


@functools.cache
def pair_model() -> type[BaseModel]:
    """The JSON of :class:`indexer.explore.compare.PhotoPair`."""
    from indexer.explore.compare import SCHEMA_VERSION, PhotoPair

    return _versioned("PhotoPairAnswer", json_model(PhotoPair), SCHEMA_VERSION)


def answers_schema() -> dict[str, Any]:
    """The JSON schema of answers and verdicts, as ``docs/answers.schema.json`` has it."""
    kinds = (answer_model, verdict_model, similar_model, near_photos_model, pair_model)
    models = [(kind(), "serialization") for kind in kinds]
    _, schema = models_json_schema(models, ref_template="#/$defs/{model}")  # type: ignore[arg-type]
    either = [{"$ref": f"#/$defs/{model.__name__}"} for model, _ in models]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Answers and verdicts of GAIR Geolocator",
        "anyOf": either,
        **schema,
    }


def _versioned(name: str, model: type[BaseModel], version: int) -> type[BaseModel]:
    """A model of an answer with the version of its schema and its warnings' codes."""
    about = Field(description="Raised when a field changes its meaning or goes away.")
    warned = Field(description="What to know before believing it.")
    members: dict[str, Any] = {
        "schema_version": (Literal[version], about),
        "warnings": (list[CodedWarning], warned),
    }
    return create_model(name, __base__=model, __doc__=model.__doc__, **members)


def json_model(
    kind: type, parts: dict[str, type[BaseModel]] | None = None, hidden: tuple[str, ...] = ()
) -> type[BaseModel]:
    """A model of the JSON of a dataclass, with the words that stand under each field there.

    So ``/openapi.json`` cannot say anything else than the code does.

    Args:
        kind: the dataclass; its type hints may name things that are imported for checking only,
            as long as those fields are hidden.
        parts: models of the dataclasses it is made of, by name.
        hidden: fields that are not in the JSON.
    """
    texts = field_help(kind)
    shown = [f for f in fields(kind) if f.name not in hidden]
    # Hints are resolved on a class of the shown fields only: those of the others may name types
    # that do not exist at run time. The models of the parts stand in for their dataclasses.
    bare = type(kind.__name__, (), {"__annotations__": {f.name: f.type for f in shown}})
    bare.__module__ = kind.__module__
    hints = get_type_hints(bare, localns=dict(parts or {}))
    members: dict[str, Any] = {
        f.name: (hints[f.name], Field(description=texts.get(f.name))) for f in shown
    }
    doc = inspect.cleandoc(kind.__doc__ or "")
    return create_model(
        kind.__name__, __config__=ConfigDict(extra="forbid"), __doc__=doc, **members
    )
