"""Questions of programs that explore an index, and what they ask of the engine.

Places come as people write them (:func:`gair.coordinates.text.parse_coordinates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from app.http.questions import Places, Question
from gair.coordinates.text import MOST_TEXT, parse_coordinates
from gair.errors import UsageError
from indexer.explore.similar import MOST_EXAMPLES

if TYPE_CHECKING:
    from app.engine.engine import Engine, PhotoInput

PlaceText = Annotated[str, Field(max_length=MOST_TEXT)]
"""A place as people write it."""
Examples = Annotated[list[PlaceText], Field(max_length=MOST_EXAMPLES)]
"""Some of them."""


class PlainQuestion(Question):
    """A question without photos."""

    def answer(
        self, engine: Engine, start: str, photos: Sequence[PhotoInput] = ()
    ) -> dict[str, Any]:
        """What the engine answers, as JSON.

        Args:
            engine: what answers.
            start: the index that is asked where the question names none.
            photos: none.

        Raises:
            GairError: as for :class:`app.engine.engine.Engine`.
        """
        raise NotImplementedError


class SimilarQuestion(PlainQuestion):
    """Which places of the index look like these to the satellite, and not like those?"""

    like: Examples = Field(min_length=1, description="Examples, as people write places: 51.5, -0.1")
    unlike: Examples = Field(default=[], description="Counter-examples.")
    k: Places = Field(default=10, description="How many places.")
    apart_m: float | None = Field(
        default=None,
        ge=0,
        le=1e7,
        description="No place as near as this to an example or counter-example, metres; if left "
        "out: twice the distance within which cells are one place.",
    )

    def answer(
        self, engine: Engine, start: str, photos: Sequence[PhotoInput] = ()
    ) -> dict[str, Any]:
        """Similar places: :meth:`app.engine.engine.Engine.similar`."""
        like, unlike = ([parse_coordinates(text) for text in t] for t in (self.like, self.unlike))
        name = self.index or start
        return engine.similar(name, like, unlike, k=self.k, apart_m=self.apart_m).to_dict()


class NearQuestion(PlainQuestion):
    """Which reference photos are of a place?"""

    at: PlaceText = Field(description="The place, as people write it: 51.5, -0.12")
    k: Places = Field(default=10, description="How many photos.")
    order: Literal["distance", "likeness"] = Field(
        default="distance",
        description="Those taken closest to it first, or those most like its imagery.",
    )

    def answer(
        self, engine: Engine, start: str, photos: Sequence[PhotoInput] = ()
    ) -> dict[str, Any]:
        """Photos of the place: :meth:`app.engine.engine.Engine.photos_near`."""
        name, place = self.index or start, parse_coordinates(self.at)
        return engine.photos_near(name, *place, k=self.k, order=self.order).to_dict()


class CompareQuestion(Question):
    """Were these two photos taken at one place?"""

    prior_probability: float = Field(
        default=0.5, gt=0, lt=1, description="That they were, before they are looked at."
    )

    @classmethod
    def schema_with(cls, name: str, photos: dict[str, Any]) -> dict[str, Any]:
        """The JSON schema of the question with its two photos: see :class:`Question`."""
        said = {"description": "Both photo files."}
        return super().schema_with(name, {**photos, **said, "minItems": 2, "maxItems": 2})

    def answer(self, engine: Engine, start: str, photos: Sequence[PhotoInput]) -> dict[str, Any]:
        """How alike they are, and how likely of one place."""
        if len(photos) != 2:
            raise UsageError(f"{len(photos)} photos: send two to compare")
        first, second = photos
        pair = engine.compare(self.index or start, first, second, self.prior_probability)
        return pair.to_dict()
