"""Gradio endpoints ``/search``, ``/verify`` and three to explore, for ``gradio_client``.

::

    from gradio_client import Client, handle_file
    client = Client("http://127.0.0.1:7860")
    client.predict(handle_file("photo.jpg"), api_name="/search")

They answer what :mod:`app.http.routes` answers. The files that Gradio wrote are deleted before the
question is asked, and nothing of them is kept afterwards.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import gradio as gr
from gradio.data_classes import ImageData

from app.http.explore_questions import CompareQuestion, NearQuestion, SimilarQuestion
from app.http.questions import Question, SearchQuestion, VerifyQuestion, read_question
from gair.errors import GairError, UsageError

if TYPE_CHECKING:
    from app.engine.engine import Engine

EndpointName = Literal["search", "verify", "compare", "similar", "photos_near"]
KINDS: dict[EndpointName, type[Question]] = {
    "search": SearchQuestion,
    "verify": VerifyQuestion,
    "compare": CompareQuestion,
    "similar": SimilarQuestion,
    "photos_near": NearQuestion,
}
"""The question of each endpoint."""
PHOTOS = ("photo", "photo_a", "photo_b")
"""Arguments that are photos."""
LISTS = ("like", "unlike")
"""Arguments that are several places, one a line: Gradio would look for files in lists."""


def add_endpoints(endpoints: Endpoints) -> None:
    """Put the endpoints into the Blocks that are being built; nothing of them can be seen."""
    limit = endpoints.limits.max_waiting

    def add(
        name: str, about: str, handler: Callable[..., dict[str, Any]], extra: list[Any]
    ) -> None:
        taken = [key for key in inspect.signature(handler).parameters if key in PHOTOS]
        photos = [photo_box(label=key, visible=False) for key in taken]
        gr.Button(visible=False).click(
            handler,
            inputs=[*photos, *extra],
            outputs=gr.JSON(visible=False, label="answer"),
            api_name=name,
            api_description=about,
            concurrency_id="programs",
            concurrency_limit=limit,
        )

    add(
        "search",
        "Find where a street photo may have been taken; returns the answer.",
        endpoints.search,
        [
            _number("k", 5, precision=0),
            _number("rs_weight", None),
            _number("location_weight", None),
            _text("index"),
        ],
    )
    add(
        "verify",
        "Tell whether a street photo may have been taken at a place; returns the verdict.",
        endpoints.verify,
        [
            _number("lat_deg", None),
            _number("lon_deg", None),
            _number("radius_m", 500),
            _text("index"),
            _number("prior_probability", None),
            _number("claim_number", 1, precision=0),
        ],
    )
    add(
        "compare",
        "Tell how likely two street photos are of one place; returns the pair.",
        endpoints.compare,
        [
            _number("prior_probability", 0.5),
            _text("index"),
        ],
    )
    add(
        "similar",
        "Find places whose imagery is like some places; returns them.",
        endpoints.similar,
        [
            _text("like"),
            _text("unlike", ""),
            _number("k", 10, precision=0),
            _number("apart_m", None),
            _text("index"),
        ],
    )
    add(
        "photos_near",
        "List the reference photos of a place; returns them.",
        endpoints.photos_near,
        [
            _text("at"),
            _number("k", 10, precision=0),
            _text("order", "distance"),
            _text("index"),
        ],
    )


def _number(name: str, value: float | None, precision: int | None = None) -> Any:  # noqa: ANN401
    return _as_sent(gr.Number(value, label=name, precision=precision, visible=False))


def _text(name: str, value: str | None = None) -> Any:  # noqa: ANN401
    return _as_sent(gr.Textbox(value, label=name, visible=False))


def _as_sent(box: Any) -> Any:  # noqa: ANN401 - a Gradio component
    """A box that hands on what was sent: :mod:`app.http.questions` says what is wrong with it."""
    box.preprocess = lambda payload: payload
    return box


class Endpoints:
    """The handlers. Arguments have the names that programs call them by."""

    def __init__(self, engine: Engine, start: str) -> None:
        """Take what answers, and the index that is asked where a question names none."""
        self._engine, self._start = engine, start
        self.limits = engine.limits

    def search(
        self,
        photo: str | None,
        k: Any = 5,  # noqa: ANN401 - whatever a program sent
        rs_weight: Any = None,  # noqa: ANN401
        location_weight: Any = None,  # noqa: ANN401
        index: Any = None,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Find where a street photo may have been taken.

        Args:
            photo: The photo, as an uploaded file.
            k: How many places to return.
            rs_weight: Weight of the similarity with the satellite imagery; if no weight is given,
                as calibrated, else as the model's card says, else imagery alone.
            location_weight: Weight of the similarity with the coordinates; the same.
            index: Name of the index; the one the page starts with, if not given.

        Returns:
            The answer: ``candidates``, best first, and what to know before believing them.
        """
        weights = {"rs_weight": rs_weight, "location_weight": location_weight}
        return self._told("search", {"photo": photo, "k": k, **weights, "index": index})

    def verify(
        self,
        photo: str | None,
        lat_deg: Any,  # noqa: ANN401
        lon_deg: Any,  # noqa: ANN401
        radius_m: Any = 500,  # noqa: ANN401
        index: Any = None,  # noqa: ANN401
        prior_probability: Any = None,  # noqa: ANN401
        claim_number: Any = 1,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Tell whether a street photo may have been taken at a place.

        Args:
            photo: The photo, as an uploaded file.
            lat_deg: Latitude of the claimed place.
            lon_deg: Its longitude.
            radius_m: How far from there it may have been taken.
            index: Name of the index; the one the page starts with, if not given.
            prior_probability: Of the claim, before the photo is looked at.
            claim_number: Which claim on the photo this is.

        Returns:
            The verdict, a sentence and the numbers behind it.
        """
        place = {"lat_deg": lat_deg, "lon_deg": lon_deg, "radius_m": radius_m}
        asked = {"prior_probability": prior_probability, "claim_number": claim_number}
        return self._told("verify", {"photo": photo, **place, **asked, "index": index})

    def compare(
        self,
        photo_a: str | None,
        photo_b: str | None,
        prior_probability: Any = 0.5,  # noqa: ANN401
        index: Any = None,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Tell how likely two street photos were taken within 200 m of each other.

        Args:
            photo_a: A photo, as an uploaded file.
            photo_b: The other one.
            prior_probability: That they were, before they are looked at.
            index: Name of the index; the one the page starts with, if not given.

        Returns:
            The pair: ``cosine``, and ``probability`` or ``why`` there is none.
        """
        photos = {"photo_a": photo_a, "photo_b": photo_b}
        asked = {"prior_probability": prior_probability, "index": index}
        return self._told("compare", {**photos, **asked})

    def similar(
        self,
        like: Any,  # noqa: ANN401
        unlike: Any = "",  # noqa: ANN401
        k: Any = 10,  # noqa: ANN401
        apart_m: Any = None,  # noqa: ANN401
        index: Any = None,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Find places whose imagery is like some places and not like others.

        Args:
            like: Examples, one place a line, as people write places.
            unlike: Counter-examples, the same.
            k: How many places to return.
            apart_m: None as near as this to an example; twice the merge radius, if not given.
            index: Name of the index; the one the page starts with, if not given.

        Returns:
            The places with their ``similarity``, which is no probability; the model's licence and
            the credit of the imagery.
        """
        asked = {"like": like, "unlike": unlike, "k": k, "apart_m": apart_m, "index": index}
        return self._told("similar", asked)

    def photos_near(
        self,
        at: Any,  # noqa: ANN401
        k: Any = 10,  # noqa: ANN401
        order: Any = "distance",  # noqa: ANN401
        index: Any = None,  # noqa: ANN401
    ) -> dict[str, Any]:
        """List the reference photos of a place.

        Args:
            at: The place, as people write it.
            k: How many photos to return.
            order: ``distance``, or ``likeness`` with the imagery of the place.
            index: Name of the index; the one the page starts with, if not given.

        Returns:
            The photos, each with its licence and the credit that it asks for.
        """
        return self._told("photos_near", {"at": at, "k": k, "order": order, "index": index})

    def called(self, name: EndpointName, arguments: list[Any]) -> dict[str, Any]:
        """The answer to a call without a queue.

        Args:
            name: of the endpoint.
            arguments: in their order; photos as :func:`path_sent` reads them.

        Raises:
            GairError: there is no answer.
        """
        names = list(inspect.signature(getattr(self, name)).parameters)
        if len(arguments) > len(names):
            raise UsageError(f"data has {len(arguments)} values, /{name} takes {len(names)}")
        values = {key: None for key in names if key in PHOTOS}
        values |= dict(zip(names, arguments, strict=False))
        sent = {key: path_sent(value) for key, value in values.items() if key in PHOTOS}
        return self._answer(name, values | sent)

    def _told(self, name: EndpointName, values: dict[str, Any]) -> dict[str, Any]:
        """The answer, or an error that Gradio hands on in words."""
        try:
            return self._answer(name, values)
        except GairError as error:
            raise _refusal(str(error)) from error

    def _answer(self, name: EndpointName, values: dict[str, Any]) -> dict[str, Any]:
        """The answer; the photos are gone afterwards, with or without one."""
        paths = [value for key, value in values.items() if key in PHOTOS]
        if None in paths:
            raise UsageError("no photo was given; pass one as handle_file(path)")
        asked = {
            key: places_of(value) if key in LISTS else value
            for key, value in values.items()
            if key not in PHOTOS
        }
        kept = self._engine.uploads
        assert kept is not None
        try:
            photos = [kept.take(path) for path in paths]
        finally:
            for path in paths:
                kept.forget(path)
        return read_question(KINDS[name], asked).answer(self._engine, self._start, photos)


def places_of(sent: object) -> object:
    """Places from a text with one a line; what is no text is left to the question to refuse."""
    if sent is None:
        return []
    return [line for line in sent.splitlines() if line.strip()] if isinstance(sent, str) else sent


class SentPhoto(ImageData):
    """A photo as a program sends it; what is none is refused in words, without a traceback."""

    @classmethod
    def model_validate(cls, obj: Any, **_: Any) -> Self:  # noqa: ANN401 - as Pydantic has it
        """A photo by its path alone.

        Args:
            obj: JSON text, as :mod:`app.http.gradio_gate` lets it pass.

        Raises:
            gr.Error: it is something else.
        """
        try:
            return cls(path=path_sent(json.loads(obj)))
        except UsageError as error:
            raise _refusal(str(error)) from error


def photo_box(**options: Any) -> gr.Image:  # noqa: ANN401 - passed on to gr.Image
    """An image box whose handlers get the path that was sent, or are not reached.

    The methods are replaced on the object, because Gradio writes a .pyi file beside every
    module that derives a class from a component.
    """
    box = gr.Image(type="filepath", image_mode=None, **options)
    box.data_model = SentPhoto
    box.example_payload = example_upload  # type: ignore[method-assign]
    box.preprocess = path_of_upload  # type: ignore[method-assign]
    box.async_move_resource_to_block_cache = leave_alone  # type: ignore[method-assign]
    return box


async def leave_alone(url_or_file_path: str | Path | None) -> str | None:
    """The path that was sent; nothing is fetched and nothing is copied."""
    return None if url_or_file_path is None else str(url_or_file_path)


def path_of_upload(payload: ImageData | None) -> str | None:
    """Where an uploaded file lies, as the client says; None without one."""
    return None if payload is None else payload.path


def path_sent(sent: object) -> str | None:
    """Where an uploaded file lies, as the client says; None for no photo.

    Raises:
        UsageError: it is a text, an address, or no uploaded file.
    """
    if sent is None:
        return None
    path = sent.get("path") if isinstance(sent, dict) else None
    if not isinstance(path, str) or not path or "://" in path:
        raise UsageError(
            "a photo comes as an uploaded file, handle_file(path) in gradio_client; texts, data: "
            "and web addresses are not read"
        )
    return path


def example_upload() -> dict[str, Any]:
    """The photo in the example that the page's "Use via API" shows."""
    return {"path": "photo.jpg", "url": "photo.jpg", "meta": {"_type": "gradio.FileData"}}


def _refusal(message: str) -> gr.Error:
    return gr.Error(message, print_exception=False)
