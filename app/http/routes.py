"""Routes of plain HTTP: questions about photos take a form, others JSON; all answer with JSON.

::

    curl -F photo=@street.jpg -F k=3 http://127.0.0.1:7860/search
    curl -F photo=@street.jpg -F lat_deg=51.5 -F lon_deg=-0.12 http://127.0.0.1:7860/verify
    curl -F photo=@one.jpg -F photo=@other.jpg http://127.0.0.1:7860/compare
    curl --json '{"like": ["51.5, -0.12"]}' http://127.0.0.1:7860/similar
    curl --json '{"at": "51.5, -0.12"}' http://127.0.0.1:7860/photos-near

``/openapi.json`` describes them. Photos stay in memory, are never written to disk, and are let go
with the answer. Nothing that is sent is a path or an address.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from app.engine.limits import MOST_PHOTOS
from app.engine.uploads import Upload
from app.http.answer_schemas import (
    Problem,
    answer_model,
    near_photos_model,
    pair_model,
    similar_model,
    verdict_model,
)
from app.http.bodies import LONGEST_ERROR, Bodies
from app.http.explore_questions import CompareQuestion, NearQuestion, PlainQuestion, SimilarQuestion
from app.http.health import app_version, health_report
from app.http.json_bodies import read_json
from app.http.questions import Question, SearchQuestion, VerifyQuestion, read_question
from gair.errors import (
    BusyError,
    GairError,
    IndexNotFoundError,
    PhotoError,
    PhotoSizeError,
    PhotoTypeError,
    RegionError,
    UnavailableError,
    UsageError,
)

if TYPE_CHECKING:
    from app.engine.engine import Engine

FIELD_BYTES = 250_000
"""Largest field of a form that is no photo."""
STATUS: tuple[tuple[type[GairError], int], ...] = (
    (BusyError, 429),
    (UnavailableError, 503),
    (PhotoSizeError, 413),
    (PhotoTypeError, 415),
    (PhotoError, 422),
    (RegionError, 422),
    (IndexNotFoundError, 404),
    (UsageError, 422),
)
"""What each error is over HTTP; any other one is 500, the server's own fault."""

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": why}
    for status, why in {
        400: "The body is no form, or no JSON.",
        401: "User and password are needed.",
        404: "There is no index of that name.",
        413: "A photo, or all of them, are too large.",
        415: "A file is no photo of a known kind.",
        422: "A photo is damaged, or a field makes no sense.",
        429: "Too many questions wait; ask again in a moment.",
        503: "It took too long, or the server is stopping.",
    }.items()
}


class FormParser(MultiPartParser):
    """Reads a form without writing anything to disk; the guard limits how large it can be."""

    spool_max_size = 1 << 40

    async def parse(self) -> FormData:
        """The form; where it does not come to its end, its files are let go at once.

        An error is kept alive by its traceback for a while, and with it all that was read.
        """
        try:
            return await super().parse()
        except BaseException:
            for file in self._files_to_close_on_error:
                file.close()
            raise


