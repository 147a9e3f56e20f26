"""Gradio endpoints ``/search`` and ``/verify``, inside the page, for ``gradio_client``.

::

    from gradio_client import Client, handle_file
    client = Client("http://127.0.0.1:7860")
    client.predict(handle_file("photo.jpg"), api_name="/search")

They answer what :mod:`app.http.routes` answers. The file that Gradio wrote is deleted before the
question is asked, and nothing of it is kept afterwards.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import gradio as gr
from gradio.data_classes import ImageData

from app.http.questions import Question, SearchQuestion, VerifyQuestion, read_question
from gair.errors import GairError, UsageError

if TYPE_CHECKING:
    from app.engine.engine import Engine


def add_endpoints(endpoints: Endpoints) -> None:
    """Put both endpoints into the Blocks that are being built; nothing of them can be seen."""
    limit = endpoints.limits.max_waiting

    def add(name: str, about: str, handler: Any, extra: list[Any]) -> None:  # noqa: ANN401
        photo = photo_box(label="photo", visible=False)
        gr.Button(visible=False).click(
            handler,
            inputs=[photo, *extra],
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
            _as_sent(gr.Number(5, label="k", precision=0, visible=False)),
            _as_sent(gr.Number(None, label="rs_weight", visible=False)),
            _as_sent(gr.Number(None, label="location_weight", visible=False)),
            _as_sent(gr.Textbox(None, label="index", visible=False)),
        ],
    )
    add(
        "verify",
        "Tell whether a street photo may have been taken at a place; returns the verdict.",
        endpoints.verify,
        [
            _as_sent(gr.Number(None, label="lat_deg", visible=False)),
            _as_sent(gr.Number(None, label="lon_deg", visible=False)),
            _as_sent(gr.Number(500, label="radius_m", visible=False)),
            _as_sent(gr.Textbox(None, label="index", visible=False)),
            _as_sent(gr.Number(None, label="prior_probability", visible=False)),
            _as_sent(gr.Number(1, label="claim_number", precision=0, visible=False)),
        ],
    )


def _as_sent(box: Any) -> Any:  # noqa: ANN401 - a Gradio component
    """A box that hands on what was sent: :mod:`app.http.questions` says what is wrong with it."""
    box.preprocess = lambda payload: payload
    return box


class Endpoints:
    """The two handlers. Arguments have the names that programs call them by."""

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
        return self._told(SearchQuestion, photo, {"k": k, **weights, "index": index})

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
        return self._told(VerifyQuestion, photo, {**place, **asked, "index": index})

    def called(self, name: Literal["search", "verify"], arguments: list[Any]) -> dict[str, Any]:
        """The answer to a call without a queue.

        Args:
            name: of the endpoint.
            arguments: the photo as :func:`path_sent` reads it, then the others in their order.

        Raises:
            GairError: there is no answer.
        """
        kind: type[Question] = SearchQuestion if name == "search" else VerifyQuestion
        _, *names = inspect.signature(getattr(self, name)).parameters
        if len(arguments) > len(names) + 1:
            raise UsageError(f"data has {len(arguments)} values, /{name} takes {len(names) + 1}")
        photo = path_sent(arguments[0] if arguments else None)
        return self._answer(kind, photo, dict(zip(names, arguments[1:], strict=False)))

    def _told(
        self, kind: type[Question], photo: str | None, values: dict[str, Any]
    ) -> dict[str, Any]:
        """The answer, or an error that Gradio hands on in words."""
        try:
            return self._answer(kind, photo, values)
        except GairError as error:
            raise _refusal(str(error)) from error

    def _answer(
        self, kind: type[Question], photo: str | None, values: dict[str, Any]
    ) -> dict[str, Any]:
        """The answer; the photo is gone afterwards, with or without one."""
        if photo is None:
            raise UsageError("no photo was given; pass one as handle_file(path)")
        assert self._engine.uploads is not None
        upload = self._engine.uploads.take(photo)
        self._engine.uploads.forget(photo)
        return read_question(kind, values).answer(self._engine, self._start, [upload])


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