def api_app(engine: Engine, start: str, bodies: Bodies) -> FastAPI:
    """The application with all routes but the page's.

    Args:
        engine: what answers.
        start: the index that is asked where a question names none.
        bodies: memory for what is sent.
    """
    app = FastAPI(
        title="GAIR Geolocator",
        version=app_version(),
        description="Find where a street photo was taken. Photos are let go with the answer.",
        docs_url=None,  # those pages load their scripts from elsewhere
        redoc_url=None,
    )
    router = APIRouter()
    threads = anyio.CapacityLimiter(engine.limits.max_waiting + 8)

    def add_route(path: str, ask: Any, model: Any, summary: str, body: dict[str, Any]) -> None:  # noqa: ANN401
        router.add_api_route(
            path,
            ask,
            methods=["POST"],
            response_model=model,
            responses=RESPONSES,
            summary=summary,
            operation_id=path.strip("/"),
            openapi_extra={"requestBody": body},
        )

    def add(path: str, kind: type[Question], model: Any, summary: str) -> None:  # noqa: ANN401
        async def ask(request: Request) -> JSONResponse:
            with bodies.holding(request) as stream:
                photos, values = await read_form(request, stream)
                question = read_question(kind, values)
                answer = await anyio.to_thread.run_sync(
                    question.answer, engine, start, photos, limiter=threads
                )
            return JSONResponse(answer)

        add_route(path, ask, model, summary, form_schema(kind))

    def add_plain(path: str, kind: type[PlainQuestion], model: Any, summary: str) -> None:  # noqa: ANN401
        async def ask(request: Request) -> JSONResponse:
            question = read_plain(kind, await request.body())
            answer = await anyio.to_thread.run_sync(question.answer, engine, start, limiter=threads)
            return JSONResponse(answer)

        schema = {"application/json": {"schema": kind.model_json_schema()}}
        add_route(path, ask, model, summary, {"required": True, "content": schema})

    add("/search", SearchQuestion, answer_model(), "Where may a photo have been taken?")
    add("/verify", VerifyQuestion, verdict_model(), "May a photo have been taken there?")
    add("/compare", CompareQuestion, pair_model(), "Are two photos of one place?")
    add_plain("/similar", SimilarQuestion, similar_model(), "Which places look like these?")
    add_plain("/photos-near", NearQuestion, near_photos_model(), "Which photos are of a place?")
    started = time.monotonic()

    @router.get("/health", summary="Is the server up, and how busy is it?")
    def _health(request: Request) -> dict[str, Any]:
        return health_report(engine, started, trusted=bool(request.scope.get("gair.trusted")))

    app.include_router(router)
    app.add_exception_handler(GairError, on_gair_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_bug)
    return app


async def read_form(
    request: Request, stream: AsyncGenerator[bytes, None]
) -> tuple[list[Upload], dict[str, Any]]:
    """The photos and the other fields of a multipart form.

    Raises:
        HTTPException: the body is no such form (400), or stopped coming.
        UsageError: a field came twice or as a file.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(400, "send a multipart form with the photo as a file named photo")
    parser = FormParser(
        request.headers,
        stream,
        max_files=MOST_PHOTOS,
        max_fields=20,
        max_part_size=FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        reason = getattr(error, "message", None) or "it is damaged"
        raise HTTPException(400, f"the form cannot be read: {reason}") from error
    photos: list[Upload] = []
    values: dict[str, Any] = {}
    try:
        for key, value in form.multi_items():
            if isinstance(value, UploadFile):
                if key != "photo":
                    raise UsageError(f"the file {key[:60]!r} is not asked for; name it photo")
                photos.append(Upload(value.filename or "photo", await value.read()))
            elif key in values:
                raise UsageError(f"{key[:60]}: it is given twice")
            elif key == "photo":
                raise UsageError("photo: it must come as a file, not as text or an address")
            else:
                values[key] = value
    finally:
        await form.close()
    if not photos:
        raise UsageError("no photo was given: send one as a file named photo")
    return photos, values


def read_plain(kind: type[PlainQuestion], body: bytes) -> PlainQuestion:
    """A question without photos, from its JSON.

    Raises:
        HTTPException: it is no JSON object (400).
        UsageError: a field is unknown, missing or makes no sense.
    """
    values = read_json(body)
    if not isinstance(values, dict):
        raise HTTPException(400, "send a JSON object with the fields of the question")
    return read_question(kind, values)


def form_schema(kind: type[Question]) -> dict[str, Any]:
    """The OpenAPI request body of a question: its fields and the photos."""
    photos = {
        "items": {"type": "string", "format": "binary"},
        "description": "The photo file; of several, all are of the one place.",
    }
    schema = kind.schema_with("photo", photos)
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def problem(status: int, error: object) -> JSONResponse:
    """One line of JSON."""
    line = " ".join(str(error).split())
    line = line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR - 3]}..."
    headers = {"Retry-After": "5"} if status in (429, 503) else None
    return JSONResponse({"error": line}, status, headers)


async def on_gair_error(_: Request, error: Exception) -> JSONResponse:
    """What the engine refuses."""
    return problem(next((code for kind, code in STATUS if isinstance(error, kind)), 500), error)


async def on_http_error(_: Request, error: Exception) -> JSONResponse:
    """What the framework refuses."""
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail)


async def on_bug(_: Request, error: Exception) -> JSONResponse:
    """A mistake of ours: the log has the traceback, the client learns nothing of the inside."""
    assert not isinstance(error, asyncio.CancelledError)
    return problem(500, "something went wrong in the server; its log says what")
